"""Records of runs: a run goes out of one ledger and into another, and nothing of it is lost."""

from __future__ import annotations

import gzip
import hashlib
import math
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.ledger import rows, runs, tables
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.environment import capture
from assay.ledger.exchange import gathering, merging, packs, record_checks, records
from assay.ledger.exchange.loaded import Loaded
from assay.ledger.exchange.loading import Loader
from assay.ledger.exchange.records import (
    ArtifactRecord,
    DataRecord,
    EdgeRecord,
    EnvironmentRecord,
    ModelLink,
    ModelRecord,
    Points,
    PurgedRecord,
    Record,
    RunRecord,
)
from assay.ledger.writer import Artifact, Code, Data, Metric, Untracked, Writer
from tests.databases import Postgres

NAN = math.nan
OID = "sha256:" + "0" * 63 + "1"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path / "other.db") as opened:
        yield opened


def fill(writer: Writer) -> str:
    """Record a run with a part, and all that a run may have."""
    patch = Untracked(path="a/new.py", oid=OID, size=3, is_executable=True)
    code = Code(commit="c0ffee", branch="main", diff=OID, untracked=(patch,), reproducible=True)
    run = writer.start_run(
        name="train", kind="pipeline", experiment="churn", code=code, environment=capture()
    )
    part = writer.start_run(name="fit", kind="stage", parent=run, stage="fit", command="python x")
    writer.log_params(part, {"lr": 0.1, "layers": [8, 8], "none": None, "text": "0.1"})
    writer.log_metrics(part, [
        Metric(key="loss", value=value, step=step, at=step * 10)
        for step, value in enumerate([1.5, NAN, math.inf, -math.inf, 0.1 + 0.2])
    ])  # fmt: skip
    writer.set_tags(part, {"ü": "1\n2", "empty": ""})
    writer.add_inputs(part, [Data(path="in", oid="md5:ab", size=3, details={"a": [1]})])
    writer.add_outputs(part, [Data(path="out", oid="md5:cd.dir", n_files=2, kind="out")])
    writer.add_artifacts(part, [Artifact(path="a/model #1?.bin", oid=OID, size=4)])
    writer.add_edge(f"run:{part}", "made", f"bundle:{OID}")
    writer.finish_run(part, status="failed", exit_status=1, log_tail="oh", reason="no")
    writer.finish_run(run, status="finished", peak_memory=5, cpu_seconds=0.25)
    return run


def gathered(ledger: Ledger) -> list[Record]:
    with ledger.read() as connection:
        known = gathering.known(connection)
        found = list(gathering.records(connection, [*known.runs], [*known.models]))
    return [*found, *(PurgedRecord(id=id_, at=at) for id_, at in known.purged.items())]


def load(ledger: Ledger, found: list[Record], *, at: int = 1) -> Loaded:
    loader = Loader(ledger, at=at)
    loader.add(found)
    return loader.finish()


def held(ledger: Ledger) -> dict[str, Any]:
    """Return the records of all that a ledger holds, by id, experiments aside."""
    return {
        one.id: one for one in gathered(ledger) if isinstance(one, RunRecord | ModelRecord)
    }  # fmt: skip


def test_a_run_comes_into_another_ledger_as_it_is(ledger: Ledger, writer: Writer, other: Ledger):
    run = fill(writer)
    done = load(other, gathered(ledger))
    assert held(other) == held(ledger)
    assert sorted(done.new) == sorted(held(ledger))
    assert done.refused == []
    there, here = runs.get(other, run), runs.get(ledger, run)
    without = ("experiment_id", "pid")
    assert {k: v for k, v in msgspec.structs.asdict(there).items() if k not in without} == {
        k: v for k, v in msgspec.structs.asdict(here).items() if k not in without
    }
    [part] = there.children
    assert str(runs.history(other, part, "loss")) == str(runs.history(ledger, part, "loss"))
    assert str(runs.get(other, part).metrics) == str(runs.get(ledger, part).metrics)


def test_loading_twice_is_as_good_as_once(ledger: Ledger, writer: Writer, other: Ledger):
    fill(writer)
    load(other, gathered(ledger))
    once = held(other)
    done = load(other, gathered(ledger))
    assert (done.new, done.changed, done.refused) == ([], [], [])
    assert held(other) == once


def test_a_part_may_come_before_what_it_is_a_part_of(
    ledger: Ledger, writer: Writer, other: Ledger
):
    fill(writer)
    assert load(other, gathered(ledger)[::-1]).refused == []
    assert held(other) == held(ledger)


