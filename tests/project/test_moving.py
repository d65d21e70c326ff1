"""Tracked data gets another place: data, record and .gitignore move together or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from assay.base.errors import Error, Negative, NotFound, Usage
from assay.project.moving import move
from assay.project.workspace import Project
from tests import make


@pytest.fixture
def tracked(project: Path) -> Path:
    make.write(project, {"a.txt": "1", "d/x": "2", "d/s/y": "3", "other": "4", "t/keep": "5"})
    make.done(project, "add", "--no-profile", "a.txt", "d", "other")
    return project


def clean(folder: Path) -> bool:
    return make.done(folder, "status") == "Data and pipelines are up to date.\n"


@pytest.mark.parametrize(
    ("source", "target", "place"),
    [
        ("a.txt", "b.txt", "b.txt"),
        ("a.txt", "t", "t/a.txt"),
        ("a.txt", "t/q", "t/q"),
        ("d", "t/e", "t/e"),
        ("d/", "t/", "t/d"),
    ],
)
def test_data_record_and_ignore_line_move_together(tracked: Path, source, target, place):
    done = move(Project(tracked), source, target, cwd=tracked)
    assert done.target == tracked / place
    assert (tracked / place).exists()
    assert (tracked / f"{place}.dvc").exists()
    assert not os.path.lexists(done.source)
    assert not (tracked / f"{source.rstrip('/')}.dvc").exists()
    assert clean(tracked)
    assert make.git(tracked, "check-ignore", place)
    assert f"/{source.rstrip('/')}\n" not in (tracked / ".gitignore").read_text()


def test_changes_that_are_not_recorded_are_still_changes_afterwards(tracked: Path):
    make.write(tracked, {"a.txt": "changed"})
    move(Project(tracked), "a.txt", "b.txt", cwd=tracked)
    assert (tracked / "b.txt").read_text() == "changed"
    assert "modified" in make.done(tracked, "status")


def test_a_record_moves_without_its_data(tracked: Path):
    (tracked / "a.txt").unlink()
    move(Project(tracked), "a.txt", "t", cwd=tracked)
    make.done(tracked, "checkout")
    assert (tracked / "t" / "a.txt").read_text() == "1"


def test_comments_and_annotations_of_the_record_stay(tracked: Path):
    record = tracked / "a.txt.dvc"
    record.write_text(f"# from the survey\n{record.read_text()}  desc: why # not\n")
    move(Project(tracked), "a.txt", "t/b", cwd=tracked)
    text = (tracked / "t" / "b.dvc").read_text()
    assert text.startswith("# from the survey\nouts:\n")
    assert "  desc: why # not\n" in text
    assert "  path: b\n" in text


def test_a_record_with_a_name_of_its_own_stays_where_it_is(tracked: Path):
    (tracked / "a.txt.dvc").rename(tracked / "mine.dvc")
    move(Project(tracked), "a.txt", "t", cwd=tracked)
    assert "path: t/a.txt" in (tracked / "mine.dvc").read_text()
    assert clean(tracked)


def test_a_relative_source_of_an_import_is_relative_to_the_new_place(tracked: Path):
    make.write(tracked.parent, {"e.txt": "1"})
    record = (tracked / "a.txt.dvc").read_text()
    (tracked / "a.txt.dvc").write_text(f"frozen: true\ndeps:\n- path: ../e.txt\n{record}")
    move(Project(tracked), "a.txt", "t", cwd=tracked)
    assert "- path: ../../e.txt\n" in (tracked / "t" / "a.txt.dvc").read_text()


@pytest.mark.parametrize(
    ("source", "target", "error", "says"),
    [
        ("nope", "x", NotFound, "not tracked"),
        ("d/x", "x", Usage, "a part of 'd'"),
        ("a.txt", "other", Negative, "there already"),
        ("a.txt", "no/such", NotFound, "mkdir -p 'no'"),
        ("a.txt", "../x", Usage, "outside"),
        ("a.txt", "d", Negative, "tracked and would hold it"),
        ("d", "d/s/z", Usage, "lies in it"),
        ("a.txt", "a.txt", Usage, "the data itself"),
        ("a.txt", "skip.me", Negative, "dvcignore"),
        ("made", "x", Usage, "stage 's'"),
        ("a.txt", "taken", Negative, "a record already"),
    ],
)
def test_a_wrong_move_changes_nothing(
    tracked: Path, monkeypatch: pytest.MonkeyPatch, source, target, error, says
):
    monkeypatch.chdir(tracked)
    make.write(
        tracked,
        {
            ".dvcignore": "*.me\n",
            "dvc.yaml": "stages:\n  s:\n    cmd: x\n    outs: [made]\n",
            "taken.dvc": (tracked / "other.dvc").read_text().replace("other", "elsewhere"),
        },
    )
    before = make.state(tracked)
    with pytest.raises(error) as caught:
        move(Project(tracked), source, target, cwd=tracked)
    assert says in str(caught.value)
    assert make.state(tracked) == before


def test_a_record_that_git_would_ignore_is_refused(tracked: Path):
    make.write(tracked, {"t/.gitignore": "*.dvc\n"})
    with pytest.raises(Negative, match="git ignores"):
        move(Project(tracked), "a.txt", "t", cwd=tracked)


def test_a_move_that_fails_half_way_is_taken_back(tracked: Path):
    (tracked / "t" / "a.txt.dvc").mkdir()
    before = make.state(tracked)
    with pytest.raises(Error):
        move(Project(tracked), "a.txt", "t", cwd=tracked)
    assert make.state(tracked) == before
