"""Another table than that of the example: offers that customers take or leave, by day.

The same loop runs on it by another `assay.yaml` and another script. Days differ a little, so rows
are not independent; from a day on, another kind of customer takes them, if the test says so.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from assay.base.ids import uuid7
from assay.bundle.load import load
from assay.deploy import deploy as deploying
from assay.deploy import endpoints, registry
from assay.evaluate import judging
from assay.ledger.database import Ledger, open_ledger
from assay.loop.loop import Loop, Passed, one_pass
from assay.project import workspace
from assay.traffic import feedback
from assay.traffic.record import Record
from assay.traffic.roll import roll
from assay.traffic.spool import Spool
from tests import make

FIRST = dt.datetime(2023, 1, 2, tzinfo=dt.UTC)  # a Monday
N_HISTORY = 126  # days before the first request: whole weeks
DAY = 86_400_000
FEATURES = ("age", "visits", "discount")

DECLARED = """
data:
  tables:
    offers: {path: offers.csv, key: [offer]}
    test: {path: test.parquet, time: time, key: [offer]}
schema:
  offers:
    columns:
      age: {type: FLOAT, presence: {min_fraction: 1.0}}
model: {name: offers, task: binary, target: taken, classes: [left, took]}
evaluation:
  table: test
  metrics: [accuracy, log_loss]
  baselines:
    majority: {majority: true}
gate:
  metrics:
    accuracy: {max_drop: 0.01}
  first: pass-if-better-than-baseline
deploy: {endpoint: offers}
monitor:
  window: 1d
  false_alerts_a_year: 1
  performance: {metric: accuracy, tolerance: 0.15}
retrain:
  on: [drift, performance]
  hold_out: 14d
  at_most_every: 7d
  limit: 2m
  data:
    table: offers
    source: traffic
    columns: {time: "strftime(time::TIMESTAMP, '%Y-%m-%dT%H:%M:%S')"}
"""
STAGES = """
stages:
  train:
    cmd: python train.py
    deps: [train.py, offers.csv]
    params: [hold_out_days, weight_days, assay.yaml: [data, schema, monitor]]
    outs: [bundle, test.parquet]
