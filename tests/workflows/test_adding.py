"""Data that lies elsewhere is tracked where a person wants it, or sent away at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import make
from tests.journeys.test_bad_data import assert_refused


@pytest.fixture
def near(project: Path, tmp_path: Path) -> Path:
    """A project beside data that is not in it."""
    make.write(tmp_path, {"outside.csv": "a,b\n1,2\n", "folder/x": "1", "folder/s/y": "2"})
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    return project


def test_data_from_outside_is_copied_in(near: Path, tmp_path: Path):
    before = make.snapshot(tmp_path / "folder")
    make.done(near, "add", "../folder", "--out", "data/all")
    make.done(near, "add", str(tmp_path / "outside.csv"), "-o", "data/")
    assert make.snapshot(near / "data" / "all") == before == make.snapshot(tmp_path / "folder")
    assert (near / "data" / "outside.csv").read_text() == "a,b\n1,2\n"
    assert make.done(near, "status") == "Data and pipelines are up to date.\n"
    assert (near / "data" / ".gitignore").read_text() == "/all\n/outside.csv\n"


def test_what_lies_there_is_overwritten_only_where_a_person_says_so(near: Path):
    make.write(near, {"there": "mine"})
    assert_refused(near, ("add", "../outside.csv", "-o", "there"), 1, "lies there", "--force")
    make.done(near, "add", "../outside.csv", "-o", "there", "-f")
    assert (near / "there").read_text() == "a,b\n1,2\n"


def test_data_that_is_sent_away_is_neither_here_nor_in_the_cache(near: Path, tmp_path: Path):
    said = make.done(near, "add", "../folder", "--to-remote", "-o", "far")
    assert said.startswith("far  2 files, 2 B")
    assert (list(make.cache(near)), (near / "far").exists()) == ([], False)
    assert (near / ".gitignore").read_text() == "/far\n"
    assert make.done(near, "pull") == "A\tfar/\n3 files fetched and 2 files added\n"
    assert (near / "far" / "s" / "y").read_text() == "2"
    make.done(near, "add", "../folder", "--to-remote", "-o", "again", "-j", "1")
    make.done(near, "pull", "again")
    assert make.snapshot(near / "again") == make.snapshot(near / "far")


def test_a_manifest_is_not_sent_before_its_files(near: Path, tmp_path: Path):
    (tmp_path / "store").write_text("no folder")
    assert_refused(near, ("add", "../folder", "--to-remote"), 255, "the remote is a file")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("../folder", "a", "-o", "b"), "one path"),
        (("--glob", "../*", "--to-remote"), "--glob"),
        (("--no-commit", "../folder", "-o", "b"), "--no-commit"),
        (("../folder", "-r", "st"), "--to-remote"),
        (("../folder", "--remote-jobs", "2"), "--to-remote"),
        (("s3://bucket/x", "--to-remote"), "assay import-url --to-remote s3://bucket/x"),
        (("../folder", "-o", "../elsewhere"), "outside the project"),
        (("../folder", "-o", "x.dvc"), "cannot be data"),
    ],
)
def test_a_call_that_contradicts_itself_is_refused(
    near: Path, arguments: tuple[str, ...], text: str
):
    before = make.state(near)
    shown = make.assay(near, "add", *arguments)
    assert (shown.code, text in shown.err) == (2, True), shown
    assert make.state(near) == before


def test_what_is_missing_or_a_pipe_is_refused(near: Path, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("nope", "pipe"):
        assert_refused(near, ("add", f"../{name}", "-o", "x"), 255, name)


def test_a_pattern_adds_what_it_matches_also_the_second_time(near: Path):
    make.write(near, {"x/1.csv": "1", "x/2.csv": "2", "x/s/3.csv": "3"})
    make.done(near, "add", "--glob", "x/**/*.csv")
    assert sorted(p.name for p in near.rglob("*.dvc") if p.is_file()) == [
        "1.csv.dvc",
        "2.csv.dvc",
        "3.csv.dvc",
    ]
    assert make.done(near, "add", "--glob", "x/**/*.csv*").count("(unchanged)") == 3
    assert_refused(near, ("add", "--glob", "*.txt"), 255, "nothing matches '*.txt'")


def test_what_is_only_recorded_is_stored_by_a_commit(near: Path):
    make.write(near, {"a": "1", "d/x": "2"})
    make.done(near, "add", "--no-commit", "a", "d")
    assert list(make.cache(near)) == []
    assert "not in cache" in make.done(near, "status")
    make.done(near, "commit")
    assert make.done(near, "status") == "Data and pipelines are up to date.\n"
