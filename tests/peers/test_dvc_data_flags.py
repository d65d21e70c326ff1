"""Flags of commands on data: real DVC and ours do the same with them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests import make, stages
from tests.peers.test_dvc_data import metafiles, objects
from tests.stages import dvc

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not stages.DVC.exists() and os.environ.get("CI") != "true",
        reason="real DVC is not in .peers/dvc: 'make test' installs it",
    ),
]

KINDS = """
stages:
  one:
    cmd: echo 1 > m.json; echo 22 > p.csv; mkdir -p out; echo 333 > out/m.json; echo 4444 > other
    outs: [out, other]
    metrics: [m.json]
    plots: [p.csv]
metrics: [out/m.json]
plots:
- drawn:
    y: {d/drawn.csv: a}
"""
CLEAN = "Data and pipelines are up to date.\n"


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with metrics, plots and data on its remote."""
    home = tmp_path_factory.mktemp("kinds")
    folder = stages.pipeline(home / "repo", KINDS)
    make.write(folder, {"d/drawn.csv": "a\n1\n", "big": "b" * 100})
    make.done(folder, "add", "--no-profile", "d", "big")
    make.done(folder, "repro")
    make.done(folder, "remote", "add", "-d", "st", str(home / "store"))
    make.commit(folder)
    make.done(folder, "push")
    return folder


@pytest.mark.parametrize(
    "options",
    [
        ("--type", "metrics"),
        ("--type", "plots"),
        ("--type", "metrics", "--type", "plots"),
        ("--max-size", "5"),
        ("--max-size", "100"),
        ("--max-size", "4", "--type", "metrics"),
    ],
    ids=" ".join,
)
def test_the_same_is_fetched_of_kinds_and_sizes(kinds: Path, tmp_path: Path, options):
    found = []
    for name, run in (("ours", make.done), ("theirs", dvc)):
        make.git(tmp_path, "clone", "-q", str(kinds), name)
        run(tmp_path / name, "fetch", *options)
        found.append(objects(tmp_path / name / ".dvc" / "cache" / "files"))
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_without_relinking_files_stay_what_they_are(tmp_path: Path, kind: str):
    found = []
    for name, run in (("ours", make.done), ("theirs", dvc)):
        folder = make.project(tmp_path / name)
        make.done(folder, "config", "cache.type", kind)
        make.write(folder, {"f": "1", "d/a": "2"})
        run(folder, "add", "--no-relink", "f", "d")
        make.write(folder, {"f": "11", "d/b": "3"})
        run(folder, "commit", "-f", "--no-relink")
        places = [folder / path for path in ("f", "d/a", "d/b")]
        assert not any(place.is_symlink() or place.stat().st_nlink > 1 for place in places)
        assert all(os.access(place, os.W_OK) for place in places)
        found.append((metafiles(folder), objects(folder / ".dvc" / "cache" / "files")))
    assert found[0] == found[1]


def test_experiments_of_dvc_keep_their_data(tmp_path: Path):
    found = []
    for name, run in (("ours", make.done), ("theirs", dvc)):
        folder = stages.pipeline(
            tmp_path / name,
            "stages:\n  s:\n    cmd: cp params.yaml out\n    params: [lr]\n    outs: [out]\n",
            {"params.yaml": "lr: 1\n"},
        )
        dvc(folder, "repro", "-q")
        make.commit(folder)
        dvc(folder, "exp", "run", "-q", "-S", "lr=2")
        make.git(folder, "checkout", "-q", "--", ".")
        dvc(folder, "checkout", "-q", "-f")
        run(folder, "gc", "-w", "--all-experiments", "-f")
        kept = objects(folder / ".dvc" / "cache" / "files")
        run(folder, "gc", "-w", "-f")
        found.append((set(kept), set(objects(folder / ".dvc" / "cache" / "files"))))
    assert [len(one) for one in found[0]] == [2, 1]
    assert found[0] == found[1]


def test_stages_that_were_run_by_hand_are_committed_alike(tmp_path: Path):
    found = []
    for name, run in (("ours", make.done), ("theirs", dvc)):
        folder, _ = stages.three(tmp_path / name)
        make.write(
            folder, {"clean.csv": "c", "model.txt": "m", "metrics.json": '{"size": 1}\n'}
        )  # fmt: skip
        run(folder, "commit", "--force")
        first = (folder / "dvc.lock").read_text()
        make.write(folder, {"data.csv": "new", "clean.csv": "cc"})
        make.write(folder, {"params.yaml": (folder / "params.yaml").read_text() + "more: 1\n"})
        run(folder, "commit", "--force")
        assert dvc(folder, "status") == CLEAN
        assert make.done(folder, "status") == CLEAN
        found.append((first, (folder / "dvc.lock").read_text(), metafiles(folder)))
    assert found[0] == found[1]


