"""The same runs, experiments and models in MLflow's own store and in a ledger of ours."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path
from typing import Any

from assay.base.errors import Error
from assay.ledger import tables
from assay.ledger.database import Ledger
from assay.ledger.search import others as search
from assay.ledger.search.runs import RunQuery, find
from assay.ledger.search.targets import MLFLOW_RUNS
from tests import mlflow

ASK_RUNS = """
from mlflow.tracking._tracking_service.utils import _get_store
from mlflow.entities import ViewType
store = _get_store()
found = []
for text, orders, view in queries:
    try:
        page = store.search_runs(["0"], text, view, 1000, orders)
        found.append([run.info.run_id for run in page])
    except Exception as error:
        found.append(f"{getattr(error, 'error_code', type(error).__name__)}: {error}"[:200])
give(found)
"""


class Stores:
    """The same runs in MLflow's store and in a ledger of ours."""

    def __init__(self, session: mlflow.Session, ledger: Ledger) -> None:
        self.session, self.ledger = session, ledger

    def theirs(self, queries: list[Any]) -> list[Any]:
        found: list[Any] = self.session.run(ASK_RUNS, queries=queries)
        return found

    def ours(self, text: str, orders: list[str], view: int) -> Any:
        query = RunQuery(
            filter=text,
            order_by=tuple(orders),
            experiments=(0,),
            view=("active", "deleted", "all")[view - 1],
        )
        try:
            with self.ledger.read() as connection:
                return find(connection, query, limit=1000, target=MLFLOW_RUNS).ids
        except Error as error:
            return f"ours: {error}"

    def others(self, target: str, text: str, orders: list[Any]) -> Any:
        """Return what we find of another target."""
        paging = search.Paging(limit=100)
        try:
            with self.ledger.read() as connection:
                if target == "logged_models":
                    keys = [
                        search.MetricOrder(
                            field=one["field_name"], is_descending=not one["ascending"]
                        )
                        for one in orders
                    ]
                    rows = search.logged_models(
                        connection, experiments=[0], filter_=text, order_by=keys, paging=paging
                    )
                    return [row.id for row in connection.execute(rows.query)]
                return self._plain(connection, target, text, orders, paging)
        except Error as error:
            return f"ours: {error}"

    def _plain(
        self, connection: Any, target: str, text: str, orders: list[str], paging: search.Paging
    ) -> list[str]:
        options: dict[str, Any] = {"filter_": text, "order_by": orders, "paging": paging}
        if target == "experiments":
            rows = search.experiments(connection, view="all", **options)
            return [str(row.id) for row in connection.execute(rows.query)]
        if target == "models":
            rows = search.models(connection, **options)
            return [row.name for row in connection.execute(rows.query)]
        rows = search.versions(connection, **options)
        return [f"{row.model}/{row.number}" for row in connection.execute(rows.query)]


MAKE_OTHERS = """
from mlflow.tracking._tracking_service.utils import _get_store
from mlflow.tracking._model_registry.utils import _get_store as _get_registry
from mlflow.entities import ExperimentTag, LoggedModelParameter, LoggedModelTag, ViewType
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
store, registry = _get_store(), _get_registry()
names = ["a", "A", "B", "ab", "x%", "x_", "[x]", "b"]
tags = ["a", "A", None, "%a%", "a*", None, "A", "x"]
for name, tag in zip(names, tags):
    store.create_experiment("e" + name, tags=[ExperimentTag("k", tag)] if tag else [])
    registry.create_registered_model(name, tags=[RegisteredModelTag("k", tag)] if tag else [])
    for number in range(len(name) + 1):
        made = [ModelVersionTag("k", tag)] if tag and number else []
        registry.create_model_version(name, f"s3://b/{number}", None, tags=made)
    one = store.create_logged_model(
        "0", name.replace("%", "p"), params=[LoggedModelParameter("p", tag)] if tag else None,
        tags=[LoggedModelTag("k", name)], model_type=tag,
    )
registry.set_registered_model_tag("b", RegisteredModelTag("mlflow.prompt.is_prompt", "true"))
registry.set_registered_model_tag("a", RegisteredModelTag("mlflow.prompt.is_prompt", "false"))
give(None)
"""

