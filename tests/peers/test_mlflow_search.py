"""Searches answer as MLflow's own store does: the same verdict, the same rows, the same order."""

from __future__ import annotations

import json
import math
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.base.errors import Error
from assay.ledger import tables
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.search.runs import RunQuery, find
from assay.ledger.search.targets import MLFLOW_RUNS
from tests import mlflow
from tests.peers import mlflow_filters as drawn

pytestmark = [pytest.mark.peer, mlflow.needs()]

N_RUNS = 60

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


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    folder = tmp_path_factory.mktemp("search")
    rows = drawn.runs(random.Random(8), N_RUNS)
    database = folder / "theirs.db"
    with (
        mlflow.session(f"sqlite:///{database}") as session,
        open_ledger(folder / "ours.db") as ledger,
    ):
        session.run("from mlflow.tracking._tracking_service.utils import _get_store; _get_store()")
        _fill_theirs(database, rows)
        _fill_ours(ledger, rows)
        yield Stores(session, ledger)


def _fill_theirs(database: Path, runs: list[dict[str, Any]]) -> None:
    connection = sqlite3.connect(database)
    connection.execute(
        "insert into experiments (experiment_id, name, artifact_location, lifecycle_stage) "
        "values (1, 'other', 'mlflow-artifacts:/1', 'active')"
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
            "insert into runs (run_uuid, name, source_type, source_name, entry_point_name, user_id,"
            " status, start_time, end_time, source_version, lifecycle_stage, artifact_uri, "
            f"experiment_id) values ({', '.join('?' * len(values))})",
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
                text = f"insert into {table} (key, value, run_uuid) values (?, ?, ?)"  # noqa: S608
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


def _fill_ours(ledger: Ledger, runs: list[dict[str, Any]]) -> None:
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


def _differences(stores: Stores, queries: list[Any]) -> list[str]:
    """Return how the two answers of each query differ."""
    found = []
    for query, theirs in zip(queries, stores.theirs(queries), strict=True):
        ours = stores.ours(*query)
        if isinstance(theirs, str) and isinstance(ours, str):
            continue
        if theirs != ours:
            shown = theirs if isinstance(theirs, str) else f"{len(theirs)} runs"
            other = ours if isinstance(ours, str) else f"{len(ours)} runs"
            found.append(f"{json.dumps(query, ensure_ascii=False)}\n  {shown}\n  {other}")
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_drawn_filter_has_the_verdict_and_the_runs_of_mlflow(stores: Stores, seed: int) -> None:
    rnd = random.Random(seed)
    texts = drawn.filters(rnd, 500, drawn.run_comparison)
    queries = [[text, [], rnd.choice([1, 1, 2, 3])] for text in texts]
    assert _differences(stores, queries) == []


@pytest.mark.parametrize("seed", range(2))
def test_a_drawn_order_is_that_of_mlflow(stores: Stores, seed: int) -> None:
    rnd = random.Random(seed)
    queries = [["", drawn.run_orders(rnd), 1] for _ in range(300)]
    assert _differences(stores, queries) == []
