"""Push, fetch and pull: what is meant goes where it belongs, and what is lacking is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from assay.objects import transfer
from tests import make
from tests.journeys.test_bad_data import DATA, assert_refused

RECORD = "outs:\n- md5: {oid}\n  size: 1\n  hash: md5\n  path: {path}\n{more}"


@pytest.fixture
def shared(project: Path, tmp_path: Path) -> Path:
    """A project with data and two remotes, nothing pushed yet."""
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.done(project, "remote", "add", "other", str(tmp_path / "other"))
    make.write(project, {"a": "1", "b": "2", "d/x": "1", "d/s/y": "3"})
    make.done(project, "add", "a", "b", "d")
    make.commit(project)
    return project


def names(store: Path) -> set[str]:
    return {path.read_text()[:1] for path in store.rglob("*") if path.is_file()}


def test_an_output_goes_to_its_own_remote(shared: Path, tmp_path: Path):
    """`remote:` of a record names it; another remote that is asked for leaves it out."""
    record = (shared / "a.dvc").read_text()
    make.write(shared, {"a.dvc": record + "  remote: other\n"})
    make.write(shared, {"b.dvc": (shared / "b.dvc").read_text() + "  push: false\n"})
    assert make.done(shared, "push") == "4 files pushed\n"
    assert (names(tmp_path / "store"), names(tmp_path / "other")) == ({"1", "3", "["}, {"1"})
    assert make.done(shared, "push", "-r", "other") == "2 files pushed\n"
    shutil.rmtree(tmp_path / "store")
    assert make.done(shared, "push", "-r", "st", "a") == "Everything is up to date.\n"
    make.cache(shared).remove(DATA)
    (shared / "a").unlink()
    make.done(shared, "pull", "a")
    assert (shared / "a").read_text() == "1"


@pytest.mark.parametrize("command", ["push", "fetch", "pull"])
def test_what_is_missing_on_both_sides_is_named_with_its_path(shared: Path, command: str):
    make.cache(shared).remove(DATA)
    if command != "push":
        for name in ("a", "d/x"):
            (shared / name).unlink()
    assert_refused(shared, (command,), 255, f"md5:{DATA} (a)", "neither here nor there")
    make.done(shared, "push", "b")
    make.done(shared, command, "b")  # what is there moves all the same


def test_of_another_commit_the_commit_is_named_too(shared: Path):
    commit = make.git(shared, "rev-parse", "HEAD").strip()
    make.write(shared, {"a": "new", "d/x": "new"})
    make.done(shared, "commit")
    make.commit(shared)
    make.cache(shared).remove(DATA)
    make.done(shared, "push")
    shown = make.assay(shared, "push", "-A", "a")
    assert (shown.code, f"(a at {commit[:10]})" in shown.err) == (255, True)


def test_what_is_missing_may_be_left_out(shared: Path, tmp_path: Path):
    make.done(shared, "push")
    lost = tmp_path / "store" / transfer.key_of(DATA)
    lost.unlink()
    make.git(tmp_path, "clone", "-q", str(shared), "clone")
    clone = tmp_path / "clone"
    shown = make.assay(clone, "pull")
    assert (shown.code, shown.out[:4]) == (255, "A\tb\n")
    assert "--allow-missing" in shown.err
    assert [(clone / name).exists() for name in ("a", "b", "d")] == [False, True, False]
    shown = make.assay(clone, "pull", "--allow-missing")
    assert (shown.code, shown.out) == (0, "A\td/\n1 file added\n")
    assert "left out: 1 object of 'a'" in shown.err
    assert "left out: 1 object of 'd'" in shown.err
    assert sorted(p.name for p in (clone / "d").rglob("*") if p.is_file()) == ["y"]
    make.write(clone, {"a": "a person's own"})
    make.done(clone, "checkout", "--allow-missing", "--force")
    assert (clone / "a").read_text() == "a person's own"
    make.cache(clone).remove(next(oid for oid in make.cache(clone) if oid.endswith(".dir")))
    assert "left out: 1 object of 'd'" in make.assay(clone, "checkout", "--allow-missing").err


def test_a_pull_brings_what_it_can_from_all_remotes_and_names_the_rest(
    shared: Path, tmp_path: Path
):
    make.write(shared, {"c": "own"})
    make.done(shared, "add", "c")
    for name, line in (("b", "remote: other"), ("c", "push: false")):
        record = shared / f"{name}.dvc"
        record.write_text(f"{record.read_text()}  {line}\n")
    make.done(shared, "push")
    make.commit(shared)
    make.git(tmp_path, "clone", "-q", str(shared), "clone")
    clone = tmp_path / "clone"
    shown = make.assay(clone, "pull")
    assert shown.code == 255
    assert shown.out.startswith("A\ta\nA\tb\nA\td/\n")
    assert "'c' is not shared ('push: false')" in shown.err
    assert "'assay pull --allow-missing' goes on without" in shown.err
    assert [(clone / name).exists() for name in ("a", "b", "c", "d/s/y")] == [True] * 2 + [
        False,
        True,
    ]
    assert make.assay(clone, "pull", "--allow-missing").code == 0


def test_a_remote_whose_folder_is_not_there_says_so(shared: Path, tmp_path: Path):
    shown = make.assay(shared, "push")
    assert f"remote 'st': made the folder {tmp_path / 'store'}" in shown.err
    assert "made the folder" not in make.assay(shared, "push").err
    (tmp_path / "store").rename(tmp_path / "unmounted")
    shutil.rmtree(shared / ".dvc" / "cache")
    (shared / "a").unlink()
    for command in ("pull", "fetch"):
        shown = make.assay(shared, command, "a")
        assert shown.code == 255
        assert f"{tmp_path / 'store'}: the folder of remote 'st' is not there" in shown.err
        assert "hint: mount the disk" in shown.err
    assert "the folder of remote 'st' is not there" in make.assay(shared, "status", "-c").err
    assert not (tmp_path / "store").exists()


def test_a_commit_that_cannot_be_read_is_named_and_the_rest_pushed(shared: Path, tmp_path: Path):
    make.write(shared, {"broken.dvc": "outs: ["})
    broken = make.commit(shared)
    (shared / "broken.dvc").unlink()
    make.commit(shared)
    shown = make.assay(shared, "push", "-A")
    assert (shown.code, shown.out) == (0, "4 files pushed\n")
    assert f"warning: {broken[:10]}:broken.dvc" in shown.err
    document = json.loads(make.done(shared, "fetch", "-A", "--json"))
    assert len(document["complaints"]) == 1


def test_a_target_of_another_commit_is_found_there(shared: Path):
    (shared / "b.dvc").unlink()
    make.commit(shared)
    assert make.assay(shared, "push", "b").code == 255
    assert make.done(shared, "push", "b", "-A") == "1 file pushed\n"
    assert "'nope'" in make.assay(shared, "push", "nope", "-A").err


def test_a_part_of_a_folder_moves_alone(shared: Path, tmp_path: Path):
    assert make.done(shared, "push", "d/s") == "1 file pushed\n"
    assert not list((tmp_path / "store").rglob("*.dir"))  # it would say that all files are there
    assert make.done(shared, "push", "d/x") == "2 files pushed\n"
    make.git(tmp_path, "clone", "-q", str(shared), "clone")
    clone = tmp_path / "clone"
    assert make.done(clone, "pull", "d/s") == "A\td/\n2 files fetched and 1 file added\n"
    assert [p.name for p in (clone / "d").rglob("*") if p.is_file()] == ["y"]
    assert make.done(clone, "fetch", "d/s") == "Everything is up to date.\n"


def test_how_many_move_at_a_time_can_be_said(shared: Path):
    assert make.done(shared, "push", "-j", "1") == "4 files pushed\n"
    assert make.assay(shared, "push", "-j", "0").code == 2


def test_what_stages_need_moves_with_them(project: Path, tmp_path: Path):
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.write(project, {"in": "1", "other": "2"})
    make.done(project, "add", "in", "other")
    make.write(
        project,
        {"dvc.yaml": "stages:\n  s:\n    cmd: cp in out\n    deps: [in]\n    outs: [out]\n"},
    )
    make.done(project, "repro")
    make.write(project, {"in": "3"})
    make.done(project, "commit", "-f")
    assert make.done(project, "push", "s") == "1 file pushed\n"
    assert make.done(project, "push", "s", "--with-deps") == "1 file pushed\n"
    assert names(tmp_path / "store") == {"1", "3"}


def test_with_nothing_recorded_there_is_nothing_to_move(project: Path):
    for command in ("push", "fetch", "pull"):
        assert make.done(project, command) == "Everything is up to date.\n"
    assert "no remote 'nope'" in make.assay(project, "push", "-r", "nope").err


def test_the_state_of_a_remote_is_an_answer(shared: Path, tmp_path: Path):
    assert make.assay(shared, "-q", "status", "-c").code == 1
    make.done(shared, "push")
    assert make.done(shared, "status", "-c") == "Cache and remote 'st' are in sync.\n"
    assert make.assay(shared, "-q", "status", "-c").code == 0
    shutil.rmtree(shared / ".dvc" / "cache")
    states = json.loads(make.done(shared, "status", "--cloud", "--json"))
    assert states == dict.fromkeys(["a", "b", "d", "d/s/y", "d/x"], "deleted")
    assert list(make.cache(shared)) == []  # the list of the folder was only looked at
    shutil.rmtree(tmp_path / "store")
    states = json.loads(make.done(shared, "status", "--cloud", "--json"))
    assert states == dict.fromkeys(["a", "b", "d"], "missing")
    for options in (("-c", "--verify"), ("-a",), ("-j", "2")):
        assert make.assay(shared, "status", *options).code == 2


def test_with_verify_no_time_stamp_is_trusted(project: Path):
    """Not even the index: it says what it was told, here by a defect of the file system."""
    make.write(project, {"a": "1", "d/x": "1"})
    make.done(project, "add", "a", "d")
    make.done(project, "status")
    import sqlite3

    with sqlite3.connect(project / ".assay" / "index.db") as index:
        index.execute("update file set oid = ?", ("0" * 32,))
    index.close()
    assert "modified" in make.done(project, "status")
    assert make.done(project, "status", "--verify") == "Data and pipelines are up to date.\n"
    assert make.done(project, "status", "a", "--verify") == "Data and pipelines are up to date.\n"
