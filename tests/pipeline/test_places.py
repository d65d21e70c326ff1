"""Where Python looks for code in a run that is done again: never in the person's tree."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from assay.pipeline.reproduction import places
from tests import make


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """The person's tree, and a work tree that has the same folders but one."""
    make.write(tmp_path / "mine", {"src/p.py": "", "new/q.py": "", "bin/tool": ""})
    make.write(tmp_path / "there", {"src/p.py": "", "bin/tool": ""})
    return tmp_path / "mine", tmp_path / "there"


def test_folders_of_the_tree_are_those_of_the_work_tree(trees):
    mine, there = trees
    packages = mine / "env" / "lib"
    make.write(mine, {"env/pyvenv.cfg": "", "env/lib/p.py": ""})
    folders = [mine / "src", mine / "new", packages, Path("/other")]
    env = {
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "PATH": os.pathsep.join([str(mine / "bin"), str(mine / "missing"), "/usr/bin"]),
        "HOME": "/home/ada",
    }
    found = places.moved(env, mine, there, has_packages=False)
    python = found["PYTHONPATH"].split(os.pathsep)
    assert python[:3] == [str(there / "src"), str(packages), "/other"]  # what came later is not
    assert found["PATH"].split(os.pathsep) == [
        str(there / "bin"), str(mine / "missing"), "/usr/bin",
    ]  # fmt: skip
    assert found["HOME"] == "/home/ada"


def test_packages_of_an_environment_are_not_hidden_by_folders_outside(trees):
    mine, there = trees
    env = {"PYTHONPATH": os.pathsep.join(["/other", str(mine / "src")])}
    found = places.moved(env, mine, there, has_packages=True)
    assert "/other" not in found["PYTHONPATH"].split(os.pathsep)
    assert str(there / "src") in found["PYTHONPATH"].split(os.pathsep)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("_pkg.pth", "{mine}/src\n"),
        ("__editable___pkg_finder.py", "MAPPING: dict[str, str] = {{'p': '{mine}/src/p'}}\n"),
    ],
)
def test_a_project_that_is_installed_in_place_is_that_of_the_run(
    trees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str
):
    mine, there = trees
    info = "pkg-1.0.dist-info"
    make.write(tmp_path / "site", {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n",
        f"{info}/RECORD": f"{file},,\n{info}/METADATA,,\n",
        f"{info}/direct_url.json": json.dumps(
            {"url": f"file://{mine}", "dir_info": {"editable": True}}
        ),
        file: text.format(mine=mine),
    })  # fmt: skip
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert mine / "src" in list(places.editable())
    found = places.moved({}, mine, there, has_packages=True)
    assert found["PYTHONPATH"].split(os.pathsep)[0] == str(there / "src")


def test_without_anything_to_move_nothing_is_set(trees):
    mine, there = trees
    assert places.moved({"A": "1"}, mine, there, has_packages=False) == {"A": "1"}
