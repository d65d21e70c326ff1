"""The recorded environment is built by uv where that is there: the real one, without a network."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests import make, stages
from tests.wheels import wheel

UV = Path(__file__).parents[3] / ".peers" / "uv" / "bin" / "uv"
USES = """
stages:
  uses:
    cmd: python uses.py
    deps: [uses.py]
    outs: [version.txt]
"""
CODE = "import tinydep\nopen('version.txt', 'w').write(tinydep.VERSION)\n"

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not UV.exists(), reason="uv is not in .peers/uv: 'make test' installs it"),
]


@pytest.fixture(autouse=True)
def _only_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put uv, which has an index in a folder, before everything; pip can install nothing."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "uv").symlink_to(UV)
    monkeypatch.setenv("PATH", os.pathsep.join([str(programs), os.environ["PATH"]]))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "pythons"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "index"))


@pytest.fixture
def used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose stage ran with tinydep 1.0; now 2.0 is here."""
    for version in ("1.0", "2.0"):
        with zipfile.ZipFile(wheel(tmp_path / "index", version)) as archive:
            archive.extractall(tmp_path / version)
    folder = stages.pipeline(tmp_path / "project", USES, {"uses.py": CODE})
    done = make.process(folder, "repro", env={"PYTHONPATH": str(tmp_path / "1.0")})
    assert done.code == 0, done
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "2.0"))
    return folder


def again(folder: Path, *, code: int = 0) -> dict[str, Any]:
    shown = make.process(folder, "reproduce", "--json")
    assert shown.code == code, shown
    found: dict[str, Any] = json.loads(shown.out)
    return found


def edit(folder: Path, change: Any) -> None:
    """Change the software that is on record."""
    with sqlite3.connect(folder / ".assay" / "ledger.db") as db:
        for oid, content in db.execute("select oid, content from environment").fetchall():
            recorded = json.loads(content)
            change(recorded["software"])
            row = [json.dumps(recorded), oid]
            db.execute("update environment set content = ? where oid = ?", row)
    db.close()


def test_packages_that_differ_are_installed_by_uv(used: Path):
    found = again(used)
    assert (found["sameness"], found["same_software"]) == ("identical", True)
    (place,) = (used / ".assay" / "environments").glob(
        "*/lib/python*/site-packages/tinydep-1.0.dist-info"
    )
    assert (place / "INSTALLER").read_text().strip() == "uv"


@pytest.mark.slow
def test_a_wheel_is_installed_by_uv_from_its_address(used: Path, tmp_path: Path):
    file = wheel(tmp_path / "elsewhere", "1.0")

    def change(software: dict[str, Any]) -> None:
        at = software["packages"].index("tinydep==1.0")
        software["packages"][at] = f"tinydep @ {file.as_uri()}"

    edit(used, change)
    assert again(used)["sameness"] == "identical"
    (place,) = (used / ".assay" / "environments").glob(
        "*/lib/python*/site-packages/tinydep-1.0.dist-info"
    )
    assert json.loads((place / "direct_url.json").read_text())["url"] == file.as_uri()


@pytest.mark.slow
def test_what_uv_cannot_get_is_named_with_its_reason(used: Path, tmp_path: Path):
    (tmp_path / "index" / "tinydep-1.0-py3-none-any.whl").unlink()
    shown = make.process(used, "reproduce")
    assert shown.code == 255
    assert "these packages cannot be had:\n  tinydep==1.0 (here is 2.0): " in shown.err
    assert "Because" in shown.err  # uv's own words
    assert "UV_FIND_LINKS for uv" in shown.err
    assert not list((used / ".assay" / "environments").glob("*/bin"))


def other_python() -> tuple[Path, str] | None:
    """Return a Python of another version than this one, of Debian's, with its version."""
    code = "import platform; print(platform.python_version())"
    for path in sorted(Path("/usr/bin").glob("python3.[0-9]*")):
        if "config" not in path.name:
            done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
            if done.returncode == 0 and done.stdout.strip() != platform.python_version():
                return path, done.stdout.strip()
    return None


def without_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a PATH that has every program but Python."""
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for path in Path(place).iterdir() if Path(place).is_dir() else ():
            link = folder / path.name
            if not path.name.startswith("python") and not link.is_symlink():
                link.symlink_to(path)
    monkeypatch.setenv("PATH", str(folder))


@pytest.fixture
def which(tmp_path: Path) -> Path:
    """A project whose stage says which Python it found."""
    side = tmp_path / "side"
    text = f"stages: {{which: {{cmd: 'command -v python > {side}; echo 1 > o', outs: [o]}}}}"
    folder = stages.pipeline(tmp_path / "project", text)
    make.done(folder, "repro")
    return folder


def test_an_interpreter_that_only_uv_finds_is_the_one_that_runs(
    which: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = other_python()
    if other is None:
        pytest.skip("there is no second Python in /usr/bin")
    path, version = other
    edit(which, lambda software: software.update(python=version, packages=[]))
    without_python(tmp_path / "all", monkeypatch)
    monkeypatch.setenv("UV_PYTHON_SEARCH_PATH", str(path.parent))
    found = again(which)
    assert (found["sameness"], found["same_software"]) == ("identical", True)
    (environment,) = (which / ".assay" / "environments").glob("*/pyvenv.cfg")
    assert "uv = " in environment.read_text()
    assert (tmp_path / "side").read_text().startswith(str(environment.parent))


def test_an_interpreter_that_uv_does_not_have_either_is_named(
    which: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    edit(which, lambda software: software.update(python="3.4.99"))
    without_python(tmp_path / "all", monkeypatch)
    shown = make.process(which, "reproduce")
    assert shown.code == 255
    assert "no environment could be made: " in shown.err
    assert "3.4.99" in shown.err
    assert "uv venv --quiet --no-project --python 3.4.99 FOLDER' has to work" in shown.err
    assert not list((which / ".assay" / "environments").glob("*/bin"))
