"""The history of a metric in pages and in samples, against a sorted list."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.ledger import history
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Metric, Writer
from tests import make

numbers = st.one_of(st.floats(), st.sampled_from([0.0, 1.0, float("inf"), float("nan")]))
points = st.builds(
    Metric, key=st.just("m"), value=numbers, step=st.integers(-3, 3), at=st.integers(0, 3)
)


def order(point: Metric) -> tuple[int, int, float, bool]:
    is_nan = point.value != point.value
    return point.at, point.step, 0.0 if is_nan else point.value + 0.0, is_nan


def by_step(point: Metric) -> tuple[int, int, float, bool]:
    at, step, value, is_nan = order(point)
    return step, at, value, is_nan


def pages(ledger: Ledger, run: str, limit: int | None) -> list[list[Metric]]:
    found, token = [], None
    while True:
        with ledger.read() as connection:
            page = history.page(connection, run, "m", limit=limit, token=token)
        found.append(list(page.points))
        token = page.next
        if token is None:
            return found


@settings(max_examples=30, deadline=None)
@given(st.lists(points, max_size=12), st.integers(1, 5))
def test_pages_in_a_row_are_the_whole_history_in_order(given_: list[Metric], limit: int):
    with (
        tempfile.TemporaryDirectory(dir=make.memory()) as folder,
        open_ledger(Path(folder, "ledger.db")) as ledger,
    ):
        writer = Writer(ledger)
        run = writer.start_run(name="a", kind="script")
        writer.log_metrics(run, given_)
        wanted = sorted({order(point) for point in given_})
        found = pages(ledger, run, limit)
        assert [order(point) for page in found for point in page] == wanted
        assert all(len(page) == limit for page in found[:-1])
        assert [order(point) for page in pages(ledger, run, None) for point in page] == wanted
        with ledger.read() as connection:
            few = history.sample(connection, run, "m", most=limit)
        steps = sorted({by_step(point) for point in given_})
        assert {by_step(point) for point in few} <= set(steps)
        assert len(few) == min(limit, len(steps))
        assert [by_step(point) for point in few] == sorted(by_step(point) for point in few)
        if few:
            assert by_step(few[-1]) == steps[-1]
            assert limit == 1 or by_step(few[0]) == steps[0]


def fill(ledger: Ledger, run: str) -> None:
    metrics = [Metric(key="m", value=i * 0.5, step=i, at=i // 3) for i in range(100)]
    Writer(ledger).log_metrics(run, metrics)


def test_points_that_come_meanwhile_move_no_page(ledger: Ledger, run: str):
    fill(ledger, run)
    with ledger.read() as connection:
        first = history.page(connection, run, "m", limit=10)
    Writer(ledger).log_metrics(run, [Metric(key="m", value=9.0, step=-1, at=0)])
    with ledger.read() as connection:
        second = history.page(connection, run, "m", limit=10, token=first.next)
    assert [point.step for point in second.points] == list(range(10, 20))


@pytest.mark.parametrize("token", ["x", "e30=", "é", "W10=", "=" * 9])
def test_a_token_that_is_none_is_refused(ledger: Ledger, run: str, token: str):
    with pytest.raises(Error, match="not one of this ledger"), ledger.read() as connection:
        history.page(connection, run, "m", limit=1, token=token)


def test_a_token_of_another_metric_is_refused(ledger: Ledger, run: str):
    fill(ledger, run)
    with ledger.read() as connection:
        token = history.page(connection, run, "m", limit=10).next
    with (
        pytest.raises(Error, match="belongs to another metric or run"),
        ledger.read() as connection,
    ):
        history.page(connection, run, "other", limit=10, token=token)


def test_a_sample_has_the_ends_of_its_interval(ledger: Ledger, run: str):
    fill(ledger, run)
    with ledger.read() as connection:
        few = history.sample(connection, run, "m", most=3, start=2, end=8)
        all_ = history.sample(connection, run, "m", most=10, start=2, end=8)
        one = history.sample(connection, run, "m", most=1)
        none = history.sample(connection, run, "none", most=5)
    assert [point.step for point in few] == [2, 5, 8]
    assert [point.step for point in all_] == list(range(2, 9))
    assert [point.step for point in one] == [99]
    assert none == []
