"""Stages whose commands are traced, as `repro --strict` does it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from assay.base.errors import Error
from assay.pipeline import strict
from assay.pipeline.strict import Findings
from assay.project import definition, workspace
from assay.project.stages import Stage
from assay.project.workspace import Project
from tests import make


def skip_where_impossible() -> None:
    """Skip the module that calls it where processes cannot be traced; it says why."""
    try:
        strict.available()
    except Error as error:
        pytest.skip(str(error), allow_module_level=True)


def stage(folder: Path, **keys: Any) -> tuple[Project, Stage]:
    make.write(folder, {"dvc.yaml": yaml.safe_dump({"stages": {"it": {"cmd": "true", **keys}}})})
    project = workspace.find(folder)
    return project, definition.read(project).by_address["it"]


def _trace(made: Stage, log: Path, *commands: str) -> None:
    for command in commands:
        done = subprocess.run(
            strict.wrap(["/bin/sh", "-c", command], log),
            cwd=made.wdir,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


def found(
    folder: Path, *commands: str, files: Mapping[str, str | bytes] | None = None, **keys: Any
) -> Findings:
    """Run commands as a stage of a project, and return what is found."""
    make.write(folder, files or {})
    project, made = stage(folder, **keys)
    with tempfile.TemporaryDirectory() as logs:
        _trace(made, Path(logs) / "log", *commands)
        return strict.check(project, made, Path(logs) / "log")
