"""A small project that went the whole way: trained twice, deployed, asked, watched, done again."""

from __future__ import annotations

import http.client
import json
import math
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from assay.ledger import windows
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.windows import Window
from assay.project import workspace
from assay.project.workspace import Project
from tests import make

ENDPOINT = "rides"
DAY = 86_400_000
START = 1_325_376_000_000  # 2012-01-01
N_DAYS, N_ASKED = 40, 4  # days of the first training; days that are asked about then

DECLARED = """
data:
  tables:
    raw: {path: raw.csv, time: at, key: [at]}
    features: {path: features.csv, time: at, key: [at]}
    test: {path: test.csv, time: at, key: [at]}
schema:
  raw:
    columns:
      at: {type: TIME}
      hour: {type: INT, int_domain: {min: 0, max: 23}}
      wind: {type: FLOAT}
      y: {type: FLOAT}
  features:
    columns:
      last: {type: FLOAT}
model: {name: rides, task: regression, target: y}
evaluation:
  table: test
  metrics: [mae]
  baselines: {yesterday: {sql: last}}
gate:
  metrics: {mae: {max_drop_relative: 0.5}}
  first: pass-if-better-than-baseline
deploy: {endpoint: rides}
monitor: {window: 7d}
retrain: {on: [drift], every: 28d}
tests: {junit: tests.xml}
"""
STAGES = """
stages:
  validate:
    cmd: assay validate raw --out validation.json
    deps: [raw.csv]
    params: [{assay.yaml: [data, schema]}]
    outs: [validation.json]
  features:
    cmd: python features.py
    deps: [raw.csv, features.py, validation.json]
    outs: [features.csv]
  train:
    cmd: python train.py
    deps: [features.csv, train.py]
    params: [depth, {assay.yaml: [data, schema, monitor]}]
    outs: [bundle, test.csv]
  evaluate:
    cmd: python evaluate.py
    deps: [bundle, test.csv, evaluate.py]
    metrics: [{metrics.json: {cache: false}}]
"""
FEATURES = """
import csv
rows = list(csv.DictReader(open("raw.csv")))
before = {row["at"]: row["y"] for row in rows}
with open("features.csv", "w") as file:
    print("at,hour,wind,last,y", file=file)
    for number, row in enumerate(rows[24:]):
        last = rows[number]["y"]
        print(row["at"], row["hour"], row["wind"], last, row["y"], sep=",", file=file)
"""
TRAIN = """
import csv
import numpy as np
from sklearn.tree import DecisionTreeRegressor
import assay
names = ["hour", "wind", "last"]
lines = open("features.csv").read().splitlines()
rows = list(csv.DictReader(lines))
train, test = rows[:-24 * 7], lines[-24 * 7:]
open("test.csv", "w").write("\\n".join([lines[0], *test]) + "\\n")
depth = int(open("params.yaml").read().split()[1])
X = {name: np.array([float(row[name]) for row in train]) for name in names}
X["hour"] = X["hour"].astype("int64")
y = np.array([float(row["y"]) for row in train])
model = DecisionTreeRegressor(max_depth=depth, random_state=0)
model.fit(np.column_stack(list(X.values())), y)
at = np.array([row["at"] for row in train], "datetime64[s]")
assay.bundle(model, X=X, y=y, time=at, name="rides", to="bundle")
"""
EVALUATE = """
import json
json.dump({"n_test": len(open("test.csv").readlines()) - 1}, open("metrics.json", "w"))
"""
JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests">
<testsuite name="pytest" errors="0" failures="{failed}" skipped="0" tests="2">
<testcase classname="tests.test_features" name="test_lag"/>
<testcase classname="tests.test_train" name="test_fit">{inside}</testcase>
</testsuite></testsuites>
"""
PASSED = JUNIT.format(failed=0, inside="")
FAILED = JUNIT.format(failed=1, inside='<failure message="no">no</failure>')


def row(hour: int) -> dict[str, Any]:
    """Return what happened in an hour since the start."""
    wind = round(10 + 3 * math.sin(hour / 31), 3)
    y = round(20 + 10 * math.sin(hour % 24 / 4) + wind + hour % 7, 3)
    return {"at": at(hour), "hour": hour % 24, "wind": wind, "y": y}


def at(hour: int) -> str:
    """Return an hour since the start as it is written."""
    days, rest = divmod(hour, 24)
    month, day = (1, days + 1) if days < 31 else (2, days - 30)
    return f"2012-{month:02d}-{day:02d}T{rest:02d}:00:00"


def write_raw(root: Path, *, n_days: int) -> None:
    """Write the rows of some days, and track them."""
    lines = ["at,hour,wind,y", *(",".join(map(str, row(h).values())) for h in range(24 * n_days))]
    make.write(root, {"raw.csv": "\n".join(lines) + "\n"})
    make.done(root, "add", "raw.csv")


def build(folder: Path) -> Path:
    """Make the project; this takes some seconds."""
    root = make.project(folder / "project")
    files = {
        "assay.yaml": DECLARED, "dvc.yaml": STAGES, "params.yaml": "depth: 3\n",
        "features.py": FEATURES, "train.py": "# not written yet\n", "evaluate.py": EVALUATE,
        "old.xml": PASSED,
    }  # fmt: skip
    make.write(root, files)
    write_raw(root, n_days=N_DAYS)
    make.commit(root, "tests passed, long ago")
    make.write(root, {"train.py": TRAIN, "tests.xml": PASSED, "failed.xml": FAILED})
    make.commit(root, "tests passed")
    release(root)
    with serving(root) as address:
        ask(address, range(24 * N_DAYS, 24 * (N_DAYS + N_ASKED)))
        write_raw(root, n_days=N_DAYS + N_ASKED)
        make.commit(root, "more data")
        release(root)
        make.done(root, "monitor")
    make.done(root, "reproduce", "latest")
    return root


def release(root: Path) -> None:
    """Train, gate, register and deploy, and commit what git should get."""
    make.done(root, "repro")
    make.done(root, "gate", "latest")
    make.done(root, "model", "register", "latest", "--alias", "candidate")
    make.done(root, "deploy", "rides@candidate", "--to", ENDPOINT)
    make.commit(root, "trained")


@contextmanager
def serving(root: Path) -> Iterator[tuple[str, int]]:
    """Run a server, and return host and port."""
    process = subprocess.Popen(
        make.command("serve", ENDPOINT, "--port", "0"),
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        host, port = process.stdout.readline().strip().removeprefix("http://").split(":")
        while status(host, int(port), "GET", "/v2/health/ready") != 200:
            assert process.poll() is None
        yield host, int(port)
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def ask(address: tuple[str, int], hours: range) -> None:
    """Ask about some hours, of which the rides of the day before are known."""
    rows = [
        {name: value for name, value in row(hour).items() if name != "y"}
        | {"last": row(hour - 24)["y"]}
        for hour in hours
    ]
    assert status(*address, "POST", "/predict", rows) == 200


def status(host: str, port: int, method: str, path: str, document: Any = None) -> int:
    """Send a request and return the status of the answer."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        body = None if document is None else json.dumps(document)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def window(root: Path) -> Window:
    """Return the last window."""
    with ledger(root) as found:
        (last,) = windows.list_windows(found, ENDPOINT)
        return last


def project(root: Path) -> Project:
    """Return the project."""
    return workspace.find(root)


def ledger(root: Path) -> Ledger:
    """Open its ledger."""
    return open_ledger(project(root).ledger_path)
