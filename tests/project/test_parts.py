"""A part of a tracked folder is recorded, and the rest stays as it was recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from assay.objects import tree
from tests import make


@pytest.fixture
def edited(project: Path) -> Path:
    """A tracked folder with an edit, a new file and a removal that are not recorded."""
    make.write(project, {"d/a": "1", "d/s/b": "22", "d/s/c": "3"})
    make.done(project, "add", "d")
    make.write(project, {"d/a": "edited", "d/s/new": "new!"})
    (project / "d" / "s" / "c").unlink()
    return project


def recorded(project: Path) -> tuple[dict[str, str], int | None]:
    """Return what the record says: contents by path, and the size of all."""
    out = yaml.safe_load((project / "d.dvc").read_text())["outs"][0]
    cache = make.cache(project)
    entries = tree.read(cache, out["md5"])
    return {e.relpath: cache.read(e.oid).decode() for e in entries}, out.get("size")


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("d/s", {"a": "1", "s/b": "22", "s/new": "new!"}),
        ("d/s/new", {"a": "1", "s/b": "22", "s/c": "3", "s/new": "new!"}),
        ("d/s/c", {"a": "1", "s/b": "22"}),
        ("d/a", {"a": "edited", "s/b": "22", "s/c": "3"}),
        ("d", {"a": "edited", "s/b": "22", "s/new": "new!"}),
    ],
)
@pytest.mark.parametrize("command", ["add", "commit"])
def test_only_the_part_is_recorded(edited: Path, part: str, expected, command: str):
    before = make.snapshot(edited / "d")
    make.done(edited, command, part)
    assert recorded(edited) == (expected, sum(map(len, expected.values())))
    assert make.snapshot(edited / "d") == before


def test_a_part_that_is_nowhere_is_refused_and_nothing_recorded(edited: Path):
    before = make.state(edited)
    for command in ("add", "commit"):
        shown = make.assay(edited, command, "d/nope")
        assert (shown.code, "d/nope" in shown.err) == (255, True)
    assert make.state(edited) == before


def test_without_the_list_of_the_folder_a_part_is_refused(edited: Path):
    before = make.state(edited)
    for manifest in (edited / ".dvc" / "cache").rglob("*.dir"):
        manifest.unlink()
    shown = make.assay(edited, "add", "d/s")
    assert (shown.code, "assay pull" in shown.err) == (255, True)
    assert make.state(edited) == before


def test_a_size_that_nobody_knows_is_left_out(edited: Path):
    make.cache(edited).remove("eccbc87e4b5ce2fe28308fd9f2a7baf3")  # of "3", which is gone here too
    make.done(edited, "add", "d/a")
    out = yaml.safe_load((edited / "d.dvc").read_text())["outs"][0]
    assert (out["nfiles"], "size" in out) == (3, False)


def test_with_no_commit_only_the_record_is_written(edited: Path):
    before = set(make.cache(edited))
    make.done(edited, "add", "--no-commit", "d/a")
    assert set(make.cache(edited)) == before
    make.done(edited, "commit")
    assert recorded(edited)[0] == {"a": "edited", "s/b": "22", "s/new": "new!"}


def test_a_part_of_a_stages_output_is_the_stages_business(project: Path):
    make.write(
        project, {"dvc.yaml": "stages:\n  s:\n    cmd: mkdir d && touch d/x\n    outs: [d]\n"}
    )
    make.done(project, "repro")
    shown = make.assay(project, "add", "d/x")
    assert (shown.code, "stage 's'" in shown.err) == (2, True)
