"""Git ignores tracked data by one line in the data's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.base.errors import Negative
from assay.project import git, gitignore
from assay.project.workspace import Project
from tests import make


def test_the_line_goes_to_the_folder_of_the_data(project: Path):
    made = gitignore.add(
        Project(project), [project / "a", make.write(project, {"s/b": ""}) / "s/b"]
    )
    assert made == [project / ".gitignore", project / "s" / ".gitignore"]
    assert (project / ".gitignore").read_text() == "/a\n"
    assert (project / "s" / ".gitignore").read_text() == "/b\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [("*.log", "*.log\n/a\n"), ("*.log\n", "*.log\n/a\n"), ("/a\n", "/a\n"), ("a\n", "a\n")],
)
def test_a_file_that_is_there_gets_the_line_once(project: Path, before: str, after: str):
    make.write(project, {".gitignore": before})
    changed = gitignore.add(Project(project), [project / "a"])
    assert (project / ".gitignore").read_text() == after
    assert bool(changed) == (before != after)


def test_bytes_that_are_no_text_stay(project: Path):
    (project / ".gitignore").write_bytes(b"\xff\n")
    gitignore.add(Project(project), [project / "a"])
    assert (project / ".gitignore").read_bytes() == b"\xff\n/a\n"


@settings(max_examples=20, deadline=None)
@given(st.text("ab[]*?!#\\ {}ü", min_size=1, max_size=6).filter(lambda name: name[-1] != " "))
def test_a_name_is_ignored_itself_and_no_other(name: str):
    import tempfile

    with tempfile.TemporaryDirectory(dir=make.memory()) as folder:
        root = make.repository(Path(folder))
        (root / ".gitignore").write_text(f"/{gitignore.escape(name)}\n")
        others = {"a", "b", "ab", "aa", "ü"} - {name}
        assert git.ignored(root, [name, *others]) == {name}


@pytest.mark.parametrize("tracked", ["a", "a/b", "a/b/c"])
def test_what_git_tracks_is_refused_with_the_way_out(project: Path, tracked: str):
    make.write(project, {tracked: ""})
    make.git(project, "add", "a")
    with pytest.raises(Negative, match="git tracks this") as caught:
        gitignore.refuse_tracked(Project(project), project / "a")
    assert "git rm -r --cached" in (caught.value.hint or "")
    gitignore.refuse_tracked(Project(project), project / "b")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("ab[]*?!#\\ "), min_size=1).filter(str.strip), unique=True)
)
def test_what_was_added_and_removed_leaves_the_file_as_it_was(names: list[str]):
    import tempfile

    with tempfile.TemporaryDirectory(dir=make.memory()) as folder:
        root = make.project(Path(folder) / "p")
        make.write(root, {".gitignore": "# mine\n*.log\n"})
        paths = [root / name for name in names if not name.endswith(" ")]
        gitignore.add(Project(root), paths)
        gitignore.remove(Project(root), paths)
        assert (root / ".gitignore").read_text() == "# mine\n*.log\n"
