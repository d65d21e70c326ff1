"""What tests of pipelines are made of: small stages that leave a mark, and real DVC."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import make

DVC = Path(__file__).parents[1] / ".peers" / "dvc" / "bin" / "dvc"

THREE = """
stages:
  prep:
    cmd: echo prep >> SIDE; sort data.csv > clean.csv
    deps: [data.csv]
    outs: [clean.csv]
  train:
    cmd: echo train >> SIDE; cat clean.csv params.yaml > model.txt
    deps: [clean.csv]
    params: [lr, seed]
    outs: [model.txt]
  evaluate:
    cmd: |
      echo evaluate >> SIDE
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
    side = folder / "starts"
    files = {"data.csv": "b,2\na,1\n", "params.yaml": "lr: 0.1\nseed: 7\n"}
    return pipeline(folder / "project", THREE.replace("SIDE", str(side)), files), side


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
