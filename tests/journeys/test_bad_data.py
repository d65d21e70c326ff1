"""What is wrong with data gets a clear error, and changes nothing.

A clear error says what, where and what to do next; its exit code is 1 for a refusal by rule, 2 for
a call that was put wrongly, 255 for all else. Nothing changes: the workspace and the files that a
team commits are the same bytes before and after.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import make

DATA = "c4ca4238a0b923820dcc509a6f75849b"  # of "1"
RECORD = f"outs:\n- md5: {DATA}\n  size: 1\n  hash: md5\n  path: a.txt\n"


def assert_refused(project: Path, arguments: tuple[str, ...], code: int, *texts: str) -> None:
    before = make.state(project)
    shown = make.assay(project, *arguments)
    assert (shown.code, shown.out) == (code, ""), shown
    for text in texts:
        assert text in shown.err
    assert "\n  hint: " in shown.err
    assert make.state(project) == before


def _git_tracks(project: Path) -> None:
    make.git(project, "add", "good.txt")


def _overlap(project: Path) -> None:
    make.done(project, "add", "d/inner")


def _stage(project: Path) -> None:
    make.write(project, {"dvc.yaml": "stages:\n  train:\n    cmd: 'true'\n    outs: [good.txt]\n"})


def _record(text: str) -> Callable[[Path], object]:
    return lambda project: make.write(project, {"bad.dvc": text})


ADDING: dict[str, tuple[Callable[[Path], object], str, int, tuple[str, ...]]] = {
    "a missing path": (lambda p: None, "nope", 255, ("nope: ", "no such file", "spelling")),
    "a path outside": (lambda p: None, "../x", 2, ("../x: ", "outside the project", "copy it")),
    "an absolute path": (lambda p: None, "/etc/passwd", 2, ("/etc/passwd: ", "outside")),
    "a path through a link": (
        lambda p: (p / "l").symlink_to("d"),
        "l/inner",
        2,
        ("l/inner: ", "goes through the link 'l'"),
    ),
    "a link to a folder": (
        lambda p: (p / "l").symlink_to("d"),
        "l",
        2,
        ("l: ", "a link to a folder", "cache.dir"),
    ),
    "a dangling link": (lambda p: (p / "l").symlink_to("no"), "l", 255, ("l: ",)),
    "a dangling link in a folder": (
        lambda p: (p / "d" / "l").symlink_to("no"),
        "d",
        255,
        ("d/l: ", "points to nothing", "remove the link"),
    ),
    "a pipe": (lambda p: os.mkfifo(p / "f"), "f", 255, ("/f: ", "neither a file nor a folder")),
    "a pipe in a folder": (lambda p: os.mkfifo(p / "d" / "f"), "d", 255, ("d/f: ", "move it out")),
    "a file that git tracks": (_git_tracks, "good.txt", 1, ("good.txt: ", "git rm -r --cached")),
    "a folder with an output": (_overlap, "d", 1, ("d: ", "holds 'd/inner'", "stop tracking")),
    "an output of a stage": (_stage, "good.txt", 2, ("stage 'train'", "assay commit train")),
    "a .dvcignore in a folder": (
        lambda p: make.write(p, {"d/.dvcignore": "x"}),
        "d",
        255,
        ("d/.dvcignore: ", "inside a tracked folder", "project's root"),
    ),
    "a record of another output": (
        lambda p: make.write(p, {"good.txt.dvc": RECORD}),
        "good.txt",
        255,
        ("good.txt.dvc: ", "no output 'good.txt'", "move it away"),
    ),
    "an unknown key": (
        _record("outs:\n- pathx: a\n"),
        "good.txt",
        255,
        ("bad.dvc:2: ", "unknown key 'pathx'", "did you mean 'path'?"),
    ),
    "a wrong type": (
        _record("outs:\n- path: a\n  cache: maybe\n"),
        "good.txt",
        255,
        ("bad.dvc:3: ", "'cache' of the output is 'maybe', not true or false"),
    ),
    "bad YAML": (_record("outs:\n- path: [a\n"), "good.txt", 255, ("bad.dvc:",)),
    "a key twice": (_record("outs:\n- path: a\n  path: b\n"), "good.txt", 255, ("bad.dvc:3: ",)),
    "a merge conflict": (
        _record("<<<<<<< HEAD\nouts: []\n=======\n>>>>>>> other\n"),
        "good.txt",
        255,
        ("bad.dvc:", "conflict"),
    ),
    "a record that is no text": (
        lambda p: (p / "bad.dvc").write_bytes(b"\xff\xfe"),
        "good.txt",
        255,
        ("bad.dvc: ", "not UTF-8"),
    ),
}
WITHOUT_HINT = {"a wrong type", "bad YAML"}  # they say what is expected there


@pytest.mark.parametrize("case", ADDING)
def test_what_cannot_be_added_is_refused(project: Path, case: str):
    make.write(project, {"good.txt": "1", "d/inner": "2"})
    prepare, target, code, texts = ADDING[case]
    prepare(project)
    if case not in WITHOUT_HINT:
        assert_refused(project, ("add", target), code, *texts)
        return
    before = make.state(project)
    shown = make.assay(project, "add", target)
    assert shown.code == code
    assert all(text in shown.err for text in texts), shown.err
    assert make.state(project) == before


def test_what_dvcignore_names_is_refused(project: Path):
    make.write(project, {".dvcignore": "*.tmp\n", "a.tmp": "1"})
    before = make.state(project)
    shown = make.assay(project, "add", "a.tmp")
    assert (shown.code, ".dvcignore" in shown.err) == (1, True)
    assert shown.err.startswith("error: a.tmp: ")
    assert make.state(project) == before


@pytest.mark.parametrize("name", [".", ".dvc", ".dvc/config", "good.txt.dvc"])
def test_the_project_itself_is_no_data(project: Path, name: str):
    make.write(project, {"good.txt": "1"})
    make.done(project, "add", "good.txt")
    before = make.state(project)
    shown = make.assay(project, "add", name)
    assert shown.code == 2
    assert "cannot be" in shown.err
    assert make.state(project) == before


@pytest.mark.parametrize("target", ["b\udcff.txt", "d"])
def test_a_name_that_is_not_utf_8_is_refused(project: Path, target: str):
    make.write(project, {"d/good": "1"})
    for name in (b"b\xff.txt", b"d/b\xff.txt"):
        Path(os.fsdecode(os.fsencode(project) + b"/" + name)).write_text("x")
    assert_refused(project, ("add", target), 255, "\\xff", "not UTF-8", "rename")


def test_one_missing_path_among_good_ones_adds_none(project: Path):
    make.write(project, {"a": "1", "b": "2"})
    assert_refused(project, ("add", "a", "nope", "b"), 255, "nope: ", "nothing was added")


REMOTES: dict[str, tuple[str, tuple[str, ...]]] = {
    "no default remote": ("", ("no default remote is set", "assay remote add -d")),
    "a remote that is a file": (
        "[core]\n    remote = st\n['remote \"st\"']\n    url = ../a.txt\n",
        ("a.txt: the remote is a file", "the path of a folder"),
    ),
    "an unknown remote": (
        "[core]\n    remote = stt\n['remote \"st\"']\n    url = ../s\n",
        ("no remote 'stt'", "did you mean 'st'?"),
    ),
    "an unknown kind": (
        "[core]\n    remote = st\n['remote \"st\"']\n    url = nope://x\n",
        ("remote 'st': ", "no kind of remote is called 'nope'"),
    ),
    "a broken configuration": ("[core\n", (".dvc/config:1: ", "neither a [section]")),
}


@pytest.mark.parametrize("command", ["push", "pull"])
@pytest.mark.parametrize("case", REMOTES)
def test_a_remote_that_is_none_is_named(project: Path, case: str, command: str):
    make.write(project, {"a.txt": "1"})
    make.done(project, "add", "a.txt")
    (project / ".dvc" / "config").write_text(REMOTES[case][0])
    assert_refused(project, (command,), 255, *REMOTES[case][1])


def test_a_file_is_not_taken_for_a_remote(project: Path):
    make.write(project, {"a.txt": "1"})
    assert_refused(project, ("remote", "add", "st", "a.txt"), 255, "a.txt: ", "not a folder")


@pytest.mark.parametrize("command", ["checkout", "pull"])
def test_unsaved_data_is_not_overwritten(project: Path, tmp_path: Path, command: str):
    make.write(project, {"a.txt": "1", "d/x": "1", "d/y": "1"})
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.done(project, "add", "a.txt", "d")
    make.done(project, "push")
    make.write(project, {"d/x": "mine", "a.txt": "mine too"})
    assert_refused(project, (command,), 1, "unsaved data", "/d/x", "/a.txt", "--force")
    make.done(project, command, "--force")
    assert (project / "d" / "x").read_text() == "1"


def test_an_unknown_target_names_the_nearest(project: Path):
    make.write(project, {"data.csv": "1"})
    make.done(project, "add", "data.csv")
    for command in ("checkout", "commit"):
        assert_refused(project, (command, "dta.csv"), 255, "'dta.csv'", "did you mean 'data.csv")


def test_a_missing_object_is_named_and_nothing_is_checked_out(project: Path):
    make.write(project, {"a.txt": "1", "b.txt": "2"})
    make.done(project, "add", "a.txt", "b.txt")
    for name in ("a.txt", "b.txt"):
        (project / name).unlink()
    make.cache(project).remove(DATA)
    assert_refused(project, ("checkout",), 255, f"md5:{DATA}", "assay pull", "nothing was changed")


def test_a_commit_of_what_vanished_records_nothing(project: Path):
    make.write(project, {"a.txt": "1"})
    make.done(project, "add", "a.txt")
    (project / "a.txt").unlink()
    before = make.state(project)
    make.assay(project, "commit")
    assert make.state(project) == before
