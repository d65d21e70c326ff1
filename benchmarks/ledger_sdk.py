"""What a training script pays: calls of the SDK, the import, and the disk that it takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.errors import Error
from benchmarks import Wrong, programs
from tests import mlflow

if TYPE_CHECKING:
    from benchmarks.ledger import Case

OURS = """
import json, sys, time
import assay
n_calls = int(sys.argv[1])
with assay.run(name="bench") as run:
    assay.log_metric("warm", 0.0, step=0)
    began = time.perf_counter()
    for step in range(n_calls):
        assay.log_metric("loss", step / 7, step=step)
    called = time.perf_counter() - began
    run.flush()
    written = time.perf_counter() - began
from assay.ledger import runs
from assay.ledger.database import open_ledger
with open_ledger(sys.argv[2]) as ledger:
    n_points = len(runs.history(ledger, run.id, "loss"))
print(json.dumps([n_points, called / n_calls, written / n_calls]))
"""
THEIRS = """
import json, sys, time
import mlflow
n_calls = int(sys.argv[1])
with mlflow.start_run() as run:
    mlflow.log_metric("warm", 0.0, step=0)
    began = time.perf_counter()
    for step in range(n_calls):
        mlflow.log_metric("loss", step / 7, step=step)
    called = time.perf_counter() - began
n_points = len(mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss"))
print(json.dumps([n_points, called / n_calls, called / n_calls]))
"""
SIZE = """
import importlib.metadata as metadata, json, os, re, sys
waiting, seen, size = [sys.argv[1]], set(), 0
while waiting:
    name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        continue  # of another platform
    if name in seen:
        continue
    seen.add(name)
    for file in found.files or ():
        path = found.locate_file(file)
        if os.path.isfile(path):
            size += os.path.getsize(path)
    for wanted in found.requires or ():
        if "extra ==" not in wanted and "extra==" not in wanted:
            waiting.append(re.match(r"[A-Za-z0-9._-]+", wanted)[0])
print(json.dumps([size, len(seen)]))
"""


def metrics(folder: Path, call: Case, whole: Case, *, rounds: int, n_calls: int) -> None:
    """Log points in a loop: ours into a project's ledger, theirs straight into SQLite."""
    project = folder / "project"
    project.mkdir()
    environ = programs.environment(folder)
    for arguments in (("git", "init", "-q", "-b", "main"), (str(programs.ASSAY), "init")):
        _run([*arguments], project, environ)
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/direct.db"}
    ledger = str(project / ".assay" / "ledger.db")
    n_ours = str(n_calls * 20)  # a thousand of ours are over before a clock sees them
    sides = (
        ([sys.executable, "-c", OURS, n_ours, ledger], environ, (call.ours, whole.ours)),
        (
            [str(mlflow.python()), "-c", THEIRS, str(n_calls)],
            environ | mlflow.CLIENT | store,
            (call.peer, whole.peer),
        ),
    )
    for number in range(rounds + 1):
        for command, variables, (called, written) in sides:
            n_points, *seconds = json.loads(_run(command, project, variables).splitlines()[-1])
            if str(n_points) not in command:
                raise Wrong(f"{n_points} points are there", where=command[0])
            if number:
                called.append(seconds[0])
                written.append(seconds[1])


def imports(case: Case, *, rounds: int) -> Case:
    """Import both in a fresh interpreter, whose own start counts on both sides."""
    sides = ((sys.executable, "assay", case.ours), (str(mlflow.python()), "mlflow", case.peer))
    for number in range(rounds + 1):
        for python, name, seconds in sides:
            began = time.perf_counter()
            _run([python, "-c", f"import {name}"], Path("/"), {**os.environ})
            if number:
                seconds.append(time.perf_counter() - began)
    return case


def installed(case: Case) -> Case:
    """Sum the files of each package and of all that it needs, with the bytecode of pip."""
    for python, name, sizes in (
        (sys.executable, "assay", case.ours),
        (str(mlflow.python()), "mlflow", case.peer),
    ):
        size, _ = json.loads(_run([python, "-c", SIZE, name], Path("/"), {**os.environ}))
        if name == "assay":  # installed as a link: its files lie in `src`
            files = (programs.ROOT / "src").rglob("*")
            size += sum(file.stat().st_size for file in files if file.is_file())
        sizes.append(size)
    return case


def _run(command: list[str], folder: Path, environ: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Error(done.stderr.strip()[-2000:], where=command[0])
    return done.stdout
