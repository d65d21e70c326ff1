"""What can be searched, and by what: entities, fields, operators, as data.

Each target is there in MLflow's dialect (source: MLflow 3.17, `mlflow.utils.search_utils` and
`search_logged_model_utils`) and most in Assay's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

NUMBERS = frozenset({"=", "!=", "<", "<=", ">", ">="})
TEXTS = frozenset({"=", "!=", "LIKE", "ILIKE"})
LISTS = frozenset({"IN", "NOT IN"})
NULLS = frozenset({"IS NULL", "IS NOT NULL"})
NANS = frozenset({"IS NAN", "IS NOT NAN"})
PATTERNS = frozenset({"LIKE", "ILIKE", "NOT LIKE", "NOT ILIKE"})
EVERY = NUMBERS | TEXTS | LISTS | NULLS | PATTERNS

Type = Literal[
    "number",  # a number
    "whole",  # a number without a fraction
    "numeral",  # such a number, in quotes or not
    "id",  # such a number in quotes
    "text",  # text in quotes
    "moment",  # Unix milliseconds, or a date in quotes
    "any",  # text, or a number to compare as one
]


class Field(msgspec.Struct, frozen=True):
    """A field that a query may name: its own name, its type, and what it is compared by."""

    name: str
    type: Type
    operators: frozenset[str]
    is_ordered: bool = True  # whether results may be in its order
    choices: tuple[str, ...] = ()  # the only values there are


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched, in one dialect."""

    name: str
    is_open: bool = False  # Assay's dialect: OR, NOT, parentheses, BETWEEN, dates
    entities: Mapping[str, str]  # what a query writes -> attribute, metric, param, tag, dataset
    fixed: Mapping[str, Mapping[str, Field]]  # entity -> what a query writes -> field
    free: Mapping[str, Field]  # entity -> its field of any key
    ordered: frozenset[str] = frozenset({"attribute"})  # entities that give an order
    order_only: Mapping[str, str] = {}  # what an order writes -> the name of an attribute
    quotes_attributes: bool = True  # whether an attribute may stand in quotes
    repeats_orders: bool = False  # whether an order may name a key again, which says nothing new


def _fields(*fields: Field, **aliases: str) -> dict[str, Field]:
    own = {field.name: field for field in fields}
    return own | {alias: own[name] for alias, name in aliases.items()}


def _entities(**names: str) -> dict[str, str]:
    return {written: entity for entity, text in names.items() for written in text.split()}


_RUN_ATTRIBUTES = _fields(
    Field("run_id", "text", TEXTS | LISTS),
    Field("run_name", "text", TEXTS),
    Field("status", "text", TEXTS),
    Field("user_id", "text", TEXTS),
    Field("artifact_uri", "text", TEXTS),
    Field("start_time", "number", NUMBERS),
    Field("end_time", "number", NUMBERS),
    created="start_time",
    Created="start_time",
    **{"run name": "run_name", "Run name": "run_name", "Run Name": "run_name"},
)
_DATASET_KEYS = _fields(
    *(
        Field(name, "text", TEXTS | LISTS, is_ordered=False)
        for name in ("name", "digest", "context")
    )
)

MLFLOW_RUNS = Target(
    name="runs",
    entities=_entities(
        attribute="attribute attributes attr run",
        metric="metric metrics",
        param="parameter parameters param params",
        tag="tag tags",
        dataset="dataset datasets",
    ),
    fixed={"attribute": _RUN_ATTRIBUTES, "dataset": _DATASET_KEYS},
    free={
        "metric": Field("", "number", NUMBERS),
        "param": Field("", "text", TEXTS | NULLS),
        "tag": Field("", "text", TEXTS | NULLS),
    },
    ordered=frozenset({"attribute", "metric", "param", "tag"}),
)

MLFLOW_EXPERIMENTS = Target(
    name="experiments",
    entities=_entities(attribute="attribute", tag="tag tags"),
    fixed={
        "attribute": _fields(
            Field("name", "text", TEXTS),
            Field("experiment_id", "id", frozenset({"=", "!="}) | LISTS),
            Field("creation_time", "whole", NUMBERS),
            Field("last_update_time", "whole", NUMBERS),
        )
    },
    free={"tag": Field("", "text", TEXTS | NULLS, is_ordered=False)},
    repeats_orders=True,
)

