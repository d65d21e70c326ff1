"""What real DVC's own index makes of projects: its resolved stages, edges, and what is beside.

As a program (of `.peers/dvc`) it reads folders, one a line, and answers each with a line of JSON,
in the form of `assay stage list --json`; `Index` starts it, once for many folders.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PYTHON = Path(__file__).parents[2] / ".peers" / "dvc" / "bin" / "python"


class Index:
    """A process of real DVC that answers what it reads in folders; use it in a `with`."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [str(PYTHON), __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self

    def of(self, folder: Path) -> dict[str, Any]:
        """Return what DVC resolves in a folder, or `error` and `kind`."""
        to_dvc, from_dvc = self._process.stdin, self._process.stdout
        assert to_dvc is not None
        assert from_dvc is not None
        print(folder, file=to_dvc, flush=True)
        found: dict[str, Any] = json.loads(from_dvc.readline())
        return found

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()


def described(folder: str) -> dict[str, Any]:
    """Return what DVC's index has of a folder."""
    os.chdir(folder)
    with importlib.import_module("dvc.repo").Repo(folder) as repo:
        index = repo.index
        stages = [stage for stage in index.stages if stage.cmd is not None]
        edges = [[needed.addressing, stage.addressing] for stage, needed in index.graph.edges]
        beside = {
            "params": index._params,
            "metrics": index._metrics,
            "plots": index._plots,
            "artifacts": {
                file: {
                    name: {key: value for key, value in artifact.items() if value}
                    for name, artifact in found.items()
                }
                for file, found in index._artifacts.items()
            },
        }
        return {
            "stages": {stage.addressing: resolved(repo, stage) for stage in stages},
            "edges": sorted(edges),
            "used": used(repo, stages),
            "beside": {
                name: {os.path.relpath(file, folder): value for file, value in found.items()}
                for name, found in beside.items()
            },
        }


def resolved(repo: Any, stage: Any) -> dict[str, Any]:
    """Return a stage in the form of `assay stage list --json`, with its words."""
    params = [dep for dep in stage.deps if hasattr(dep, "params")]
    return {
        "cmd": stage.cmd,
        "wdir": os.path.relpath(stage.wdir, repo.root_dir),
        "deps": [dep.def_path for dep in stage.deps if not hasattr(dep, "params")],
        "params": {dep.def_path: list(dep.params) for dep in params},
        "outs": [output(out) for out in stage.outs],
        "frozen": stage.frozen,
        "always_changed": stage.always_changed,
        "desc": stage.desc,
        "meta": stage.meta,
    }


def output(out: Any) -> dict[str, Any]:
    """Return an output and its properties."""
    found = {
        "path": out.def_path,
        "kind": "metric" if out.metric else "plot" if out.plot else "out",
        "cache": out.use_cache,
        "persist": out.persist,
        "push": out.can_push,
    }
    if out.remote:
        found["remote"] = out.remote
    annotations = {key: value for key, value in vars(out.annot).items() if value}
    return {**found, **annotations, **(out.plot if isinstance(out.plot, dict) else {})}


def used(repo: Any, stages: list[Any]) -> dict[str, dict[str, Any]]:
    """Return the variables that stages name, by file."""
    found: dict[str, dict[str, Any]] = {}
    for stage in stages:
        for file, values in stage.tracked_vars.items():
            path = os.path.relpath(os.path.abspath(file), repo.root_dir)  # noqa: PTH100
            found.setdefault(path, {}).update(values)
    return found


def main() -> None:
    """Answer all folders."""
    for line in sys.stdin:
        try:
            answer = described(line.rstrip("\n"))
        except BaseException as error:  # noqa: BLE001  (whatever it is, DVC refuses)
            answer = {"error": str(error), "kind": type(error).__name__}
        print(json.dumps(answer, default=str), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
