"""Records of runs and the kinds of remotes; what is recorded without being asked for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.ledger import deleting, engines, purge, runs
from assay.ledger.database import open_ledger
from assay.ledger.exchange.loading import Loader
from assay.ledger.exchange.records import RunRecord
from assay.ledger.writer import Artifact, Data, Writer
from assay.project.workspace import Project
from assay.workflows import record_state, records
from tests import make
from tests.objects.remotes import servers


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make.project(tmp_path / "ada")


def recorded(root: Path, name: str, content: bytes = b"") -> str:
    project = Project(root)
    with open_ledger(project.ledger_path) as ledger:
        writer = Writer(ledger)
        run = writer.start_run(name=name, kind="script")
        if content:
            oid = f"sha256:{project.objects.add(content)}"
            writer.add_artifacts(run, [Artifact(path="model", oid=oid, size=len(content))])
        writer.finish_run(run, status="finished")
    return run


def purged(root: Path, run: str) -> None:
    with open_ledger(Project(root).ledger_path) as ledger:
        deleting.delete(ledger, [run])
        purge.purge(ledger, purge.find(ledger, [run]), at=1)


def ids(root: Path) -> list[str]:
    found = json.loads(make.done(root, "runs", "list", "--json", "--all"))
    return sorted(run["id"] for run in found)


def clone(root: Path, name: str) -> Path:
    make.commit(root)
    make.git(root.parent, "clone", "-q", str(root), name)
    return root.parent / name


@pytest.fixture
def shared(root: Path, tmp_path: Path) -> Path:
    """The folder of the remote that the project has."""
    make.done(root, "remote", "add", "-d", "store", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with servers.moto() as service:
        servers.ask("PUT", f"{service}/runs")
        yield service


def test_records_travel_by_a_bucket(root: Path, bucket: str):
    make.done(root, "remote", "add", "-d", "store", "s3://runs/team")
    for key, value in {"endpointurl": bucket, **servers.KEYS}.items():
        make.done(root, "remote", "modify", "store", key, value)
    run = recorded(root, "a", b"weights")
    bea = clone(root, "bea")
    assert "1 run pushed" in make.done(root, "push")
    assert "up to date" in make.done(root, "push")
    assert "1 run fetched" in make.done(bea, "pull")
    assert ids(bea) == [run]
    objects = Project(bea).objects
    assert [objects.read(oid) for oid in objects] == [b"weights"]


def test_records_travel_by_webdav(root: Path, tmp_path: Path):
    with servers.webdav(tmp_path / "dav") as where:
        make.done(root, "remote", "add", "-d", "store", f"webdav://{where}/dav/team")
        for key, value in {"user": "ada", "password": "pa55word"}.items():
            make.done(root, "remote", "modify", "store", key, value)
        run = recorded(root, "a", b"weights")
        bea = clone(root, "bea")
        make.done(root, "push")
        make.done(bea, "fetch")
    assert ids(bea) == [run]


def test_what_a_web_server_cannot_list_is_left_out_unless_it_is_asked_for(root: Path):
    make.done(root, "remote", "add", "-d", "store", "http://127.0.0.1:9/data")
    recorded(root, "a")
    assert make.done(root, "push") == "Everything is up to date.\n"
    said = make.assay(root, "push", "--runs")
    assert said.code == 255
    assert "cannot list what it has below 'assay/runs'" in said.err


def test_a_remote_that_keeps_versions_gets_no_records(root: Path, bucket: str):
    make.done(root, "remote", "add", "-d", "store", "s3://runs/versions")
    for key, value in {"endpointurl": bucket, "version_aware": "true", **servers.KEYS}.items():
        make.done(root, "remote", "modify", "store", key, value)
    recorded(root, "a")
    make.done(root, "push")
    said = make.assay(root, "push", "--runs")
    assert said.code == 255
    assert "keeps files under their own names" in said.err


def test_records_stay_here_where_a_setting_says_so(root: Path, shared: Path):
    recorded(root, "a")
    make.done(root, "config", "run.share", "false")
    assert make.done(root, "push") == "Everything is up to date.\n"
    assert not shared.exists()
    assert "1 run pushed" in make.done(root, "push", "--runs")


def test_without_a_remote_a_push_says_nothing_of_runs(root: Path):
    recorded(root, "a")
    assert make.done(root, "push") == "Everything is up to date.\n"


def packs(store: Path) -> list[str]:
    return [
        gzip.decompress(path.read_bytes()).decode() for path in (store / "assay/runs").iterdir()
    ]


def test_a_purged_run_is_gone_from_the_remote_too(root: Path, shared: Path):
    kept, gone = recorded(root, "kept"), recorded(root, "gone")
    bea = clone(root, "bea")
    make.done(root, "push")
    make.done(bea, "fetch")
    late = recorded(bea, "late")
    purged(root, gone)
    make.done(root, "push")
    [left] = packs(shared)
    assert gone in left  # its id alone
    assert '"name":"gone"' not in left
    assert '"name":"kept"' in left
    make.done(bea, "push")
    assert not any('"name":"gone"' in text for text in packs(shared))
    make.done(bea, "fetch")
    assert ids(bea) == sorted([kept, late])
    make.done(root, "fetch")
    assert ids(root) == sorted([kept, late])
    cal = clone(root, "cal")
    make.done(cal, "fetch")
    assert ids(cal) == sorted([kept, late])
    assert "up to date" in make.done(bea, "push")
    assert "up to date" in make.done(root, "push")


def test_a_damaged_pack_is_not_removed_when_a_run_of_it_is_purged(root: Path, shared: Path):
    recorded(root, "kept")
    gone = recorded(root, "gone")
    make.done(root, "push")
    [pack] = (shared / "assay" / "runs").iterdir()
    pack.chmod(0o644)
    pack.write_bytes(b"damaged")
    purged(root, gone)
    make.done(root, "push")
    assert pack.read_bytes() == b"damaged"
    bea = clone(root, "bea")
    assert "damaged or cut off" in make.assay(bea, "fetch").err


def test_many_runs_go_in_several_packs(root: Path, shared: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(records, "_PACK", 2)
    recorded_ = [recorded(root, f"{n}") for n in range(5)]
    bea = clone(root, "bea")
    make.done(root, "push")
    assert len(packs(shared)) == 3
    make.done(bea, "fetch")
    assert ids(bea) == sorted(recorded_)


def test_an_artifact_that_is_nowhere_is_named_and_the_record_goes(root: Path, shared: Path):
    run = recorded(root, "a", b"weights")
    objects = Project(root).objects
    for oid in list(objects):
        objects.remove(oid)
    bea = clone(root, "bea")
    said = make.assay(root, "push")
    assert said.code == 0
    assert "neither here nor on the remote: 1 artifact of runs" in said.err
    make.done(bea, "fetch")
    assert ids(bea) == [run]


def test_an_unchanged_ledger_is_not_opened_by_a_push(
    root: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
):
    recorded(root, "a")
    make.done(root, "push")
    make.done(root, "push")
    opened: list[object] = []

    def send(*arguments: object) -> records.Travelled:
        opened.append(arguments)
        return records.Travelled()

    monkeypatch.setattr(records, "_send", send)
    make.done(root, "push")
    assert opened == []
    recorded(root, "b")
    make.done(root, "push")
    assert len(opened) == 1


def test_a_state_says_nothing_of_the_address(root: Path, tmp_path: Path):
    settings = Project(root).config
    make.done(root, "remote", "add", "-d", "store", "s3://user:secret@bucket/x")
    place = record_state.path_of(
        Project(root), Project(root).config.remote(), ledger="postgresql://ada:secret@db/x"
    )
    assert "secret" not in str(place)
    assert settings is not None


PIPELINE = {
    "in.txt": '{"acc": 0.5}',
    "params.yaml": "lr: 1\n",
    "dvc.yaml": (
        "stages:\n"
        "  a:\n    cmd: cp in.txt out.txt\n    deps: [in.txt]\n    outs: [out.txt]\n"
        "  b:\n    cmd: cp out.txt m.json\n    deps: [out.txt]\n    params: [lr]\n"
        "    metrics: [m.json]\n"
    ),
}


def test_each_repro_and_experiment_that_runs_a_stage_is_a_run_with_a_part_for_each(root: Path):
    make.write(root, PIPELINE)
    make.commit(root)
    make.done(root, "repro")
    make.commit(root)
    make.done(root, "repro")  # runs nothing, records nothing
    make.done(root, "exp", "run", "--name", "here", "-S", "lr=2")
    make.done(root, "exp", "run", "--temp", "--name", "temp", "-S", "lr=3")
    make.done(root, "exp", "run", "--queue", "--name", "queued", "-S", "lr=4")
    make.done(root, "exp", "run", "--run-all")
    make.done(root, "exp", "run", "--queue", "--name", "sweep", "-S", "lr=5,6")
    make.done(root, "queue", "start", "--jobs", "2")  # processes of their own
    for name in ("sweep-1", "sweep-2"):
        make.done(root, "queue", "logs", name, "--follow")
    found = json.loads(make.done(root, "runs", "list", "--json", "--all"))
    tops = {run["id"]: run["name"] for run in found if run["parent"] is None}
    assert sorted(tops.values()) == sorted(["ada", "here", "temp", "queued", "sweep-1", "sweep-2"])
    parts: dict[str, list[str]] = {}
    for run in found:
        if run["parent"] is not None:
            parts.setdefault(tops[run["parent"]], []).append(run["stage"])
    assert {name: sorted(stages) for name, stages in parts.items()} == {
        "ada": ["a", "b"], "here": ["b"], "temp": ["b"], "queued": ["b"],
        "sweep-1": ["b"], "sweep-2": ["b"],
    }  # fmt: skip
    assert {run["status"] for run in found} == {"finished"}


def test_a_profile_that_was_made_after_a_push_travels_with_the_next_one(root: Path, shared: Path):
    content = f"md5:{'0' * 32}"
    project = Project(root)
    with open_ledger(project.ledger_path) as ledger:
        writer = Writer(ledger)
        run = writer.start_run(name="a", kind="script")
        writer.add_inputs(run, [Data(path="a.csv", oid=content)])
        writer.finish_run(run, status="finished")
        bea = clone(root, "bea")
        make.done(root, "push")
        make.done(bea, "fetch")
        profile = f"sha256:{project.objects.add(b'a profile')}"
        writer.set_profiles({content: profile})
        writer.set_profiles({content: profile})  # it is there already: nothing changes
    assert "1 run pushed" in make.done(root, "push")
    assert "up to date" in make.done(root, "push")
    assert "1 run fetched" in make.done(bea, "fetch")
    with open_ledger(Project(bea).ledger_path) as ledger:
        assert [one.profile for one in runs.get(ledger, run).inputs] == [profile]
    objects = Project(bea).objects
    assert [objects.read(oid) for oid in objects] == [b"a profile"]


def test_gc_keeps_what_records_name_and_frees_it_after_a_purge(root: Path):
    import os

    make.commit(root)
    run = recorded(root, "a", b"weights")
    objects = Project(root).objects
    for oid in objects:
        os.utime(objects.path(oid), (0, 0))
    make.done(root, "gc", "-w", "--force")
    assert len(list(objects)) == 1
    make.done(root, "runs", "delete", run)
    make.done(root, "gc", "-w", "--force")
    assert len(list(objects)) == 1
    purged_rows(root)
    make.done(root, "gc", "-w", "--force")
    assert list(objects) == []


def purged_rows(root: Path) -> None:
    """Purge as a process that is killed before it frees the artifacts."""
    with open_ledger(Project(root).ledger_path) as ledger:
        purge.purge(ledger, purge.find(ledger), at=1)


def test_a_push_and_a_fetch_that_were_broken_off_are_done_again_without_harm(
    root: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
):
    kept = sorted(recorded(root, f"{n}", b"weights") for n in range(3))
    bea = clone(root, "bea")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for folder, command in ((root, "push"), (bea, "fetch")):
        with monkeypatch.context() as patched:
            patched.setattr(record_state, "write", killed)
            assert make.assay(folder, command).code == 130
        make.done(folder, command)
    assert len(packs(shared)) == 1
    assert ids(bea) == kept
    assert "up to date" in make.done(root, "push")
    assert "up to date" in make.done(bea, "fetch")


def test_nothing_stays_of_records_on_their_way(root: Path, shared: Path):
    recorded(root, "a")
    make.done(root, "push")
    bea = clone(root, "bea")
    make.done(bea, "fetch")
    for folder in (root, bea):
        left = list((Project(folder).assay_dir / "records").iterdir())
        assert [path.name for path in left if path.name.startswith(".")] == []


def test_a_run_that_goes_on_here_again_is_left_alone_by_a_fetch(root: Path, shared: Path):
    from assay.ledger import tables

    run = recorded(root, "a")
    bea = clone(root, "bea")
    make.done(root, "push")
    make.done(bea, "fetch")
    with open_ledger(Project(root).ledger_path) as ledger:
        Writer(ledger).set_tags(run, {"x": "1"})
    make.done(root, "push")
    with open_ledger(Project(bea).ledger_path) as ledger:
        with ledger.write() as connection:
            connection.execute(tables.run.update().values(status="running", end=None))
        make.done(bea, "fetch")
        assert runs.get(ledger, run).status == "running"


def loaded(root: Path, begin: int, end: int) -> None:
    """Take many runs into the ledger at once."""
    with open_ledger(Project(root).ledger_path) as ledger:
        loader = Loader(ledger, at=1)
        loader.add(
            RunRecord(
                id=f"r{number:04}", name="n", kind="script", status="finished", experiment="e",
                start=1, end=2,
            )
            for number in range(begin, end)
        )  # fmt: skip
        loader.finish()


def test_a_fetch_that_cannot_write_the_ledger_notes_no_pack_as_seen(
    root: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
):
    other = clone(root, "bea")
    for begin in (0, 300):
        loaded(root, begin, begin + 300)
        make.done(root, "push")
    assert len(list(shared.rglob("assay/runs/*"))) == 2
    recorded(other, "own")
    monkeypatch.setattr(engines, "BUSY_TIMEOUT", 0.2)
    with open_ledger(Project(other).ledger_path) as ledger, ledger.write() as connection:
        connection.exec_driver_sql("SELECT 1")
        said = make.assay(other, "fetch")
        assert said.code == 255
        assert "database is locked" in said.err
    make.done(other, "fetch")
    with open_ledger(Project(other).ledger_path) as ledger:
        assert len(runs.list_(ledger, limit=1000)) == 601
