"""A collection deletes what nobody names, says so before, and nothing else."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.deploy import registry
from assay.ledger import models, runs
from assay.ledger.database import open_ledger
from assay.pipeline import kept
from assay.project.workspace import Project
from assay.workflows import garbage, live
from assay.workflows.garbage import Keep
from tests import make, stages

ONE = "c4ca4238a0b923820dcc509a6f75849b"  # of "1"
OLD = f"md5-dos2unix:{ONE}"
LIST = "a09b80ac1a194d0ff1ac6b8fd08ebfd9.dir"  # of ONE as b


@pytest.fixture
def two(project: Path, tmp_path: Path) -> Path:
    """A project of which the cache has two versions of a file and of a folder."""
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    for number in "12":
        make.write(project, {"f": number, "d/x": f"x{number}", "d/same": "same"})
        make.done(project, "add", "f", "d")
        make.commit(project, number)
    return project


def documents(project: Path, *options: str) -> dict[str, list[str]]:
    """Return what a collection would delete, by store."""
    found = json.loads(make.done(project, "gc", "--dry", "--json", *options))
    return {store["name"]: store["objects"] for store in found["stores"]}


def test_without_a_choice_nothing_is_done(two: Path):
    shown = make.assay(two, "gc", "-f")
    assert (shown.code, "say what is to be kept" in shown.err) == (2, True)


@pytest.mark.parametrize(
    "options", ["-w -c --not-in-remote", "-w -r st", "-w -n 2", "--date x", "--rev HEAD -n 0"]
)
def test_choices_that_contradict_each_other_are_refused(two: Path, options: str):
    before = set(make.cache(two))
    assert make.assay(two, "gc", "-f", *options.split()).code == 2
    assert set(make.cache(two)) == before


def test_a_dry_collection_lists_all_and_deletes_nothing(two: Path):
    before = set(make.cache(two))
    said = make.done(two, "gc", "-w", "--dry")
    assert said.count("Removing ") == 3
    assert said.endswith("Would remove 3 objects (128 B) from the cache.\n")
    assert f"Removing {make.cache(two).path(ONE)}\n" in said
    assert set(make.cache(two)) == before


def test_where_nobody_can_be_asked_nothing_is_deleted(two: Path):
    before = set(make.cache(two))
    shown = make.process(two, "gc", "-w")
    assert shown.code == 1
    assert "Kept is what the work tree names. Nobody else names:" in shown.err
    assert f"{ONE}  1 B" in shown.err
    assert "--force" in shown.err
    assert set(make.cache(two)) == before


@pytest.mark.parametrize(("answer", "code", "n_left"), [("n", 1, 7), ("", 1, 7), ("y", 0, 4)])
def test_a_person_is_asked(two: Path, answer: str, code: int, n_left: int):
    there, here = pty.openpty()
    process = subprocess.Popen(
        make.command("gc", "-w"), cwd=two, stdin=here, stdout=subprocess.PIPE, stderr=-1
    )
    os.write(there, f"{answer}\n".encode())
    _, err = process.communicate()
    os.close(there)
    os.close(here)
    assert b"Delete them? [y/N]" in err
    assert (process.returncode, len(set(make.cache(two)))) == (code, n_left)


def test_nothing_to_do_asks_nobody(two: Path):
    assert make.process(two, "gc", "-A").out == "Nothing to remove from the cache.\n"


def test_what_linked_work_trees_name_is_kept(two: Path, tmp_path: Path):
    """They share the cache of their clone; the loop works in one."""
    make.git(two, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"), "HEAD~1")
    assert documents(two, "-w") == {"cache": []}
    assert documents(tmp_path / "linked", "-w") == {"cache": []}
    shutil.rmtree(tmp_path / "linked")
    assert len(documents(two, "-w")["cache"]) == 3


def test_what_the_loops_branches_name_is_kept(two: Path):
    make.git(two, "branch", "assay/endpoint", "HEAD~1")
    assert documents(two, "-w") == {"cache": []}


def test_what_other_projects_name_is_kept_where_they_are_named(two: Path, tmp_path: Path):
    other = make.project(tmp_path / "other")
    make.done(other, "config", "cache.dir", str(two / ".dvc" / "cache"))
    make.write(other, {"mine": "1", "theirs": "only there"})
    make.done(other, "add", "mine", "theirs")
    alone = documents(two, "-w")["cache"]
    together = documents(two, "-w", "-p", str(other))["cache"]
    assert set(alone) - set(together) == {ONE, make.cache(two).add(b"only there")}
    assert make.assay(two, "gc", "-w", "-p", str(tmp_path), "-f").code == 255
    shown = make.assay(other, "gc", "-w", "--dry")
    assert "name them with --projects" in shown.out


def test_a_record_that_cannot_be_read_keeps_all_it_names(two: Path):
    record = (two / "d.dvc").read_text()
    make.write(two, {"d.dvc": f"<<<<<<< ours\n{record}=======\n>>>>>>> theirs\n"})
    assert len(documents(two, "-w")["cache"]) == 3
    make.write(two, {"dvc.lock": f"stages: [unclosed\n# {ONE}\n", "dvc.yaml": "stages: {}\n"})
    assert ONE not in documents(two, "-w")["cache"]


def test_the_list_of_a_folder_comes_from_the_remote(two: Path):
    """Without it the files of the folder would be taken for garbage."""
    make.done(two, "push", "-A")
    before = set(make.cache(two))
    for oid in before:
        if oid.endswith(".dir"):
            make.cache(two).remove(oid)
    make.done(two, "gc", "-A", "-f")
    assert set(make.cache(two)) == before


def test_a_list_that_is_nowhere_is_said_before_anybody_agrees(two: Path):
    for oid in list(make.cache(two)):
        if oid.endswith(".dir"):
            make.cache(two).remove(oid)
    shown = make.assay(two, "gc", "-A")
    assert shown.code == 1
    assert "the file lists of 2 folders are in no cache" in shown.err
    make.done(two, "gc", "-A", "-f")
    assert len(set(make.cache(two))) == 2


def test_a_remote_that_cannot_be_asked_for_lists_stops_it(two: Path, tmp_path: Path):
    for oid in list(make.cache(two)):
        if oid.endswith(".dir"):
            make.cache(two).remove(oid)
    (tmp_path / "store").write_text("no folder")
    before = set(make.cache(two))
    shown = make.assay(two, "gc", "-A", "-f")
    assert (shown.code, "--skip-failed" in shown.err) == (255, True)
    assert set(make.cache(two)) == before
    make.done(two, "gc", "-A", "-f", "--skip-failed")


def test_a_damaged_list_counts_as_lost_and_comes_again(two: Path):
    make.done(two, "push", "-A")
    manifest = next(oid for oid in make.cache(two) if oid.endswith(".dir"))
    stages.damage(make.cache(two).path(manifest))
    before = set(make.cache(two))
    make.done(two, "gc", "-A", "-f")
    assert set(make.cache(two)) == before
    assert make.cache(two).verify(manifest)


def test_what_is_on_the_remote_may_go_where_a_person_says_so(two: Path):
    make.done(two, "push")
    assert len(documents(two, "-A")["cache"]) == 0
    gone = documents(two, "-A", "--not-in-remote")["cache"]
    assert len(gone) == 4
    make.done(two, "gc", "-A", "--not-in-remote", "-f")
    assert len(set(make.cache(two))) == 3
    make.done(two, "pull")


def test_a_remote_keeps_what_is_named_and_all_that_is_no_object(two: Path, tmp_path: Path):
    make.done(two, "push", "-A")
    store = tmp_path / "store"
    make.write(store, {"files/md5/README": "ours", "assay/sha256/ab/cd": "x", "runs/ab/x": "y"})
    make.done(two, "gc", "-w", "-c", "-f")
    names = {p.relative_to(store).as_posix() for p in store.rglob("*") if p.is_file()}
    assert len(names) == 7
    assert {"files/md5/README", "assay/sha256/ab/cd", "runs/ab/x"} < names
    make.done(two, "pull")


def test_files_that_are_links_into_the_cache_are_kept(two: Path):
    """A symlink that lost its object is a lost file of a person."""
    make.done(two, "config", "cache.type", "symlink")
    make.done(two, "checkout", "--relink")
    (two / "f.dvc").unlink()
    make.done(two, "gc", "-w", "-f")
    assert (two / "f").read_text() == "2"


def old(folder: Path) -> None:
    """Make all objects of a store two hours old."""
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 7200,) * 2)


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A project with a recorded run, its own objects two hours old."""
    folder, _ = stages.three_ran(tmp_path)
    make.commit(folder)
    old(folder / ".assay" / "objects")
    return folder


