"""What commits recorded is read once, whatever their number; what cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.base.errors import NotFound, Usage
from assay.project import revisions
from assay.project.blobs import Blobs
from assay.project.collecting import History
from assay.project.revisions import Scope
from assay.project.workspace import Project
from tests import make


@pytest.fixture
def history(project: Path) -> tuple[Path, list[str]]:
    """Three commits on main, a tag on the first, and a branch from the first with its own."""
    commits = []
    for number in range(3):
        make.write(project, {"f": str(number), "sub/d/x": "same"})
        make.done(project, "add", "f", "sub/d")
        commits.append(make.commit(project, str(number)))
        if number == 0:
            make.git(project, "tag", "-a", "v1", "-m", "v1")
            make.git(project, "branch", "other")
    make.git(project, "checkout", "-q", "other")
    make.write(project, {"f": "other"})
    make.done(project, "add", "f")
    commits.append(make.commit(project, "on other"))
    make.git(project, "checkout", "-q", "main")
    return project, commits


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope(), []),
        (Scope(branches=True), [2, 3]),
        (Scope(tags=True), [0]),
        (Scope(commits=True), [0, 1, 2, 3]),
        (Scope(branches=True, n=2), [0, 1, 2, 3]),
        (Scope(revisions=("HEAD~1",)), [1]),
        (Scope(revisions=("HEAD",), n=2), [1, 2]),
        (Scope(revisions=("HEAD",), n=99), [0, 1, 2]),
        (Scope(revisions=("v1",), tags=True), [0]),
        (Scope(date="2001-01-01"), [0, 1, 2, 3]),
        (Scope(date="2399-01-01"), []),
    ],
)
def test_a_scope_means_these_commits(history: tuple[Path, list[str]], scope: Scope, expected):
    root, commits = history
    assert sorted(map(commits.index, revisions.commits(root, scope))) == expected


@pytest.mark.parametrize(
    "scope",
    [
        Scope(n=2, tags=True),
        Scope(n=0, branches=True),
        Scope(date="yesterday"),
        Scope(date="2026-13-01"),
    ],
)
def test_a_scope_that_means_nothing_is_refused(project: Path, scope: Scope):
    with pytest.raises(Usage):
        revisions.commits(project, scope)


def test_a_revision_that_git_does_not_know_is_named(project: Path):
    with pytest.raises(NotFound, match="nope"):
        revisions.commits(project, Scope(revisions=("nope",)))


def test_a_repository_without_commits_has_none(project: Path):
    everything = Scope(branches=True, tags=True, date="2000-01-01")
    assert revisions.commits(project, everything) == []
    assert revisions.all_commits(project) == []
    assert revisions.all_commits(project, every_ref=True) == []


def test_stashes_and_other_references_count_where_every_reference_does(project: Path):
    make.write(project, {"a": "1"})
    make.commit(project)
    make.write(project, {"a": "2"})
    make.git(project, "stash", "-q")
    assert len(revisions.all_commits(project)) == 1
    assert len(revisions.all_commits(project, every_ref=True)) == 3


def test_commits_with_equal_records_are_one_version(history: tuple[Path, list[str]]):
    root, commits = history
    make.write(root, {"code.py": "1"})
    twin = make.commit(root, "code alone")
    with History(Project(root)) as reader:
        versions = list(reader.versions([*commits, twin]))
        assert [version.commit for version in versions] == commits
        for version in versions:
            paths = {item.path.relative_to(root).as_posix() for item in version.declared.tracked}
            assert paths == {"f", "sub/d"}
    assert len({v.declared.tracked[0].row for v in versions}) == 4


def test_what_history_says_is_what_a_checkout_says(history: tuple[Path, list[str]]):
    from assay.project import definition

    root, commits = history
    project = Project(root)
    with History(project) as reader:
        for version in reader.versions(commits):
            make.git(root, "checkout", "-q", version.commit)
            assert version.declared.tracked == definition.read(project).tracked


def test_a_record_that_cannot_be_read_is_named_with_its_commit(project: Path):
    make.write(project, {"good": "1"})
    make.done(project, "add", "good")
    make.write(project, {"bad.dvc": "outs: [", "dvc.yaml": "stages: {a: {cmd: '${x}'}}\n"})
    commit = make.commit(project)
    with History(Project(project)) as reader:
        (version,) = reader.versions([commit])
        assert [item.path.name for item in version.declared.tracked] == ["good"]
        assert {where.split(":")[1] for where in reader.complaints} == {"bad.dvc", "dvc.yaml"}
        assert all(where.startswith(commit[:10]) for where in reader.complaints)


def test_another_project_inside_is_not_ours(project: Path):
    inner = project / "inner"
    make.write(project, {".dvc/x": "", "inner/.dvc/config": "", "inner/a.dvc": "outs: []\n"})
    make.git(project, "add", "-f", ".")
    commit = make.commit(project)
    with History(Project(project)) as reader:
        assert reader.metafiles(commit) == ()
    with History(Project(inner)) as reader:
        assert [file.path for file in reader.metafiles(commit)] == ["inner/a.dvc"]


def test_names_that_are_no_text_and_submodules_are_no_trouble(project: Path):
    make.write(project, {b"\xff\n x".decode(errors="surrogateescape"): "1"})
    commit = make.commit(project)
    inner = make.repository(project / "module")
    make.write(inner, {"a.dvc": "outs: []\n"})
    make.commit(inner)
    make.git(project, "add", "module")
    make.git(project, "commit", "-q", "-m", "with a submodule")
    with Blobs(project) as blobs:
        assert "\udcff\n x" in [row.name for row in blobs.tree(f"{commit}^{{tree}}")]
        assert blobs.read("0" * 40) is None
        assert blobs.tree("0" * 40) == []
    with History(Project(project)) as reader:
        assert reader.metafiles(make.git(project, "rev-parse", "HEAD").strip()) == ()
