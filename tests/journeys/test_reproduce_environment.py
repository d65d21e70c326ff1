"""A run done again in the environment that it had: packages, interpreter, where code is found."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from assay import __version__
from tests import make, stages
from tests.wheels import wheel

USES = """
stages:
  uses:
    cmd: python uses.py
    deps: [uses.py]
    outs: [version.txt]
"""
CODE = "import tinydep\nopen('version.txt', 'w').write(tinydep.VERSION)\n"


@pytest.fixture(scope="module")
def _used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("used")
    for version in ("1.0", "2.0"):
        with zipfile.ZipFile(wheel(place / "index", version)) as archive:
            archive.extractall(place / version)
    folder = stages.pipeline(place / "project", USES, {"uses.py": CODE})
    done = make.process(folder, "repro", env={"PYTHONPATH": str(place / "1.0")})
    assert done.code == 0, done
    return place


@pytest.fixture
def used(_used: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose stage ran with tinydep 1.0; now 2.0 is here, and an index has both."""
    shutil.copytree(_used, tmp_path, symlinks=True, dirs_exist_ok=True)
    folder = tmp_path / "project"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "2.0"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "index"))
    return folder


def again(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    shown = make.process(folder, "reproduce", "--json", *arguments)
    assert shown.code == code, shown
    found: dict[str, Any] = json.loads(shown.out)
    return found


def test_the_recorded_versions_are_installed_and_the_result_is_the_same(used: Path):
    found = again(used, "--environment", "current", code=1)
    assert (found["sameness"], found["environment_used"]) == ("differs", "current")
    (cause,) = [one for one in found["causes"] if one["kind"] == "versions"]
    assert cause["text"] == "other versions: tinydep 2.0, recorded 1.0"
    assert not (used / ".assay" / "environments").exists()

    found = again(used)
    assert (found["sameness"], found["environment_used"]) == ("identical", "recorded")
    assert found["same_software"] is True
    assert found["environment"] == []
    assert found["notes"][-1].endswith("that are here and 1 installed")

    (environment,) = [p for p in (used / ".assay" / "environments").iterdir() if p.is_dir()]
    made = (environment / "assay.json").stat().st_mtime_ns
    shown = make.process(used, "reproduce")
    assert "The recorded environment was used:" in shown.out
    assert "Building the recorded environment" not in shown.out
    assert (environment / "assay.json").stat().st_mtime_ns == made
    recorded = json.loads(make.done(used, "runs", "show", found["reproduction"], "--json"))
    packages = recorded["run"]["environment"]["software"]["packages"]
    assert "tinydep==1.0" in packages


def test_a_package_that_cannot_be_had_is_named_with_the_version_that_is_here(
    used: Path, tmp_path: Path
):
    (tmp_path / "index" / "tinydep-1.0-py3-none-any.whl").unlink()
    shown = make.process(used, "reproduce")
    assert shown.code == 255
    assert "these packages cannot be had:\n  tinydep==1.0 (here is 2.0): " in shown.err
    assert "or use what is here: --environment current" in shown.err
    assert [p for p in (used / ".assay" / "environments").iterdir() if p.is_dir()] == []
    assert make.git(used, "worktree", "list").count("\n") == 1


def test_an_environment_that_was_half_built_is_built_anew(used: Path):
    running = subprocess.Popen(
        make.command("reproduce"), cwd=used, stdout=subprocess.PIPE, text=True, process_group=0
    )
    assert running.stdout is not None
    assert "Building the recorded environment" in running.stdout.readline()
    environments = used / ".assay" / "environments"
    deadline = time.monotonic() + 60
    while not list(environments.glob("*/pyvenv.cfg")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    assert not list(environments.glob("*/assay.json"))
    assert again(used)["sameness"] == "identical"


def test_the_recorded_environment_is_asked_for_and_not_on_record(used: Path):
    shown = make.assay(used, "reproduce", "--environment", "neither")
    assert shown.code == 2
    with sqlite3.connect(used / ".assay" / "ledger.db") as ledger:
        ledger.execute("update run set environment_oid = null")
    ledger.close()
    shown = make.assay(used, "reproduce", "--environment", "recorded")
    assert shown.code == 255
    assert "the environment of the run was not recorded\n  hint: use the present" in shown.err


def test_another_interpreter_that_is_not_here_is_named(used: Path):
    with sqlite3.connect(used / ".assay" / "ledger.db") as ledger:
        ledger.execute("update environment set content = replace(content, 'CPython', 'Jython')")
    ledger.close()
    shown = make.assay(used, "reproduce")
    assert shown.code == 255
    assert f"Jython {sys.version.split()[0]} of the record is not here" in shown.err


def test_a_package_of_the_project_itself_is_that_of_the_run(tmp_path: Path):
    """PYTHONPATH names the person's tree, where the code is another one now."""
    text = USES.replace("uses.py]", "uses.py, src]")
    files = {"uses.py": CODE, "src/tinydep/__init__.py": "VERSION = 'then'\n"}
    folder = stages.pipeline(tmp_path / "project", text, files)
    env = {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    assert make.process(folder, "repro", env=env).code == 0
    make.write(folder, {"src/tinydep/__init__.py": "VERSION = 'now'\n"})
    shown = make.process(folder, "reproduce", "--json", env=env)
    assert shown.code == 0, shown
    assert json.loads(shown.out)["sameness"] == "identical"


def test_what_stands_in_for_another_patch_version_or_a_local_package_is_said(tmp_path: Path):
    """Commands of packages are there too, and run by the interpreter that was built."""
    side = tmp_path / "where"
    asks = f"assay --version; command -v assay > {side}"
    text = f"stages: {{a: {{cmd: {asks}; echo 1 > o, outs: [o]}}}}"
    folder = stages.pipeline(tmp_path / "project", text)
    make.done(folder, "repro")
    version = sys.version.split()[0]
    then = ".".join([*version.split(".")[:2], "99"])
    with sqlite3.connect(folder / ".assay" / "ledger.db") as ledger:
        query = "update environment set content = replace(content, ?, ?)"
        ledger.execute(query, [f'"python":"{version}"', f'"python":"{then}"'])
        ledger.execute(query, [f"assay=={__version__}", "assay==0.0.1"])
    ledger.close()
    found = again(folder)
    assert (found["sameness"], found["same_software"]) == ("identical", False)
    assert f"Python {version} stands in for {then}" in found["notes"]
    assert f"CPython {version}, recorded CPython {then}" in found["environment"]
    assert (
        f"'assay' is a local package, in no index: the present {__version__} stands in for 0.0.1"
    ) in found["notes"]
    program = Path(side.read_text().strip())
    assert program.is_relative_to(folder / ".assay" / "environments")
    assert program.read_text().startswith(f"#!{program.parent / 'python'}\n")
