"""Filters, orders and runs drawn at random, for MLflow's own store and for ours."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from typing import Any

KEYS = ["a", "b", "a.b", "val loss", "a/b", "count", "1st", "数", "missing", "it's", "select"]
WORDS = [
    "A1", "a1", "a%", "a_1", "[x]", "x*", "x?y", "", "0.1", "it's", 'say "x"', "back\\slash", "ä",
    "Ä",
    "it''s", "z",
]  # fmt: skip
STATUSES = ["RUNNING", "FINISHED", "FAILED", "KILLED", "SCHEDULED"]
NAMES = ["tidy-owl-1", "Tidy-Owl-1", "calm_fox", "50% done"]


def runs(rnd: random.Random, n_runs: int) -> list[dict[str, Any]]:
    """Draw runs, some of which share what makes a tie."""
    return [_run(rnd, number) for number in range(n_runs)]


def _run(rnd: random.Random, number: int) -> dict[str, Any]:
    number_of = rnd.choice([0.0, 1.0, -1.0, 0.5, 1e-3, 1e300, math.nan, 2.0, rnd.random()])
    keys = rnd.sample(KEYS[:-3], 5)
    return {
        "id": f"{rnd.getrandbits(128):032x}",
        "name": rnd.choice(NAMES),
        "status": rnd.choice(STATUSES),
        "user": rnd.choice(["ada", "Bob"]),
        "start": 1000 + number // 3,
        "end": rnd.choice([None, 2000, 2000 + number]),
        "deleted": rnd.random() < 0.1,
        "experiment": rnd.choice([0, 0, 1]),
        "metrics": {key: (number_of if rnd.random() < 0.3 else rnd.choice([0.0, 1.0, -1.0, 0.5]))
                    for key in keys},
        "params": {key: rnd.choice(WORDS) for key in rnd.sample(KEYS[:-3], 4)},
        "tags": {key: rnd.choice(WORDS) for key in rnd.sample(KEYS[:-3], 4)},
        "datasets": [
            [name, rnd.choice(["d1", "D1"]), rnd.choice(["train", "eval", None])]
            for name in rnd.sample(["iris", "Iris", "wine"], rnd.choice([0, 1, 2]))
        ],
    }  # fmt: skip


def filters(rnd: random.Random, n_filters: int, target: str) -> list[str]:
    """Draw filters: most can be read, some cannot."""
    return [_filter(rnd, target) for _ in range(n_filters)]


def _filter(rnd: random.Random, target: str) -> str:
    comparison = COMPARISONS[target]
    parts = [comparison(rnd) for _ in range(rnd.choice([1, 1, 1, 2, 2, 3]))]
    joints = [" AND "] * 20 + [" and ", "  And\t"] * 3 + [" OR ", ", ", "; "]
    if target == "runs" and not re.search(r"\b(IS|IN)\b", " ".join(parts), re.IGNORECASE):
        joints += [" "] * 4  # before IS and IN, MLflow takes all for one odd key
    joint = rnd.choice(joints)
    text = joint.join(parts)
    if rnd.random() < 0.12:
        text = _spoiled(rnd, text)
    return text


def _spoiled(rnd: random.Random, text: str) -> str:
    at = rnd.randrange(len(text) + 1)
    return rnd.choice(
        [
            text[:at] + text[at + 1 :],
            text[:at] + rnd.choice("'\"`().,=<>! %-+*/#@:;?1a") + text[at:],
            f"({text})",
            f"NOT {text}",
            f"{text} AND",
            f"AND {text}",
            f" {text} ",
            f"{text} -- c",
            f"{text};",
            text.upper(),
        ]
    )


def _quoted(rnd: random.Random, text: str) -> str:
    quote = rnd.choice("'''\"")
    return f"{quote}{text}{quote}" if quote not in text else text


def _key(rnd: random.Random) -> str:
    key = rnd.choice(KEYS)
    how = rnd.choice(["plain"] * (8 if key.isalnum() else 1) + ["ticks"] * 6 + ["double"] * 3)
    return {"plain": key, "ticks": f"`{key}`", "double": f'"{key}"'}[how]


def _number(rnd: random.Random) -> str:
    return rnd.choice(
        ["0", "1", "-1", "0.5", ".5", "1.", "1e-3", "1E2", "-1e300", "-.5"] * 4
        + ["+1", "1e+2", "'1'", "NaN", "inf", "x", "0x1", "1_0", "1 + 1"]
    )  # fmt: skip


def _sign(rnd: random.Random) -> str:
    return rnd.choice(
        ["=", "!=", "<", "<=", ">", ">="] * 2
        + ["LIKE", "ilike", "==", "<>", "IN", "NOT LIKE", "=>"]
    )


def _words(rnd: random.Random) -> str:
    return rnd.choice(
        ["=", "!=", "LIKE", "ILIKE"] * 3
        + ["like", "ilike", "Like", "<", ">=", "NOT LIKE", "IN", "=="]
    )


def _list(rnd: random.Random, values: list[str]) -> str:
    some = [_quoted(rnd, rnd.choice(values)) for _ in range(rnd.choice([1, 2, 3]))]
    text = rnd.choice([", ", ",", " , "]).join(some)
    return rnd.choice(
        [f"({text})"] * 6 + [f"({text},)", "()", "(a)", "(1)", f"({text}", "(1, 'a')"]
    )


def _space(rnd: random.Random) -> str:
    return rnd.choice([" "] * 5 + ["  ", "\t"])


def _pattern(rnd: random.Random) -> str:
    return rnd.choice([*WORDS, "%", "%a%", "A_", "a__", "%[%", "%*%", "tidy%", "_", "x?y", "%ä%"])


def _comparison(rnd: random.Random, left: str, sign: str, right: str) -> str:
    if rnd.random() < 0.15 and not sign[0].isalpha():
        return f"{left}{sign}{right}"
    return f"{left}{_space(rnd)}{sign}{_space(rnd)}{right}"


def run_comparison(rnd: random.Random) -> str:
    """Draw one comparison on runs."""
    kind = rnd.random()
    if kind < 0.3:
        entity = rnd.choice(["metrics", "metric", "`metrics`"] * 5 + ["METRICS", "met"])
        return _comparison(rnd, f"{entity}.{_key(rnd)}", _sign(rnd), _number(rnd))
    if kind < 0.55:
        entity = rnd.choice(
            ["params", "param", "parameters", "parameter", "tags", "tag"] * 4 + ["Tags"]
        )
        key = _key(rnd)
        if key in {"1st", "val loss"}:  # sqlparse knows a keyword and an alias there
            key = f"`{key}`"
        if rnd.random() < 0.2:
            missing = rnd.choice(["IS NULL", "is not null"] * 4 + ["IS", "NOT NULL"])
            return f"{entity}.{key} {missing}"
        value = _quoted(rnd, _pattern(rnd)) if rnd.random() < 0.9 else _number(rnd)
        return _comparison(rnd, f"{entity}.{key}", _words(rnd), value)
    if kind < 0.65:
        key = rnd.choice(["name", "digest", "context", "profile", "`name`"])
        entity = rnd.choice(["dataset", "datasets"])
        if rnd.random() < 0.3:
            values = ["iris", "Iris", "D1", "train"]
            return f"{entity}.{key} {rnd.choice(['IN', 'not in'])} {_list(rnd, values)}"
        value = _quoted(rnd, rnd.choice(["iris", "i%", "d1", "train", "%a%", "I___"]))
        return _comparison(rnd, f"{entity}.{key}", _words(rnd), value)
    prefix = rnd.choice(["", "", "attribute.", "attributes.", "attr.", "run."] * 4 + ["foo."])
    if kind < 0.8:
        key = rnd.choice(["start_time", "end_time", "created", "Created", "`end_time`"])
        return _comparison(
            rnd, prefix + key, _sign(rnd), rnd.choice(["1005", "2000", _number(rnd)])
        )
    key = rnd.choice(
        ["run_id", "run_name", "status", "user_id", "artifact_uri", "`run name`", '"Run Name"'] * 4
        + ["`Run name`", "lifecycle_stage", "experiment_id", "foo", "'status'"]
    )  # fmt: skip
    if kind < 0.87:
        return (
            f"{prefix}{key} {rnd.choice(['IN', 'NOT IN', 'in'])} {_list(rnd, ['a', 'FINISHED'])}"
        )
    value = rnd.choice(["FINISHED", "finished", "F%", "ada", "%", "tidy%", "Tidy-Owl-1", "_ob"])
    return _comparison(rnd, prefix + key, _words(rnd), _quoted(rnd, value))


def run_orders(rnd: random.Random) -> list[str]:
    """Draw the keys of an order of runs."""
    return [_order(rnd) for _ in range(rnd.choice([0, 1, 1, 2]))]


def _order(rnd: random.Random) -> str:
    field = rnd.choice(
        [f"{rnd.choice(['metrics', 'params', 'tags', 'metric', 'dataset'])}.{_key(rnd)}",
         rnd.choice(["run_id", "run_name", "status", "user_id", "start_time", "end_time",
                     "Created", "attributes.start_time", "artifact_uri", "experiment_id", "foo",
                     ""])]
    )  # fmt: skip
    return field + rnd.choice(
        ["", " ASC", " DESC", " desc", " asc", " SIDEWAYS", " DESC ASC", ", x"]
    )


def _of(rnd: random.Random, entities: list[str], fields: list[str], values: list[str]) -> str:
    """Draw a comparison of text: an attribute or a tag, by any operator."""
    if rnd.random() < 0.35:
        entity = rnd.choice(["tags", "tag", "tags", "tagss"])
        if rnd.random() < 0.2:
            return f"{entity}.k {rnd.choice(['IS NULL', 'IS NOT NULL'])}"
        sign = rnd.choice(["=", "!=", "LIKE", "ILIKE", "IN", "<"])
        value = _list(rnd, values) if sign == "IN" else _single(rnd, rnd.choice(["a", "A", "%a%"]))
        return f"{entity}.{rnd.choice(['k', '`k`', 'zz'])} {sign} {value}"
    left = rnd.choice(entities) + rnd.choice(fields)
    sign = rnd.choice(["=", "!=", "LIKE", "ILIKE", "like", "IN", "NOT IN", "<", "IS NULL"])
    if sign == "IS NULL":
        return f"{left} IS NULL"
    value = _list(rnd, values) if "IN" in sign else _single(rnd, rnd.choice([*values, "%", "_%"]))
    return f"{left} {sign} {value}"


def _single(rnd: random.Random, text: str) -> str:
    return rnd.choice([f"'{text}'"] * 9 + [text])


def _counted(rnd: random.Random, fields: list[str]) -> str:
    sign = rnd.choice(["=", "!=", "<", "<=", ">", ">=", ">", "LIKE", "IN"])
    value = rnd.choice(["0", "1", "2", "'1'", "1.5", "1e3", "x", "('1')", "-1", "99999999999999"])
    return f"{rnd.choice(fields)} {sign} {value}"


def experiment_comparison(rnd: random.Random) -> str:
    """Draw one comparison on experiments; 3.17 refuses `like` there, 3.18 takes it."""
    fields = ["creation_time", "last_update_time", "experiment_id", "attribute.creation_time"]
    if rnd.random() < 0.3:
        return _counted(rnd, fields)
    entities = ["", "", "attribute.", "attributes."]
    fields = ["name", "experiment_id", "`name`", "foo"]
    return _of(rnd, entities, fields, ["a", "B", "1", "x%"]).replace(" like ", " LIKE ")


def model_comparison(rnd: random.Random) -> str:
    """Draw one comparison on registered models."""
    fields = ["name", "name", "name", "`name`", "description", "creation_timestamp"]
    return _of(rnd, ["", "", "attribute.", "attributes."], fields, ["a", "B", "ab"])


def version_comparison(rnd: random.Random) -> str:
    """Draw one comparison on versions."""
    if rnd.random() < 0.3:
        return _counted(rnd, ["version_number", "attribute.version_number", "version"])
    fields = ["name", "run_id", "source_path", "current_stage", "`name`"]
    return _of(rnd, ["", "", "attribute."], fields, ["a", "B", "s3://b/1", "s3%"])


def logged_model_comparison(rnd: random.Random) -> str:
    """Draw one comparison on logged models.

    None has a value without quotes, which MLflow takes, or a status, which 3.17 never finds.
    """
    kind = rnd.random()
    if kind < 0.3:
        fields = ["metrics.m", "metrics.`m`", "creation_timestamp", "creation_time", "metric.m",
                  "last_updated_timestamp", "attributes.creation_timestamp_ms"]  # fmt: skip
        sign = rnd.choice(["=", "!=", "<", "<=", ">", ">=", "LIKE", "=="])
        value = rnd.choice(["0", "0.5", "1", "-1", "'x'", "99999999999999"])
        return f"{rnd.choice(fields)} {sign} {value}"
    fields = ["name", "model_id", "model_type", "source_run_id", "experiment_id",
              "attributes.name", "params.p", "params.`p`", "tags.k", "param.p"]  # fmt: skip
    sign = rnd.choice(["=", "!=", "LIKE", "ILIKE", "like", "IN", "NOT IN", "<"])
    values = ["a", "B", "1", "x%", "%A%"]
    if "IN" in sign:
        value = ", ".join(f"'{one}'" for one in rnd.sample(values, 2))
        return f"{rnd.choice(fields)} {sign} ({value})"
    return f"{rnd.choice(fields)} {sign} '{rnd.choice(values)}'"


def orders(rnd: random.Random, fields: list[str]) -> list[str]:
    """Draw the keys of an order."""
    some = rnd.sample(fields, rnd.choice([0, 1, 1, 2]))
    return [one + rnd.choice(["", " ASC", " DESC", " desc", " UP"]) for one in some]


ORDERS = {
    "experiments": ["name", "experiment_id", "creation_time", "last_update_time", "tags.k",
                    "attribute.name"],
    "models": ["name", "timestamp", "last_updated_timestamp", "creation_timestamp"],
    "versions": ["name", "version_number", "creation_timestamp", "last_updated_timestamp",
                 "run_id"],
}  # fmt: skip
COMPARISONS: dict[str, Callable[[random.Random], str]] = {
    "runs": run_comparison,
    "experiments": experiment_comparison,
    "models": model_comparison,
    "versions": version_comparison,
    "logged_models": logged_model_comparison,
}
