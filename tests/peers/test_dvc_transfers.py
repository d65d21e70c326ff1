"""Data between places: real DVC and ours say the same; each goes on where the other stopped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import make, stages
from tests.peers.test_dvc_data import metafiles, objects
from tests.stages import DVC, dvc

ON_CI = os.environ.get("CI") == "true"

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not stages.DVC.exists() and not ON_CI,
        reason="real DVC is not in .peers/dvc: 'make test' installs it",
    ),
]


def both(folder: Path, *arguments: str) -> tuple[Any, Any]:
    """Ask both the same for JSON."""
    ours = json.loads(make.done(folder, *arguments, "--json"))
    return ours, json.loads(dvc(folder, *arguments, "--json"))


def alike(value: Any) -> Any:
    """Return an answer without the order of its lists, which is by chance in DVC."""
    if isinstance(value, dict):
        return {key: alike(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted((alike(inner) for inner in value), key=json.dumps)
    return value


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A project with commits, a tag and a branch; all contents of its data are in the cache."""
    folder = make.project(tmp_path / "repo")
    make.done(folder, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.write(folder, {"f": "one", "d/a": "1", "d/s/b": "2", "keep": "k"})
    make.done(folder, "add", "f", "d", "keep")
    make.commit(folder, "one")
    make.git(folder, "tag", "v1")
    make.git(folder, "checkout", "-q", "-b", "other")
    make.write(folder, {"f": "on other", "d/other": "o"})
    make.done(folder, "commit")
    make.commit(folder, "other")
    make.git(folder, "checkout", "-q", "main")
    make.done(folder, "checkout")
    make.write(folder, {"f": "two", "d/s/b": "22"})
    make.done(folder, "commit")
    make.commit(folder, "two")
    make.write(folder, {"f": "three"})
    make.done(folder, "commit")
    make.commit(folder, "three")
    return folder


def store_of(folder: Path, name: str) -> set[str]:
    """Return the objects of a store beside the project."""
    return set(objects(folder.parent / name / "files" / "md5"))


def beside(repo: Path) -> Path:
    """Copy a project and its remote, for DVC."""
    theirs = repo.parent / "theirs"
    shutil.copytree(repo, theirs, symlinks=True)
    if (repo.parent / "store").exists():
        shutil.copytree(repo.parent / "store", repo.parent / "store2")
    make.write(theirs, {".dvc/config.local": "['remote \"st\"']\n    url = ../../store2\n"})
    return theirs


@pytest.mark.parametrize(
    "scope", [(), ("-a",), ("-T",), ("-A",), ("-a", "-T"), ("d",), ("-A", "f")]
)
def test_the_same_is_pushed_of_the_same_commits(repo: Path, scope: tuple[str, ...]):
    theirs = beside(repo)
    said = make.done(repo, "push", *scope)
    assert said == dvc(theirs, "push", *scope)
    assert said.startswith(f"{len(store_of(repo, 'store'))} file")
    assert store_of(repo, "store") == store_of(repo, "store2")
    assert both(repo, "status", "-c", *scope) == ({}, {})
    assert make.done(theirs, "push", *scope) == "Everything is up to date.\n"


@pytest.mark.parametrize("scope", [(), ("-a",), ("-T",), ("-A",), ("d",), ("f.dvc", "keep.dvc")])
def test_the_same_is_fetched_of_the_same_commits(repo: Path, scope: tuple[str, ...]):
    dvc(repo, "push", "-A")
    caches = []
    for name, run in (("ours", make.done), ("theirs", dvc)):
        clone = repo.parent / name
        make.git(repo.parent, "clone", "-q", str(repo), name)
        make.git(clone, "branch", "-q", "other", "origin/other")
        run(clone, "fetch", *scope)
        caches.append(objects(clone / ".dvc" / "cache" / "files"))
    assert caches[0] == caches[1]


@pytest.mark.parametrize(
    "targets", [("d/s",), ("d/a", "f"), ("d/s/b", "keep.dvc"), ("--glob", "k*"), ("-R", "."), ()]
)
def test_the_same_is_pulled_for_the_same_targets(repo: Path, targets: tuple[str, ...]):
    dvc(repo, "push")
    found = []
    for name, run in (("ours", make.done), ("theirs", dvc)):
        clone = repo.parent / name
        make.git(repo.parent, "clone", "-q", str(repo), name)
        said = run(clone, "pull", *targets).split()  # its tabs are blanks in a pipe
        data = make.snapshot(clone, without=(".git", ".assay", ".dvc"))
        found.append((said, data, objects(clone / ".dvc" / "cache" / "files")))
    assert found[0] == found[1]


def test_the_state_of_a_remote_is_told_alike(repo: Path):
    ours, theirs = both(repo, "status", "-c")
    assert ours == theirs
    assert set(ours.values()) == {"new"}
    make.done(repo, "push")
    assert both(repo, "status", "-c") == ({}, {})
    assert make.done(repo, "status", "-c") == dvc(repo, "status", "-c")
    cache = repo / ".dvc" / "cache" / "files" / "md5"
    lost = [path for path in cache.glob("*/*") if path.read_bytes() in {b"22", b"k"}]
    for path in lost:
        path.unlink()
    (repo.parent / "store" / lost[0].relative_to(repo / ".dvc" / "cache")).unlink()
    ours, theirs = both(repo, "status", "-c", "keep")
    assert ours == theirs
    assert make.assay(repo, "-q", "status", "-c").code == 1


def test_where_dvc_trusts_the_list_of_a_folder_a_lost_file_is_seen(repo: Path):
    """DVC's `status -c` says 'in sync', and its `push` repairs nothing (defect 14)."""
    make.done(repo, "push")
    dvc(repo, "status", "-c")
    store = repo.parent / "store" / "files" / "md5"
    next(path for path in store.glob("*/*") if path.read_bytes() == b"22").unlink()
    assert json.loads(dvc(repo, "status", "-c", "--json")) == {}
    assert json.loads(make.done(repo, "status", "-c", "--json")) == {"d/s/b": "new"}
    assert make.done(repo, "push") == "1 file pushed\n"


@pytest.mark.parametrize(
    "options", [(), ("--granular",), ("--unchanged", "--untracked-files"), ("--granular", "d/s")]
)
def test_the_state_of_data_is_told_alike(repo: Path, options: tuple[str, ...]):
    make.write(repo, {"f": "four", "d/new": "n", "sub/u": "u", "more": "m"})
    (repo / "d" / "a").rename(repo / "d" / "a2")
    make.done(repo, "add", "more")
    ours, theirs = both(repo, "data", "status", *options)
    assert alike(ours) == alike(theirs)


def test_what_a_remote_has_not_is_told_alike(repo: Path):
    arguments = ("data", "status", "--not-in-remote")
    ours, theirs = both(repo, *arguments, "--granular")
    assert alike(ours) == alike(theirs)
    make.done(repo, "push", "d")
    assert [alike(answer) for answer in both(repo, *arguments)] == [
        {"not_in_remote": ["f", "keep"]},
        {"not_in_remote": ["f", "keep"]},
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("HEAD~1",),
        ("HEAD~2", "HEAD"),
        ("v1", "other", "--show-hash"),
        ("v1", "main", "--targets", "d/s", "f"),
        ("--targets", "d", "--show-hash"),
        ("--hide-missing",),
    ],
)
def test_differences_are_told_alike(repo: Path, arguments: tuple[str, ...]):
    make.write(repo, {"d/new": "n"})
    (repo / "d" / "a").rename(repo / "d" / "a2")
    (repo / "keep").unlink()
    lost = repo / ".dvc" / "cache" / "files" / "md5"
    next(path for path in lost.glob("*/*") if path.read_bytes() == b"22").unlink()
    ours, theirs = both(repo, "diff", *arguments)
    assert alike(ours) == alike(theirs)
    for form in ((), ("--md",)):
        said = make.done(repo, "diff", *arguments, *form)
        assert said.split() == dvc(repo, "diff", *arguments, *form).split()