READ_OTHERS = """
from mlflow.tracking._tracking_service.utils import _get_store
from mlflow.tracking._model_registry.utils import _get_store as _get_registry
from mlflow.entities import ViewType
store, registry = _get_store(), _get_registry()
give({
    "experiments": [
        [e.experiment_id, e.name, e.creation_time, e.last_update_time, e.tags]
        for e in store.search_experiments(ViewType.ALL)
    ],
    "models": [
        [m.name, m.creation_timestamp, m.last_updated_timestamp, dict(m._tags)]
        for text in ("", "tag.`mlflow.prompt.is_prompt` = 'true'")
        for m in registry.search_registered_models(text)
    ],
    "versions": [
        [v.name, int(v.version), v.source, v.creation_timestamp, v.last_updated_timestamp, v.tags]
        for v in registry.search_model_versions("")
    ],
    "logged_models": [
        [m.model_id, m.name, m.creation_timestamp, m.last_updated_timestamp, m.status.name,
         m.model_type, dict(m.params), dict(m.tags),
         [[p.key, p.value, p.step] for p in m.metrics or []]]
        for m in store.search_logged_models(["0"], max_results=100)
    ],
})
"""

ASK_OTHERS = """
from mlflow.tracking._tracking_service.utils import _get_store
from mlflow.tracking._model_registry.utils import _get_store as _get_registry
from mlflow.entities import ViewType
store, registry = _get_store(), _get_registry()
ways = {
    "experiments": lambda text, orders: [
        e.experiment_id for e in store.search_experiments(ViewType.ALL, 100, text, orders)],
    "models": lambda text, orders: [
        m.name for m in registry.search_registered_models(text, 100, orders)],
    "versions": lambda text, orders: [
        f"{v.name}/{v.version}" for v in registry.search_model_versions(text, 100, orders)],
    "logged_models": lambda text, orders: [
        m.model_id for m in store.search_logged_models(["0"], text, order_by=orders)],
}
found = []
for text, orders in queries:
    try:
        found.append(ways[target](text, orders))
    except Exception as error:
        found.append(f"{getattr(error, 'error_code', type(error).__name__)}: {error}"[:200])
give(found)
"""


def copy_others(ledger: Ledger, found: dict[str, Any]) -> None:
    """Put what MLflow's stores hold into our tables."""
    with ledger.write() as connection:
        for number, name, created, updated, tags in found["experiments"]:
            if int(number) > 1:
                row = {"id": int(number), "name": name, "created": created, "updated": updated}
                connection.execute(tables.experiment.insert(), row)
            else:
                at = {"created": created, "updated": updated}
                of = tables.experiment.c.id == int(number)
                connection.execute(tables.experiment.update().where(of), at)
            _tags(connection, tables.experiment_tag, {"experiment_id": int(number)}, tags)
        for name, created, updated, tags in found["models"]:
            row = {"name": name, "created": created, "updated": updated}
            connection.execute(tables.model.insert(), row)
            _tags(connection, tables.model_tag, {"model": name}, tags)
        for name, number, uri, created, updated, tags in found["versions"]:
            row = {
                "model": name, "number": number, "source": uri, "created": created,
                "updated": updated, "status": "ready",
            }  # fmt: skip
            connection.execute(tables.version.insert(), row)
            _tags(connection, tables.version_tag, {"model": name, "version": number}, tags)
        for model in found["logged_models"]:
            _copy_logged(connection, *model)


def _copy_logged(
    connection: Any,
    id_: str,
    name: str,
    created: int,
    updated: int,
    status: str,
    kind: str,
    params: dict[str, str],
    tags: dict[str, str],
    metrics: list[Any],
) -> None:
    row = {
        "id": id_, "name": name, "experiment_id": 0, "status": status.lower(), "type": kind,
        "created": created, "updated": updated,
    }  # fmt: skip
    connection.execute(tables.logged_model.insert(), row)
    _tags(connection, tables.logged_model_param, {"model_id": id_}, params)
    _tags(connection, tables.logged_model_tag, {"model_id": id_}, tags)
    run = connection.execute(tables.run.select().limit(1)).one().id
    for key, value, step in metrics:
        point = {"key": key, "value": value, "is_nan": False, "step": step, "at": step}
        connection.execute(
            tables.logged_model_metric.insert(), {"model_id": id_, "run_id": run, **point}
        )


def _tags(connection: Any, table: Any, owner: dict[str, Any], tags: dict[str, str]) -> None:
    for key, value in tags.items():
        connection.execute(table.insert(), {**owner, "key": key, "value": value})


