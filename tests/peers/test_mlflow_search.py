"""Searches answer as MLflow's own store does: the same verdict, the same rows, the same order."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import assay
from assay.ledger.database import open_ledger
from tests import mlflow
from tests.peers import mlflow_filters as drawn
from tests.peers import mlflow_stores
from tests.peers.mlflow_stores import Stores

pytestmark = [pytest.mark.peer, mlflow.needs()]

N_RUNS = 60


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
        mlflow_stores.fill_theirs(database, rows)
        mlflow_stores.fill_ours(ledger, rows)
        session.run(mlflow_stores.MAKE_OTHERS)
        mlflow_stores.add_logged_metrics(database)
        mlflow_stores.copy_others(ledger, session.run(mlflow_stores.READ_OTHERS))
        yield Stores(session, ledger)


def _differences(stores: Stores, queries: list[Any], target: str = "runs") -> list[str]:
    """Return how the two answers of each query differ."""
    found = []
    if target == "runs":
        answers = stores.theirs(queries)
    else:
        answers = stores.session.run(mlflow_stores.ASK_OTHERS, queries=queries, target=target)
    for query, theirs in zip(queries, answers, strict=True):
        ours = stores.ours(*query) if target == "runs" else stores.others(target, *query)
        if isinstance(theirs, str) and (isinstance(ours, str) or theirs.startswith("INTERNAL")):
            continue  # what MLflow's database fails at is found, or refused, here
        if theirs != ours:
            shown = theirs if isinstance(theirs, str) else f"{len(theirs)} runs"
            other = ours if isinstance(ours, str) else f"{len(ours)} runs"
            found.append(f"{json.dumps(query, ensure_ascii=False)}\n  {shown}\n  {other}")
    return found


@pytest.mark.parametrize("seed", range(2))
def test_a_drawn_filter_has_the_verdict_and_the_runs_of_mlflow(stores: Stores, seed: int) -> None:
    rnd = random.Random(seed)
    texts = drawn.filters(rnd, 500, "runs")
    queries = [[text, [], rnd.choice([1, 1, 2, 3])] for text in texts]
    assert _differences(stores, queries) == []


def test_a_drawn_order_is_that_of_mlflow(stores: Stores) -> None:
    rnd = random.Random(1)
    queries = [["", drawn.run_orders(rnd), 1] for _ in range(300)]
    assert _differences(stores, queries) == []


@pytest.mark.parametrize("target", ["experiments", "models", "versions", "logged_models"])
def test_a_drawn_search_of_another_kind_is_that_of_mlflow(stores: Stores, target: str) -> None:
    rnd = random.Random(1)
    texts = drawn.filters(rnd, 300, target)
    queries: list[list[Any]] = [[text, []] for text in texts]
    if target == "logged_models":
        fields = ("metrics.m", "name", "creation_timestamp", "model_type", "params.p")
        queries += [
            ["", [{"field_name": field, "ascending": ascending}]]
            for field in fields
            for ascending in (True, False)
        ]
    else:
        queries += [["", drawn.orders(rnd, drawn.ORDERS[target])] for _ in range(60)]
    assert _differences(stores, queries, target) == []


FILL = """
import time
mlflow.set_experiment("pages")
for number in range(7):
    with mlflow.start_run(run_name=f"r{number}") as run:
        mlflow.log_metric("rmse", 1 / (number + 1))
        mlflow.log_params({"lr": number / 10, "deep": {"a": number}})
    time.sleep(0.002)
    client.create_registered_model(f"m{number}", tags={"k": str(number % 2)})
    client.create_model_version(f"m{number}", "s3://b/1", tags={"n": str(number)})
give(None)
"""

SEARCH = """
def pages(search, **asked):
    found, token = [], None
    while True:
        page = search(page_token=token, **asked)
        found += list(page)
        token = page.token
        if not token:
            return found

number = client.get_experiment_by_name("pages").experiment_id
runs = pages(client.search_runs, experiment_ids=[number], max_results=3)
text = "metrics.rmse < 0.4 AND params.lr != '0.3'"
best = client.search_runs([number], text, order_by=["metrics.rmse"])
frame = mlflow.search_runs(search_all_experiments=True, filter_string="metrics.rmse > 0.2")
models = pages(client.search_registered_models, max_results=2, order_by=["name DESC"])
versions = pages(client.search_model_versions, filter_string="tags.n != '3'", max_results=4)
give({
    "runs": [run.info.run_name for run in runs],
    "best": [run.info.run_name for run in best],
    "frame": sorted(frame["tags.mlflow.runName"]),
    "columns": sorted(name for name in frame.columns if name.startswith(("metrics", "params"))),
    "experiments": [one.name for one in pages(client.search_experiments, max_results=1)],
    "models": [one.name for one in models],
    "tagged": [one.name for one in client.search_registered_models("tags.k = '1'")],
    "versions": sorted(one.name for one in versions),
})
"""


def test_the_real_client_searches_and_turns_pages(client: mlflow.Session) -> None:
    client.run(FILL)
    assert client.run(SEARCH) == {
        "runs": ["r6", "r5", "r4", "r3", "r2", "r1", "r0"],
        "best": ["r6", "r5", "r4", "r2"],
        "frame": ["r0", "r1", "r2", "r3"],
        "columns": ["metrics.rmse", "params.deep", "params.lr"],
        "experiments": ["pages", "Default"],
        "models": ["m6", "m5", "m4", "m3", "m2", "m1", "m0"],
        "tagged": ["m1", "m3", "m5"],
        "versions": ["m0", "m1", "m2", "m4", "m5", "m6"],
    }


def test_the_real_client_gets_mlflow_s_errors(client: mlflow.Session) -> None:
    for script in (
        "client.search_runs(['0'], 'metrics.a > 1 OR metrics.b > 1')",
        "client.search_runs(['0'], max_results=50001)",
        "client.search_experiments(filter_string='name IS NULL')",
        "client.search_registered_models('description = 1')",
        "client.search_runs(['0'], page_token='x')",
    ):
        with pytest.raises(mlflow.Failed) as raised:
            client.run(script)
        assert (raised.value.kind, raised.value.code) == (
            "RestException",
            "INVALID_PARAMETER_VALUE",
        )


FRAMES = """
import sys
sys.path += places
from assay.ledger.search.columns import Columns
columns = Columns({"run_id": ["a", "b"], "start_time": [5, None], "metrics.rmse": [0.5, None]})
frame, table = columns.to_pandas(), columns.to_arrow()
give([
    list(frame.columns), str(frame["start_time"].dt.tz), frame["metrics.rmse"].isna().tolist(),
    table.column_names, str(table.schema.field("start_time").type), table.num_rows,
])
"""


def test_columns_are_frames_of_pandas_and_tables_of_arrow(client: mlflow.Session) -> None:
    places = [str(Path(module.__file__ or "").parents[1]) for module in (assay, msgspec)]
    names = ["run_id", "start_time", "metrics.rmse"]
    assert client.run(FRAMES, places=places) == [
        names, "UTC", [False, True], names, "timestamp[ms, tz=UTC]", 2,
    ]  # fmt: skip
