"""The database of an MLflow server, an SQLite file, opened for reading only."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from assay.base.errors import Error
from assay.ledger.exchange.records import ExperimentRecord, ModelMetric, value_of
from assay.ledger.rows import chunks
from assay.workflows.mlflow import (
    FoundModel,
    FoundRun,
    Registered,
    RegisteredVersion,
    checking,
    translating,
)
from assay.workflows.mlflow.checking import attempt
from assay.workflows.mlflow.translating import Dataset, Facts, Point

Row = Mapping[str, Any]
_NEEDED = ("experiments", "runs", "metrics", "params", "tags")
_DAMAGED = frozenset([sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB])


class Database:
    """An SQLite file of MLflow."""

    def __init__(self, path: Path) -> None:
        self.complaints: list[str] = []
        self.folder = path.parent
        self.roots = tuple(path.parent / name for name in ("mlruns", "mlartifacts"))
        self._path = path
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        try:
            self._file = sqlite3.connect(address, uri=True)
            self._file.row_factory = sqlite3.Row
            self._file.text_factory = _text
            query = "SELECT name FROM sqlite_master WHERE type = 'table'"
            self._tables = {row[0] for row in self._file.execute(query)}
        except sqlite3.DatabaseError as error:
            raise Error(
                f"this is no database of MLflow: {error}", where=path, hint="it is left as it is"
            ) from error
        lacking = [name for name in _NEEDED if name not in self._tables]
        if lacking:
            self.close()
            raise Error(
                f"this is no database of MLflow: it has no table '{lacking[0]}'",
                where=path,
                hint="give MLflow's backend store, such as 'mlflow.db'",
            )
        try:
            self._names = {
                row["experiment_id"]: row["name"] for row in self._rows("experiments", "")
            }
        except Error:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rows(self, table: str, rest: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """Go through rows of a table; an older MLflow may not have it."""
        if table not in self._tables:
            return
        query = f"SELECT * FROM {table} {rest}"  # noqa: S608 -- our own words
        try:
            for row in self._file.execute(query, values):
                yield defaultdict(lambda: None, dict(row))
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def _explained(self, error: sqlite3.DatabaseError) -> Error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            return Error(
                f"the database is damaged: {error}",
                where=self._path,
                hint="import a copy that 'sqlite3 FILE .recover' makes; what came already stays",
            )
        return Error(f"the database cannot be read: {error}", where=self._path)

    def _of(self, table: str, column: str, ids: Sequence[Any]) -> Iterator[Row]:
        marks = ", ".join("?" * len(ids))
        yield from self._rows(table, f"WHERE {column} IN ({marks})", ids)

    def experiments(self) -> list[ExperimentRecord]:
        """Return all experiments."""
        tags: dict[Any, dict[str, str]] = defaultdict(dict)
        for row in self._rows("experiment_tags", ""):
            tags[row["experiment_id"]][row["key"]] = row["value"] or ""
        found = []
        for row in self._rows("experiments", "ORDER BY experiment_id"):
            make = partial(_experiment, row, tags[row["experiment_id"]])
            what = f"the experiment {row['name']!r}"
            if (one := attempt(make, self.complaints, what=what)) is not None:
                found.append(one)
        return found

    def runs(self) -> Iterator[FoundRun]:
        """Go through all runs."""
        ids = [row["run_uuid"] for row in self._rows("runs", "ORDER BY start_time, run_uuid")]
        for some in chunks(ids, 200):
            yield from self._some_runs(some)

    def _some_runs(self, ids: Sequence[str]) -> Iterator[FoundRun]:
        params, tags = (self._texts(name, "run_uuid", ids) for name in ("params", "tags"))
        metrics, datasets, models = self._metrics(ids), self._datasets(ids), self._links(ids)
        found = {row["run_uuid"]: row for row in self._of("runs", "run_uuid", ids)}
        for id_ in ids:
            if id_ not in found:
                self.complaints.append(f"the run {id_!r} is left out: it is found by no id")
                continue
            make = partial(
                self._run, found[id_], params=params[id_], tags=tags[id_], metrics=metrics[id_],
                datasets=datasets[id_], models=models[id_],
            )  # fmt: skip
            if (run := attempt(make, self.complaints, what=f"the run {id_!r}")) is not None:
                yield run

    def _run(self, row: Row, **parts: Any) -> FoundRun:
        id_ = row["run_uuid"]
        is_deleted = row["lifecycle_stage"] == "deleted"
        facts = Facts(
            id=id_,
            experiment=self._names.get(row["experiment_id"], "Default"),
            name=row["name"],
            status=row["status"] or "",
            owner=row["user_id"] or None,
            start=row["start_time"],
            end=row["end_time"],
            deleted=(row["deleted_time"] or row["end_time"] or 0) if is_deleted else None,
        )
        folder = f"{row['experiment_id']}/{id_}/artifacts"
        record = translating.run(facts, **parts)
        return FoundRun(record=record, uri=row["artifact_uri"] or None, folder=folder)

    def _metrics(self, ids: Sequence[str]) -> dict[str, dict[str, list[Point]]]:
        found: dict[str, dict[str, list[Point]]] = defaultdict(lambda: defaultdict(list))
        for row in self._of("metrics", "run_uuid", ids):
            value = math.nan if row["is_nan"] else row["value"]
            try:
                point = checking.point(row["step"], row["timestamp"], value)
            except ValueError as error:
                self.complaints.append(
                    f"a point of metric {row['key']!r} of {row['run_uuid']!r} is none: {error}"
                )
                continue
            found[row["run_uuid"]][row["key"]].append(point)
        return found

    def _texts(
        self,
        table: str,
        column: str,
        ids: Sequence[str],
        *,
        key: str = "key",
        value: str = "value",
    ) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for row in self._of(table, column, ids):
            found[row[column]][row[key]] = str(row[value] if row[value] is not None else "")
        return found

    def _datasets(self, ids: Sequence[str]) -> dict[str, list[Dataset]]:
        inputs = [
            row
            for row in self._of("inputs", "destination_id", ids)
            if (row["source_type"], row["destination_type"]) == ("DATASET", "RUN")
        ]
        sets: dict[str, Row] = {}
        tags: dict[str, dict[str, str]] = defaultdict(dict)
        for some in chunks(inputs):
            known = self._of("datasets", "dataset_uuid", [row["source_id"] for row in some])
            sets |= {row["dataset_uuid"]: row for row in known}
            named = [row["input_uuid"] for row in some]
            tags |= self._texts("input_tags", "input_uuid", named, key="name")
        found: dict[str, list[Dataset]] = defaultdict(list)
        for row in inputs:
            if (of := sets.get(row["source_id"])) is not None:
                one = Dataset(
                    name=of["name"], digest=of["digest"], source_type=of["dataset_source_type"],
                    source=of["dataset_source"], schema=of["dataset_schema"],
                    profile=of["dataset_profile"], tags=tags[row["input_uuid"]],
                )  # fmt: skip
                found[row["destination_id"]].append(one)
        return found

    def _links(self, ids: Sequence[str]) -> dict[str, list[tuple[str, str, int]]]:
        """Return which logged models runs made and read; MLflow's row says run first for both."""
        found: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
        for row in self._of("inputs", "source_id", ids):
            if (row["source_type"], row["destination_type"]) == ("RUN_OUTPUT", "MODEL_OUTPUT"):
                link = ("output", row["destination_id"], row["step"] or 0)
                found[row["source_id"]].append(link)
            elif (row["source_type"], row["destination_type"]) == ("RUN_INPUT", "MODEL_INPUT"):
                found[row["source_id"]].append(("input", row["destination_id"], 0))
        return found

    def models(self) -> Iterator[FoundModel]:
        """Go through the logged models."""
        ids = [row["model_id"] for row in self._rows("logged_models", "ORDER BY model_id")]
        for some in chunks(ids):
            yield from self._some_models(some)

    def _some_models(self, ids: Sequence[str]) -> Iterator[FoundModel]:
        params = self._texts(
            "logged_model_params", "model_id", ids, key="param_key", value="param_value"
        )
        tags = self._texts("logged_model_tags", "model_id", ids, key="tag_key", value="tag_value")
        metrics = self._model_metrics(ids)
        for row in self._of("logged_models", "model_id", ids):
            id_ = row["model_id"]
            make = partial(
                self._model, row, params=params[id_], tags=tags[id_], metrics=metrics[id_]
            )
            what = f"the logged model {id_!r}"
            if (found := attempt(make, self.complaints, what=what)) is not None:
                yield found

    def _model(self, row: Row, **parts: Any) -> FoundModel:
        known = {
            "id": row["model_id"], "name": row["name"], "status": row["status"],
            "status_message": row["status_message"], "type": row["model_type"] or None,
            "run_id": row["source_run_id"] or None, "created": row["creation_timestamp_ms"],
            "updated": row["last_updated_timestamp_ms"],
        }  # fmt: skip
        record = translating.model(
            known, experiment=self._names.get(row["experiment_id"], "Default"),
            deleted=row["lifecycle_stage"] == "deleted", **parts,
        )  # fmt: skip
        folder = f"{row['experiment_id']}/models/{row['model_id']}/artifacts"
        return FoundModel(record=record, uri=row["artifact_location"] or None, folder=folder)

    def _model_metrics(self, ids: Sequence[str]) -> dict[str, list[ModelMetric]]:
        """Return the metrics of logged models; not-a-number stands as 0 there, but for its run."""
        rows = list(self._of("logged_model_metrics", "model_id", ids))
        nans: set[tuple[Any, ...]] = set()
        for some in chunks(list({row["run_id"] for row in rows})):
            marks = ", ".join("?" * len(some))
            query = f"WHERE is_nan AND run_uuid IN ({marks})"
            for row in self._rows("metrics", query, some):
                nans.add((row["run_uuid"], row["key"], row["step"], row["timestamp"]))
        found: dict[str, list[ModelMetric]] = defaultdict(list)
        for row in rows:
            make = partial(_model_metric, row, nans)
            what = f"a point of metric {row['metric_name']!r} of {row['model_id']!r}"
            if (one := attempt(make, self.complaints, what=what)) is not None:
                found[row["model_id"]].append(one)
        return found

    def registered(self) -> list[Registered]:
        """Return the registered models."""
        tags = self._named("registered_model_tags")
        aliases: dict[str, dict[str, int]] = defaultdict(dict)
        for row in self._rows("registered_model_aliases", ""):
            if (number := checking.number(row["version"])) is not None:
                aliases[row["name"]][row["alias"]] = number
        versions = self._versions()
        found = []
        for row in self._rows("registered_models", "ORDER BY name"):
            name = row["name"]
            make = partial(_registered, row, tags[name], aliases[name], tuple(versions[name]))
            what = f"the registered model {name!r}"
            if (one := attempt(make, self.complaints, what=what)) is not None:
                found.append(one)
        return found

    def _versions(self) -> dict[str, list[RegisteredVersion]]:
        """Return the versions of each registered model, the oldest first."""
        tags: dict[Any, dict[str, str]] = defaultdict(dict)
        for row in self._rows("model_version_tags", ""):
            tags[row["name"], row["version"]][row["key"]] = row["value"] or ""
        found: dict[str, list[RegisteredVersion]] = defaultdict(list)
        for row in self._rows("model_versions", "ORDER BY name, version"):
            if row["current_stage"] != "Deleted_Internal":
                make = partial(_version, row, tags[row["name"], row["version"]])
                what = f"the version {row['version']!r} of {row['name']!r}"
                if (one := attempt(make, self.complaints, what=what)) is not None:
                    found[row["name"]].append(one)
        return found

    def _named(self, table: str) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for row in self._rows(table, ""):
            found[row["name"]][row["key"]] = row["value"] or ""
        return found


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _experiment(row: Row, tags: dict[str, str]) -> ExperimentRecord:
    deleted = (row["last_update_time"] or 0) if row["lifecycle_stage"] == "deleted" else None
    return ExperimentRecord(
        name=row["name"],
        created=row["creation_time"] or 0,
        updated=row["last_update_time"] or row["creation_time"] or 0,
        deleted=deleted,
        tags=tags,
    )