def add_logged_metrics(database: Path) -> None:
    """Measure logged models, some twice; MLflow does that through a run."""
    connection = sqlite3.connect(database)
    ids = [row[0] for row in connection.execute("select model_id from logged_models order by 1")]
    run = connection.execute("select run_uuid from runs limit 1").fetchone()[0]
    for number, id_ in enumerate(ids[:-2]):
        for step in range(1 + number % 2):
            connection.execute(
                "insert into logged_model_metrics (model_id, metric_name, metric_timestamp_ms, "
                "metric_step, metric_value, experiment_id, run_id) values (?, 'm', ?, ?, ?, 0, ?)",
                (id_, step, step, [0, 1, 0.5][(number + step) % 3], run),
            )
    connection.commit()
    connection.close()


def fill_theirs(database: Path, runs: list[dict[str, Any]]) -> None:
    connection = sqlite3.connect(database)
    connection.execute(
        "insert into experiments (experiment_id, name, artifact_location, lifecycle_stage, "
        "creation_time, last_update_time) "
        "values (1, 'other', 'mlflow-artifacts:/1', 'active', 1, 1)"
    )
    for run in runs:
        owner = run["id"]
        uri = f"mlflow-artifacts:/{run['experiment']}/{owner}/artifacts"
        stage = "deleted" if run["deleted"] else "active"
        values = (
            owner, run["name"], "UNKNOWN", "", "", run["user"], run["status"], run["start"],
            run["end"], "", stage, uri, run["experiment"],
        )  # fmt: skip
        connection.execute(
            "insert into runs (run_uuid, name, source_type, source_name, entry_point_name, "
            "user_id, status, start_time, end_time, source_version, lifecycle_stage, "
            f"artifact_uri, experiment_id) values ({', '.join('?' * len(values))})",
            values,
        )
        for key, value in run["metrics"].items():
            row = (key, 0 if math.isnan(value) else value, 1, 0, math.isnan(value), owner)
            connection.execute(
                "insert into latest_metrics (key, value, timestamp, step, is_nan, run_uuid) "
                "values (?, ?, ?, ?, ?, ?)",
                row,
            )
        named = {**run["tags"], "mlflow.runName": run["name"]}
        for table, pairs in (("params", run["params"]), ("tags", named)):
            for key, value in pairs.items():
                text = f"insert into {table} (key, value, run_uuid) values (?, ?, ?)"
                connection.execute(text, (key, value, owner))
        for name, digest, context in run["datasets"]:
            _add_dataset(connection, run, name, digest, context)
    connection.commit()
    connection.close()


def _add_dataset(connection: Any, run: Any, name: str, digest: str, context: str | None) -> None:
    dataset = f"{run['experiment']}-{name}-{digest}"
    connection.execute(
        "insert or ignore into datasets (dataset_uuid, experiment_id, name, digest, "
        "dataset_source_type, dataset_source) values (?, ?, ?, ?, 'local', '{}')",
        (dataset, run["experiment"], name, digest),
    )
    link = f"{run['id']}{name}"[-36:]
    connection.execute(
        "insert into inputs (input_uuid, source_type, source_id, destination_type, "
        "destination_id, step) values (?, 'DATASET', ?, 'RUN', ?, 0)",
        (link, dataset, run["id"]),
    )
    if context is not None:
        connection.execute(
            "insert into input_tags (input_uuid, name, value) values (?, ?, ?)",
            (link, "mlflow.data.context", context),
        )


def fill_ours(ledger: Ledger, runs: list[dict[str, Any]]) -> None:
    with ledger.write() as connection:
        other = {"id": 1, "name": "other", "created": 1, "updated": 1}
        connection.execute(tables.experiment.insert(), other)
        for run in runs:
            owner = {"run_id": run["id"]}
            row = {
                "id": run["id"], "name": run["name"], "kind": "script",
                "status": run["status"].lower(), "experiment_id": run["experiment"],
                "owner": run["user"], "start": run["start"], "end": run["end"],
                "deleted": 1 if run["deleted"] else None,
            }  # fmt: skip
            connection.execute(tables.run.insert(), row)
            for key, value in run["metrics"].items():
                is_nan = math.isnan(value)
                point = {"value": 0 if is_nan else value, "is_nan": is_nan, "step": 0, "at": 1}
                connection.execute(tables.latest_metric.insert(), {**owner, "key": key, **point})
            for key, value in run["params"].items():
                text = {"key": key, "value": value, "type": "str"}
                connection.execute(tables.param.insert(), {**owner, **text})
            for key, value in run["tags"].items():
                connection.execute(tables.tag.insert(), {**owner, "key": key, "value": value})
            for name, digest, context in run["datasets"]:
                data = {"direction": "input", "path": name, "oid": digest, "context": context}
                connection.execute(tables.run_data.insert(), {**owner, **data, "kind": "dataset"})
