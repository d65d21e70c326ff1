"""Pages: each run once, in order, and no token of another query."""

from __future__ import annotations

import pytest

from assay.ledger import tables
from assay.ledger.database import Ledger
from assay.ledger.search import others
from assay.ledger.search.pages import BadToken
from assay.ledger.search.runs import RunQuery, find


@pytest.fixture
def ten(ledger: Ledger) -> Ledger:
    with ledger.write() as connection:
        for number in range(10):
            row = {
                "id": f"{number:032x}", "name": "r", "kind": "script", "status": "running",
                "experiment_id": 0, "start": 5 - number // 4,
            }  # fmt: skip
            connection.execute(tables.run.insert(), row)
    return ledger


@pytest.mark.parametrize("orders", [(), ("run_id DESC",), ("metrics.a", "run_name")])
@pytest.mark.parametrize("limit", [1, 3, 10])
def test_pages_together_are_all_runs_in_order(
    ten: Ledger, orders: tuple[str, ...], limit: int
) -> None:
    query = RunQuery(order_by=orders)
    with ten.read() as connection:
        whole = find(connection, query, limit=None).ids
        found: list[str] = []
        token: str | None = None
        while True:
            page = find(connection, query, limit=limit, token=token)
            found += page.ids
            token = page.token
            if token is None:
                break
    assert found == whole
    assert len(set(found)) == 10


def test_a_run_that_is_new_moves_no_page(ten: Ledger) -> None:
    with ten.read() as connection:
        first = find(connection, RunQuery(), limit=4)
    row = {
        "id": f"{99:032x}", "name": "new", "kind": "script", "status": "running",
        "experiment_id": 0, "start": 99,
    }  # fmt: skip
    with ten.write() as connection:
        connection.execute(tables.run.insert(), row)
    with ten.read() as connection:
        second = find(connection, RunQuery(), limit=4, token=first.token)
    assert [int(run, 16) for run in second.ids] == [4, 5, 6, 7]


@pytest.mark.parametrize(
    "other",
    [
        RunQuery(filter="run_name = 'r'"),
        RunQuery(order_by=("run_name",)),
        RunQuery(experiments=(0,)),
        RunQuery(view="all"),
    ],
)
def test_a_token_of_another_query_is_refused(ten: Ledger, other: RunQuery) -> None:
    with ten.read() as connection:
        token = find(connection, RunQuery(), limit=4).token
        with pytest.raises(BadToken, match="belongs to another query"):
            find(connection, other, limit=4, token=token)


@pytest.mark.parametrize("token", ["x", "eyJvZmZzZXQiOiAzfQ==", "ä", "=" * 9, "bnVsbA=="])
def test_a_token_that_was_changed_is_refused(ten: Ledger, token: str) -> None:
    with ten.read() as connection, pytest.raises(BadToken, match="page token"):
        find(connection, RunQuery(), limit=4, token=token)


@pytest.mark.parametrize("number", ["99999999999999", "-99999999999999999999", "0"])
def test_a_number_beyond_all_versions_is_no_error(ledger: Ledger, number: str) -> None:
    paging = others.Paging(limit=1)
    with ledger.read() as connection:
        text = f"version_number = {number}"
        rows = others.versions(connection, filter_=text, paging=paging)
        assert connection.execute(rows.query).all() == []


def test_runs_of_some_experiments_of_all_and_of_very_many(ten: Ledger) -> None:
    with ten.write() as connection:
        connection.execute(
            tables.experiment.insert(), {"id": 7, "name": "x", "created": 1, "updated": 1}
        )
        some = tables.run.c.id.in_([f"{number:032x}" for number in (2, 3)])
        connection.execute(tables.run.update().where(some).values(experiment_id=7))
    for experiments, n_runs in (
        ((7,), 2),
        ((0, 7), 10),
        ((0, 5), 8),
        (tuple(range(1, 50_001)), 2),
    ):
        with ten.read() as connection:
            page = find(connection, RunQuery(experiments=experiments), limit=20)
            assert len(page.ids) == n_runs


def test_the_newest_first_is_the_order_that_is_not_asked_for(ten: Ledger) -> None:
    asked = RunQuery(order_by=("attributes.start_time DESC",))
    with ten.read() as connection:
        page = find(connection, asked, limit=3)
        assert page.ids == find(connection, RunQuery(), limit=3).ids
        rest = find(connection, asked, limit=20, token=page.token).ids
    assert [int(run, 16) for run in rest] == list(range(3, 10))
