"""Three clones and a remote: the history of runs travels with the data, without a server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from assay.ledger.database import open_ledger
from assay.ledger.writer import Artifact, Metric, Writer
from assay.objects.remotes.local import LocalRemote
from assay.project.workspace import Project
from tests import make


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A project with a pipeline of two stages, on a branch that others clone."""
    root = make.project(tmp_path / "origin")
    make.write(root, {
        "in.txt": "1\n",
            "size.json": '{"size": 2}',
        "dvc.yaml": (
            "stages:\n"
            "  clean:\n    cmd: sort in.txt > out.txt\n    deps: [in.txt]\n    outs: [out.txt]\n"
            "  score:\n    cmd: wc -c < out.txt > n.txt && cp size.json m.json\n"
            "    deps: [out.txt]\n    outs: [n.txt]\n    metrics: [m.json]\n"
        ),
    })  # fmt: skip
    make.done(root, "remote", "add", "-d", "store", str(tmp_path / "store"))
    make.commit(root)
    make.git(root, "config", "receive.denyCurrentBranch", "ignore")
    return root


def clone(origin: Path, name: str) -> Path:
    folder = origin.parent / name
    make.git(origin.parent, "clone", "-q", str(origin), name)
    return folder


def listed(root: Path, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        make.done(root, "runs", "list", "--all", "--json", "-n", "1000", *arguments)
    )
    return found


def ids(root: Path) -> list[str]:
    return sorted(run["id"] for run in listed(root))


