"""Pages of any order show each run that was there the whole time once, whatever is written."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event

from assay.ledger import tables
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.search import others
from assay.ledger.search.ordering import LONGEST_TEXT, MOST_KEYS
from assay.ledger.search.others import MetricOrder, Paging
from assay.ledger.search.pages import BadToken, Place, dump, load
from assay.ledger.search.runs import RunQuery, find
from assay.ledger.search.targets import MLFLOW_RUNS, RUNS
from tests import databases
from tests.ledger.search.meaning import Row
from tests.ledger.search.test_meaning import fill, put, rows

LONG = ["ä" * LONGEST_TEXT, "ä" * LONGEST_TEXT + "1", "ä" * LONGEST_TEXT + "0"]
ORDERS = [
    "start_time", "end_time", "duration", "run_name", "status", "user_id", "stage", "experiment",
    "artifact_uri", "run_id", "kind", "lifecycle", "experiment_id", "parent", "commit",
    "metrics.a", "metrics.`b c`", "params.a", "tags.a", "tags.`mlflow.user`",
]  # fmt: skip
FINE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module", params=databases.KINDS)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ledger]:
    """A ledger for all examples, once as a file and once in PostgreSQL."""
    where: Path | str = tmp_path_factory.mktemp("paging") / "ledger.db"
    if request.param == "postgresql":
        where = request.getfixturevalue("postgres").database()
    with open_ledger(where) as ledger:
        yield ledger


@st.composite
def long_rows(draw: st.DrawFn) -> Row:
    row = draw(rows())
    if draw(st.booleans()):
        row["param"] = row["param"] | {"a": draw(st.sampled_from(LONG))}
        row["run_name"] = draw(st.sampled_from(LONG))
    return row


orders = st.lists(
    st.tuples(st.sampled_from(ORDERS), st.sampled_from(["", " ASC", " DESC"])),
    max_size=4,
    unique_by=lambda one: one[0],
).map(lambda chosen: tuple(field + way for field, way in chosen))


@FINE
@given(
    drawn=st.lists(long_rows(), min_size=1, max_size=9),
    order_by=orders,
    limit=st.integers(1, 4),
    target=st.sampled_from([RUNS, MLFLOW_RUNS]),
    data=st.data(),
)
def test_each_run_that_stays_is_shown_once_and_in_the_order_of_one_search(
    shared: Ledger, drawn: list[Row], order_by: tuple[str, ...], limit: int, target: Any, data: Any
) -> None:
    if target is MLFLOW_RUNS:
        known = MLFLOW_RUNS.fixed["attribute"]
        order_by = tuple(one for one in order_by if "." in one or one.split()[0] in known)
    stay = fill(shared, drawn)
    query, ids, n_made = RunQuery(order_by=order_by), list(stay), 1000
    shown: list[str] = []
    token: str | None = None
    with shared.read() as connection:
        whole = find(connection, query, limit=None, target=target).ids
    while True:
        with shared.read() as connection:
            page = find(connection, query, limit=limit, token=token, target=target)
        shown, token = shown + page.ids, page.token
        if token is None:
            break
        with shared.write() as connection:
            gone = data.draw(st.sampled_from([None, *ids]))
            if gone is not None:
                _delete(connection, gone, for_good=data.draw(st.booleans()))
                ids.remove(gone)
                stay = [run for run in stay if run != gone]
            if n_made < 1020 and data.draw(st.booleans()):
                n_made += 1
                ids.append(f"{data.draw(st.sampled_from([0, 2**63])):016x}{n_made:016x}")
                put(connection, ids[-1], data.draw(long_rows()))
    assert len(shown) == len(set(shown))
    assert [run for run in shown if run in stay] == [run for run in whole if run in stay]


def _delete(connection: Connection, run: str, *, for_good: bool) -> None:
    here = tables.run.c.id == run
    connection.execute(
        tables.run.delete().where(here)
        if for_good
        else tables.run.update().where(here).values(deleted=1)
    )


numbers = st.integers(0, 3)
names = st.sampled_from(["a", "B", "b", "ä", "Z", *LONG[1:]])


@FINE
@given(
    drawn=st.lists(st.tuples(names, numbers, numbers, st.booleans()), min_size=2, max_size=9),
    gone=st.lists(st.integers(0, 8), max_size=3),
    limit=st.integers(1, 3),
    data=st.data(),
)
@pytest.mark.parametrize("kind", ["experiments", "models", "versions", "logged_models"])
def test_whatever_stays_is_found_once_and_in_order(
    shared: Ledger, kind: str, drawn: list[Any], gone: list[int], limit: int, data: Any
) -> None:
    table, fields, ask = _KINDS[kind]
    order_by = data.draw(st.lists(st.sampled_from(fields), max_size=2, unique=True))
    order_by = [one + data.draw(st.sampled_from(["", " DESC"])) for one in order_by]
    _fill_others(shared, drawn)

    def page(limit: int, token: str | None) -> tuple[list[Any], str | None]:
        with shared.read() as connection:
            paging = Paging(limit=limit, token=token)
            rows = ask(connection, order_by=order_by, paging=paging)
            key = [column.name for column in table.primary_key]
            found = [
                tuple(row[name] for name in key)
                for row in connection.execute(rows.query).mappings()
            ]
            return rows.cut(found)

    whole, _ = page(100, None)
    shown, token = page(limit, None)
    lost = {one for number, one in enumerate(whole) if number in gone}
    with shared.write() as connection:
        for one in lost:
            here = [column == value for column, value in zip(table.primary_key, one, strict=True)]
            connection.execute(table.update().where(*here).values(deleted=1))
    while token is not None:
        more, token = page(limit, token)
        shown += more
    assert len(shown) == len(set(shown))
    assert [one for one in shown if one not in lost] == [one for one in whole if one not in lost]


def _logged_models(connection: Connection, *, order_by: list[str], paging: Paging) -> others.Rows:
    asked = [
        MetricOrder(field=field, is_descending=bool(way))
        for field, _, way in (one.partition(" ") for one in order_by)
    ]
    return others.logged_models(connection, experiments=[0], order_by=asked, paging=paging)


_KINDS: dict[str, tuple[Any, list[str], Callable[..., others.Rows]]] = {
    "experiments": (
        tables.experiment,
        ["name", "experiment_id", "creation_time", "last_update_time"],
        others.experiments,
    ),
    "models": (tables.model, ["name", "timestamp"], others.models),
    "versions": (
        tables.version,
        ["name", "version_number", "creation_timestamp", "last_updated_timestamp"],
        others.versions,
    ),
    "logged_models": (
        tables.logged_model,
        [
            "name",
            "model_id",
            "creation_timestamp",
            "last_updated_timestamp",
            "metrics.m",
            "status",
        ],
        _logged_models,
    ),
}


def _fill_others(ledger: Ledger, drawn: list[Any]) -> None:
    with ledger.write() as connection:
        for table in (tables.run, tables.version, tables.model, tables.logged_model):
            connection.execute(table.delete())
        connection.execute(tables.experiment.delete().where(tables.experiment.c.id != 0))
        put(connection, "r", _RUN)
        for number, (name, created, updated, is_nan) in enumerate(drawn, 1):
            times = {"created": created, "updated": updated}
            alone = {"name": f"{name}{number}", **times}
            connection.execute(tables.experiment.insert(), {"id": number, **alone})
            connection.execute(tables.model.insert(), alone)
            for version in (1, 2):
                of = {"model": alone["name"], "number": version, "status": "ready"}
                connection.execute(tables.version.insert(), {**of, **times})
            logged = {"id": f"m-{number}", "name": name, "experiment_id": 0, "status": "ready"}
            connection.execute(tables.logged_model.insert(), {**logged, **times})
            point = {"key": "m", "value": 0.0 if is_nan else created / 3, "is_nan": is_nan}
            at = {"model_id": f"m-{number}", "step": 0, "at": 0, "run_id": "r"}
            if updated:
                connection.execute(tables.logged_model_metric.insert(), {**point, **at})


_RUN: Row = {
    "run_name": "r", "status": "running", "user_id": None, "stage": None, "start_time": 1,
    "end_time": None, "duration": None, "metric": {}, "param": {}, "tag": {}, "dataset": [],
}  # fmt: skip


def test_the_first_page_of_an_order_reads_no_more_than_the_ids_and_one_last_run(
    ledger: Ledger,
) -> None:
    fill(ledger, [_RUN | {"metric": {"a": number / 7}} for number in range(9)])
    asked: list[str] = []

    @event.listens_for(ledger.engine, "before_cursor_execute")
    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    with ledger.read() as connection:
        token = find(connection, RunQuery(order_by=("metrics.a",)), limit=5).token
        assert len(asked) == 2  # the page, and the values of its last run
        asked.clear()
        find(connection, RunQuery(order_by=("metrics.a",)), limit=5, token=token)
        assert len(asked) == 1
        find(connection, RunQuery(), limit=5)
    assert len(asked) == 2


def test_a_long_text_makes_no_long_token(ledger: Ledger) -> None:
    fill(ledger, [_RUN | {"param": {"a": "x" * 6000 + str(number)}} for number in range(9)])
    query = RunQuery(order_by=("params.a DESC",))
    with ledger.read() as connection:
        page = find(connection, query, limit=4)
        assert page.token is not None
        assert len(page.token) < 2 * LONGEST_TEXT
        rest = find(connection, query, limit=9, token=page.token).ids
        assert [*page.ids, *rest] == find(connection, query, limit=None).ids


@pytest.mark.parametrize(
    "after",
    [
        (1,), (1, 2, "a"), ("1.0", 2, 3), ("nan", "x", 1, "b"), (None, 1, 2, 3), (1, None, 1, "r"),
        ("x", 1, 1, "r"), (None, 1, 2**63, "r"), (None, 1, 1, "r\0"), (None, "1", 1, "r"),
    ],
)  # fmt: skip
def test_a_token_with_other_values_than_the_order_has_is_refused(
    ledger: Ledger, after: tuple[Any, ...]
) -> None:
    fill(ledger, [_RUN] * 9)
    query = RunQuery(order_by=("metrics.a", "experiment_id"))
    with ledger.read() as connection:
        token = find(connection, query, limit=4).token
        assert token is not None
        made = load(token, load_query(token))
        assert made.after == (None, 0, 1, f"{3:032x}")
        with pytest.raises(BadToken, match="cannot be read"):
            find(connection, query, limit=4, token=dump(Place(query=made.query, after=after)))


def load_query(token: str) -> str:
    """Return the mark of the query that a token has."""
    return str(json.loads(base64.urlsafe_b64decode(token))["query"])


def test_a_token_of_a_version_that_counted_rows_is_refused(ledger: Ledger) -> None:
    fill(ledger, [_RUN] * 9)
    with ledger.read() as connection:
        token = find(connection, RunQuery(), limit=4).token
        assert token is not None
        old = json.dumps({"query": load_query(token), "offset": 4}).encode()
        with pytest.raises(BadToken, match="cannot be read"):
            find(connection, RunQuery(), limit=4, token=base64.urlsafe_b64encode(old).decode())


@pytest.mark.parametrize("of", ["tags", "metrics"])
@pytest.mark.parametrize("way", ["", " DESC"])
def test_an_order_of_as_many_keys_as_there_may_be_has_pages(
    ledger: Ledger, of: str, way: str
) -> None:
    keys = [f"k{number}" for number in range(MOST_KEYS)]
    drawn = [
        _RUN | {"tag": dict.fromkeys(keys[:n], "x"), "metric": dict.fromkeys(keys[:n], 0.1)}
        for n in (0, 9, MOST_KEYS, 3, MOST_KEYS, 9, 0)
    ]
    fill(ledger, drawn)
    query = RunQuery(order_by=tuple(f"{of}.{key}{way}" for key in keys))
    shown: list[str] = []
    token: str | None = None
    with ledger.read() as connection:
        while token is not None or not shown:
            page = find(connection, query, limit=2, token=token)
            shown, token = shown + page.ids, page.token
        assert shown == find(connection, query, limit=None).ids
    assert [int(run, 16) for run in shown] == [2, 4, 1, 5, 3, 0, 6]
