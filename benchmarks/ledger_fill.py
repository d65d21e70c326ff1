"""The same runs in two databases, ours and MLflow's, written by SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

START = 1_700_000_000_000
N_POINTS = 100_000
_DEPTHS, _MODELS = 8, ("tree", "forest", "linear", "net")
_KEYS = ("loss", "accuracy", "auc", "rmse", "seconds")


class Made(msgspec.Struct, frozen=True):
    """A run as both sides have it."""

    number: int

    @property
    def id(self) -> str:
        return f"{self.number:032x}"

    @property
    def start(self) -> int:
        return START + self.number * 1000

    @property
    def metrics(self) -> dict[str, float]:
        """Return values in [0, 1) that look drawn, and are the same each time."""
        return {
            key: (self.number * prime % 99_991) / 99_991
            for key, prime in zip(_KEYS, (7_919, 6_007, 5_003, 4_001, 3_001), strict=True)
        }

    @property
    def params(self) -> dict[str, str]:
        return {
            "depth": str(self.number % _DEPTHS),
            "model": _MODELS[self.number % 4],
            "lr": str(1 / (1 + self.number % 100)),
            "seed": str(self.number),
            "data": "train.parquet",
        }

    @property
    def tags(self) -> dict[str, str]:
        return {
            "mlflow.runName": self.name,
            "mlflow.user": f"user-{self.number % 20}",
            "team": f"team-{self.number % 5}",
        }

    @property
    def name(self) -> str:
        return f"run-{self.number}"


def mlflow(file: Path, made: list[Made], *, experiment: int) -> None:
    """Write runs as MLflow's server does, into the database that it made."""
    with closing(sqlite3.connect(file, timeout=60)) as connection, connection:
        connection.executemany(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name,"
            " user_id, status, start_time, end_time, source_version, lifecycle_stage,"
            " artifact_uri, experiment_id)"
            " VALUES (?, ?, 'UNKNOWN', '', '', 'ada', 'FINISHED', ?, ?, '',"
            " 'active', ?, ?)",
            (
                (one.id, one.name, one.start, one.start + 500,
                 f"mlflow-artifacts:/{experiment}/{one.id}/artifacts", experiment)
                for one in made
            ),
        )  # fmt: skip
        for table, column in (("params", "params"), ("tags", "tags")):
            connection.executemany(
                f"INSERT INTO {table} (key, value, run_uuid) VALUES (?, ?, ?)",
                _pairs(made, column),
            )
        points = [
            (key, value, one.start, 0, 0, one.id)
            for one in made
            for key, value in one.metrics.items()
        ]
        for table in ("metrics", "latest_metrics"):
            connection.executemany(
                f"INSERT INTO {table} (key, value, timestamp, step, is_nan, run_uuid)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                points,
            )


def _pairs(made: list[Made], column: str) -> Iterator[tuple[str, str, str]]:
    for one in made:
        pairs: dict[str, str] = getattr(one, column)
        for key, value in pairs.items():
            yield key, value, one.id


def ours(file: Path, made: list[Made], *, experiment: int) -> None:
    """Write the same runs into a ledger."""
    from sqlalchemy import func, select

    from assay.ledger import tables
    from assay.ledger.database import open_ledger

    def of(attribute: str, **more: Any) -> list[dict[str, Any]]:
        return [
            {"run_id": run, "key": key, "value": value, **more}
            for key, value, run in _pairs(made, attribute)
        ]

    with open_ledger(file, create=False) as ledger, ledger.write() as connection:
        rows = [
            {"id": one.id, "name": one.name, "kind": "script", "status": "finished",
             "owner": "ada", "start": one.start, "end": one.start + 500,
             "experiment_id": experiment}
            for one in made
        ]  # fmt: skip
        connection.execute(tables.run.insert(), rows)
        connection.execute(tables.param.insert(), of("params", type="str"))
        connection.execute(tables.tag.insert(), of("tags"))
        highest = select(func.coalesce(func.max(tables.latest_metric.c.id), 0))
        first = int(connection.execute(highest).scalar_one()) + 1
        points = [
            {"id": first + at, "run_id": one.id, "key": key, "value": value, "is_nan": False,
             "step": 0, "at": one.start}
            for at, (one, key, value) in enumerate(
                (one, key, value) for one in made for key, value in one.metrics.items()
            )
        ]  # fmt: skip
        connection.execute(tables.latest_metric.insert(), points)
        history = [
            {"series_id": point["id"]}
            | {name: point[name] for name in ("step", "at", "value", "is_nan")}
            for point in points
        ]
        connection.execute(tables.metric.insert(), history)


def history(ours_: Path, mlflows: Path, run: str, key: str) -> float:
    """Give one metric of a run a long history on both sides; return the sum of its values."""
    points = [(step, START + step, step / 7) for step in range(N_POINTS)]
    with closing(sqlite3.connect(mlflows, timeout=60)) as connection, connection:
        connection.executemany(
            "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid)"
            " VALUES (?, ?, ?, ?, 0, ?)",
            ((key, value, at, step, run) for step, at, value in points),
        )
        last = points[-1]
        connection.execute(
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)"
            " VALUES (?, ?, ?, ?, 0, ?)",
            (key, last[2], last[1], last[0], run),
        )
    with closing(sqlite3.connect(ours_, timeout=60)) as connection, connection:
        series = connection.execute(
            'INSERT INTO latest_metric (run_id, "key", value, is_nan, step, "at")'
            " VALUES (?, ?, ?, 0, ?, ?)",
            (run, key, last[2], last[0], last[1]),
        ).lastrowid
        connection.executemany(
            'INSERT INTO metric (series_id, step, "at", value, is_nan) VALUES (?, ?, ?, ?, 0)',
            ((series, step, at, value) for step, at, value in points),
        )
    return sum(value for _, _, value in points)
