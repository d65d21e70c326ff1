"""An endpoint to watch: a project with a bundle, a ledger, and a log, written day by day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from assay.bundle import contents
from assay.bundle.load import Bundle
from assay.bundle.make import make as make_bundle
from assay.ledger import deployments, models
from assay.ledger.alerts import Alert
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.windows import Window, list_windows
from assay.monitor.watch import Watched, watch
from assay.project import workspace
from assay.project.workspace import Project
from assay.traffic import feedback, ids
from assay.traffic.record import Record, Truth
from assay.traffic.roll import roll
from assay.traffic.spool import Spool
from tests import make

DAY, HOUR = 86_400_000, 3_600_000
FIRST = dt.date(2011, 5, 23)  # a Monday: the first day of traffic
N_WEEKS = 20  # of training before it
NOW = 1_700_000_000_000
DECLARED = """
data:
  tables:
    hours: {path: hours.csv, time: time, key: [time]}
model: {name: rides, task: regression, target: y}
evaluation:
  table: hours
  metrics: [mae]
  baselines:
    lag: {sql: lag}
deploy: {endpoint: rides}
monitor:
  window: WINDOW
  performance: {metric: mae, tolerance: 0.15}
"""


def features(days: int, *, seed: int, shift: float = 0.0) -> dict[str, Any]:
    """Return the features of the hours of some days; days differ a little."""
    random = np.random.default_rng(seed)
    n = days * 24
    day = np.repeat(random.normal(0, 0.05, days), 24)
    return {
        "hour": np.arange(n) % 24,
        "wind": 10 + 3 * (random.normal(0, 1, n) + day + shift),
        "lag": 50 + 10 * random.normal(0, 1, n),
        "busy": random.random(n) < 0.3,
    }


@lru_cache(maxsize=4)
def bundle(number: int, task: str = "regression") -> Bundle:
    """Return a bundle trained on twenty weeks; another number is another bundle."""
    import tempfile

    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    days = N_WEEKS * 7
    columns = features(days, seed=1)
    start = np.datetime64(FIRST) - np.timedelta64(days, "D")
    times = start.astype("datetime64[h]") + np.arange(days * 24).astype("timedelta64[h]")
    matrix = np.column_stack(list(columns.values()))
    y: Any = columns["lag"] + 5 * np.sin(columns["hour"] / 4)
    kind: Any = HistGradientBoostingRegressor
    if task != "regression":
        y, kind = np.where(y > 55, "busy", "calm"), HistGradientBoostingClassifier
    model = kind(max_iter=5, random_state=0).fit(matrix, y)
    folder = Path(tempfile.mkdtemp()) / "bundle"
    return make_bundle(model, X=columns, y=y, time=times, to=folder, params={"n": number})


class World:
    """The endpoint 'rides' of a project."""

    def __init__(self, folder: Path, declared: str, *, task: str) -> None:
        self.project: Project = workspace.find(make.project(folder))
        make.write(folder, {"assay.yaml": declared})
        self.task = task
        self.ledger: Ledger = open_ledger(self.project.ledger_path, create=True)
        self.said: list[str] = []
        self.deployment: str | None = None

    def declare(self, text: str) -> None:
        """Write another assay.yaml."""
        make.write(self.project.root, {"assay.yaml": text})

    def deploy(self, number: int = 1, *, gate: float | None = 8.0, metric: str = "mae") -> str:
        """Register a bundle as the next version and deploy it; `gate` is its loss there."""
        made = bundle(number, self.task)
        contents.keep(made.contents, self.project.objects)
        tags = {}
        if gate is not None:
            result = {"metric": metric, "slice": None, "candidate": {"value": gate}}
            report = {"report": {"evaluation": {"results": [result]}}}
            tags["gate"] = f"sha256:{self.project.objects.add(msgspec.json.encode(report))}"
        version = models.register(self.ledger, "rides", bundle=made.id, tags=tags)
        name = f"rides/{version.number}"
        self.deployment = deployments.add_deployment(self.ledger, "rides", version=name).id
        return name

    def log(
        self,
        first: int,
        days: int,
        *,
        number: int = 1,
        version: str = "rides/1",
        columns: dict[str, Any] | None = None,
        seed: int = 7,
        change: Callable[[dict[str, list[Any]], int], None] | None = None,
        times: Sequence[int | None] | None = None,
        at: int | None = None,
        status: str = "ok",
        rolled: bool = True,
        per_day: int = 24,
    ) -> list[tuple[str, list[float]]]:
        """Log a request a day, from the day `first` on; return ids and the answers by request."""
        given = columns or features(days, seed=seed + first)
        made = bundle(number, self.task)
        done = []
        with Spool(self.project.traffic_dir) as spool:
            for day in range(days):
                part = slice(day * 24, day * 24 + per_day)
                inputs = {name: values[part].tolist() for name, values in given.items()}
                outputs = {name: values.tolist() for name, values in made.answers(inputs).items()}
                start = moment(first + day)
                moments = [start + hour * HOUR for hour in range(per_day)]
                inputs["time"] = [iso(one) for one in moments]
                if change is not None:
                    change(inputs, first + day)
                came = start + per_day * HOUR if at is None else at
                record = Record(
                    id=ids.new_id(at_ms=came),
                    endpoint="rides",
                    version=version,
                    bundle=made.id,
                    deployment=self.deployment,
                    at=came,
                    latency=0.002,
                    n_rows=per_day,
                    inputs=inputs,
                    outputs=outputs if status == "ok" else {},
                    event_time=moments if times is None else times,
                    status=status,
                )
                spool.append(record)
                done.append((record.id, outputs["predict"]))
        if rolled:
            roll(self.project.traffic_dir)
        return done

    def tell(
        self,
        logged: Sequence[tuple[str, list[float]]],
        *,
        off: float = 0.0,
        seed: int = 3,
        at: int = NOW,
        rows: int = 24,
    ) -> None:
        """Say what was true: the answers, and errors of 10 on average and `off` on top."""
        random = np.random.default_rng(seed)
        truths: list[Truth] = []
        for id_, answers in logged:
            errors = np.sign(random.normal(size=len(answers))) * (
                random.gamma(4, 2, len(answers)) + off
            )
            for row, (answer, error) in enumerate(zip(answers, errors, strict=True)):
                if row < rows:
                    truths.append(self.truth(f"{id_}/{row}", float(answer + error), at=at))
        feedback.add(self.project.traffic_dir, truths)

    @staticmethod
    def truth(prediction: str, value: Any, *, at: int = NOW) -> Truth:
        """One truth."""
        return feedback.truth(value, at=at, prediction_id=prediction, endpoint="rides")

    def watch(self, *, now_ms: int = NOW) -> Watched:
        """Do a pass."""
        return watch(self.project, self.ledger, now_ms=now_ms, say=self.said.append, threads=1)

    @property
    def windows(self) -> list[Window]:
        """All that are stored."""
        return list_windows(self.ledger, "rides")

    @property
    def alerts(self) -> list[Alert]:
        """All alerts, oldest first."""
        from assay.ledger.alerts import list_alerts

        return list_alerts(self.ledger, "rides")[::-1]


@contextmanager
def world(
    folder: Path, *, window: str = "7d", declared: str = DECLARED, task: str = "regression"
) -> Iterator[World]:
    """Make an endpoint."""
    made = World(folder, declared.replace("WINDOW", window), task=task)
    try:
        yield made
    finally:
        made.ledger.close()


def moment(day: int) -> int:
    """Return the start of a day of traffic in Unix milliseconds."""
    return (FIRST - dt.date(1970, 1, 1)).days * DAY + day * DAY


def iso(at: int) -> str:
    """Return a moment as servers log it."""
    return dt.datetime.fromtimestamp(at / 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
