"""Many commits by one process: the same answers as by a process for each question."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.base.errors import NotFound
from assay.project import git
from tests import make

NAMES = ["a.txt", "b c.txt", "d/e.txt", "d/f/g.txt", "ü/missing", "x\ny"]


@pytest.fixture
def commits(tmp_path: Path) -> tuple[Path, list[str]]:
    root = make.repository(tmp_path / "r")
    found = []
    for number in range(3):
        make.write(root, {name: f"{name} {number}\n" for name in NAMES[number:]})
        found.append(make.commit(root))
        make.git(root, "rm", "-rq", NAMES[number])
    return root, found


def test_answers_are_those_of_single_questions(commits):
    root, found = commits

    def answers() -> list[object]:
        return [
            (
                git.resolve(root, commit),
                sorted(git.list_files(root, commit)),
                [git.read_file(root, commit, name) for name in (*NAMES, "d", "no such", "n s")],
            )
            for commit in found
        ]

    single = answers()
    with git.reading(root):
        assert answers() == single
        assert git.resolve(root, "HEAD") == found[-1]
        with pytest.raises(NotFound):
            git.resolve(root, "0" * 40)
    assert answers() == single


def test_another_repository_is_asked_by_itself(commits, tmp_path):
    root, found = commits
    other = make.repository(tmp_path / "other")
    commit = make.commit(make.write(other, {"z": "1"}))
    with git.reading(root):
        assert git.list_files(other, commit) == ["z"]
        assert git.read_file(other, commit, "z") == b"1"
        assert git.read_file(root, found[0], "a.txt") == b"a.txt 0\n"
