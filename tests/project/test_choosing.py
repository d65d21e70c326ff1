"""Targets name outputs, parts of them, folders, stages and patterns."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from assay.base.errors import NotFound
from assay.project import choosing, definition
from assay.project.choosing import Chosen
from assay.project.workspace import Project
from tests import make

STAGE = "stages:\n  train:\n    cmd: 'true'\n    deps: [d]\n    outs: [../model]\n"


@pytest.fixture
def full(project: Path) -> Path:
    make.write(project, {"a.csv": "1", "b.csv": "2", "d/x": "1", "d/s/y": "2", "sub/c.csv": "3"})
    make.done(project, "add", "a.csv", "b.csv", "d", "sub/c.csv")
    make.write(project, {"sub/dvc.yaml": STAGE})
    return project


def named(folder: Path, *targets: str, recursive: bool = False) -> list[str]:
    declared = definition.read(Project(folder))
    chosen = choosing.choose(declared, targets, cwd=folder, recursive=recursive)
    return [shown(folder, one) for one in chosen]


def shown(folder: Path, one: Chosen) -> str:
    path = one.item.path.relative_to(folder).as_posix()
    return f"{path}[{','.join(one.within)}]" if one.within else path


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ((), ["a.csv", "b.csv", "d", "model", "sub/c.csv"]),
        (("a.csv",), ["a.csv"]),
        (("a.csv.dvc", "a.csv"), ["a.csv"]),
        (("d", "d/x"), ["d"]),
        (("d/x", "d/s"), ["d[x,s]"]),
        (("d/x", "d/x"), ["d[x]"]),
        (("sub",), ["sub/c.csv"]),
        (("sub/dvc.yaml:train",), ["model"]),
        (("./d/",), ["d"]),
    ],
)
def test_a_target_names_these(full: Path, targets: tuple[str, ...], expected: list[str]):
    assert named(full, *targets) == expected


def test_recursively_a_folder_names_the_stages_in_it(full: Path):
    assert named(full, "sub", recursive=True) == ["model", "sub/c.csv"]
    assert named(full, "a.csv", "d", recursive=True) == ["a.csv", "d"]


def test_a_target_that_names_nothing_names_the_nearest(full: Path):
    with pytest.raises(NotFound) as caught:
        named(full, "b.cvs")
    assert caught.value.hint == "did you mean 'b.csv'?"


def test_patterns_match_what_is_tracked_also_where_it_is_not_here(full: Path):
    declared = definition.read(Project(full))
    (full / "b.csv").unlink()
    assert set(choosing.expand(["*.csv"], declared, cwd=full)) == {"a.csv", "b.csv"}
    assert set(choosing.expand(["**/*.csv"], declared, cwd=full)) == {
        "a.csv",
        "b.csv",
        "sub/c.csv",
    }
    assert set(choosing.expand(["../*.csv"], declared, cwd=full / "sub")) == {
        "../a.csv",
        "../b.csv",
    }
    with pytest.raises(NotFound, match=r"\*\.txt"):
        choosing.expand(["*.txt"], declared, cwd=full)


def test_new_data_is_matched_without_its_records(full: Path):
    make.write(full, {"e.csv": "4"})
    assert choosing.expand_new(["*.csv*"], cwd=full) == ["a.csv", "b.csv", "e.csv"]
    with pytest.raises(NotFound):
        choosing.expand_new(["*.dvc"], cwd=full)


NAMES = st.sampled_from(["a", "b", "ab", "a.c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
PATTERNS = st.lists(st.sampled_from(["*", "**", "a", "a*", "[ab]", "?"]), min_size=1, max_size=3)


@given(PATHS, PATTERNS.map("/".join))
def test_a_pattern_means_what_it_means_to_the_shell(path: str, pattern: str):
    assume(not pattern.endswith("/**"))  # it names a folder itself, too, which the shell sees
    assert choosing.matches(path, pattern) == _globbed(path, pattern)


def test_all_of_a_folder_is_the_folder():
    assert choosing.matches("d", "d/**")
    assert choosing.matches("d/a/b", "d/**")


def _globbed(path: str, pattern: str) -> bool:
    import tempfile

    with tempfile.TemporaryDirectory(dir=make.memory()) as folder:
        target = Path(folder, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
        there = glob.iglob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207 -- the oracle
        return path in {os.path.normpath(name) for name in there}