def twins(tmp_path: Path) -> tuple[Path, Path]:
    ours, theirs = make.project(tmp_path / "ours"), make.project(tmp_path / "theirs")
    for folder in (ours, theirs):
        make.write(folder, {"d/a": "1", "d/s/b": "2", "x/1.csv": "1", "x/2.csv": "2", "x/3": "3"})
        make.done(folder, "remote", "add", "-d", "st", str(folder.parent / f"st {folder.name}"))
    return ours, theirs


ADDING: dict[str, list[tuple[str, ...]]] = {
    "a pattern": [("add", "--glob", "x/*.csv")],
    "no content": [("add", "--no-commit", "d")],
    "another place": [("add", "../outside", "-o", "d/inner")],
    "another place, a folder": [("add", "../folder", "-o", "copied")],
    "straight to a remote": [("add", "x/3", "--to-remote")],
    "a folder straight to a remote": [("add", "../folder", "--to-remote", "-o", "far")],
    "a file more in a folder": [("add", "d"), ("write", "d/s/new"), ("add", "d/s/new")],
    "a file changed in a folder": [("add", "d"), ("write", "d/a"), ("add", "d/a")],
    "a part of a folder": [("add", "d"), ("write", "d/s/b"), ("write", "d/a"), ("add", "d/s")],
}


