"""`.dvcignore` means what `.gitignore` would mean."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.project import git
from assay.project.ignore import Ignore
from tests import make

# Not "s/**": DVC, and so we, let it match the folder 's' itself; tests/peers asks DVC.
PATTERNS = st.lists(
    st.sampled_from(["a", "/a", "a/", "*.b", "!a", "!*.b", "a/b", "**/b", "# a", "", "?", "s/"]),
    max_size=4,
)
# Nor "!a" in the deeper file: DVC, and so we, let it bring back what lies in 'a' too.
DEEPER = PATTERNS.map(lambda patterns: [p for p in patterns if p != "!a"])
PATHS = ["a", "b", "x.b", "s/a", "s/b", "s/x.b", "a/b", "s/s/a", "s/a/b"]


@settings(max_examples=60, deadline=None)
@given(PATTERNS, DEEPER)
def test_it_agrees_with_git(above, below):
    with tempfile.TemporaryDirectory(dir=make.memory()) as folder:
        root = make.repository(Path(folder))
        for name in (".gitignore", ".dvcignore"):
            make.write(root, {name: "\n".join(above), f"s/{name}": "\n".join(below)})
        ours = {path for path in PATHS if Ignore(root).covers(str(root / path), is_dir=False)}
        assert ours == git.ignored(root, PATHS)


@pytest.mark.parametrize("name", [".git", ".dvc", ".assay", ".hg"])
def test_what_belongs_to_the_tools_is_never_data(tmp_path: Path, name: str):
    assert Ignore(tmp_path)(str(tmp_path / "s" / name), True)
    assert Ignore(tmp_path).covers(str(tmp_path / name / "x"), is_dir=False)


def test_a_path_outside_is_nothing_to_it(tmp_path: Path):
    make.write(tmp_path, {"p/.dvcignore": "*\n"})
    assert not Ignore(tmp_path / "p").covers(str(tmp_path / "x"), is_dir=False)


def test_a_file_that_is_no_text_is_read_as_far_as_it_goes(tmp_path: Path):
    (tmp_path / ".dvcignore").write_bytes(b"\xff\n*.log\n")
    assert Ignore(tmp_path)(str(tmp_path / "a.log"), False)


@settings(max_examples=60, deadline=None)
@given(PATTERNS, PATTERNS)
def test_the_last_pattern_that_is_shown_is_the_one_that_decides(above, below):
    with tempfile.TemporaryDirectory(dir=make.memory()) as folder:
        root = Path(folder)
        texts = {".dvcignore": "\n".join(above), "s/.dvcignore": "\n".join(below)}
        make.write(root, texts)
        ignore = Ignore(root)
        for name in PATHS:
            rules = ignore.rules(str(root / name), is_dir=False)
            hit = bool(rules) and rules[-1].ignores
            assert hit == ignore.covers(str(root / name), is_dir=False)


def test_what_is_ignored_is_refused_with_the_line_that_says_so(project: Path):
    make.write(project, {"dg/a": "1", ".dvcignore": "# mine\n*.tmp\n", "s/.dvcignore": "x\n"})
    make.done(project, "add", "dg")
    make.write(project, {"dg/a.tmp": "2", "b.tmp": "2", "s/x": "2"})
    before = make.state(project)
    for command in (["add", "b.tmp"], ["add", "dg/a.tmp"], ["commit", "dg/a.tmp"]):
        shown = make.assay(project, *command)
        assert shown.code == 1, shown
        assert ".dvcignore says not to look at this: line 2 has '*.tmp'" in shown.err
        assert shown.err.startswith(f"error: {command[1]}: ")
    shown = make.assay(project, "add", "s/x")
    assert "s/.dvcignore says not to look at this: line 1 has 'x'" in shown.err
    assert "'.git' is never data" in make.assay(project, "add", ".git").err
    assert make.state(project) == before
    assert make.done(project, "status") == "Data and pipelines are up to date.\n"