"""
PARAMS = """
hold_out_days: 14 # the last days, to judge on
weight_days: 30 # a row this much older counts 1/e as much
"""
TRAIN = '''
"""Learn who takes an offer; the last days are kept to judge on."""
import duckdb
import numpy as np
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import assay

FEATURES = ["age", "visits", "discount"]
params = yaml.safe_load(open("params.yaml"))
duckdb.sql("CREATE TABLE t AS SELECT * FROM read_csv('offers.csv') ORDER BY time, offer")
cut = duckdb.execute(
    "SELECT date_trunc('day', max(time)) + INTERVAL 1 DAY - to_days(?::INT) FROM t",
    [params["hold_out_days"]],
).fetchone()[0]
duckdb.execute("COPY (SELECT * FROM t WHERE time >= $1) TO 'test.parquet'", [cut])
rows = duckdb.execute("SELECT * FROM t WHERE time < $1", [cut]).fetchnumpy()
X = np.column_stack([rows[name] for name in FEATURES])
age = (rows["time"].max() - rows["time"]) / np.timedelta64(1, "D")
model = make_pipeline(StandardScaler(), LogisticRegression())
weights = np.exp(-age / params["weight_days"])
model.fit(X, rows["taken"], logisticregression__sample_weight=weights)
columns = {name: rows[name] for name in FEATURES}
assay.bundle(model, X=columns, y=rows["taken"], time=rows["time"], to="bundle")
'''


def rows(day: int, *, seed: int, n: int, changed: bool) -> dict[str, Any]:
    """Return the offers of a day; `changed` says that others take them now."""
    random = np.random.default_rng([seed, day])
    apart = random.normal(0, 0.05, 3) + 0.1 * np.sin(2 * np.pi * day / 7)
    age, visits, discount = random.normal(0, 1, (3, n)) + apart[:, None]
    pull = 2.2 * visits + 0.8 * discount - 0.5 * age
    if changed:
        pull = -2.2 * visits + 0.8 * discount - 0.5 * age
    taken = random.random(n) < 1 / (1 + np.exp(-pull))
    start = int(FIRST.timestamp() * 1000) + day * DAY
    return {
        "offer": [f"{day}-{at}" for at in range(n)],
        "time": [start + at * (DAY // n) for at in range(n)],
        "age": np.round(age, 4),
        "visits": np.round(visits, 4),
        "discount": np.round(discount, 4),
        "taken": np.where(taken, "took", "left"),
    }


class Offers:
    """An endpoint that answers, its log, and the loop that watches it."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        n: int = 150,
        change: int | None = None,
        declared: str = DECLARED,
    ) -> None:
        self.seed, self.n, self.change = seed, n, change
        self.root = make.project(folder)
        self.day = N_HISTORY
        self.events: list[dict[str, Any]] = []
        make.write(
            self.root,
            {
                "assay.yaml": declared, "dvc.yaml": STAGES, "params.yaml": PARAMS,
                "train.py": TRAIN, "offers.csv": self._history(),
            },
        )  # fmt: skip
        make.done(self.root, "add", "offers.csv")
        make.done(self.root, "-q", "repro")
        make.commit(self.root, "first model")
        self.project = workspace.find(self.root)
        self.ledger: Ledger = open_ledger(self.project.ledger_path)
        self._deploy_first()

    def copied(self, root: Path, files: Mapping[str, str] | None = None) -> Offers:
        """Return a copy in another folder, with other files if need be, committed."""
        shutil.copytree(self.root, root, symlinks=True)
        other = Offers.__new__(Offers)
        other.seed, other.n, other.change, other.day = self.seed, self.n, self.change, self.day
        other.root, other.events = root, []
        other.project = workspace.find(root)
        other.ledger = open_ledger(other.project.ledger_path)
        if files:
            make.write(root, files)
            make.commit(root, "other code")
        return other

    def _history(self) -> str:
        lines = ["offer,time,age,visits,discount,taken"]
        for day in range(N_HISTORY):
            found = self._rows(day)
            times = [iso(at) for at in found["time"]]
            cells = zip(found["offer"], times, *(found[n] for n in (*FEATURES, "taken")),
                        strict=True)  # fmt: skip
            lines += [",".join(str(cell) for cell in row) for row in cells]
        return "\n".join(lines) + "\n"

    def _rows(self, day: int) -> dict[str, Any]:
        changed = self.change is not None and day >= self.change
        return rows(day, seed=self.seed, n=self.n, changed=changed)

    def _deploy_first(self) -> None:
        bundle = str(self.root / "bundle")
        judged = judging.judge(self.project, bundle, gate=True)
        assert judged.verdict is not None
        assert judged.verdict.answer == "pass", judged.verdict.reason
        judging.record(self.project, judged)
        registry.register(self.project, bundle, name="offers")
        deploying.deploy(
            self.ledger, "offers", version="offers/1", objects=self.project.objects
        )  # fmt: skip

    def days(self, n: int) -> None:
        """Let requests come for some days, each with its truth a day later."""
        live = endpoints.live(self.ledger, "offers")
        assert live is not None
        bundle = load(live.bundle, project=self.project)
        known = []
        with Spool(self.project.traffic_dir) as spool:
            for _ in range(n):
                found = self._rows(self.day)
                inputs = {name: found[name] for name in FEATURES}
                beside = {"offer": found["offer"], "time": [iso(at) for at in found["time"]]}
                spool.append(
                    Record(
                        id=uuid7(),
                        endpoint="offers",
                        version=live.name,
                        bundle=live.bundle,
                        deployment=live.deployment,
                        at=found["time"][-1],
                        latency=0.002,
                        n_rows=self.n,
                        inputs={name: list(values) for name, values in inputs.items()} | beside,
                        outputs={"predict": [str(one) for one in bundle.predict(inputs)]},
                        event_time=found["time"],
                    )
                )
                known += [
                    feedback.truth(
                        str(value), at=at + DAY, column="offer", key=offer, endpoint="offers"
                    )
                    for offer, at, value in zip(
                        found["offer"], found["time"], found["taken"], strict=True
                    )
                ]
                self.day += 1
        feedback.add(self.project.traffic_dir, known)
        roll(self.project.traffic_dir)

    def one_pass(self) -> Passed:
        """Let the loop do what is due."""
        return one_pass(self.loop)

    @property
    def loop(self) -> Loop:
        """The loop of the endpoint."""
        return Loop(
            project=self.project,
            ledger=self.ledger,
            endpoint="offers",
            branch="main",
            tell=lambda event: self.events.append(dict(event)),
        )


def iso(at: int) -> str:
    """Return a moment as requests have it."""
    return dt.datetime.fromtimestamp(at / 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
