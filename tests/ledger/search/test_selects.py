"""A select is made once for all queries that differ in their values, and finds what each means."""

from __future__ import annotations

import math
from typing import Any

import pytest
from sqlalchemy import event

from assay.ledger.database import Ledger
from assay.ledger.search import runs as searching
from assay.ledger.search import selects
from assay.ledger.search.parser import parse
from assay.ledger.search.runs import RunQuery, count, find
from assay.ledger.search.targets import RUNS
from tests.ledger.search.meaning import Row, is_true
from tests.ledger.search.test_meaning import fill

EMPTY: Row = {
    "run_name": "r", "status": "running", "user_id": None, "stage": None, "start_time": 1,
    "end_time": None, "duration": None, "metric": {}, "param": {}, "tag": {}, "dataset": [],
}  # fmt: skip
DRAWN = [
    EMPTY | {"metric": {"a": value}, "param": {"p": text}, "tag": {"t": tag}, "start_time": at}
    for at, (value, text, tag) in enumerate([
        (0.5, "0.1", "x"), (0.5, "auto", "X"), (1.0, "1", "xy"), (math.nan, "x_", "ä"),
        (-3.0, "it's", "Ä"), (2.0, "1e3", "x%"),
    ])
] + [EMPTY | {"start_time": 9}]  # fmt: skip
FORMS: list[tuple[str, list[Any]]] = [
    ("metrics.a < {}", [1, 0.75, -4, 3, 1]),
    ("metrics.a != {} AND params.p = {}", [(0.5, "'1'"), (1.0, "'1'"), (9, "'x_'"), (9, 1000)]),
    ("metrics.a >= {} params.p != {} tags.t != {}", [(0, "''", "'x'"), (-9, "'1'", "'ä'")]),
    ("params.p > {}", [0, 0.5, 100, 10_000]),
    ("params.p LIKE {}", ["'x%'", "'%'", "'_'", "'x*'", "'%1%'"]),
    ("tags.t ILIKE {} AND metrics.a < {}", [("'x%'", 9), ("'Ä'", 9), ("'x'", 1), ("'x_'", 9)]),
    ("tags.t NOT ILIKE {} OR params.p = {}", [("'x%'", "'1'"), ("'ä'", "'auto'")]),
    ("params.p IN ({})", ["'1'", "'1', 'auto', '0.1'", "1, 'auto'", "0.1, 1000", "1, 2"]),
    ("metrics.a IN ({}) AND tags.t NOT IN ({})", [("1, 0.5", "'x'"), ("2, 3", "'x', 'X'")]),
    ("NOT metrics.a = {} AND start_time < {}", [(0.5, 3), (1, 99)]),
]


@pytest.mark.parametrize("few", [0, 2, 5000])
def test_a_kept_select_finds_what_each_query_means(
    ledger: Ledger, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "FEW", few)
    ids = fill(ledger, DRAWN)
    wrong = []
    with ledger.read() as connection:
        for form, values in FORMS:
            for value in values:
                text = form.format(*(value if isinstance(value, tuple) else (value,)))
                tree = parse(text, RUNS)
                meant = {run for run, row in zip(ids, DRAWN, strict=True) if is_true(tree, row)}
                query = RunQuery(filter=text)
                found = find(connection, query, limit=None).ids
                if set(found) != meant or count(connection, query) != len(found):
                    wrong.append(text)
    assert wrong == []


def test_other_values_make_no_other_select(ledger: Ledger) -> None:
    fill(ledger, DRAWN)

    def asked(value: float, text: str, *, limit: int, experiment: int) -> int:
        query = RunQuery(
            filter=f"metrics.a < {value} AND tags.t != '{text}'",
            order_by=("metrics.a DESC",),
            experiments=(experiment,),
        )
        before = selects.page.cache_info().misses + selects.counting.cache_info().misses
        with ledger.read() as connection:
            page = find(connection, query, limit=limit)
            if page.token:
                find(connection, query, limit=limit, token=page.token)
        return selects.page.cache_info().misses + selects.counting.cache_info().misses - before

    asked(0.75, "%", limit=1, experiment=0)
    assert asked(2.5, "1%", limit=1, experiment=0) == 0
    assert asked(1e9, "%", limit=1, experiment=0) == 0
    assert asked(0.75, "a%", limit=99, experiment=7) == 0


def test_a_search_is_two_questions_whatever_it_compares(ledger: Ledger) -> None:
    fill(ledger, DRAWN)
    text = "metrics.a < 1 AND params.p = '0.1' AND tags.t != 'y' AND start_time < 5"
    query = RunQuery(filter=text, order_by=("metrics.a",), experiments=(0,))
    asked: list[str] = []

    @event.listens_for(ledger.engine, "before_cursor_execute")
    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    with ledger.read() as connection:
        assert len(find(connection, query, limit=5).ids) == 1
    assert len(asked) <= 2  # how many rows each comparison has, then the page


def test_a_long_query_is_not_kept(ledger: Ledger) -> None:
    fill(ledger, DRAWN)
    query = RunQuery(filter=f"params.p != '{'x' * 9000}'")
    before = selects.page.cache_info(), selects.counting.cache_info()
    with ledger.read() as connection:
        assert len(find(connection, query, limit=None).ids) == len(DRAWN) - 1
    assert (selects.page.cache_info(), selects.counting.cache_info()) == before


def test_pages_follow_each_other_in_every_order(ledger: Ledger) -> None:
    ids = fill(ledger, DRAWN)
    with ledger.read() as connection:
        for orders in ((), ("metrics.a DESC",), ("tags.t", "params.p DESC")):
            query = RunQuery(filter="run_name = 'r'", order_by=orders, experiments=(0, 5))
            whole = find(connection, query, limit=None).ids
            token: str | None = None
            pages: list[list[str]] = []
            while token is not None or not pages:
                page = find(connection, query, limit=2, token=token)
                pages, token = [*pages, page.ids], page.token
            assert [run for page in pages for run in page] == whole
            assert sorted(whole) == sorted(ids)


def test_hundreds_of_comparisons_are_answered(ledger: Ledger) -> None:
    ids = fill(ledger, DRAWN)
    text = " AND ".join(f"params.p != '{number}'" for number in range(400))
    with ledger.read() as connection:
        assert len(find(connection, RunQuery(filter=text), limit=None).ids) == len(DRAWN) - 2
        nothing = RunQuery(filter=text.replace("!=", "=").replace("AND", "OR"))
        assert find(connection, nothing, limit=None).ids == [ids[2]]