@pytest.mark.parametrize("case", ADDING)
def test_what_is_added_in_other_ways_is_the_same_to_the_byte(tmp_path: Path, case: str):
    make.write(tmp_path, {"outside": "o", "folder/1": "1", "folder/s/2": "2"})
    ours, theirs = twins(tmp_path)
    for folder, run in ((ours, make.done), (theirs, dvc)):
        for command, *arguments in ADDING[case]:
            if command == "write":
                make.write(folder, {arguments[0]: "another"})
            else:
                run(folder, command, *arguments)
    assert records(ours) == records(theirs)
    assert workspace(ours) == workspace(theirs)
    assert data_of(ours / ".dvc" / "cache" / "files") == data_of(
        theirs / ".dvc" / "cache" / "files"
    )
    stores = [objects(tmp_path / name) for name in ("st ours", "st theirs")]
    whole = [{n for n in store if not n.endswith(".tmp")} for store in stores]
    assert whole[0] == whole[1]


TOOLS = (".git", ".assay", ".dvc")


def workspace(folder: Path) -> dict[str, Any]:
    """Return the data of a person."""
    found = make.snapshot(folder, without=TOOLS)
    return {n: row for n, row in found.items() if not n.endswith((".dvc", ".gitignore"))}


def records(folder: Path) -> dict[str, bytes]:
    """Return the records; the size of a folder of which a part changed is ours alone.

    DVC leaves it out where more than an addition happened, since it does not know it then. It
    orders `.gitignore` by chance after `--glob`, and writes none for `--to-remote`: who pulls the
    data then is offered to commit them to git.
    """
    found = {n: content for n, content in metafiles(folder).items() if n.endswith(".dvc")}
    for name, content in found.items():
        if b"nfiles" in content:
            lines = content.splitlines(keepends=True)
            found[name] = b"".join(line for line in lines if b"  size: " not in line)
    return found


def data_of(cache: Path) -> set[str]:
    """Return the objects that are no lists of folders: DVC keeps those of parts, too."""
    return {name for name in objects(cache) if not name.endswith((".dir", ".tmp"))}


def test_a_file_that_is_gone_from_a_folder_is_recorded_alike(tmp_path: Path):
    ours, theirs = twins(tmp_path)
    for folder, run in ((ours, make.done), (theirs, dvc)):
        run(folder, "add", "d")
        (folder / "d" / "s" / "b").unlink()
        run(folder, "add", "d/s/b")
    assert records(ours) == records(theirs)
    assert (ours / "d.dvc").read_text().count("size: 1\n") == 1


def test_checkouts_say_the_same(repo: Path):
    said = []
    for run in (make.done, dvc):
        make.git(repo, "checkout", "-q", "other")
        make.done(repo, "checkout")
        make.git(repo, "checkout", "-q", "main")
        lines = [run(repo, "checkout", "--summary"), run(repo, "checkout", "--summary")]
        shutil.rmtree(repo / "d")
        lines += [run(repo, "checkout"), run(repo, "checkout", "--relink")]
        shutil.rmtree(repo / "d")
        lines += [
            run(repo, "checkout", "d/s/b"),
            *sorted(path.name for path in (repo / "d").iterdir()),
        ]
        said.append([line.split() for line in lines])
        make.done(repo, "checkout")
    assert said[0] == said[1]