def test_of_our_own_objects_those_go_that_the_ledger_does_not_name(ran: Path):
    project = Project(ran)
    before = set(project.objects)
    assert before
    orphan = project.objects.add(b"named by nobody")
    assert documents(ran, "-w")["objects"] == []  # its row may be on its way
    old(project.objects.folder)
    assert documents(ran, "-w")["objects"] == [orphan]
    make.done(ran, "gc", "-w", "-f")
    assert set(project.objects) == before


def test_what_a_document_names_is_kept_with_it(ran: Path):
    """The files of a bundle are named by its index alone."""
    project = Project(ran)
    file = project.objects.add(b"the model")
    index = project.objects.add(json.dumps({"files": {"model": {"sha256": file}}}).encode())
    lost = project.objects.add(json.dumps({"files": file}).encode())
    with open_ledger(project.ledger_path) as ledger:
        models.register(ledger, "m", bundle=f"sha256:{index}", run=None)
    old(project.objects.folder)
    assert documents(ran, "-w")["objects"] == [lost]


def test_the_profile_of_data_that_is_kept_is_kept(ran: Path):
    make.write(ran, {"t.csv": "a,b\n1,2\n"})
    make.done(ran, "add", "t.csv")
    old(Project(ran).objects.folder)
    assert documents(ran, "-w")["objects"] == []
    (ran / "t.csv.dvc").unlink()
    assert len(documents(ran, "-w")["objects"]) == 1