def _model_metric(row: Row, nans: set[tuple[Any, ...]]) -> ModelMetric:
    step, at, stored = checking.point(
        row["metric_step"], row["metric_timestamp_ms"], row["metric_value"] or 0.0
    )
    value = translating.number(stored)
    if value == 0 and (row["run_id"], row["metric_name"], step, at) in nans:
        value = value_of(math.nan)
    return ModelMetric(
        key=row["metric_name"], step=step, at=at, run_id=row["run_id"], value=value,
        dataset_name=row["dataset_name"], dataset_digest=row["dataset_digest"],
    )  # fmt: skip


def _registered(
    row: Row,
    tags: dict[str, str],
    aliases: dict[str, int],
    versions: tuple[RegisteredVersion, ...],
) -> Registered:
    return Registered(
        name=row["name"],
        description=row["description"] or None,
        created=row["creation_time"] or 0,
        updated=row["last_updated_time"] or 0,
        tags=tags,
        aliases=aliases,
        versions=versions,
    )


def _version(row: Row, tags: dict[str, str]) -> RegisteredVersion:
    return RegisteredVersion(
        number=int(row["version"]),
        source=row["source"] or None,
        run_id=row["run_id"] or None,
        model_id=translating.model_of(row["source"]),
        description=row["description"] or None,
        owner=row["user_id"] or None,
        stage=row["current_stage"] if row["current_stage"] not in {None, "None"} else None,
        status=translating.version_status(row["status"]),
        status_message=row["status_message"] or None,
        run_link=row["run_link"] or None,
        created=row["creation_time"] or 0,
        updated=row["last_updated_time"] or row["creation_time"] or 0,
        tags=tags,
    )
