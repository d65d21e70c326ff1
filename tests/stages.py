"""What tests of pipelines are made of: small stages that leave a mark, and real DVC."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import make

DVC = Path(__file__).parents[1] / ".peers" / "dvc" / "bin" / "dvc"

THREE = """
stages:
  prep:
    cmd: echo prep >> $(dirname $ASSAY_LEDGER)/../../starts; sort data.csv > clean.csv
    deps: [data.csv]
    outs: [clean.csv]
  train:
    cmd: echo train >> $(dirname $ASSAY_LEDGER)/../../starts; cat clean.csv params.yaml > model.txt
    deps: [clean.csv]
    params: [lr, seed]
    outs: [model.txt]
  evaluate:
    cmd: |
      echo evaluate >> $(dirname $ASSAY_LEDGER)/../../starts
      echo "{\\"size\\": $(wc -c < model.txt)}" > metrics.json
    deps: [model.txt]
    metrics:
    - metrics.json: {cache: false}
"""


def dvc(folder: Path, *arguments: str) -> str:
    """Run real DVC and return what it prints."""
    finished = subprocess.run(
        [str(DVC), *arguments], cwd=folder, check=False, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr + finished.stdout
    return finished.stdout


def pipeline(folder: Path, text: str, files: Mapping[str, str | bytes] | None = None) -> Path:
    """Make a project with a `dvc.yaml`, and commit it; `data.csv` among the files is tracked."""
    root = make.write(make.project(folder), {**(files or {}), "dvc.yaml": text})
    if (root / "data.csv").exists():
        make.done(root, "add", "data.csv")
    make.commit(root)
    return root


def three(folder: Path) -> tuple[Path, Path]:
    """Make a project of three stages; each adds its name to the side file when it starts."""
    return _copied(_three(ran=False), folder)


def three_ran(folder: Path) -> tuple[Path, Path]:
    """Make the same after a first `repro`, its starts forgotten and its lock not yet committed."""
    return _copied(_three(ran=True), folder)


def _copied(template: Path, folder: Path) -> tuple[Path, Path]:
    shutil.copytree(template, folder / "project", symlinks=True)
    return folder / "project", folder / "starts"


@functools.cache
def _three(*, ran: bool) -> Path:
    """Make a project to be copied: that is faster than to make one each time."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if ran:
        project, _ = three(folder)
        make.done(project, "repro")
        return project
    files = {"data.csv": "b,2\na,1\n", "params.yaml": "lr: 0.1\nseed: 7\n"}
    return pipeline(folder / "project", THREE, files)


def starts(side: Path) -> list[str]:
    """Return which stages started, in their order; each adds a line to a file of its own."""
    return side.read_text().split() if side.exists() else []


def lock(folder: Path) -> str:
    """Return the lock as it stands."""
    return (folder / "dvc.lock").read_text()


def locked(folder: Path) -> dict[str, Any]:
    """Return the entries of the lock by stage."""
    import yaml

    found: dict[str, Any] = yaml.safe_load(lock(folder))["stages"]
    return found


def out_oid(folder: Path, out: str) -> str:
    """Return the MD5 that the lock has of an output."""
    rows = [row for entry in locked(folder).values() for row in entry.get("outs", [])]
    return str(next(row["md5"] for row in rows if row["path"] == out))


def object_of(folder: Path, oid: str) -> Path:
    """Return where an object of the cache lies."""
    return folder / ".dvc" / "cache" / "files" / "md5" / oid[:2] / oid[2:]


def damage(path: Path) -> None:
    """Flip one bit of an object of a cache."""
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)


_AS_NOBODY = """
import contextlib, importlib, os, pkgutil, sys
import assay, alembic.command, encodings.utf_8_sig, sqlalchemy.dialects.sqlite
for module in pkgutil.walk_packages(assay.__path__, "assay."):
    if not module.name.endswith("__main__"):
        with contextlib.suppress(ImportError):
            importlib.import_module(module.name)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
from assay.cli import run
sys.exit(run(sys.argv[1:]))
"""


def as_nobody(folder: Path, *arguments: str) -> make.Shown:
    """Run the command line as a user who owns nothing; root alone can.

    All is imported before: that user may not be able to read where Python lies.
    """
    nowhere = str(folder / "nowhere")
    settings = {
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        "HOME": nowhere, "XDG_CONFIG_HOME": nowhere, "DVC_SYSTEM_CONFIG_DIR": nowhere,
    }  # fmt: skip
    finished = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
    )
    return make.Shown(finished.returncode, finished.stdout, finished.stderr)
