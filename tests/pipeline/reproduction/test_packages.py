"""Packages that came from an archive, a repository or a folder: recorded as such, and built."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from assay.ledger import packages
from tests import make
from tests.wheels import wheel

USES = """
import tinydep, assay
with assay.run("uses"):
    assay.log_param("version", tinydep.VERSION)
    assay.log_metric("version", float(tinydep.VERSION))
"""


PROJECT = """
[project]
name = "tinydep"
version = "1.0"
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"""


def source(folder: Path, version: str) -> Path:
    """Make the source of the module, in a git repository."""
    code = f"VERSION = '{version}'\n"
    make.write(
        make.repository(folder),
        {"pyproject.toml": PROJECT.replace("1.0", version), "tinydep/__init__.py": code},
    )
    make.commit(folder)
    return folder


def install(target: Path, *what: str) -> None:
    """Install with pip, without a network, into a folder of its own."""
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(target), *what],
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a script that uses the module; there is no index."""
    folder = make.write(make.project(tmp_path / "project"), {"uses.py": USES})
    make.commit(folder)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    return folder


def call(folder: Path, *path: Path) -> list[str]:
    """Run the script with the packages of folders, and return those that it recorded."""
    subprocess.run(
        [sys.executable, "uses.py"], cwd=folder, check=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
    )  # fmt: skip
    shown = json.loads(make.done(folder, "runs", "show", "latest", "--json"))["run"]
    found: list[str] = shown["environment"]["software"]["packages"]
    return [one for one in found if "tinydep" in one]


def again(folder: Path, path: Path | str, env: Mapping[str, str] | None = None) -> make.Shown:
    return make.process(
        folder, "reproduce", "--json", env={"PYTHONPATH": str(path), **(env or {})}
    )


def verdict(shown: make.Shown) -> dict[str, Any]:
    assert shown.code == 0, shown
    found: dict[str, Any] = json.loads(shown.out)
    return found


class Recorded(NamedTuple):
    """A project whose script ran with a wheel; no test changes it or its wheels."""

    folder: Path
    wheel: Path
    line: str


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    place = tmp_path_factory.mktemp("recorded")
    folder = make.write(make.project(place / "project"), {"uses.py": USES})
    make.commit(folder)
    file = wheel(place / "wheels", "1.0")
    install(place / "then", f"tinydep @ {file.as_uri()}")
    (line,) = call(folder, place / "then")
    return Recorded(folder, file, line)


