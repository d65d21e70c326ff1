"""Bad input: it is said what is wrong, where, and what to do; and nothing has changed."""

from __future__ import annotations

import contextlib
import os
import resource
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests import make, stages

GOOD = """\
stages:
  prep:
    cmd: cp in.txt a.txt
    deps: [in.txt]
    outs: [a.txt]
  train:
    cmd: cp a.txt b.txt
    deps: [a.txt]
    params: [lr]
    outs: [b.txt]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return stages.pipeline(tmp_path / "project", GOOD, {"in.txt": "1\n", "params.yaml": "lr: 1\n"})


def state(folder: Path) -> dict[str, Any]:
    """Return all of a project but what was hashed before, which may grow."""
    found = make.snapshot(folder, without=(".git",))
    return {
        name: content for name, content in found.items()
        if not name.startswith((".assay/index.db", ".assay/lock", ".assay/work"))
    }  # fmt: skip


def refused(
    folder: Path, *arguments: str, where: str, what: str, hint: str | None, code: int = 255
) -> None:
    """Expect an error with its three parts, in every command given, and nothing changed."""
    before = state(folder)
    shown = make.assay(folder, *(arguments or ("repro",)))
    assert shown.code == code, shown
    assert shown.err.startswith(f"error: {where}: {what}"), shown.err
    if hint is not None:
        assert f"\n  hint: {hint}" in shown.err, shown.err
    assert state(folder) == before
    assert not (folder / ".assay" / "ledger.db").exists()


def rewrite(folder: Path, before: str, after: str) -> None:
    text = (folder / "dvc.yaml").read_text()
    assert before in text
    make.write(folder, {"dvc.yaml": text.replace(before, after, 1)})


@pytest.mark.parametrize(
    ("before", "after", "line", "what", "hint"),
    [
        ("deps: [a.txt]", "dep: [a.txt]", 8, "stage 'train' has the unknown key 'dep'",
         "did you mean 'deps'?"),
        ("stages:", "stagess:", 1, "the file has the unknown key 'stagess'",
         "did you mean 'stages'?"),
        ("outs: [b.txt]", "outs: [{b.txt: {cahce: false}}]", 10,
         "output 'b.txt' of stage 'train' has the unknown key 'cahce'", "did you mean 'cache'?"),
        ("    cmd: cp a.txt b.txt\n", "", 6, "stage 'train' has no 'cmd'", "add 'cmd:' to it"),
        ("cmd: cp a.txt b.txt", "cmd:", 7, "'cmd' of stage 'train' is empty", None),
        ("cmd: cp a.txt b.txt", "cmd: ''", 7, "'cmd' of stage 'train' is empty",
         "give it a shell command"),
        ("cmd: cp a.txt b.txt", "cmd: 3", 7, "'cmd' of stage 'train' is 3, not text or a list",
         None),
        ("deps: [a.txt]", "deps: a.txt", 8, "'deps' of stage 'train' is 'a.txt', not a list",
         None),
        ("deps: [a.txt]", "deps: [1.5]", 8, "a dependency of stage 'train' is 1.5, not text",
         None),
        ("outs: [b.txt]", "outs: [[b.txt]]", 10, "an output of stage 'train' is a list",
         "write '- path' or '- path: {cache: false}'"),
        ("outs: [b.txt]", "outs: [{b.txt: {cache: 1}}]", 10,
         "'cache' of output 'b.txt' of stage 'train' is 1, not true or false", None),
        ("outs: [b.txt]", "frozen: 'yes'", 10, "'frozen' of stage 'train' is 'yes', not true",
         None),
        ("params: [lr]", "params: [{p.json: lr}]", 9,
         "the keys of 'p.json' in stage 'train' is 'lr', not a list", None),
        ("  train:", "  1:", 6, "the name of a stage is 1, not text", None),
        ("cp a.txt b.txt", "cp ${item} b.txt", 7,
         "in stage 'train', there is no variable 'item' for '${item}'", "set it in params.yaml"),
        ("    deps: [a.txt]", "    matrix: {a: b}", 8,
         "'a' in 'matrix' of stage 'train' is 'b', not a list", None),
        ("stages:\n", "vars: [x.yaml]\nstages:\n", 1, "the file 'x.yaml' does not exist",
         "its path is relative to the folder of dvc.yaml"),
        ("  train:\n    cmd: cp a.txt b.txt\n", "  train:\n    foreach: [1]\n", 8,
         "stage 'train' has 'deps' beside its 'foreach'", "put it under 'do:'"),
        ("deps: [a.txt]", "deps: [a.txt", 9, "not valid YAML: did not find", None),
        ("cp a.txt b.txt", "cp: a.txt b.txt", 7, "not valid YAML: mapping values", None),
        ("  train:", "  prep:", 6, "the key 'prep' stands twice in one mapping",
         "remove one of the two"),
    ],
)  # fmt: skip
def test_a_dvc_yaml_that_breaks_the_grammar_is_refused_with_its_line(
    folder: Path, before: str, after: str, line: int, what: str, hint: str | None
):
    rewrite(folder, before, after)
    for command in ("repro", "status", "dag"):
        shown = make.assay(folder, command)
        assert shown.code == 255
        assert what in shown.err
    refused(folder, where=f"dvc.yaml:{line}", what=what, hint=hint)


def test_a_dvc_yaml_that_is_no_mapping_or_no_text_is_refused(folder: Path):
    make.write(folder, {"dvc.yaml": "- a\n"})
    refused(folder, where="dvc.yaml:1", what="the file is a list, not a mapping", hint=None)
    make.write(folder, {"dvc.yaml": b"\xff\xfe"})
    refused(folder, where="dvc.yaml", what="the file is not UTF-8 text", hint="save it")


def test_conflict_markers_are_named_with_their_line(folder: Path):
    make.write(folder, {"dvc.yaml": f"<<<<<<< HEAD\n{GOOD}=======\n{GOOD}>>>>>>> other\n"})
    shown = make.assay(folder, "repro")
    assert shown.code == 255
    assert shown.err.startswith("error: dvc.yaml:2: not valid YAML"), shown.err
    assert "hint: this is possibly a merge conflict" in shown.err


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("stages: [", "dvc.lock:", "not valid YAML"),
        ("schema: '1.0'\n", "dvc.lock:1", "the lock has the schema '1.0', not '2.0'"),
        ("", None, ""),
        ("schema: '2.0'\nstages:\n  prep:\n    cmd: x\n    outz: []\n", "dvc.lock:5",
         "the entry of stage 'prep' has the unknown key 'outz'"),
        ("schema: '2.0'\nstages: {prep: {outs: [{path: a.txt, hash: md5, md5: xyz}]}}\n",
         "dvc.lock:2", "'xyz' is not an MD5 of 32 hexadecimal digits"),
    ],
)  # fmt: skip
def test_a_lock_that_is_broken_is_refused(folder: Path, text: str, where: str | None, what: str):
    make.write(folder, {"dvc.lock": text})
    if where is None:  # an empty lock is none
        make.done(folder, "repro")
        return
    before = state(folder)
    for command in ("repro", "status"):
        shown = make.assay(folder, command)
        assert shown.code == 255
        assert shown.err.startswith(f"error: {where}"), shown.err
        assert what in shown.err
    assert state(folder) == before


@pytest.mark.parametrize(
    ("name", "text", "where", "what"),
    [
        ("params.yaml", "lr: [1\n", "params.yaml:", "not valid YAML"),
        ("params.yaml", "lr: 1\nlr: 2\n", "params.yaml:2", "the key 'lr' stands twice"),
        ("params.yaml", b"\xff", "params.yaml", "the file is not UTF-8 text"),
        ("p.json", '{"lr": 1,\n}', "p.json:2", "the file does not parse"),
        ("p.toml", "lr = \n", "p.toml", "the file does not parse"),
        ("p.py", "LR = 1\nif\n", "p.py:2", "the file does not parse"),
    ],
)
def test_a_parameter_file_that_does_not_parse_is_refused_with_its_line(
    folder: Path, name: str, text: str | bytes, where: str, what: str
):
    if name != "params.yaml":
        rewrite(folder, "params: [lr]", f"params: [{{{name}: [lr]}}]")
    make.write(folder, {name: text})
    before = state(folder)
    for command in (("repro",), ("repro", "--dry"), ("status",)):
        shown = make.assay(folder, *command)
        assert shown.code == 255
        assert shown.out == ""
        assert shown.err.startswith(f"error: {where}"), shown.err
        assert what in shown.err
        assert state(folder) == before


@pytest.mark.parametrize("command", [("repro",), ("repro", "--dry"), ("repro", "-s", "train")])
def test_what_a_stage_reads_and_nobody_makes_is_named_before_anything_runs(
    folder: Path, command: tuple[str, ...]
):
    make.write(folder, {"params.yaml": "rate: 1\n", "a.txt": "1\n"})
    for _ in range(2):
        refused(
            folder,
            *command,
            where="dvc.yaml:9",
            what="stage 'train' needs 'lr' of 'params.yaml', which is not there",
            hint="add it to 'params.yaml', or take it from the stage's 'params'",
        )
        (folder / "params.yaml").unlink(missing_ok=True)
    make.write(folder, {"params.yaml": "lr: 1\n"})
    rewrite(folder, "deps: [a.txt]", "deps: [a.txt, labels.csv]")
    refused(
        folder,
        *command,
        where="dvc.yaml:8",
        what="the dependency 'labels.csv' of stage 'train' does not exist",
        hint="get it with 'assay checkout' or 'assay pull', or correct the path",
    )


def test_a_target_alone_needs_what_its_upstream_makes(folder: Path):
    refused(
        folder, "repro", "-s", "train",
        where="dvc.yaml:8", what="the dependency 'a.txt' of stage 'train' does not exist",
        hint="get it with 'assay checkout' or 'assay pull', or correct the path",
    )  # fmt: skip


@pytest.mark.parametrize("command", ["repro", "status", "dag"])
@pytest.mark.parametrize(
    ("before", "after", "line", "what", "hint"),
    [
        ("deps: [in.txt]", "deps: [b.txt]", 2,
         "stages wait for each other: 'prep' needs 'train' needs 'prep'",
         "take one of these dependencies out"),
        ("outs: [b.txt]", "outs: [a.txt]", 6,
         "the output 'a.txt' is made by two stages: 'prep' and 'train'",
         "give each stage an output of its own"),
        ("outs: [b.txt]", "outs: [a.txt/b]", 6,
         "the output 'a.txt/b' of 'train' lies inside the output 'a.txt' of 'prep'",
         "move one of them out of the other"),
    ],
)  # fmt: skip
def test_stages_that_contradict_each_other_are_refused(
    folder: Path, command: str, before: str, after: str, line: int, what: str, hint: str
):
    rewrite(folder, before, after)
    refused(folder, command, where=f"dvc.yaml:{line}", what=what, hint=hint)


def test_an_output_that_is_tracked_data_too_is_refused(folder: Path):
    make.write(folder, {"a.txt": "x\n"})
    before = state(folder)
    shown = make.assay(folder, "add", "a.txt")
    assert shown.code == 2
    assert "this is an output of stage 'prep'" in shown.err
    assert state(folder) == before


@pytest.mark.parametrize(
    ("command", "target", "hint"),
    [
        ("repro", "trian", "did you mean 'train'?"),
        ("status", "trian", "did you mean 'train'?"),
        ("dag", "b.tx", "did you mean 'b.txt'?"),
        ("repro", "zzzzzzz", "see 'assay stage list' and 'assay data status'"),
        ("repro", "other/dvc.yaml:train", None),
    ],
)
def test_an_unknown_target_is_refused_with_the_nearest_name(
    folder: Path, command: str, target: str, hint: str | None
):
    before = state(folder)
    shown = make.assay(folder, command, target)
    assert shown.code == 255
    assert shown.err.startswith(
        f"error: {folder}: '{target}' is neither a stage nor a tracked path\n"
    )
    assert f"hint: {hint or ''}" in shown.err
    assert state(folder) == before


def test_a_project_without_stages_says_what_to_do(tmp_path: Path):
    folder = make.project(tmp_path / "project")
    shown = make.assay(folder, "repro")
    assert shown.code == 255
    assert "there is no stage to run" in shown.err
    assert "hint: write one into dvc.yaml, or track data with 'assay add'" in shown.err
    assert "next: 'assay add FILE'" in make.done(folder, "status")
    assert make.done(folder, "stage", "list") == ""
    assert make.assay(folder, "dag").code == 255
    assert make.assay(tmp_path, "repro").code == 255


@pytest.fixture
def restorable(tmp_path: Path) -> tuple[Path, Path, str]:
    """A pipeline that went to another parameter and is about to go back."""
    folder, side = stages.three_ran(tmp_path)
    oid = stages.out_oid(folder, "model.txt")
    make.write(folder, {"params.yaml": "lr: 0.9\nseed: 7\n"})
    make.done(folder, "repro")
    make.write(folder, {"params.yaml": "lr: 0.1\nseed: 7\n"})
    side.unlink()
    return folder, side, oid


def test_a_missing_object_means_that_the_stage_runs(restorable: tuple[Path, Path, str]):
    folder, side, oid = restorable
    stages.object_of(folder, oid).unlink()
    make.done(folder, "repro")
    assert stages.starts(side) == ["train"]
    assert stages.out_oid(folder, "model.txt") == oid


def test_a_damaged_object_is_never_taken_for_an_output(restorable: tuple[Path, Path, str]):
    folder, side, oid = restorable
    stages.damage(stages.object_of(folder, oid))
    before, lock = (folder / "model.txt").read_bytes(), stages.lock(folder)
    shown = make.assay(folder, "repro")
    assert shown.code == 255
    assert f"the object md5:{oid} is damaged: its bytes have another hash" in shown.err
    assert "hint: get a good one with 'assay pull', or make it again with 'assay repro'" in (
        shown.err
    )
    assert (folder / "model.txt").read_bytes() == before
    assert stages.lock(folder) == lock
    make.done(folder, "repro")  # as the hint says: the bad one is out of the way
    assert stages.starts(side) == ["train"]
    assert stages.out_oid(folder, "model.txt") == oid


def test_a_ledger_of_a_newer_version_is_left_as_it_is_and_nothing_runs(tmp_path: Path):
    folder, side = stages.three_ran(tmp_path)
    path = folder / ".assay" / "ledger.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("update alembic_version set version_num = '9999'")
    make.write(folder, {"params.yaml": "lr: 0.9\nseed: 7\n"})
    before = state(folder)
    for command in (
        ("repro",),
        ("runs", "list"),
        ("runs", "show"),
        ("reproduce",),
        ("trace", "a"),
    ):
        shown = make.assay(folder, *command)
        assert shown.code == 255
        assert "the ledger was written by a newer Assay (revision '9999'" in shown.err
        assert "hint: pip install --upgrade assay; the ledger was left as it is" in shown.err
    assert stages.starts(side) == []
    after = state(folder)
    for suffix in ("-wal", "-shm"):
        after.pop(f".assay/ledger.db{suffix}", None)
        before.pop(f".assay/ledger.db{suffix}", None)
    assert after == before


def test_a_ledger_that_is_no_database_is_left_as_it_is_and_nothing_runs(tmp_path: Path):
    folder, side = stages.three_ran(tmp_path)
    for suffix in ("-wal", "-shm"):
        (folder / ".assay" / f"ledger.db{suffix}").unlink(missing_ok=True)
    (folder / ".assay" / "ledger.db").write_text("not a database, but somebody's notes\n")
    make.write(folder, {"params.yaml": "lr: 0.9\nseed: 7\n"})
    before = state(folder)
    for command in ("repro", "reproduce"):
        shown = make.assay(folder, command)
        assert shown.code == 255
        assert f"error: {folder}/.assay/ledger.db: this is not a ledger of Assay" in shown.err
        assert "hint: it was left as it is; move it away" in shown.err
    assert stages.starts(side) == []
    assert state(folder) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_project_that_cannot_be_written_to_is_refused_and_stays_as_it_is():
    with tempfile.TemporaryDirectory(dir=make.memory()) as place:  # pytest's folders are private
        Path(place).chmod(0o755)
        folder, side = stages.three_ran(Path(place))
        make.write(folder, {"params.yaml": "lr: 0.9\nseed: 7\n"})
        before = make.snapshot(folder, without=())
        for command in ("repro", "reproduce"):
            shown = stages.as_nobody(folder, command)
            assert shown.code == 255, shown
            assert shown.err.startswith("error: ")
            assert "hint: check the permissions" in shown.err, shown.err
        readable = stages.as_nobody(folder, "status")
        assert readable.code == 0, readable
        assert "train:" in readable.out
        assert stages.starts(side) == []
        assert make.snapshot(folder, without=()) == before


def _small_files() -> None:
    limit = 700_000  # above the ledger, which has 370 kB when it is empty
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def test_a_disk_that_is_full_leaves_the_old_output_and_the_old_lock(tmp_path: Path):
    """RLIMIT_FSIZE stands for the full disk: no file may grow beyond it."""
    text = f"""