def shown(root: Path, run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(make.done(root, "runs", "show", run, "--json"))
    return found


def recorded(root: Path, name: str, content: bytes, *, loss: float) -> str:
    """Record a run of a script with an artifact."""
    project = Project(root)
    with open_ledger(project.ledger_path) as ledger:
        writer = Writer(ledger)
        run = writer.start_run(name=name, kind="script", experiment="tries")
        writer.log_params(run, {"name": name})
        writer.log_metrics(run, [Metric(key="loss", value=loss, at=1)])
        oid = project.objects.add(content)
        kept = Artifact(path="out/model.bin", oid=f"sha256:{oid}", size=len(content))
        writer.add_artifacts(run, [kept])
        writer.finish_run(run, status="finished")
    return run


def test_the_runs_of_three_clones_become_one_history(origin: Path):
    ada, bea, cal = (clone(origin, name) for name in ("ada", "bea", "cal"))
    make.done(ada, "repro")
    first = ids(ada)
    assert len(first) == 3  # the pipeline and its two stages
    second = [recorded(bea, "b", b"model of b", loss=0.5)]
    third = [recorded(cal, "c", b"model of c", loss=0.25)]
    for root in (ada, bea, cal):
        make.done(root, "push")
    for root in (bea, ada, cal, bea):
        make.done(root, "fetch")
    every = sorted([*first, *second, *third])
    assert ids(ada) == ids(bea) == ids(cal) == every
    for run in every:
        there = [shown(root, run) for root in (ada, bea, cal)]
        for one in there:
            for part in (one["run"], *one["children"]):
                part["experiment_id"] = part["pid"] = None
        assert there[0] == there[1] == there[2]


def test_a_fresh_clone_has_metrics_artifacts_and_can_reproduce(origin: Path):
    ada = clone(origin, "ada")
    make.done(ada, "repro")
    run = recorded(ada, "big", b"weights", loss=0.125)
    make.done(ada, "push")
    make.commit(ada)
    make.git(ada, "push", "-q")
    bea = clone(origin, "bea")
    out = make.done(bea, "pull")
    assert "2 runs fetched" in out
    found = shown(bea, run)["run"]
    assert found["metrics"]["loss"]["value"] == 0.125
    assert found["params"] == {"name": "big"}
    [artifact] = found["artifacts"]
    assert Project(bea).objects.read(artifact["oid"].removeprefix("sha256:")) == b"weights"
    shutil.rmtree(ada)
    [pipeline] = [one["id"] for one in listed(bea) if one["kind"] == "pipeline"]
    assert "identical to the bit" in make.done(bea, "reproduce", pipeline)


def test_later_changes_travel_too(origin: Path):
    ada, bea = clone(origin, "ada"), clone(origin, "bea")
    run = recorded(ada, "a", b"1", loss=1.0)
    make.done(ada, "push")
    make.done(bea, "fetch")
    with open_ledger(Project(bea).ledger_path) as ledger:
        Writer(ledger).set_tags(run, {"by": "bea"})
    assert "1 run pushed" in make.done(bea, "push")
    assert "1 run fetched" in make.done(ada, "fetch")
    assert shown(ada, run)["run"]["tags"] == {"by": "bea"}
    assert "up to date" in make.done(ada, "push")
    assert "up to date" in make.done(bea, "fetch")


def test_a_run_that_goes_on_does_not_travel_before_its_end(origin: Path):
    ada, bea = clone(origin, "ada"), clone(origin, "bea")
    with open_ledger(Project(ada).ledger_path) as ledger:
        run = Writer(ledger).start_run(name="long", kind="script")
        make.done(ada, "push")
        make.done(bea, "fetch")
        assert not Project(bea).ledger_path.exists()
        Writer(ledger).finish_run(run, status="finished")
    make.done(ada, "push")
    make.done(bea, "fetch")
    assert ids(bea) == [run]


def test_records_stay_where_they_are_with_no_runs_and_where_targets_are_named(origin: Path):
    ada = clone(origin, "ada")
    make.done(ada, "repro")
    store = origin.parent / "store"
    make.done(ada, "push", "--no-runs")
    make.done(ada, "push", "out.txt")
    assert not (store / "assay").exists()
    make.done(ada, "push", "out.txt", "--runs")
    assert [path.parent.name for path in (store / "assay" / "runs").iterdir()] == ["runs"]


class Counted(LocalRemote):
    """A remote that counts what it is asked."""

    asked: list[str]

    def list_(self, prefix: str) -> Any:
        self.asked.append(f"list {prefix}")
        return super().list_(prefix)

    def find(self, keys: Sequence[str]) -> set[str]:
        self.asked.append(f"find {len(keys)}")
        return super().find(keys)

    def upload(self, items: Sequence[Any], *, advance: Any) -> Any:
        self.asked.append(f"upload {len(items)}")
        return super().upload(items, advance=advance)

    def download(self, items: Sequence[Any], *, advance: Any) -> Any:
        self.asked.append(f"download {len(items)}")
        return super().download(items, advance=advance)


def asked(root: Path, function: Any) -> list[str]:
    """Return what a remote is asked by a push or fetch of records."""
    project = Project(root)
    settings = project.config.remote()
    remote = Counted(settings)
    remote.asked = []
    function(project, settings, remote)
    return remote.asked


def test_a_push_with_nothing_new_asks_for_one_small_listing(origin: Path):
    from assay.workflows import records

    ada, bea = clone(origin, "ada"), clone(origin, "bea")
    assert asked(ada, records.push) == []
    for n in range(5):
        recorded(ada, f"a{n}", f"{n}".encode(), loss=1.0)
    assert asked(ada, records.push) == [
        "list assay/runs", "find 5", "upload 5", "upload 1", "upload 1",  # their names, the pack
    ]  # fmt: skip
    assert asked(ada, records.push) == ["list assay/runs"]
    assert asked(bea, records.fetch) == [
        "list assay/runs", "download 1", "find 5", "download 5",
    ]  # fmt: skip
    assert asked(bea, records.fetch) == ["list assay/runs"]
    assert asked(bea, records.push) == ["list assay/runs"]
    run = recorded(ada, "late", b"4", loss=1.0)
    assert asked(ada, records.push) == ["list assay/runs", "find 1", "upload 1", "upload 1"]
    assert asked(bea, records.fetch) == ["list assay/runs", "download 1"]
    assert run in ids(bea)


def test_two_pushers_never_overwrite_one_another(origin: Path):
    ada, bea = clone(origin, "ada"), clone(origin, "bea")
    run = recorded(ada, "a", b"1", loss=1.0)
    make.done(ada, "push")
    make.done(bea, "fetch")
    for root, tag in ((ada, "x"), (bea, "y")):
        with open_ledger(Project(root).ledger_path) as ledger:
            Writer(ledger).set_tags(run, {tag: "1"})
    for root in (ada, bea):
        make.done(root, "push")
    for root in (ada, bea):
        make.done(root, "fetch")
        assert shown(root, run)["run"]["tags"] == {"x": "1", "y": "1"}


def test_a_remote_that_lost_its_records_gets_them_again(origin: Path):
    ada, bea = clone(origin, "ada"), clone(origin, "bea")
    run = recorded(ada, "a", b"1", loss=1.0)
    make.done(ada, "push")
    shutil.rmtree(origin.parent / "store" / "assay")
    assert "up to date" in make.done(ada, "fetch")
    assert make.done(ada, "push") == "1 run pushed\n"
    make.done(bea, "fetch")
    assert ids(bea) == [run]


def test_what_is_wrong_on_the_remote_is_left_out_and_named(origin: Path):
    ada, bea, cal = (clone(origin, name) for name in ("ada", "bea", "cal"))
    runs = [recorded(ada, "a", b"1", loss=1.0)]
    make.done(ada, "push")
    folder = origin.parent / "store" / "assay" / "runs"
    [bad] = folder.iterdir()
    runs += [recorded(cal, "c", b"2", loss=1.0)]
    make.done(cal, "push")
    bad.chmod(0o644)
    content = bad.read_bytes()
    bad.write_bytes(content[: len(content) // 2])
    (folder / "README").write_text("hello")
    said = make.assay(bea, "fetch")
    assert said.code == 0
    assert "damaged or cut off; left out" in said.err
    assert ids(bea) == runs[1:]
    bad.write_bytes(content)
    assert "warning" not in make.assay(bea, "fetch").err
    assert ids(bea) == sorted(runs)


def test_artifacts_come_when_they_are_asked_for(origin: Path):
    ada, bea = clone(origin, "ada"), clone(origin, "bea")
    recorded(ada, "a", b"weights", loss=1.0)
    make.done(ada, "push")
    make.done(bea, "fetch", "--no-artifacts")
    objects = Project(bea).objects
    assert list(objects) == []
    assert make.done(bea, "fetch", "--artifacts") == "1 artifact fetched\n"
    assert [objects.read(oid) for oid in objects] == [b"weights"]


def test_artifacts_of_older_runs_stay_where_there_are_too_many(
    origin: Path, monkeypatch: pytest.MonkeyPatch
):
    from assay.workflows import record_objects

    ada, bea = clone(origin, "ada"), clone(origin, "bea")
    recorded(ada, "old", b"old weights", loss=1.0)
    recorded(ada, "new", b"new weights", loss=1.0)
    make.done(ada, "push")
    monkeypatch.setattr(record_objects, "MOST", 12)
    said = make.assay(bea, "fetch")
    assert "artifacts of older runs (11 B) stay on the remote" in said.err
    objects = Project(bea).objects
    assert [objects.read(oid) for oid in objects] == [b"new weights"]
    make.done(bea, "fetch", "--artifacts")
    assert len(list(objects)) == 2


def test_gc_keeps_what_pulled_records_name(origin: Path):
    ada, bea = clone(origin, "ada"), clone(origin, "bea")
    recorded(ada, "a", b"weights", loss=1.0)
    make.done(ada, "push")
    make.done(bea, "fetch")
    make.done(bea, "gc", "--all-commits", "--force")
    make.done(bea, "gc", "--all-commits", "--cloud", "--force")
    objects = Project(bea).objects
    assert [objects.read(oid) for oid in objects] == [b"weights"]
    cal = clone(origin, "cal")
    make.done(cal, "fetch")
    assert len(ids(cal)) == 1


def test_a_lost_state_costs_time_and_nothing_else(origin: Path):
    ada, bea = clone(origin, "ada"), clone(origin, "bea")
    run = recorded(ada, "a", b"1", loss=1.0)
    make.done(ada, "push")
    for content in (None, b"no state", b""):
        [state] = (Project(ada).assay_dir / "records").iterdir()
        state.unlink()
        if content is not None:
            state.write_bytes(content)
        make.done(ada, "push")
    assert len(list((origin.parent / "store" / "assay" / "runs").iterdir())) == 1
    make.done(bea, "fetch")
    assert ids(bea) == [run]