def test_after_another_link_type_relinking_changes_the_links_of_both(tmp_path: Path):
    ours, theirs = twins(tmp_path)
    for folder, run in ((ours, make.done), (theirs, dvc)):
        run(folder, "add", "d", "x/3")
        for kind in ("symlink", "hardlink", "copy"):
            run(folder, "config", "cache.type", kind)
            run(folder, "checkout", "--relink")
            kinds = [
                (path.is_symlink(), path.stat().st_nlink, path.read_text())
                for path in (folder / "d" / "a", folder / "d" / "s" / "b", folder / "x" / "3")
            ]
            expected = {"symlink": (True, 1), "hardlink": (False, 2), "copy": (False, 1)}[kind]
            assert [row[:2] for row in kinds] == [expected] * 3, (run, kind)
            assert [row[2] for row in kinds] == ["1", "2", "3"]


SCOPES = [
    ("-w",),
    ("-a",),
    ("-T",),
    ("-A",),
    ("-aT",),
    ("--rev", "HEAD~1"),
    ("--rev", "HEAD", "-n", "2"),
    ("-a", "-n", "2"),
    ("--date", "2199-01-01"),
    ("--date", "2000-01-01"),
]


@pytest.mark.parametrize("scope", SCOPES, ids=" ".join)
def test_the_same_is_collected(repo: Path, scope: tuple[str, ...]):
    make.done(repo, "push", "-A")
    theirs = beside(repo)
    dry = make.done(repo, "gc", *scope, "--dry")
    before = objects(repo / ".dvc" / "cache" / "files")
    make.done(repo, "gc", *scope, "-c", "-f")
    dvc(theirs, "gc", *scope, "-c", "-f")
    after = objects(repo / ".dvc" / "cache" / "files")
    assert after == objects(theirs / ".dvc" / "cache" / "files")
    assert dry.count("Removing ") == len(before) - len(after)
    assert store_of(repo, "store") == store_of(repo, "store2")
    assert json.loads(dvc(repo, "status", "--json")) == {}


def test_the_run_cache_is_shared_by_both(tmp_path: Path):
    folder, _ = stages.three_ran(tmp_path / "one")
    make.done(folder, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.commit(folder)
    n = len([path for path in (folder / ".dvc" / "cache" / "runs").rglob("*") if path.is_file()])
    make.done(folder, "push")
    assert make.done(folder, "push", "--run-cache") == f"{n} files pushed\n"
    assert make.done(folder, "push", "--run-cache") == "Everything is up to date.\n"
    runs = tmp_path / "store" / "runs"
    here = folder / ".dvc" / "cache" / "runs"
    assert {path: row[1] for path, row in objects(runs).items()} == {
        path: row[1] for path, row in objects(here).items()
    }
    for name, run in (("ours", make.done), ("theirs", dvc)):
        make.git(tmp_path, "clone", "-q", str(folder), name)
        run(tmp_path / name, "pull", "--run-cache")
        entries = objects(tmp_path / name / ".dvc" / "cache" / "runs")
        assert {path: row[1] for path, row in entries.items()} == {
            path: row[1] for path, row in objects(here).items()
        }
    entry = next(path for path in runs.rglob("*") if path.is_file())
    shutil.rmtree(tmp_path / "store" / "runs")
    dvc(folder, "push", "--run-cache")
    entry.chmod(0o644)
    entry.write_text("cmd: rm -rf /\n")
    shutil.rmtree(tmp_path / "ours" / ".dvc" / "cache" / "runs")
    make.done(tmp_path / "ours", "fetch", "--run-cache")
    assert len(objects(tmp_path / "ours" / ".dvc" / "cache" / "runs")) == n - 1


def test_while_dvc_works_a_collection_waits_and_the_other_way_round(repo: Path):
    """A lock that DVC holds is waited for; while we hold it, DVC says so."""
    import fcntl

    with (repo / ".dvc" / "tmp" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(
            make.command("gc", "-w", "-f"), cwd=repo, stderr=subprocess.PIPE, text=True
        ) as waiting:
            assert waiting.stderr is not None
            assert any("waiting for another process" in line for line in waiting.stderr)
            fcntl.flock(lock, fcntl.LOCK_UN)
        assert waiting.returncode == 0
        fcntl.flock(lock, fcntl.LOCK_SH)
        refused = subprocess.run(
            [str(DVC), "gc", "-w", "-f"], cwd=repo, check=False, capture_output=True, text=True
        )
    assert "Unable to acquire lock" in refused.stderr
