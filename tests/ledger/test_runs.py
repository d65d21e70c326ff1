"""Reading runs: by id, beginning or place; lists; what differs between two."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error, NotFound
from assay.ledger import runs, tables
from assay.ledger.database import Ledger
from assay.ledger.environment import capture
from assay.ledger.runs import Change
from assay.ledger.writer import Code, Data, Metric, Untracked, Writer


def rename(ledger: Ledger, run: str, id_: str) -> str:
    with ledger.write() as connection:
        query = tables.run.update().where(tables.run.c.id == run)
        connection.execute(query.values(id=id_))
    return id_


def test_the_unique_beginning_of_an_id_names_a_run(ledger: Ledger, writer: Writer):
    for id_ in ("aaaa-1", "aaaa-2", "bbbb-1", "aaaa-22"):
        rename(ledger, writer.start_run(name="a", kind="script"), id_)
    assert runs.get(ledger, "b").id == "bbbb-1"
    assert runs.get(ledger, "BBBB").id == "bbbb-1"
    assert runs.get(ledger, "aaaa-2").id == "aaaa-2"
    with pytest.raises(Error, match=r"'aaaa' is the beginning of several runs: .*aaaa-1 \(a, "):
        runs.get(ledger, "aaaa")


@pytest.mark.parametrize("name", ["c", "", "%", "_", "aaaa-1-", "latest~1", "latest~x", "a b"])
def test_a_name_of_no_run_is_an_error_with_a_hint(ledger: Ledger, writer: Writer, name: str):
    rename(ledger, writer.start_run(name="a", kind="script"), "aaaa-1")
    with pytest.raises(NotFound, match="hint: 'assay runs list'"):
        runs.get(ledger, name)


def test_latest_names_the_newest_runs_that_are_no_part_of_another(ledger: Ledger, writer: Writer):
    old, new = (writer.start_run(name="a", kind="pipeline", at=at) for at in (1, 2))
    writer.start_run(name="part", kind="stage", parent=new, at=3)
    assert runs.get(ledger, "latest").id == new
    assert runs.get(ledger, "latest~1").id == old


def test_a_list_shows_the_newest_first_and_only_what_was_asked_for(ledger: Ledger, writer: Writer):
    pipeline = writer.start_run(name="a", kind="pipeline", at=1)
    stage = writer.start_run(name="b", kind="stage", parent=pipeline, at=2)
    script = writer.start_run(name="c", kind="script", experiment="churn", at=3)
    writer.finish_run(script, status="finished", at=4)

    def ids(**filters: Any) -> list[str]:
        return [row.id for row in runs.list_(ledger, **filters)]

    assert ids() == [script, pipeline]
    assert ids(limit=1) == [script]
    assert ids(top_level=False) == [script, stage, pipeline]
    assert ids(parent=pipeline) == [stage]
    assert ids(experiment="churn") == [script]
    assert ids(experiment="none") == []
    assert ids(kind="pipeline") == [pipeline]
    assert ids(status="running") == [pipeline]


def test_a_list_shows_what_the_run_itself_shows(ledger: Ledger, writer: Writer, run: str):
    (row,) = runs.list_(ledger)
    whole = runs.get(ledger, run)
    assert {name: getattr(whole, name) for name in row.__struct_fields__} == (
        msgspec.structs.asdict(row)
    )


def logged(ledger: Ledger, writer: Writer, **given: Any) -> runs.Run:
    run = writer.start_run(
        name="a", kind="script", code=given.get("code"), environment=given.get("environment")
    )
    writer.log_params(run, given.get("params", {}))
    metrics = given.get("metrics", {})
    writer.log_metrics(run, [Metric(key=key, value=v, at=1) for key, v in metrics.items()])
    inputs = given.get("inputs", {})
    writer.add_inputs(run, [Data(path=path, oid=oid) for path, oid in inputs.items()])
    return runs.get(ledger, run)


def test_a_diff_has_both_values_and_by_how_much_they_differ(ledger: Ledger, writer: Writer):
    a = logged(
        ledger,
        writer,
        params={"lr": 0.1, "seed": 1, "old": None},
        metrics={"auc": 0.8, "loss": math.nan, "zero": 0.0},
        inputs={"data": "md5:1"},
        code=Code(commit="c0", untracked=(Untracked(path="x", oid="sha256:1", size=1),)),
    )
    b = logged(
        ledger,
        writer,
        params={"lr": 0.2, "seed": 1, "new": True},
        metrics={"auc": 0.9, "loss": math.nan, "zero": 1.0},
        inputs={"data": "md5:2"},
        code=Code(commit="c0"),
    )
    found = runs.diff(a, b)
    assert found.params == (
        Change(key="lr", a=0.1, b=0.2),
        Change(key="new", b=True, only="b"),
        Change(key="old", a=None, only="a"),
    )
    auc, zero = found.metrics
    assert auc.key == "auc"
    assert auc.absolute == pytest.approx(0.1)
    assert auc.relative == pytest.approx(0.125)
    assert (zero.absolute, zero.relative) == (1.0, None)
    assert found.inputs == (Change(key="data", a="md5:1", b="md5:2"),)
    assert found.code == (Change(key="untracked x", a="sha256:1", only="a"),)
    assert len(found.environment) == 2
    assert found.params[1].absolute is None


@given(st.dictionaries(st.sampled_from("abc"), st.floats() | st.booleans() | st.text(max_size=1)))
def test_what_is_equal_is_left_out_of_a_diff(values: dict[str, Any]):
    assert runs.changes(values, dict(values)) == ()


def test_runs_in_one_environment_do_not_differ_in_it(ledger: Ledger, writer: Writer):
    a, b = (logged(ledger, writer, environment=capture()) for _ in range(2))
    assert runs.diff(a, b).environment == ()


def test_points_come_in_the_order_of_their_moments(ledger: Ledger, writer: Writer, run: str):
    given = [(3, 1), (1, 2), (2, 2), (1, 1)]
    writer.log_metrics(run, [Metric(key="a", value=0, step=step, at=at) for step, at in given])
    found = [(point.step, point.at) for point in runs.history(ledger, run, "a")]
    assert found == [(1, 1), (3, 1), (1, 2), (2, 2)]
    assert runs.history(ledger, run, "b") == []