def test_a_part_of_a_run_that_never_comes_is_refused(
    ledger: Ledger, writer: Writer, other: Ledger
):
    run = fill(writer)
    found = [one for one in gathered(ledger) if not (isinstance(one, RunRecord) and one.id == run)]
    [problem] = load(other, found).refused
    assert f"the run '{run}' that it is a part of is not there" in problem
    assert held(other) == {}


def test_runs_that_go_on_and_their_parts_are_not_gathered(ledger: Ledger, writer: Writer):
    run = writer.start_run(name="a", kind="pipeline")
    part = writer.start_run(name="b", kind="stage", parent=run)
    writer.finish_run(part, status="finished")
    assert held(ledger) == {}
    writer.finish_run(run, status="finished")
    assert set(held(ledger)) == {run, part}


def test_what_changes_after_the_end_of_a_run_changes_its_stamp(ledger: Ledger, writer: Writer):
    run = fill(writer)
    with ledger.write() as connection:
        connection.execute(tables.run.update().values(start=1, end=2, updated=None))
    for change in (
        lambda: writer.set_tags(run, {"late": "1"}),
        lambda: writer.add_artifact(run, "late", OID, 1),
        lambda: writer.log_metrics(run, [Metric(key="late", value=1.0, at=1)]),
    ):
        with ledger.write() as connection:
            connection.execute(tables.run.update().values(updated=None))
        change()
        assert held(ledger)[run].stamp > 2


def test_two_ledgers_of_one_run_become_one(ledger: Ledger, writer: Writer, other: Ledger):
    run = fill(writer)
    load(other, gathered(ledger))
    writer.set_tags(run, {"both": "older", "a": "1"})
    writer.log_metrics(run, [Metric(key="m", value=1.0, step=2, at=1)])
    with ledger.write() as connection:
        query = tables.tag.update().where(tables.tag.c.key == "both")
        connection.execute(query.values(at=1))
    Writer(other).set_tags(run, {"both": "newer", "b": "2"})
    Writer(other).log_metrics(run, [Metric(key="m", value=2.0, step=1, at=1)])
    ours, theirs = gathered(ledger), gathered(other)
    load(ledger, theirs)
    load(other, ours)
    assert held(ledger) == held(other)
    found = runs.get(ledger, run)
    assert found.tags == {"both": "newer", "a": "1", "b": "2"}
    assert found.metrics["m"].value == 1.0
    assert [point.step for point in runs.history(other, run, "m")] == [2, 1][::-1]


def test_a_deletion_travels_and_so_does_taking_it_back(
    ledger: Ledger, writer: Writer, other: Ledger
):
    run = fill(writer)
    load(other, gathered(ledger))
    end = held(ledger)[run].stamp
    for at, deleted in ((end + 5, end + 5), (end + 9, None)):
        with ledger.write() as connection:
            query = tables.run.update().where(tables.run.c.id == run)
            connection.execute(query.values(deleted=deleted, updated=at))
        load(other, gathered(ledger))
        assert held(other)[run].deleted == deleted


def test_a_purged_run_does_not_come_back(ledger: Ledger, writer: Writer, other: Ledger):
    run = fill(writer)
    [part] = runs.get(ledger, run).children
    with other.write() as connection:
        rows.put(connection, tables.purged, [{"id": run, "at": 1}, {"id": part, "at": 1}])
    done = load(other, gathered(ledger))
    assert sorted(done.purged) == sorted([run, part])
    assert done.refused == []
    assert held(other) == {}


def test_a_run_that_was_purged_elsewhere_is_deleted_here_once(ledger: Ledger, writer: Writer):
    run = fill(writer)
    gone = PurgedRecord(id=run, at=10**15)
    assert load(ledger, [gone]).changed == [run]
    assert held(ledger)[run].deleted == 10**15
    with ledger.write() as connection:
        connection.execute(tables.run.update().values(deleted=None))
    assert load(ledger, [gone]).changed == []
    assert held(ledger)[run].deleted is None


def test_an_environment_may_come_after_the_runs_that_name_it(
    ledger: Ledger, writer: Writer, other: Ledger
):
    run = fill(writer)
    loader = Loader(other, at=1)
    for one in reversed(gathered(ledger)):
        loader.add([one])
        loader._write()  # each in a transaction of its own
    assert loader.finish().refused == []
    assert held(other) == held(ledger)
    assert runs.get(other, run).environment == runs.get(ledger, run).environment is not None


def test_runs_come_without_an_environment_that_never_comes(ledger: Ledger):
    first, second = (record(id=name, environment_oid=OID) for name in ("r1", "r2"))
    done = load(ledger, [first, record(id="r0"), second])
    assert done.new == ["r1", "r0", "r2"]
    assert done.refused == [f"the environment '{OID}' of the run 'r1' and of 1 more is not there"]
    assert runs.get(ledger, "r1").environment is None