stages:
  large:
    cmd: {sys.executable} -S -c "print('x' * int(open('n').read()))" > large.txt
    deps: [n]
    outs: [large.txt]
"""
    folder = stages.pipeline(tmp_path / "project", text, {"n": "1000"})
    make.done(folder, "repro")
    make.write(folder, {"n": "900000"})
    lock, old = stages.lock(folder), (folder / "large.txt").read_bytes()
    shown = make.process(folder, "repro", preexec_fn=_small_files)
    assert shown.code == 255, shown
    assert "Traceback" not in shown.err
    assert "stage 'large'" in shown.err
    assert stages.lock(folder) == lock
    assert (folder / "large.txt").read_bytes() == old
    make.done(folder, "repro")
    assert (folder / "large.txt").stat().st_size == 900_001


def test_an_output_that_does_not_fit_into_the_cache_leaves_all_as_it_was(tmp_path: Path):
    text = "stages: {links: {cmd: ln -s $PWD/../large out.bin, deps: [n], outs: [out.bin]}}"
    folder = stages.pipeline(tmp_path / "project", text, {"n": "1"})
    make.write(tmp_path, {"large": bytes(900_000)})
    before = make.snapshot(folder)
    shown = make.process(folder, "repro", preexec_fn=_small_files)
    assert shown.code == 255, shown
    assert "file too large" in shown.err
    assert "hint: a file size limit stops it (see 'ulimit -f')" in shown.err
    assert make.snapshot(folder, without=(".git", ".assay", "cache")) == {
        name: content for name, content in before.items() if not name.startswith(".dvc/cache")
    }
    leftovers = [p for p in (folder / ".dvc").rglob("*") if p.is_file() and "tmp" in p.name]
    assert leftovers == []


def test_a_stage_in_a_folder_that_does_not_exist_is_refused(folder: Path):
    rewrite(folder, "  prep:\n", "  prep:\n    wdir: nowhere\n")
    rewrite(folder, "deps: [in.txt]", "deps: [../in.txt]")
    shown = make.assay(folder, "repro", "prep")
    assert shown.code == 255
    assert f"{folder}/nowhere: the command cannot be started: the folder does not exist" in (
        shown.err
    )
    assert not (folder / "dvc.lock").exists()


def test_an_output_outside_the_project_is_refused_before_the_command_runs(folder: Path):
    rewrite(folder, "outs: [a.txt]", "outs: [../outside.txt]")
    rewrite(folder, "cp in.txt a.txt", "cp in.txt ../outside.txt")
    refused(
        folder, "repro", "prep",
        where="dvc.yaml:2", what="the output '../outside.txt' of stage 'prep' lies outside",
        hint="write it into the project, or declare it with 'cache: false'",
    )  # fmt: skip
    assert not (folder.parent / "outside.txt").exists()
