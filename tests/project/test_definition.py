"""What a project declares is found, in the work tree and in a commit, and named by its targets."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.base.errors import NotFound
from assay.project import definition
from assay.project.definition import Definition
from assay.project.workspace import Project
from tests import make

OID = "b1946ac92492d2347c6235b4d2611184"


def record(path: str) -> str:
    return f"outs:\n- md5: {OID}\n  size: 6\n  hash: md5\n  path: {path}\n"


FILES = {
    "a.txt.dvc": record("a.txt"),
    "s/b.txt.dvc": record("b.txt"),
    "dvc.yaml": "stages:\n  train:\n    cmd: 'true'\n    outs: [model]\n",
    "s/dvc.yaml": "stages:\n  test:\n    cmd: 'true'\n    metrics: [m.json: {cache: false}]\n",
    "dvc.lock": "schema: '2.0'\nstages:\n  train:\n    cmd: 'true'\n    outs:\n    - path: model\n"
    f"      hash: md5\n      md5: {OID}\n      size: 6\n",
}


def read(project: Path) -> Definition:
    return definition.read(Project(project))


def test_stages_and_data_are_found_in_every_folder(project: Path):
    make.write(project, FILES)
    found = read(project)
    assert list(found.by_address) == ["train", "s/dvc.yaml:test", "a.txt.dvc", "s/b.txt.dvc"]
    paths = {item.path.relative_to(project).as_posix(): item.row for item in found.tracked}
    assert list(paths) == ["a.txt", "model", "s/b.txt", "s/m.json"]
    assert [row.oid if row else None for row in paths.values()] == [OID, OID, OID, None]


def test_a_commit_says_the_same_as_its_work_tree(project: Path):
    make.write(project, FILES)
    commit = make.commit(project)
    expected = [(t.path, t.row) for t in read(project).tracked]
    for name in FILES:
        (project / name).unlink()
    assert read(project).tracked == ()
    there = definition.read_at(Project(project), commit)
    assert [(t.path, t.row) for t in there.tracked] == expected


@pytest.mark.parametrize(
    "inside",
    [
        "data/x.dvc",
        ".git/x.dvc",
        "node_modules/x.dvc",
        "ignored/x.dvc",
        "venv/x.dvc",
        "other/x.dvc",
    ],
)
def test_what_is_not_the_projects_own_is_not_read(project: Path, inside: str):
    """Tracked data, environments, ignored folders, and a project within the project."""
    make.write(
        project,
        {
            "data.dvc": record("data"),
            ".dvcignore": "ignored\n",
            "venv/pyvenv.cfg": "",
            "other/.dvc/config": "",
            inside: "this: is\nbroken: [",
        },
    )
    assert [stage.address for stage in read(project).data] == ["data.dvc"]
    if not inside.startswith((".git", "data", "ignored", "venv", "node")):
        commit = make.commit(project)
        there = definition.read_at(Project(project), commit)
        assert [stage.address for stage in there.data] == ["data.dvc"]


@pytest.mark.parametrize(
    ("target", "cwd", "found"),
    [
        ("train", ".", ["model"]),
        ("s/dvc.yaml:test", ".", ["s/m.json"]),
        ("test", "s", ["s/m.json"]),
        ("dvc.yaml", "s", ["s/m.json"]),
        ("s/b.txt.dvc", ".", ["s/b.txt"]),
        ("b.txt", "s", ["s/b.txt"]),
        ("s", ".", ["s/b.txt", "s/m.json"]),
        ("model/inner/file", ".", ["model"]),
        ("../a.txt", "s", ["a.txt"]),
    ],
)
def test_a_target_names_what_it_says_from_where_it_is_said(project: Path, target, cwd, found):
    make.write(project, FILES)
    chosen = read(project).select((target,), cwd=project / cwd)
    assert [t.path.relative_to(project).as_posix() for t in chosen] == found


@pytest.mark.parametrize(
    ("target", "hint"),
    [("trian", "did you mean 'train'?"), ("a.tx", "did you mean 'a.txt'?"), ("zzz", "assay ")],
)
def test_a_target_that_names_nothing_gets_the_nearest_name(project: Path, target: str, hint: str):
    make.write(project, FILES)
    with pytest.raises(NotFound, match=f"'{target}' is neither") as caught:
        read(project).select((target,), cwd=project)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("summary", "did you mean 'reports/sub/dvc.yaml:summary'?"),
        ("reports/sub", "name its stages by 'reports/sub/dvc.yaml', or give '-R' with the folder"),
        ("reports", "name its stages by 'reports/sub/dvc.yaml', or give '-R' with the folder"),
    ],
)
def test_a_stage_of_another_folder_is_named_and_so_is_a_folder(
    tmp_path: Path, target: str, hint: str
):
    text = "stages: {summary: {cmd: x, outs: [hist.txt]}}\n"
    folder = make.write(make.project(tmp_path / "project"), {"reports/sub/dvc.yaml": text})
    with pytest.raises(NotFound, match=f"'{target}' is neither") as caught:
        read(folder).find(target, cwd=folder)
    assert caught.value.hint == hint