def test_an_environment_that_is_here_stays_where_another_one_never_comes(
    ledger: Ledger, writer: Writer
):
    run = fill(writer)
    (ours,) = [one for one in gathered(ledger) if isinstance(one, RunRecord) and one.id == run]
    newer = msgspec.structs.replace(ours, environment_oid=OID, updated=2**50)
    load(ledger, [newer])
    assert held(ledger)[run].environment_oid == ours.environment_oid


def test_histories_are_read_so_few_at_a_time_that_they_fit_into_memory(
    ledger: Ledger, writer: Writer
):
    ids = [writer.start_run(name=str(number), kind="script") for number in range(5)]
    for id_, n_points in zip(ids, (0, 4, 6, 20, 1), strict=True):
        metrics = [Metric(key="m", value=0.5, step=step, at=1) for step in range(n_points)]
        writer.log_metrics(id_, metrics)
    with ledger.read() as connection:
        found = list(gathering.portions(connection, ids, most=10))
    assert found == [ids[:3], ids[3:4], ids[4:]]


def test_records_are_written_before_their_points_fill_the_memory(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gathering, "MOST_POINTS", 10)
    points = Points(steps=[*range(6)], ats=[1] * 6, values=[0.5] * 6)
    loader = Loader(ledger, at=1)
    loader.add(record(id=f"r{number}", metrics={"m": points}) for number in range(5))
    with ledger.read() as connection:
        assert len(connection.execute(tables.run.select()).all()) == 4
    assert len(loader.finish().new) == 5


def model(**other: Any) -> ModelRecord:
    fields: dict[str, Any] = {
        "id": "m-1", "name": "clf", "experiment": "churn", "status": "ready", "created": 1,
        "updated": 2, "params": {"C": "1"}, "tags": {"a": "b"},
        "artifacts": (ArtifactRecord(path="MLmodel", oid=OID, size=1, at=1),),
    }  # fmt: skip
    return ModelRecord(**fields | other)


def test_a_logged_model_travels_with_its_run(ledger: Ledger, writer: Writer, other: Ledger):
    run = fill(writer)
    point = records.ModelMetric(key="acc", step=0, at=1, run_id=run, value="nan")
    load(ledger, [model(run_id=run, metrics=(point,))])
    link = ModelLink(direction="output", model_id="m-1", step=3)
    with ledger.write() as connection:
        row = msgspec.structs.asdict(link) | {"run_id": run}
        connection.execute(tables.run_model.insert().values(row))
    load(other, gathered(ledger))
    assert held(other) == held(ledger)
    assert held(other)[run].models == (link,)
    assert held(other)["m-1"].metrics == (point,)


def test_of_two_records_of_a_logged_model_the_newer_counts(ledger: Ledger):
    load(ledger, [model(), model(updated=3, status="failed", tags={"c": "d"})])
    load(ledger, [model(updated=1, status="pending")])
    found = held(ledger)["m-1"]
    assert (found.status, found.tags, found.updated) == ("failed", {"c": "d"}, 3)


def test_a_pack_holds_what_was_written_and_is_the_same_twice(
    ledger: Ledger, writer: Writer, tmp_path: Path
):
    fill(writer)
    found = gathered(ledger)
    packs.write(tmp_path / "a", found)
    packs.write(tmp_path / "b", found)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    complaints: list[str] = []
    assert list(packs.read(tmp_path / "a", where="a", complaints=complaints)) == found
    assert complaints == []


def test_a_pack_that_is_cut_off_is_refused_after_what_can_be_read(
    ledger: Ledger, writer: Writer, tmp_path: Path
):
    fill(writer)
    packs.write(tmp_path / "a", gathered(ledger))
    content = (tmp_path / "a").read_bytes()
    for end in range(0, len(content), 97):
        (tmp_path / "b").write_bytes(content[:end])
        with pytest.raises(Error, match=r"damaged or cut off|no records of runs"):
            list(packs.read(tmp_path / "b", where="b", complaints=[]))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"no gzip", "damaged or cut off"),
        (gzip.compress(b'{"assay":"records","form":2}\n', mtime=0), "known is up to 1"),
        (gzip.compress(b'{"a":1}\n', mtime=0), "no records of runs"),
        (gzip.compress(b"", mtime=0), "no records of runs"),
    ],
)
def test_another_file_is_refused_and_says_why(content: bytes, problem: str, tmp_path: Path):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(Error, match=problem) as caught:
        list(packs.read(tmp_path / "x", where="x", complaints=[]))
    assert caught.value.where == "x"


