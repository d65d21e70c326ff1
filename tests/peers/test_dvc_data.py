"""Data: real DVC and ours on the same repository, in turn and beside each other."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from assay.objects.cache import Cache
from assay.project.workspace import Project
from tests import make, stages
from tests.stages import dvc

ON_CI = os.environ.get("CI") == "true"

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not stages.DVC.exists() and not ON_CI,
        reason="real DVC is not in .peers/dvc: 'make test' installs it",
    ),
]

NAMES = {
    "a.txt": "hello\n",
    "empty.bin": "",
    "ünï cødé 日本.txt": "1",
    "cafe\u0301.txt": "decomposed",
    "with space.csv": "a,b\n1,2\n",
    "[b]*!#.txt": "2",
    "back\\slash?.txt": "3",
    'quote\'s "both".txt': "4",
    "colon: dash - hash #.txt": "5",
    "123": "6",
    "true": "7",
    "null.": "8",
    "~tilde": "9",
    f"{'a long name with blanks ' * 5}end": "10",
    "sub/dir/deep.txt": "11",
}
FOLDERS = {
    "d/a": "1",
    "d/a-b": "2",
    "d/a0": "3",
    "d/b/c": "4",
    "d/b/ü é \"q\" 'r' \\ \U0001f600": "5",
    "d/b/zero": "",
    "d/run.sh": "#!/bin/sh\n",
}
TARGETS = [*NAMES, "d", "void", "run.sh"]


def fill(folder: Path) -> None:
    """Write one of every kind of data."""
    make.write(folder, NAMES | FOLDERS | {"run.sh": "#!/bin/sh\necho hi\n"})
    (folder / "void" / "inner").mkdir(parents=True)
    for name in ("run.sh", "d/run.sh"):
        (folder / name).chmod(0o755)


def metafiles(folder: Path) -> dict[str, bytes]:
    """Return what a team commits: records, ignore files, configuration."""
    found = [*folder.rglob("*.dvc"), *folder.rglob(".gitignore"), *folder.rglob(".dvcignore")]
    found.append(folder / ".dvc" / "config")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in found
        if path.is_file() and ".assay" not in path.parts
    }


def objects(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the objects of a store: mode and bytes by path."""
    return {
        path.relative_to(folder).as_posix(): (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def beside(tmp_path: Path) -> tuple[Path, Path]:
    """Two projects with the same data: for us, for DVC."""
    ours, theirs = make.project(tmp_path / "ours"), make.project(tmp_path / "theirs")
    for folder in (ours, theirs):
        fill(folder)
    return ours, theirs


def test_a_new_project_is_the_same_to_the_byte(tmp_path: Path):
    ours, theirs = make.project(tmp_path / "ours"), make.repository(tmp_path / "theirs")
    dvc(theirs, "init")
    assert metafiles(ours) == metafiles(theirs)
    assert make.git(ours, "ls-files", "-s") == make.git(theirs, "ls-files", "-s")


def test_records_ignore_files_and_objects_are_the_same_to_the_byte(beside: tuple[Path, Path]):
    ours, theirs = beside
    make.done(ours, "add", "--no-profile", *TARGETS)
    dvc(theirs, "add", *TARGETS)
    assert metafiles(ours) == metafiles(theirs)
    assert len(metafiles(ours)) == len(TARGETS) + 5
    assert objects(ours / ".dvc" / "cache") == objects(theirs / ".dvc" / "cache")


ANNOTATED = {
    "plain": "outs:\n- md5: {oid}\n  size: 1\n  hash: md5\n  path: plain\n",
    "annotated": "outs:\n- md5: {oid}\n  size: 1\n  hash: md5\n  path: annotated\n  desc: why\n"
    "  type: model\n  labels:\n  - one\n  - 'yes'\n  meta:\n    owner: ada\n    n: 1e-3\n"
    "  remote: st\n  push: false\ndesc: of the file\nmeta:\n  x: [1, 2]\n",
    "commented": "# from the survey\nouts:  # one\n- md5: {oid}  # its hash\n  size: 1\n"
    "  # before the hash\n  hash: md5\n  path: commented\n  desc: 'why: # not'\n# the end\n",
    "reordered": "meta: {{owner: ada, list: [a, b]}}\nouts:\n- path: reordered\n  hash: md5\n"
    "  size: 1\n  md5: {oid}\n",
    "quoted": 'outs:\n- md5: "{oid}"\n  size: 1\n  hash: \'md5\'\n  path: "quoted"\n',
    "indented": "outs:\n  - md5: {oid}\n    size: 1\n    hash: md5\n    path: indented\n",
    "blank": "\nouts:\n\n- md5: {oid}\n  size: 1\n\n  hash: md5\n  path: blank\n\n",
    "long": "outs:\n- md5: {oid}\n  size: 1\n  hash: md5\n  path: long\n  desc: "
    + "a text that is longer than a line of eighty characters " * 3
    + "ends\n",
    "literal": "outs:\n- md5: {oid}\n  size: 1\n  hash: md5\n  path: literal\n  desc: |\n"
    "    one\n    two\n",
    "flow": "outs: [{{md5: {oid}, size: 1, hash: md5, path: flow}}]\n",
}


def test_what_a_person_wrote_into_a_record_stays_as_it_does_with_dvc(beside: tuple[Path, Path]):
    """Comments, order, quotes, annotations, flow style: all of it, in files and folders."""
    for folder in beside:
        oid = "c4ca4238a0b923820dcc509a6f75849b"
        make.write(folder, {f"{n}.dvc": t.format(oid=oid) for n, t in ANNOTATED.items()})
        make.write(folder, dict.fromkeys(ANNOTATED, "new"))
        make.write(folder, {".gitignore": "/plain"})  # and no line end
    ours, theirs = beside
    make.done(ours, "add", *ANNOTATED)
    dvc(theirs, "add", *ANNOTATED)
    assert metafiles(ours) == metafiles(theirs)


@pytest.mark.parametrize("order", ["folder, file", "file, folder"])
def test_a_folder_that_becomes_a_file_is_recorded_alike(beside: tuple[Path, Path], order: str):
    ours, theirs = beside
    for kind in order.split(", "):
        for folder in beside:
            make.git(folder, "clean", "-fdxq", "x")
            make.write(folder, {"x/a": "1"} if kind == "folder" else {"x": "file"})
        make.done(ours, "add", "x")
        dvc(theirs, "add", "x")
        assert metafiles(ours) == metafiles(theirs)


def clean(folder: Path) -> None:
    """Assert that both find nothing that changed."""
    assert json.loads(dvc(folder, "status", "--json")) == {}
    status = json.loads(make.done(folder, "data", "status", "--json"))
    assert not {"not_in_cache", "uncommitted"}.intersection(status)


def test_the_two_take_turns_on_one_repository(tmp_path: Path):
    """Add with one, commit with the other, push, pull and check out, both ways."""
    folder = make.project(tmp_path / "repo")
    fill(folder)
    make.done(folder, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.done(folder, "add", *TARGETS)
    clean(folder)
    first = make.commit(folder)
    make.done(folder, "push")
    make.write(folder, {"a.txt": "two\n", "d/new": "n"})
    (folder / "d" / "a0").unlink()
    dvc(folder, "commit", "-f")
    clean(folder)
    assert make.done(folder, "commit") == ""
    make.commit(folder)
    dvc(folder, "push")
    assert make.done(folder, "push") == "Everything is up to date.\n"
    theirs = pulled(folder, tmp_path / "theirs", lambda f: dvc(f, "pull"))
    ours = pulled(folder, tmp_path / "ours", lambda f: make.done(f, "pull"))
    assert theirs == ours
    assert theirs["d/new"][1] == b"n"
    make.git(folder, "checkout", "-q", first)
    make.done(folder, "checkout")
    assert (folder / "a.txt").read_text() == "hello\n"
    clean(folder)
    make.git(folder, "checkout", "-q", "main")
    dvc(folder, "checkout")
    clean(folder)
    assert (folder / "d" / "new").exists()


def pulled(source: Path, clone: Path, pull) -> dict[str, tuple[int, bytes]]:
    """Clone, pull with one tool, check with both, and return the data."""
    make.git(source.parent, "clone", "-q", str(source), str(clone))
    pull(clone)
    clean(clone)
    return {
        path.relative_to(clone).as_posix(): (path.stat().st_mode, path.read_bytes())
        for path in clone.rglob("*")
        if path.is_file() and not {".git", ".dvc", ".assay"}.intersection(path.parts)
    }


def test_what_we_push_dvc_finds_complete_and_the_other_way_round(tmp_path: Path):
    folder = make.project(tmp_path / "repo")
    fill(folder)
    make.done(folder, "add", *TARGETS)
    for name in ("ours", "theirs"):
        make.done(folder, "remote", "add", name, str(tmp_path / name))
    make.done(folder, "push", "-r", "ours")
    dvc(folder, "push", "-r", "theirs")
    stores = [objects(tmp_path / name / "files") for name in ("ours", "theirs")]
    assert stores[0] == stores[1]
    assert json.loads(dvc(folder, "status", "-c", "-r", "ours", "--json")) == {}
    assert make.done(folder, "push", "-r", "theirs") == "Everything is up to date.\n"


def test_the_configuration_of_one_is_read_by_the_other(tmp_path: Path):
    ours, theirs = make.project(tmp_path / "ours"), make.project(tmp_path / "theirs")
    commands = [
        ("remote", "add", "-d", "st", "../store"),
        ("remote", "add", "abs", "/data/store"),
        ("config", "cache.type", "hardlink,symlink"),
        ("config", "core.autostage", "true"),
        ("config", "remote.st.jobs", "4"),
        ("config", "--unset", "core.autostage"),
        ("remote", "default", "abs"),
        ("remote", "add", "--local", "mine", "store"),
    ]
    for command in commands:
        make.done(ours, *command)
        dvc(theirs, *command)
        for name in ("config", "config.local"):
            files = [folder / ".dvc" / name for folder in (ours, theirs)]
            assert files[0].exists() == files[1].exists()
            assert not files[0].exists() or files[0].read_text() == files[1].read_text()
    rows = json.loads(make.done(ours, "remote", "list", "--json"))
    shown = "".join(dvc(ours, "remote", "list").split())  # it breaks its lines at 80 columns
    assert shown == "".join(
        f"{row['name']}{row['url']}{'(default)' if row['default'] else ''}" for row in rows
    )
    assert [row["name"] for row in rows if row["default"]] == ["abs"]


def test_dvc_collects_its_garbage_and_leaves_ours_alone(tmp_path: Path):
    """`.assay` is out of its sight: objects, half-made files, pipelines of a worktree."""
    folder = make.project(tmp_path / "repo")
    make.write(folder, {"t.csv": "a,b\n1,2\n", "d/x": "1"})
    make.done(folder, "add", "t.csv", "d")
    make.write(folder, {"d/x": "2"})
    make.done(folder, "commit")
    project = Project(folder)
    mine = {project.objects.add(content) for content in (b"profile", b"bundle")}
    make.write(
        folder,
        {
            ".assay/worktrees/loop/dvc.yaml": "stages: [broken",
            ".assay/worktrees/loop/x.dvc": "neither: this",
            ".dvc/cache/files/md5/tmp.0123456789abcdef/1": "left by a killed process",
            f".dvc/cache/files/md5/damaged/{'0' * 32}": "moved aside",
        },
    )
    before = set(project.objects)
    assert mine <= before
    assert "Removed 2 objects" in dvc(folder, "gc", "-w", "-f")
    assert set(project.objects) == before
    assert all(project.objects.verify(oid) for oid in before)
    clean(folder)
    make.write(folder, {".dvcignore": "*.log\n"})
    assert (folder / ".assay" / ".dvcignore").read_text() == "*\n"
    assert ".assay" not in dvc(folder, "data", "status", "--untracked-files", "--json")


def test_both_ignore_the_same_paths(tmp_path: Path):
    folder = make.project(tmp_path / "repo")
    make.write(
        folder,
        {
            ".dvcignore": "# no\n*.log\n!keep.log\n/top\nonly/\ns/**\n**/deep/*.tmp\n  pad  \n",
            "in/.dvcignore": "!x.log\n/own\n",
        },
    )
    paths = [
        *(
            "a.log",
            "keep.log",
            "in/x.log",
            "in/keep.log",
            "top",
            "in/top",
            "only/f",
            "s/f",
            "s/t/f",
        ),
        *("deep/a.tmp", "in/deep/a.tmp", "in/own", "own", "pad", "in/in/own", ".git/x", "plain"),
    ]
    make.write(folder, dict.fromkeys((p for p in paths if p != ".git/x"), ""))
    ignored = set(dvc(folder, "check-ignore", *paths).splitlines())
    found = Project(folder).ignore
    assert {p for p in paths if found.covers(str(folder / p), is_dir=False)} == ignored


def test_a_cache_that_dvc_filled_is_whole_by_our_check(tmp_path: Path):
    folder = make.project(tmp_path / "repo")
    fill(folder)
    dvc(folder, "add", *TARGETS)
    cache = Cache(folder / ".dvc" / "cache" / "files" / "md5")
    assert len(set(cache)) > len(TARGETS)
    assert all(cache.verify(oid) for oid in cache)
    clean(folder)
