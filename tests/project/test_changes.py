"""What differs between commits, records and workspace."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.project.changes import Rename, compare
from tests import make

STATES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123"), max_size=6)


@given(STATES, STATES)
def test_the_difference_leads_from_one_state_to_the_other(before, after):
    found = compare(before, after)
    state = dict(before)
    for rename in found.renamed:
        assert before[rename.old] == after[rename.new]
        state[rename.new] = state.pop(rename.old)
    for path in found.deleted:
        del state[path]
    for path in (*found.added, *found.modified):
        state[path] = after[path]
    assert state == after
    assert bool(found) == (before != after)


@given(STATES, STATES)
def test_what_is_added_one_way_is_deleted_the_other(before, after):
    there, back = compare(before, after), compare(after, before)
    assert there.modified == back.modified
    assert len(there.renamed) == len(back.renamed)
    assert len(there.added) == len(back.deleted)


def test_a_folder_is_no_new_name_of_a_file():
    assert compare({"a": "1"}, {"a/": "1"}).renamed == []
    assert compare({"a/": "1"}, {"b/": "1"}).renamed == [Rename("a/", "b/")]


@pytest.fixture
def changed(project: Path) -> Path:
    """A project in which every kind of change is there: since the commit, and since the record."""
    make.write(project, {"d/a": "1", "d/b": "2", "d/c": "3", "keep": "k", "f": "1"})
    make.done(project, "add", "d", "keep", "f")
    make.commit(project)
    make.write(project, {"d/a": "9", "f": "2", "new": "n"})
    (project / "d" / "b").rename(project / "d" / "b2")
    make.done(project, "add", "new")
    make.done(project, "commit", "d", "f")
    make.write(project, {"f": "3"})
    (project / "d" / "c").unlink()
    return project


def test_the_state_of_all_data_is_shown(changed: Path):
    shown = make.done(changed, "data", "status", "--json", "--unchanged")
    status = json.loads(shown)
    assert status["committed"]["modified"] == ["d/", "f"]
    assert status["committed"]["added"] == ["new"]
    assert status["uncommitted"]["modified"] == ["d/", "f"]
    assert status["unchanged"] == ["keep"]
    granular = json.loads(make.done(changed, "data", "status", "--json", "--granular"))
    assert granular["committed"]["renamed"] == [{"old": "d/b", "new": "d/b2"}]
    assert granular["committed"]["modified"] == ["d/", "d/a", "f"]
    assert granular["uncommitted"]["deleted"] == ["d/c"]


def test_data_that_the_cache_lost_is_named(changed: Path):
    shutil.rmtree(changed / ".dvc" / "cache")
    status = json.loads(make.done(changed, "data", "status", "--json"))
    assert status["not_in_cache"] == ["d/", "f", "keep", "new"]


def test_a_diff_counts_files_and_not_folders(changed: Path):
    make.commit(changed)
    shown = make.done(changed, "diff", "HEAD~1", "HEAD")
    assert shown.endswith("files summary: 1 added, 1 renamed, 2 modified\n")
    assert "    d/b -> d/b2\n" in shown
    document = json.loads(make.done(changed, "diff", "HEAD~1", "--json"))
    assert [row["path"] for row in document["deleted"]] == ["d/c"]
    assert make.done(changed, "diff", "HEAD", "HEAD", "--json") == "{}\n"


def test_without_the_list_of_a_folders_files_a_diff_says_what_to_do(changed: Path):
    """Comparing with nothing would call every file added or deleted."""
    make.commit(changed)
    manifests = (changed / ".dvc" / "cache").rglob("*.dir")
    lost = max(manifests, key=lambda path: path.stat().st_mtime_ns)
    lost.unlink()
    for revisions in (("HEAD~1", "HEAD"), ("HEAD", "HEAD~1"), ("HEAD",)):
        shown = make.assay(changed, "diff", *revisions)
        assert shown.code == 255
        assert "list of files of 'd/'" in shown.err
        assert "assay pull" in shown.err


def test_an_unknown_revision_is_named(project: Path):
    make.commit(project)
    shown = make.assay(project, "diff", "nope")
    assert shown.code == 255
    assert "git knows no revision 'nope'" in shown.err