def test_a_line_that_is_no_record_is_passed_by(tmp_path: Path):
    (tmp_path / "x").write_bytes(
        gzip.compress(
            b'{"assay":"records","form":1}\nno json\n{"record":"other"}\n'
            + records.dump(PurgedRecord(id="a", at=1))
        )
    )
    complaints: list[str] = []
    found = list(packs.read(tmp_path / "x", where="x", complaints=complaints))
    assert found == [PurgedRecord(id="a", at=1)]
    assert [text.startswith("x: this is no record") for text in complaints] == [True, True]


def record(**other: Any) -> RunRecord:
    fields: dict[str, Any] = {
        "id": "r", "name": "n", "kind": "script", "status": "finished", "experiment": "e",
        "start": 1,
    }  # fmt: skip
    return RunRecord(**fields | other)


def file(path: str, *, oid: str = OID, size: int = 1) -> ArtifactRecord:
    return ArtifactRecord(path=path, oid=oid, size=size, at=1)


LEAVING = [
    "../x", "/etc/passwd", "a/../../x", "a//b", "", ".", "a/\x00", "a\n", ".git/hooks/pre-commit",
    ".GIT/config", "a/.git./x", "git~1/config",
]  # fmt: skip


@pytest.mark.parametrize("path", LEAVING)
def test_a_path_that_leaves_its_folder_is_refused(path: str):
    untracked = Untracked(path=path, oid=OID, size=1)
    for bad in (
        record(artifacts=(file(path),)),
        record(untracked=(untracked,)),
        model(artifacts=(file(path),)),
    ):
        with pytest.raises(Error, match="leaves its folder"):
            record_checks.parse(records.dump(bad))


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (record(id="../r"), "no id"),
        (record(parent_id="a b"), "no id"),
        (record(parent_id="r"), "part of itself"),
        (record(name=" "), "blank"),
        (record(directory="../.."), "leaves the project"),
        (record(code_directory="/x"), "leaves the project"),
        (record(code_diff="../x"), "no hash"),
        (record(environment_oid="x"), "no hash"),
        (record(artifacts=(file("a", oid="sha256:../../x"),)), "no hash"),
        (record(artifacts=(file("a", size=-1),)), "no size"),
        (record(data=(DataRecord(direction="in", path="a", oid="x", kind="dep"),)), "reads or"),
        (record(data=(DataRecord(direction="input", path="\x1b[2J", oid="x", kind="dep"),)),
         "reads or"),
        (record(metrics={"m": Points(steps=[1], ats=[], values=[])}), "cut off"),
        (record(metrics={"m": Points(steps=[], ats=[], values=[])}), "cut off"),
        (record(metrics={"m": Points(steps=[1], ats=[1], values=["x"])}), "no number"),
        (record(edges=(EdgeRecord(source="run:other", relation="r", target="data:x", at=1),)),
         "no descent"),
        (record(edges=(EdgeRecord(source="run:r", relation="r", target="version:a/1", at=1),)),
         "no descent"),
        (record(params={"p": ("a\0b", "str")}), r"params: 'p': 'a\\x00b' is no text that every"),
        (record(tags={"t\0": ("a", 1)}), r"tags: 't\\x00' is no text"),
        (record(start=1 << 63), "start: it is a number of more than 64 bits"),
        (record(metrics={"m": Points(steps=[1, 1 << 63], ats=[1, 2], values=[1.0, 2.0])}),
         "metrics: 'm': it is a number of more than 64 bits"),
        (record(metrics={"m": Points(steps=[1], ats=[-(1 << 63) - 1], values=[1.0])}), "64 bits"),
        (model(tags={"t": "\0"}), "tags: 't': .* no text"),
        (record(params={"p": ("1", "complex")}), "parameter 'p' is '1', which is no 'complex'"),
        (record(params={"p": ("x", "int")}), "which is no 'int'"),
        (record(params={"p": ("[" * 9999, "json")}), "which is no 'json'"),
        (record(data=(DataRecord(direction="input", path="a", oid="md5:1", kind="dep",
                                 details="[1]"),)), "details of 'a' are no mapping"),
        (EnvironmentRecord(oid=OID, content="{}", created=1), "another hash"),
        (EnvironmentRecord(oid=f"sha256:{hashlib.sha256(b'{}').hexdigest()}", content="{}",
                           created=1), "no description of an environment"),
        (PurgedRecord(id="a/b", at=1), "no id"),
        (model(id="m/1"), "no id"),
    ],
)  # fmt: skip
def test_what_no_run_has_is_refused_and_named(bad: Record, problem: str):
    with pytest.raises(Error, match=problem) as caught:
        record_checks.parse(records.dump(bad))
    assert "is refused" in caught.value.what