@pytest.fixture
def of_wheel(recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project; there is no index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    shutil.copytree(recorded.folder, tmp_path / "project", symlinks=True)
    return tmp_path / "project"


def unpacked(folder: Path, version: str) -> Path:
    """Install a wheel as if it came from an index."""
    with zipfile.ZipFile(wheel(folder / "index", version)) as archive:
        archive.extractall(folder / version)
    return folder / version


def test_a_wheel_is_recorded_by_its_address_and_installed_from_there(
    tmp_path: Path, of_wheel: Path, recorded: Recorded
):
    """In no index is there any version, so that it has come from the address."""
    assert recorded.line.startswith(f"tinydep @ {recorded.wheel.as_uri()}#sha256=")
    found = verdict(again(of_wheel, unpacked(tmp_path, "2.0")))
    assert (found["sameness"], found["environment_used"]) == ("identical", "recorded")
    assert "1 installed" in found["notes"][-1]
    (folder,) = (of_wheel / ".assay" / "environments").glob("*/bin")
    (built,) = folder.parent.glob("lib/python*/site-packages/tinydep-1.0.dist-info")
    origin = json.loads((built / "direct_url.json").read_text())
    assert origin["url"] == recorded.wheel.as_uri()


def test_the_same_wheel_from_another_place_is_the_same(
    tmp_path: Path, of_wheel: Path, recorded: Recorded
):
    moved = tmp_path / "moved" / recorded.wheel.name
    moved.parent.mkdir()
    shutil.copy(recorded.wheel, moved)
    install(tmp_path / "now", f"tinydep @ {moved.as_uri()}")
    found = verdict(again(of_wheel, tmp_path / "now"))
    assert (found["environment_used"], found["same_software"]) == ("current", True)


def test_a_wheel_that_is_another_one_is_named_with_what_is_here(
    tmp_path: Path, of_wheel: Path, recorded: Recorded
):
    content = recorded.wheel.read_bytes()
    recorded.wheel.write_bytes(b"another")
    try:
        shown = again(of_wheel, unpacked(tmp_path, "2.0"))
    finally:
        recorded.wheel.write_bytes(content)
    assert shown.code == 255
    assert f"packages cannot be had:\n  {recorded.line} (here is 2.0): " in shown.err
    assert "--environment current" in shown.err


def test_a_repository_is_recorded_with_its_commit_and_built_from_that(
    tmp_path: Path, project: Path
):
    repository = source(tmp_path / "repository", "1.0")
    commit = make.git(repository, "rev-parse", "HEAD").strip()
    install(tmp_path / "then", f"git+{repository.as_uri()}")
    (line,) = call(project, tmp_path / "then")
    assert line == f"tinydep @ git+{repository.as_uri()}@{commit}"
    source(repository, "2.0")
    # what builds it is among the recorded packages; '0' means none of its own, says pip
    env = {"PIP_NO_BUILD_ISOLATION": "0"}
    found = verdict(again(project, unpacked(tmp_path, "2.0"), env))
    assert (found["sameness"], found["environment_used"]) == ("identical", "recorded")


def test_a_package_in_place_is_recorded_without_its_folder_and_what_is_here_stands_in(
    tmp_path: Path, project: Path
):
    mine = source(tmp_path / "mine", "1.0")
    install(tmp_path / "then", "-e", str(mine))
    (tmp_path / "then" / "tinydep").symlink_to(mine / "tinydep")  # '.pth' counts in few places
    assert call(project, tmp_path / "then") == ["# Editable install (tinydep==1.0)"]
    env = {"PYTHONHASHSEED": "1"}
    found = verdict(again(project, tmp_path / "then", env))
    assert not any("tinydep" in one for one in (*found["notes"], *found["environment"]))
    assert found["unrecorded"] == ["tinydep"]
    edit(project, "alembic==", "zzz-gone==")
    shown = again(project, tmp_path / "nothing")
    assert shown.code == 255
    assert (
        "of what was installed from a folder the code is not on record, and it is not here: "
        "tinydep 1.0 (editable)"
    ) in shown.err
    assert "hint: install it from its folder, and it stands in: pip install -e FOLDER" in shown.err
    assert not list((project / ".assay" / "environments").glob("*/bin"))


def edit(folder: Path, old: str, new: str) -> None:
    with sqlite3.connect(folder / ".assay" / "ledger.db") as db:
        db.execute("update environment set content = replace(content, ?, ?)", [old, new])
    db.close()


def test_a_package_in_place_from_the_project_is_that_of_the_run(tmp_path: Path, project: Path):
    source = {"src/tinydep/__init__.py": "VERSION = '1.0'\n", "src/pyproject.toml": PROJECT}
    make.write(project, {**source, ".gitignore": "/src/build\n"})
    make.commit(project)
    install(tmp_path / "then", "-e", str(project / "src"))
    assert call(project, project / "src", tmp_path / "then") == [
        "# Editable install (tinydep==1.0)"
    ]
    make.write(project, {"src/tinydep/__init__.py": "VERSION = '2.0'\n"})
    path = os.pathsep.join([str(project / "src"), str(tmp_path / "then")])
    found = verdict(again(project, path))
    assert (found["sameness"], found["unrecorded"]) == ("identical", [])


def test_of_a_package_from_a_folder_it_is_said_that_its_code_is_not_on_record(
    tmp_path: Path, project: Path
):
    mine = source(tmp_path / "mine", "1.0")
    install(tmp_path / "then", str(mine))
    assert call(project, tmp_path / "then") == ["# Local install (tinydep==1.0)"]
    edit(project, '"pip==', '"pip==0.')  # so that something differs, which need not be had
    shown = make.process(project, "reproduce", env={"PYTHONPATH": str(tmp_path / "then")})
    assert ": identical to the bit" in shown.out
    assert "The recorded environment was used:" in shown.out
    assert "Installed from a folder, so that its code is not on record: 'tinydep'." in shown.out


GIT = '"vcs_info": {"vcs": "git", "commit_id": "0"}'


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (None, "a==1"),
        ("no json", "a==1"),
        ('{"url": 1, "dir_info": []}', "a==1"),
        ('{"vcs_info": {"vcs": "git"}}', "a==1"),
        ('{"url": "https://h/a", "vcs_info": {}}', "a==1"),
        ('{"url": "https://u:p@h/a.zip?token=1&x=2", "archive_info": {}}', "a @ https://h/a.zip?x=2"),
        (
            f'{{"url": "ssh://git@h/a", {GIT}, "subdirectory": "b"}}',
            "a @ git+ssh://git@h/a@0#subdirectory=b",
        ),
        (
            '{"url": "https://${U}@h/a.zip", "archive_info": {"hashes": {"sha256": "0f"}}}',
            "a @ https://${U}@h/a.zip#sha256=0f",
        ),
    ],
)  # fmt: skip
def test_where_a_package_came_from_is_written_as_pip_freeze_writes_it(
    origin: str | None, line: str
):
    assert packages.line("a", "1", origin) == line


def test_it_is_what_pip_freeze_says(tmp_path: Path):
    file = wheel(tmp_path / "wheels", "1.0")
    install(tmp_path / "there", f"tinydep @ {file.as_uri()}")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "freeze", "--path", str(tmp_path / "there")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    own = subprocess.run(
        [sys.executable, "-I", "-c", OWN, str(tmp_path / "there"), str(packages.__file__)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(own.stdout)["packages"] == done.stdout.splitlines()


def test_where_conda_built_a_package_is_not_where_it_came_from(tmp_path: Path):
    with zipfile.ZipFile(wheel(tmp_path, "1.0")) as archive:
        archive.extractall(tmp_path / "there")
    info = tmp_path / "there" / "tinydep-1.0.dist-info"
    origin = '{"url": "file:///croot/tinydep/work", "dir_info": {}}'
    make.write(info, {"direct_url.json": origin, "INSTALLER": "conda\n"})
    assert packages.origin(metadata.Distribution.at(info)) is None
    make.write(info, {"INSTALLER": "uv\n"})
    assert packages.origin(metadata.Distribution.at(info)) == origin


OWN = """
import runpy, sys
sys.path[:] = [one for one in sys.path if "site-packages" not in one] + [sys.argv[1]]
runpy.run_path(sys.argv[2], run_name="__main__")
"""
