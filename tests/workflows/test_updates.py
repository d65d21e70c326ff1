"""`update`, and what brings the data of imports again in a clone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.project import definition, git, workspace
from assay.workflows import updates
from tests import make
from tests.workflows import others


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return others.repository(tmp_path / "other", store=tmp_path / "store")


@pytest.fixture
def imported(project: Path, other: Path) -> Path:
    """A project with imports from another repository, and one from a path, committed."""
    make.done(project, "import", "../other", "s.csv")
    make.done(project, "import", "../other", "d")
    make.done(project, "import-url", "../other/m.json")
    make.commit(project)
    return project


def recorded(folder: Path) -> list[updates.Recorded]:
    return [(None, item) for item in definition.read(workspace.find(folder)).tracked]


def test_nothing_new_is_nothing_to_do(imported):
    before = make.state(imported)
    lines = make.done(imported, "update", "s.csv.dvc", "d", "m.json").splitlines()
    assert [line.partition(" ")[2] for line in lines] == ["didn't change, skipping"] * 3
    assert make.state(imported) == before


def test_a_new_commit_is_followed_and_an_old_one_kept_where_it_was_asked_for(imported, other):
    make.done(imported, "import", "../other", "s.csv", "-o", "old.csv", "--rev", "v1")
    commit = others.change(other, "new\n")
    make.done(imported, "update", "-R", ".")
    assert (imported / "s.csv").read_text() == "new\n"
    assert (imported / "old.csv").read_text() == "x,y\n1,2\n"
    assert commit in (imported / "s.csv.dvc").read_text()


def test_an_update_keeps_what_a_person_wrote_into_the_record(imported, other):
    file = imported / "s.csv.dvc"
    file.write_text(f"# of the survey\n{file.read_text()}  desc: why\n")
    others.change(other, "new\n")
    make.done(imported, "update", "s.csv.dvc")
    assert file.read_text().startswith("# of the survey\n")
    assert file.read_text().endswith("  desc: why\n")


def test_an_edit_that_is_not_saved_is_not_overwritten_without_force(imported, other):
    (imported / "s.csv").write_text("mine\n")
    others.change(other, "new\n")
    before = make.state(imported)
    shown = make.assay(imported, "update", "s.csv.dvc")
    assert shown.code == 1
    assert "unsaved data would be lost" in shown.err
    assert make.state(imported) == before
    make.done(imported, "update", "--force", "s.csv.dvc")
    assert (imported / "s.csv").read_text() == "new\n"


def test_data_that_were_deleted_come_back(imported):
    (imported / "s.csv").unlink()
    make.done(imported, "update", "s.csv")
    assert (imported / "s.csv").read_text() == "x,y\n3,4\n"


REFUSED = [
    (["own.txt"], 1, "this is not an import"),
    (["nope"], 255, "'nope' is neither a stage nor a tracked path"),
    (["s.csv.dvc", "--rev", "nope"], 255, "the repository has no revision 'nope'"),
    (["m.json.dvc", "--rev", "v1"], 2, "data from an address have no revisions"),
    (["s.csv.dvc", "--to-remote"], 2, "data of another repository are not sent to a remote"),
    (["m.json.dvc", "--to-remote", "--no-download"], 2, "choose one"),
    (["m.json.dvc", "-r", "x"], 2, "give both"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), REFUSED, ids=lambda v: str(v)[:40])
def test_what_cannot_be_updated_is_refused_and_nothing_changes(imported, arguments, code, words):
    make.write(imported, {"own.txt": "o"})
    make.done(imported, "add", "--no-profile", "own.txt")
    before = make.state(imported)
    shown = make.assay(imported, "update", *arguments)
    assert shown.code == code, shown
    assert words in shown.err
    assert make.state(imported) == before


def test_a_path_that_the_new_revision_has_not_is_named_and_the_data_stay(imported, other):
    make.git(other, "rm", "-q", "s.csv.dvc")
    make.commit(other)
    before = make.state(imported)
    shown = make.assay(imported, "update", "s.csv.dvc")
    assert shown.code == 255
    assert "the repository has no 's.csv' at" in shown.err
    assert make.state(imported) == before


def test_a_source_that_vanished_is_named_and_the_data_stay(imported, other):
    other.rename(other.with_name("away"))
    before = make.state(imported)
    for target, words in (
        ("s.csv.dvc", "the repository '../other' that it was imported from is gone"),
        ("m.json.dvc", "there is nothing at this address"),
    ):
        shown = make.assay(imported, "update", target)
        assert shown.code == 255
        assert words in shown.err
    assert make.state(imported) == before


def test_an_address_beside_the_record_is_found_from_any_folder(project, other):
    (project / "sub" / "deep").mkdir(parents=True)
    make.done(project / "sub", "import", "../../other", "s.csv")
    make.done(project, "import", "../other", "d", "-o", "sub/d")
    others.change(other, "new\n")
    make.done(project, "update", "sub/s.csv.dvc")
    assert (project / "sub" / "s.csv").read_text() == "new\n"
    make.done(project / "sub" / "deep", "update", "../d.dvc")


def test_in_a_clone_the_data_come_from_where_they_were_imported(imported, other, tmp_path):
    others.change(other, "later, which nobody asked for\n")
    make.git(tmp_path, "clone", "-q", str(imported), "clone")
    project = workspace.find(tmp_path / "clone")
    brought = updates.bring(project, recorded(project.root), cwd=project.root)
    assert brought.n_outputs == 2
    assert [item.path.name for _, item in brought.others] == ["m.json"]
    make.done(project.root, "checkout", "s.csv", "d")
    assert (project.root / "s.csv").read_text() == "x,y\n3,4\n"
    assert (project.root / "d" / "sub" / "b").read_text() == "22\n"


def test_the_data_of_an_older_commit_come_from_the_commit_it_imported(imported, other):
    first = git.resolve(imported, "HEAD")
    others.change(other, "new\n")
    make.done(imported, "update", "s.csv.dvc")
    make.commit(imported)
    shutil.rmtree(imported / ".dvc" / "cache")
    project = workspace.find(imported)
    items = definition.read_at(project, first).tracked
    updates.bring(project, [(first, item) for item in items], cwd=imported)
    assert any(p.read_text() == "x,y\n3,4\n" for p in (imported / ".dvc" / "cache").rglob("??*")
               if p.is_file() and not p.name.endswith(".dir"))  # fmt: skip


def test_data_that_are_not_what_was_recorded_are_an_error(imported, other):
    file = imported / "s.csv.dvc"
    file.write_text(file.read_text().replace("path: s.csv\n  repo", "path: m.json\n  repo"))
    shutil.rmtree(imported / ".dvc" / "cache")
    with pytest.raises(Error, match="is not what was imported"):
        updates.bring(workspace.find(imported), recorded(imported), cwd=imported)


def test_an_import_whose_repository_moved_on_is_available(imported, other):
    project = workspace.find(imported)
    declared = definition.read(project)
    assert updates.available(project, declared.data, cwd=imported) == {}
    others.change(other, "new\n")
    assert updates.available(project, declared.data, cwd=imported) == {
        "d.dvc": ["d (../other)"],
        "s.csv.dvc": ["s.csv (../other)"],
    }