def test_the_numbers_at_the_ends_of_64_bits_are_taken():
    ends = [-(1 << 63), (1 << 63) - 1]
    one = record(metrics={"m": Points(steps=ends, ats=ends, values=[1.0, 2.0])})
    assert record_checks.parse(records.dump(one)) == one


def test_a_sign_stands_for_what_a_program_printed_and_no_ledger_keeps():
    one = record(log_tail="50 %\0 done\n")
    assert record_checks.parse(records.dump(one)) == record(log_tail="50 %\ufffd done\n")


moments = st.integers(0, 3)
keys = st.sampled_from("ab")
Point = tuple[int, int, float | str]


def ordered(found: list[Point]) -> Points:
    """Return points in the order of a record."""
    rows = sorted(
        found, key=lambda p: (p[0], p[1], 0.0 if p[2] == "nan" else float(p[2]), p[2] == "nan")
    )
    return Points(
        steps=[row[0] for row in rows], ats=[row[1] for row in rows], values=[r[2] for r in rows]
    )


numbers: list[float | str] = [0.0, 1.0, "nan", "inf", "-inf"]
points = st.lists(
    st.tuples(moments, moments, st.sampled_from(numbers)),
    min_size=1,
    max_size=4,
    unique=True,
).map(ordered)
data = st.dictionaries(
    st.tuples(st.sampled_from(["input", "output"]), keys, keys),
    st.none() | st.integers(0, 2),
    max_size=3,
).map(lambda found: tuple(
    DataRecord(direction=k[0], path=k[1], oid=k[2], kind="dep", size=found[k])
    for k in sorted(found)
))  # fmt: skip
artifacts = st.dictionaries(keys, st.tuples(moments, keys), max_size=2).map(lambda found: tuple(
    ArtifactRecord(path=k, oid=found[k][1], size=1, at=found[k][0]) for k in sorted(found)
))  # fmt: skip
edges = st.dictionaries(keys, moments, max_size=2).map(lambda found: tuple(
    EdgeRecord(source=k, relation="r", target="t", at=found[k]) for k in sorted(found)
))  # fmt: skip
run_records = st.builds(
    record,
    name=keys,
    end=moments,
    updated=st.none() | moments,
    deleted=st.none() | moments,
    params=st.dictionaries(keys, st.tuples(keys, st.just("str")), max_size=2),
    tags=st.dictionaries(keys, st.tuples(keys, moments), max_size=2),
    metrics=st.dictionaries(keys, points, max_size=2),
    data=data,
    artifacts=artifacts,
    edges=edges,
)


@given(run_records, run_records, run_records)
def test_the_order_in_which_records_are_merged_never_matters(
    a: RunRecord, b: RunRecord, c: RunRecord
):
    merge = merging.of_runs
    assert merge(a, a) == a
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(merge(a, b), a) == merge(a, b)


model_records = st.builds(
    model,
    name=keys,
    updated=moments,
    params=st.dictionaries(keys, keys, max_size=2),
    tags=st.dictionaries(keys, keys, max_size=2),
    artifacts=artifacts,
)


@given(model_records, model_records, model_records)
def test_the_order_in_which_records_of_models_are_merged_never_matters(
    a: ModelRecord, b: ModelRecord, c: ModelRecord
):
    merge = merging.of_models
    assert merge(a, a) == a
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(run_records)
def test_a_record_is_read_as_it_was_written(one: RunRecord):
    line = records.dump(one)
    assert msgspec.json.decode(line, type=Record) == one


def test_a_record_that_the_server_cannot_keep_is_refused_and_the_others_come(postgres: Postgres):
    long = secrets.token_hex(2000)  # too long for an index, and it cannot be written shorter
    bad = record(id="bad", tags={long: ("a", 1)})
    part = record(id="part", parent_id="bad")
    good = [record(id=f"good{n}", environment_oid=OID, experiment=f"e{n}") for n in range(5)]
    with open_ledger(postgres.database()) as ledger:
        done = load(ledger, [*good[:3], bad, part, *good[3:], model()])
        assert sorted(done.new) == [one.id for one in good]
        assert done.new_models == ["m-1"]
        assert runs.get(ledger, "good4").experiment == "e4"
    of_bad, of_part, of_environment = done.refused
    assert of_bad.startswith("the run 'bad' is refused: the ledger says: index row size")
    assert of_part.startswith("the run 'part' is refused: the run 'bad' that it is a part of")
    assert (
        of_environment == f"the environment '{OID}' of the run 'good0' and of 4 more is not there"
    )