def test_remotes_of_one_file_are_listed_alike(tmp_path: Path):
    folder = make.project(tmp_path / "p")
    make.done(folder, "remote", "add", "a", str(tmp_path / "a"))
    make.done(folder, "remote", "add", "--local", "b", str(tmp_path / "b"))
    for options in ((), ("--project",), ("--local",), ("--global",)):
        ours, theirs = (run(folder, "remote", "list", *options) for run in (make.done, dvc))
        assert ours.split() == theirs.split()


def test_a_remote_is_not_asked_again_where_that_is_not_wanted(tmp_path: Path):
    folder = make.project(tmp_path / "p")
    make.done(folder, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.write(folder, {"d/a": "1", "d/b": "2"})
    make.done(folder, "add", "d")
    make.done(folder, "push")
    ask = ("data", "status", "--not-in-remote", "--json")
    found = []
    for run in (make.done, dvc):
        before = json.loads(run(folder, *ask)).get("not_in_remote", [])
        (tmp_path / "store").rename(tmp_path / "away")
        kept = json.loads(run(folder, *ask, "--no-remote-refresh")).get("not_in_remote", [])
        after = json.loads(run(folder, *ask)).get("not_in_remote", [])
        (tmp_path / "away").rename(tmp_path / "store")
        found.append((before, kept, after))
    assert found[0] == ([], [], ["d/"])
    assert found[0] == found[1]


@pytest.mark.parametrize("quiet", [("-q", "add"), ("add", "-q"), ("add", "--quiet")])
def test_quiet_may_stand_before_or_behind_the_command(tmp_path: Path, quiet: tuple[str, ...]):
    folder = make.write(make.project(tmp_path / "p"), {"f": "1"})
    assert make.assay(folder, *quiet, "f") == (0, "", "")
    make.write(folder, {"f": "2"})
    for run in (("status", "-q"), ("-q", "status")):
        assert make.assay(folder, *run) == (1, "", "")


def test_mv_and_rm_are_other_names_of_move_and_remove(tmp_path: Path):
    found = []
    for name, run in (("ours", make.done), ("theirs", dvc)):
        folder = make.write(make.project(tmp_path / name), {"f": "1", "g": "2"})
        make.done(folder, "add", "f", "g")
        run(folder, "mv", "f", "h")
        run(folder, "rm", "g.dvc")
        found.append(metafiles(folder))
    assert found[0] == found[1]


def test_what_is_gotten_from_an_address_is_the_same(tmp_path: Path):
    make.write(tmp_path / "source", {"d/a": "1", "d/s/b": "22"})
    (tmp_path / "source" / "d" / "a").chmod(0o755)
    found = []
    for name, run in (("ours", make.done), ("theirs", dvc)):
        folder = make.project(tmp_path / name)
        for arguments in (("../source/d",), ("../source/d/a", "b"), ("../source/d/s/b", "d")):
            run(folder, "get-url", *arguments)
        found.append({p: row[1] for p, row in make.state(folder).items() if row[1] is not None})
    assert found[0] == found[1]


def test_imports_are_updated_alike_with_so_many_transfers(tmp_path: Path):
    source = make.write(make.project(tmp_path / "source"), {"d/a": "1", "plain": "p"})
    make.done(source, "add", "d")
    make.commit(source)
    make.write(tmp_path, {"page": "1"})
    found = []
    for name in ("ours", "theirs"):
        folder = make.project(tmp_path / name)
        make.done(folder, "import", str(source), "d")
        make.done(folder, "import-url", str(tmp_path / "page"))
    make.write(source, {"d/b": "2"})
    make.done(source, "commit")
    make.commit(source)
    make.write(tmp_path, {"page": "22"})
    for name, run in (("ours", make.done), ("theirs", dvc)):
        folder = tmp_path / name
        run(folder, "update", "-j", "2", "d.dvc", "page.dvc")
        found.append((metafiles(folder), objects(folder / ".dvc" / "cache" / "files")))
    assert found[0] == found[1]