MLFLOW_MODELS = Target(
    name="models",
    entities=_entities(attribute="attribute", tag="tag tags"),
    fixed={"attribute": _fields(Field("name", "text", TEXTS | LISTS))},
    free={"tag": Field("", "text", TEXTS, is_ordered=False)},
    order_only={"timestamp": "last_updated", "last_updated_timestamp": "last_updated"},
    quotes_attributes=False,
)

MLFLOW_VERSIONS = Target(
    name="versions",
    entities=_entities(attribute="attribute", tag="tag tags"),
    fixed={
        "attribute": _fields(
            Field("name", "text", TEXTS | LISTS),
            Field("run_id", "text", TEXTS | LISTS, is_ordered=False),
            Field("source_path", "text", TEXTS, is_ordered=False),
            Field("version_number", "numeral", NUMBERS),
        )
    },
    free={"tag": Field("", "text", TEXTS, is_ordered=False)},
    order_only={"creation_timestamp": "created", "last_updated_timestamp": "last_updated"},
    quotes_attributes=False,
)

_LOGGED = TEXTS | LISTS
MLFLOW_LOGGED_MODELS = Target(
    name="logged_models",
    entities=_entities(attribute="attributes", metric="metrics", param="params", tag="tags"),
    fixed={
        "attribute": _fields(
            Field("name", "text", _LOGGED),
            Field("model_id", "text", _LOGGED),
            Field("model_type", "text", _LOGGED),
            Field("status", "text", _LOGGED, choices=("PENDING", "READY", "FAILED")),
            Field("source_run_id", "text", _LOGGED),
            Field("experiment_id", "text", _LOGGED),
            Field("creation_timestamp_ms", "number", NUMBERS),
            Field("last_updated_timestamp_ms", "number", NUMBERS),
            creation_timestamp="creation_timestamp_ms",
            creation_time="creation_timestamp_ms",
            last_updated_timestamp="last_updated_timestamp_ms",
        )
    },
    free={
        "metric": Field("", "number", NUMBERS),
        "param": Field("", "text", _LOGGED, is_ordered=False),
        "tag": Field("", "text", _LOGGED, is_ordered=False),
    },
    ordered=frozenset({"attribute", "metric"}),
)

_STATUSES = ("scheduled", "running", "finished", "failed", "killed")
RUNS = Target(
    name="runs",
    is_open=True,
    entities=MLFLOW_RUNS.entities,
    fixed={
        "attribute": _fields(
            Field("run_id", "text", EVERY),
            Field("run_name", "text", EVERY),
            Field("status", "text", EVERY, choices=_STATUSES),
            Field("user_id", "text", EVERY),
            Field("artifact_uri", "text", EVERY),
            Field("start_time", "moment", NUMBERS | LISTS | NULLS),
            Field("end_time", "moment", NUMBERS | LISTS | NULLS),
            Field("duration", "number", NUMBERS | LISTS | NULLS),  # seconds
            Field("experiment", "text", EVERY),
            Field("experiment_id", "numeral", NUMBERS | LISTS),
            Field("kind", "text", EVERY),
            Field("stage", "text", EVERY),
            Field("commit", "text", EVERY),
            Field("branch", "text", EVERY),
            Field("command", "text", EVERY),
            Field("parent", "text", EVERY),
            Field("lifecycle", "text", EVERY, choices=("active", "deleted")),
            id="run_id",
            name="run_name",
            owner="user_id",
            user="user_id",
            start="start_time",
            started="start_time",
            created="start_time",
            Created="start_time",
            end="end_time",
            ended="end_time",
            took="duration",
            lifecycle_stage="lifecycle",
            **{"run name": "run_name", "Run name": "run_name", "Run Name": "run_name"},
        ),
        "dataset": _fields(
            *(Field(key, "text", EVERY, is_ordered=False) for key in ("name", "digest", "context"))
        ),
    },
    free={
        "metric": Field("", "number", NUMBERS | LISTS | NULLS | NANS),
        "param": Field("", "any", EVERY),
        "tag": Field("", "any", EVERY),
    },
    ordered=MLFLOW_RUNS.ordered,
)
"""Runs in Assay's dialect."""
