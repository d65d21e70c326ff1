"""Operations are written once, in order; what is refused does no harm to what is not."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error, NotFound
from assay.ledger import deleting, operations, purge, recording, runs, tables
from assay.ledger.committer import Committer
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.operations import (
    AddArtifacts,
    AddEdges,
    AddInputs,
    Batch,
    FinishRun,
    LogMetrics,
    LogParams,
    Operation,
    Refusal,
    ResumeRun,
    SetTags,
    StartRun,
    point,
)
from assay.ledger.process import Process
from assay.ledger.sinks import LedgerSink, Unavailable
from assay.ledger.writer import Artifact, Code, Data, Untracked
from tests.databases import Postgres

A, B, C = "a" * 64, "b" * 64, "c" * 64
WHO = Process(host="h", boot="b", pid=1, start="1")


def started(run: str = "r", **given: Any) -> StartRun:
    fields: dict[str, Any] = {"name": "train", "kind": "script", "experiment": "churn", "at": 10}
    return StartRun(run=run, process=WHO, **(fields | given))


def write(ledger: Ledger, number: int, *found: Operation, sender: str = "s") -> list[Refusal]:
    batch = Batch(sender=sender, number=number, operations=found)
    again = operations.decode(operations.encode(batch), where="here")
    assert again == batch
    with ledger.write() as connection:
        return operations.apply(connection, again, at=5)


def test_all_that_a_run_says_of_itself_is_recorded(ledger: Ledger):
    untracked = Untracked(path="new.py", oid=f"sha256:{A}", size=3)
    code = Code(commit="c0ffee", diff=f"sha256:{B}", untracked=(untracked,), reproducible=True)
    data = Data(path="d.csv", oid="md5:1", kind="dataset", details={"a": [1]}, context="train")
    found = (
        started(code=code, command="python train.py", owner="ada"),
        LogParams(run="r", params={"lr": ("0.1", "float"), "big": (str(2**70), "int")}),
        LogMetrics(run="r", points=(point("loss", math.nan, step=1, at=1),)),
        LogMetrics(
            run="r", points=(point("loss", 2.5, step=0, at=1), point("m", 1, step=0, at=1))
        ),
        SetTags(run="r", tags={"team": "a"}),
        AddInputs(run="r", data=(data,), at=11),
        AddArtifacts(run="r", artifacts=(Artifact(path="a", oid=f"sha256:{C}", size=1),), at=11),
        AddEdges(run="r", edges=(("run:r", "made", "bundle:sha256:4"),), at=11),
        FinishRun(run="r", status="finished", at=20, exit_status=0, log_tail="done"),
    )
    assert write(ledger, 1, *found) == []
    run = runs.get(ledger, "r")
    assert (run.name, run.experiment, run.owner, run.host, run.pid) == (
        "train", "churn", "ada", "h", 1,
    )  # fmt: skip
    assert run.code == code
    assert run.params == {"lr": 0.1, "big": 2**70}
    assert math.isnan(run.metrics["loss"].value)
    assert (run.tags, run.inputs) == ({"team": "a"}, (data,))
    assert [one.path for one in run.artifacts] == ["a"]
    assert (run.status, run.end, run.log_tail) == ("finished", 20, "done")
    assert set(operations.oids(found)) == {A, B, C}


def test_a_batch_of_an_older_number_is_not_applied(ledger: Ledger):
    write(ledger, 1, started(), SetTags(run="r", tags={"team": "a"}))
    write(ledger, 2, SetTags(run="r", tags={"team": "b"}))
    write(ledger, 1, SetTags(run="r", tags={"team": "c"}))
    write(ledger, 2, SetTags(run="r", tags={"team": "d"}))
    assert runs.get(ledger, "r").tags == {"team": "b"}
    write(ledger, 1, SetTags(run="r", tags={"team": "e"}), sender="another")
    assert runs.get(ledger, "r").tags == {"team": "e"}


def test_one_refused_operation_leaves_the_others(ledger: Ledger):
    refused = write(
        ledger,
        1,
        started(),
        LogParams(run="r", params={"lr": ("1", "int")}),
        LogParams(run="r", params={"depth": ("3", "int"), "lr": ("2", "int")}),
        SetTags(run="r", tags={"team": "a"}),
    )
    assert [(one.index, one.run) for one in refused] == [(2, "r")]
    assert "cannot become '2'" in str(refused[0].error())
    run = runs.get(ledger, "r")
    assert (run.params, run.tags) == ({"lr": 1}, {"team": "a"})


def test_a_batch_of_an_unknown_run_changes_nothing_and_may_come_again(ledger: Ledger):
    with pytest.raises(NotFound, match="there is no run 'other'"):
        write(ledger, 1, started(), SetTags(run="other", tags={"team": "a"}))
    with pytest.raises(NotFound):
        runs.get(ledger, "r")
    write(ledger, 1, started(), started("other"), SetTags(run="other", tags={"team": "a"}))
    assert runs.get(ledger, "other").tags == {"team": "a"}


def test_a_run_that_begins_twice_is_one_and_keeps_its_end(ledger: Ledger):
    write(ledger, 1, started(), FinishRun(run="r", status="failed", at=20))
    write(ledger, 1, started(name="another"), sender="again")
    assert (runs.get(ledger, "r").name, runs.get(ledger, "r").status) == ("train", "failed")


def test_a_run_that_was_purged_does_not_come_back(ledger: Ledger):
    with ledger.write() as connection:
        connection.execute(tables.purged.insert().values(id="r", at=1))
    (refused,) = write(ledger, 1, started())
    assert "was purged" in refused.what


numbers = st.floats() | st.integers(-(2**53), 2**53).map(float)


@given(st.lists(st.tuples(st.text(min_size=1), numbers, st.integers(-(2**63), 2**63 - 1))))
def test_points_travel_to_the_last_bit(found: Sequence[tuple[str, float, int]]):
    points = tuple(point(key, value, step=step, at=1) for key, value, step in found)
    batch = Batch(sender="s", number=1, operations=(LogMetrics(run="r", points=points),))
    (back,) = operations.decode(operations.encode(batch), where="here").operations
    assert isinstance(back, LogMetrics)
    for (key, value, step), one in zip(found, back.points, strict=True):
        metric = operations._metric(one)
        assert (metric.key, metric.step) == (key, step)
        assert metric.value == value or (math.isnan(metric.value) and math.isnan(value))


@pytest.mark.parametrize("content", [b"", b"[]", b'{"sender": 1}', b'{"sender":"s","number":1}'])
def test_what_is_no_batch_is_an_error_that_says_where(content: bytes):
    with pytest.raises(Error, match="line 7: this is no batch of operations"):
        operations.decode(content, where="line 7")


ODD = "../../../ledger.db"


def artifact(path: str = "a", oid: str = f"sha256:{A}", size: int = 1) -> AddArtifacts:
    return AddArtifacts(run="r", artifacts=(Artifact(path=path, oid=oid, size=size),), at=1)


def odd_code(**given: Any) -> Code:
    return Code(commit="c0ffee", **given)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        *((artifact(path), "leaves its folder") for path in (
            "../../../evil.txt", "/etc/evil", "a\0b", "", ".", "a/../../b", "a//b", ".git/hooks",
        )),
        (artifact("x" * 5000), "more than 4096 characters"),
        *((artifact(oid=oid), "is no hash") for oid in (
            "../../ledger.db", f"sha256:{ODD}", A, f"md5:{A}", f"sha256:{A[1:]}", f"sha256:{A}\n",
        )),
        *((artifact(size=size), "has no size") for size in (-1, 2**63)),
        (started(code=odd_code(diff=ODD)), "no hash of a patch"),
        (started(code=odd_code(untracked=(Untracked(path="a", oid=ODD, size=1),))), "is no hash"),
        (
            started(code=odd_code(untracked=(Untracked(path=ODD, oid=f"sha256:{A}", size=1),))),
            "leaves its folder",
        ),
        (started(code=odd_code(directory="../..")), "leaves the project"),
        (started(directory="/etc"), "leaves the project"),
        (started(parent="../x"), "no run that this one can be a part of"),
        (started("../../x"), "is no id of a run"),
        (started("a\0"), "is no id of a run"),
        (started(""), "is no id of a run"),
        (AddInputs(run="r", data=(Data(path="p", oid=ODD, kind="params"),), at=1), "is no hash"),
        (AddInputs(run="r", data=(Data(path="a\0", oid="md5:1"),), at=1), "nothing that a run"),
        (AddInputs(run="r", data=(Data(path="a", oid="md5:1", size=2**70),), at=1), "no ledger"),
        (AddEdges(run="r", edges=(("run:x", "made", "run:y"),), at=1), "no descent of the run"),
        (LogParams(run="r", params={"a": ("1", "nokind")}), "which is no 'nokind'"),
        (LogParams(run="r", params={"a": ("xx", "int")}), "which is no 'int'"),
        (LogParams(run="r", params={"a": ("1" * 5000, "int")}), "which is no 'int'"),
        (LogParams(run="r", params={"a": ("[" * 9999, "json")}), "which is no 'json'"),
        (LogMetrics(run="r", points=(point("\0k", 1, step=1, at=1),)), "no plain text"),
        (SetTags(run="r", tags={"\0": "a"}), "no plain text"),
        (SetTags(run="r", tags={"t": "x" * 1_000_001}), "more than 1,000,000"),
    ],
)  # fmt: skip
def test_what_no_run_has_is_refused_and_not_stored(ledger: Ledger, one: Operation, said: str):
    given = () if isinstance(one, StartRun) else (started(),)
    (refused,) = write(ledger, 1, *given, one)
    assert said in refused.what
    with ledger.read() as connection:
        for table in (tables.artifact, tables.run_data, tables.param, tables.tag, tables.edge):
            assert connection.execute(table.select()).all() == []
        n_runs = len(connection.execute(tables.run.select()).all())
    assert n_runs == len(given)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"loss",1.5,2,3', '"loss","foo",2,3'),
        ('"loss",1.5,2,3', f'"loss",1.5,{2**63},3'),
        ('"loss",1.5,2,3', f'"loss",1.5,2,{2**64}'),
        ('"exit_status":0', f'"exit_status":{2**65}'),
        ('"number":1', f'"number":{2**63}'),
    ],
)
def test_a_number_that_no_ledger_keeps_makes_no_batch(right: str, wrong: str):
    points = LogMetrics(run="r", points=(point("loss", 1.5, step=2, at=3),))
    end = FinishRun(run="r", status="finished", at=20, exit_status=0)
    content = operations.encode(Batch(sender="s", number=1, operations=(points, end))).decode()
    assert right in content
    with pytest.raises(Error, match="this is no batch"):
        operations.decode(content.replace(right, wrong).encode(), where="here")


def test_a_batch_whose_answer_was_lost_is_refused_what_it_was_refused_before(ledger: Ledger):
    assert write(ledger, 1, started(), LogParams(run="r", params={"lr": ("1", "int")})) == []
    found = LogParams(run="r", params={"lr": ("2", "int")}), SetTags(run="r", tags={"team": "a"})
    (refused,) = write(ledger, 2, *found)
    assert (refused.index, refused.run) == (0, "r")
    with ledger.write() as connection:
        connection.execute(tables.tag.delete())
    assert write(ledger, 2, *found) == [refused]
    assert runs.get(ledger, "r").tags == {}  # it is not written again
    assert write(ledger, 3, SetTags(run="r", tags={"team": "b"})) == []
    assert write(ledger, 2, *found) == []  # its answer was heard: another one came after it
    assert runs.get(ledger, "r").tags == {"team": "b"}


def test_a_batch_that_was_taken_whole_is_told_of_no_refusal_when_it_comes_again(ledger: Ledger):
    write(ledger, 1, started())
    found = (
        LogParams(run="r", params={"lr": ("1", "int")}),
        FinishRun(run="r", status="failed", at=3),
    )
    assert write(ledger, 2, *found) == []
    going_on = ResumeRun(run="r", at=4, process=WHO), FinishRun(run="r", status="finished", at=5)
    assert write(ledger, 1, *going_on, sender="elsewhere") == []
    assert write(ledger, 2, *found) == []
    deleting.delete(ledger, ["r"], at=6)
    assert write(ledger, 2, *found) == []
    purge.purge(ledger, purge.find(ledger), at=7)
    assert write(ledger, 2, *found) == []
    begun = started("other"), SetTags(run="other", tags={"team": "a"})
    ended = FinishRun(run="other", status="finished", at=2)
    assert write(ledger, 1, *begun, ended, sender="t") == []
    deleting.delete(ledger, ["other"], at=8)
    purge.purge(ledger, purge.find(ledger), at=9)
    assert write(ledger, 1, *begun, ended, sender="t") == []
    assert runs.list_(ledger) == []


@pytest.mark.parametrize("kind", ["path", "metric", "tag", "parameter"])
def test_what_is_too_long_for_an_index_of_the_server_is_refused_alone(
    postgres: Postgres, kind: str
):
    long = secrets.token_hex(2000)  # it cannot be written shorter
    ways: dict[str, Operation] = {
        "path": AddArtifacts(
            run="r", artifacts=(Artifact(path=long, oid=f"sha256:{A}", size=1),), at=1
        ),
        "metric": LogMetrics(run="r", points=(point(long, 1.0, step=1, at=1),)),
        "tag": SetTags(run="r", tags={long: "a"}),
        "parameter": LogParams(run="r", params={long: ("1", "int")}),
    }
    url = postgres.database()
    sink = LedgerSink(url)
    found = (started(), ways[kind], SetTags(run="r", tags={"team": "a"}))
    (refused,) = sink.send(Batch(sender="s", number=1, operations=found))
    assert refused.index == 1
    assert "index row" in refused.what
    assert "INSERT" not in refused.what
    assert long not in refused.what
    sink.rest()
    with open_ledger(url) as ledger:
        assert runs.get(ledger, "r").tags == {"team": "a"}


def test_a_write_that_is_too_long_for_an_index_is_refused_at_once(postgres: Postgres):
    batch = Batch(sender="s", number=1, operations=(started(),))
    with open_ledger(postgres.database()) as ledger:
        committer = Committer(ledger)
        committer.submit(lambda connection: operations.apply(connection, batch, at=5)).result()
        tags = {secrets.token_hex(2000): "a"}
        told = committer.submit(lambda c: recording.put_tags(c, "r", tags, at=1))
        with pytest.raises(Error, match="index row") as caught:
            told.result()
        assert not isinstance(caught.value, Unavailable)  # which would be tried again
        committer.close()
