"""The history of a metric and its latest value, against a plain model."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.base.errors import Error, NotFound
from assay.ledger import runs
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Metric, Writer

small = st.integers(-2, 2)
numbers = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 1.0]))
points = st.builds(Metric, key=st.sampled_from("ab"), value=numbers, step=small, at=small)


def order(point: Metric) -> tuple[int, int, float, bool]:
    is_nan = math.isnan(point.value)
    return point.step, point.at, 0.0 if is_nan else point.value, is_nan


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(points, max_size=4), max_size=4))
def test_the_latest_value_has_the_greatest_step_moment_and_value(batches: list[list[Metric]]):
    with (
        tempfile.TemporaryDirectory() as folder,
        open_ledger(Path(folder, "ledger.db")) as ledger,
    ):
        writer = Writer(ledger)
        run = writer.start_run(name="a", kind="script")
        for batch in batches:
            writer.log_metrics(run, batch)
        logged = [point for batch in batches for point in batch]
        latest = runs.get(ledger, run).metrics
        assert set(latest) == {point.key for point in logged}
        for key, found in latest.items():
            of_key = [order(point) for point in logged if point.key == key]
            assert order(found) == max(of_key)
            kept = [order(point) for point in runs.history(ledger, run, key)]
            assert sorted(kept) == sorted(set(of_key))


def test_not_a_number_and_infinities_are_kept(ledger: Ledger, writer: Writer, run: str):
    values = [math.nan, math.inf, -math.inf, 0.1]
    writer.log_metrics(
        run, [Metric(key="loss", value=value, step=i, at=i) for i, value in enumerate(values)]
    )
    kept = [point.value for point in runs.history(ledger, run, "loss")]
    assert math.isnan(kept[0])
    assert kept[1:] == values[1:]


def test_a_batch_with_one_bad_name_leaves_nothing(ledger: Ledger, writer: Writer, run: str):
    good, bad = Metric(key="a", value=1.0, at=1), Metric(key=" ", value=1.0, at=1)
    with pytest.raises(Error, match="name of a metric"):
        writer.log_metrics(run, [good, bad])
    assert runs.get(ledger, run).metrics == {}


def test_metrics_of_a_run_that_is_not_there_are_an_error(writer: Writer):
    with pytest.raises(NotFound, match="no run 'nobody'"):
        writer.log_metrics("nobody", [Metric(key="a", value=1.0, at=1)])


def test_two_processes_that_log_at_once_lose_nothing(ledger: Ledger, writer: Writer, run: str):
    code = """if True:
        import sys
        from assay.ledger.database import open_ledger
        from assay.ledger.writer import Metric, Writer
        path, run, mine = sys.argv[1:]
        with open_ledger(path, create=False) as ledger:
            writer = Writer(ledger)
            for i in range(500):
                writer.log_metrics(run, [Metric(key=mine, value=i, step=i, at=i),
                                         Metric(key="both", value=i, step=i, at=int(mine))])
    """
    command = [sys.executable, "-c", code, ledger.where, run]
    loggers = [subprocess.Popen([*command, mine]) for mine in ("1", "2")]
    assert [logger.wait() for logger in loggers] == [0, 0]
    steps = [[point.step for point in runs.history(ledger, run, mine)] for mine in ("1", "2")]
    assert steps == [list(range(500))] * 2
    assert len(runs.history(ledger, run, "both")) == 1000
    assert runs.get(ledger, run).metrics["both"] == Metric(key="both", value=499, step=499, at=2)