def test_without_a_ledger_our_own_objects_are_left_alone(project: Path):
    objects = Project(project).objects
    objects.add(b"named by nobody")
    old(objects.folder)
    make.done(project, "gc", "-w", "-f")
    assert len(set(objects)) == 1


def test_data_of_registered_models_is_kept_and_of_deleted_ones_not(ran: Path):
    project = Project(ran)
    with open_ledger(project.ledger_path) as ledger:
        (run,) = runs.list_(ledger)
        models.register(ledger, "m", run=run.id)
        data = registry.data_of(project, ledger, runs.get(ledger, run.id))
        assert kept.keep(project, data) == len(set(kept.store(project))) > 1
        other = project.cache.add(b"of a version that was deleted")
        kept.keep(project, [other])
        assert documents(ran, "-w")["kept data"] == [other]
        models.delete_version(ledger, "m/1")
    assert set(documents(ran, "-w")["kept data"]) == set(kept.store(project))


def test_what_is_found_after_a_person_agreed_is_not_deleted(two: Path):
    project, keep = Project(two), Keep(workspace=True)
    agreed = garbage.find(project, keep)
    later = project.cache.add(b"came later")
    make.git(two, "branch", "assay/x", "HEAD~1")
    gone = garbage.delete(project, keep, agreed)
    assert not gone
    assert later in project.cache
    assert ONE in project.cache


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.dvc", f"outs:\n- md5: {ONE}\n  hash: md5\n  path: a\n", {ONE}),
        ("a.dvc", f"outs:\n- md5: {ONE}\n  path: a\n", {OLD}),
        ("a.dvc", f"outs:\n- md5: {ONE.upper()}\n  hash: md5\n  path: a\n", {ONE}),
        (
            "a.dvc",
            f"outs:\n- path: a\n  hash: md5\n  files:\n  - md5: {ONE}\n    relpath: b\n",
            {ONE, f"listed:{LIST}"},
        ),
        ("a.dvc", f"deps:\n- md5: {ONE}\n  path: b\nouts:\n- path: a\n", set()),
        (
            "dvc.lock",
            f"stages:\n  s:\n    outs:\n    - md5: {ONE}.dir\n      hash: md5\n      path: a\n",
            {f"{ONE}.dir"},
        ),
        (
            "dvc.lock",
            f"stages:\n  s:\n    outs:\n    - md5: {ONE}.dir\n      path: a\n",
            {f"{OLD}.dir"},
        ),
        ("dvc.lock", f"stages:\n  s: broken {ONE}\n", {ONE, OLD}),
        ("a.dvc", f"outs: [{ONE}, {{", {ONE, OLD}),
        ("a.dvc", "", set()),
        ("dvc.yaml", ONE, set()),
    ],
)
def test_a_metafile_names_its_outputs(name: str, text: str, expected: set[str]):
    assert live.of_metafile(name, text.encode()) == expected


def test_a_lock_that_cannot_be_taken_stops_it(two: Path):
    project, keep = Project(two), Keep(workspace=True)
    (two / ".assay" / "lock").mkdir()
    with pytest.raises(Error):
        garbage.delete(project, keep, garbage.find(project, keep))
