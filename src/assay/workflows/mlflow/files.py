"""A folder `mlruns`, in which older MLflow keeps a file for each metric, parameter and tag."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from assay.base.errors import Error
from assay.ledger.exchange.records import ExperimentRecord, ModelMetric
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

_META = "meta.yaml"
_TRASH, _REGISTRY = ".trash", "models"
_RESERVED = frozenset(["tags", "datasets", "traces", "models"])


class Files:
    """A folder of MLflow."""

    def __init__(self, root: Path) -> None:
        self.complaints: list[str] = []
        self.folder = root.parent
        self.roots: tuple[Path, ...] = (root,)
        self._root = root
        folders = [*_folders(root), *_folders(root / _TRASH)]
        self._experiments = [
            (folder, meta)
            for folder in folders
            if folder.name not in {_REGISTRY, _TRASH}
            and (folder / _META).is_file()
            and (meta := self._meta(folder))
        ]
        if not self._experiments and not (root / _REGISTRY).is_dir():
            raise Error(
                "this is no folder of MLflow: no experiment is in it",
                where=root,
                hint="give the folder 'mlruns' itself, or a database such as 'mlflow.db'",
            )

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _meta(self, folder: Path) -> Mapping[str, Any]:
        """Return what a folder's `meta.yaml` says; nothing where it cannot be read."""
        try:
            found = yaml.load((folder / _META).read_bytes(), Loader=yaml.CSafeLoader)
        except (OSError, yaml.YAMLError, ValueError) as error:
            problem = str(error).splitlines()[0]
            self.complaints.append(f"{self._shown(folder)}/{_META}: it cannot be read: {problem}")
            return {}
        if not isinstance(found, dict):
            self.complaints.append(f"{self._shown(folder)}/{_META}: there is nothing in it")
            return {}
        return found

    def _shown(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _texts(self, folder: Path) -> dict[str, str]:
        """Return the texts in the files of a folder, by their paths in it."""
        found: dict[str, str] = {}
        for key, path in _files(folder):
            try:
                found[key] = path.read_text(encoding="utf-8", errors="replace")
            except OSError as error:
                self.complaints.append(f"{self._shown(path)}: {error.strerror}")
        return found

    def experiments(self) -> list[ExperimentRecord]:
        """Return all experiments."""
        found = []
        for folder, meta in self._experiments:
            make = partial(self._experiment, folder, meta)
            what = f"the experiment in {self._shown(folder)}"
            if (one := attempt(make, self.complaints, what=what)) is not None:
                found.append(one)
        return found

    def _experiment(self, folder: Path, meta: Mapping[str, Any]) -> ExperimentRecord:
        created = meta.get("creation_time") or 0
        updated = meta.get("last_update_time") or created
        return ExperimentRecord(
            name=str(meta.get("name") or folder.name),
            created=created,
            updated=updated,
            deleted=updated if meta.get("lifecycle_stage") == "deleted" else None,
            tags=self._texts(folder / "tags"),
        )

    def runs(self) -> Iterator[FoundRun]:
        """Go through all runs."""
        for folder, of in self._experiments:
            for place in _folders(folder):
                if place.name in _RESERVED or not (place / _META).is_file():
                    continue
                if meta := self._meta(place):
                    make = partial(self._run, place, folder, meta, of)
                    what = f"the run in {self._shown(place)}"
                    if (found := attempt(make, self.complaints, what=what)) is not None:
                        yield found

    def _run(
        self, place: Path, folder: Path, meta: Mapping[str, Any], of: Mapping[str, Any]
    ) -> FoundRun:
        datasets, links = self._inputs(place, folder)
        record = translating.run(
            _facts(meta, place.name, experiment=str(of.get("name") or folder.name)),
            params=self._texts(place / "params"),
            tags=self._texts(place / "tags"),
            metrics=self._metrics(place / "metrics"),
            datasets=datasets,
            models=[*links, *self._outputs(place)],
        )
        where = f"{folder.relative_to(self._root).as_posix()}/{place.name}/artifacts"
        return FoundRun(record=record, uri=meta.get("artifact_uri") or None, folder=where)

    def _metrics(self, folder: Path) -> dict[str, list[Point]]:
        found: dict[str, list[Point]] = {}
        for key, path in _files(folder):
            points: list[Point] = []
            for line in self._lines(path):
                try:
                    at, value, *rest = line.split(" ")
                    points.append(checking.point(rest[0] if rest else 0, at, value))
                except ValueError:
                    self.complaints.append(f"{self._shown(path)}: {line[:80]!r} is no point")
            if points:
                found[key] = points
        return found

    def _lines(self, path: Path) -> list[str]:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            self.complaints.append(f"{self._shown(path)}: {error.strerror}")
            return []
        return [line.strip() for line in text.splitlines() if line.strip()]

    def _inputs(
        self, run: Path, folder: Path
    ) -> tuple[list[Dataset], list[tuple[str, str, int]]]:  # fmt: skip
        datasets: list[Dataset] = []
        links: list[tuple[str, str, int]] = []
        for place in _folders(run / "inputs"):
            meta = self._meta(place)
            source = str(meta.get("source_id"))
            if meta.get("source_type") != "DATASET":
                links += [("input", source, 0)] if meta else []
                continue
            if os.path.basename(source) != source:  # noqa: PTH119 -- it names a folder
                continue
            known = self._meta(folder / "datasets" / source)
            if known:
                datasets.append(_dataset(known, meta.get("tags") or {}))
        return datasets, links

    def _outputs(self, run: Path) -> Iterator[tuple[str, str, int]]:
        for place in _folders(run / "outputs"):
            meta = self._meta(place)
            if meta.get("destination_type") == "MODEL_OUTPUT":
                yield "output", str(meta.get("destination_id")), int(meta.get("step") or 0)

    def models(self) -> Iterator[FoundModel]:
        """Go through the logged models."""
        for folder, of in self._experiments:
            for place in _folders(folder / "models"):
                if meta := self._meta(place):
                    make = partial(self._model, place, meta, str(of.get("name") or folder.name))
                    what = f"the logged model in {self._shown(place)}"
                    if (found := attempt(make, self.complaints, what=what)) is not None:
                        yield found

    def _model(self, place: Path, meta: Mapping[str, Any], experiment: str) -> FoundModel:
        known = {
            "id": str(meta.get("model_id") or place.name), "name": str(meta.get("name")),
            "status": meta.get("status"), "status_message": meta.get("status_message"),
            "type": meta.get("model_type") or None,
            "run_id": meta.get("source_run_id") or None,
            "created": meta.get("creation_timestamp"),
            "updated": meta.get("last_updated_timestamp"),
        }  # fmt: skip
        record = translating.model(
            known,
            experiment=experiment,
            params=self._texts(place / "params"),
            tags=self._texts(place / "tags"),
            metrics=list(self._model_metrics(place / "metrics")),
            deleted=meta.get("lifecycle_stage") == "deleted",
        )
        where = f"{place.relative_to(self._root).as_posix()}/artifacts"
        return FoundModel(record=record, uri=meta.get("artifact_location") or None, folder=where)

    def _model_metrics(self, folder: Path) -> Iterator[ModelMetric]:
        for key, path in _files(folder):
            for line in self._lines(path):
                try:
                    at, value, step, run, *rest = line.split(" ")
                    row = checking.point(step, at, value)
                    point = ModelMetric(
                        key=key, step=row[0], at=row[1], run_id=run,
                        value=translating.number(row[2]),
                        dataset_name=rest[0] if len(rest) > 1 else None,
                        dataset_digest=rest[1] if len(rest) > 1 else None,
                    )  # fmt: skip
                except ValueError:
                    self.complaints.append(f"{self._shown(path)}: {line[:80]!r} is no point")
                    continue
                yield point

    def registered(self) -> list[Registered]:
        """Return the registered models."""
        found = []
        for folder in _folders(self._root / _REGISTRY):
            meta = self._meta(folder) if (folder / _META).is_file() else {}
            if meta:
                make = partial(self._registered, folder, meta)
                what = f"the registered model in {self._shown(folder)}"
                if (one := attempt(make, self.complaints, what=what)) is not None:
                    found.append(one)
        return found

    def _registered(self, folder: Path, meta: Mapping[str, Any]) -> Registered:
        aliases = self._texts(folder / "aliases")
        numbers = {alias: checking.number(text) for alias, text in aliases.items()}
        return Registered(
            name=str(meta.get("name") or folder.name),
            description=meta.get("description") or None,
            created=meta.get("creation_timestamp") or 0,
            updated=meta.get("last_updated_timestamp") or 0,
            tags=self._texts(folder / "tags"),
            aliases={alias: number for alias, number in numbers.items() if number is not None},
            versions=tuple(sorted(self._versions(folder), key=lambda version: version.number)),
        )

    def _versions(self, folder: Path) -> Iterator[RegisteredVersion]:
        for place in _folders(folder):
            meta = self._meta(place) if place.name.startswith("version-") else {}
            if meta and meta.get("current_stage") != "Deleted_Internal":
                make = partial(_version, meta, self._texts(place / "tags"))
                what = f"the version in {self._shown(place)}"
                if (found := attempt(make, self.complaints, what=what)) is not None:
                    yield found


def _facts(meta: Mapping[str, Any], folder: str, *, experiment: str) -> Facts:
    status = meta.get("status")
    is_deleted = meta.get("lifecycle_stage") == "deleted"
    name, owner = meta.get("run_name") or meta.get("name"), meta.get("user_id")
    return Facts(
        id=str(meta.get("run_id") or meta.get("run_uuid") or folder),
        experiment=experiment,
        name=str(name) if name else None,
        status=translating.STATUSES.get(status, str(status)) if status else "",
        owner=str(owner) if owner else None,
        start=meta.get("start_time"),
        end=meta.get("end_time"),
        deleted=(meta.get("deleted_time") or meta.get("end_time") or 0) if is_deleted else None,
    )


def _dataset(meta: Mapping[str, Any], tags: Mapping[str, Any]) -> Dataset:
    return Dataset(
        name=str(meta.get("name")), digest=str(meta.get("digest")),
        source_type=meta.get("source_type"), source=meta.get("source"),
        schema=meta.get("schema"), profile=meta.get("profile"),
        tags={str(key): str(value) for key, value in tags.items()},
    )  # fmt: skip


def _version(meta: Mapping[str, Any], tags: dict[str, str]) -> RegisteredVersion:
    stage = meta.get("current_stage")
    return RegisteredVersion(
        number=int(meta.get("version") or 0),
        source=meta.get("source") or None,
        run_id=meta.get("run_id") or None,
        model_id=meta.get("model_id") or translating.model_of(meta.get("source")),
        description=meta.get("description") or None,
        owner=meta.get("user_id") or None,
        stage=stage if stage not in {None, "None"} else None,
        status=translating.version_status(meta.get("status")),
        status_message=meta.get("status_message") or None,
        run_link=meta.get("run_link") or None,
        created=meta.get("creation_timestamp") or 0,
        updated=meta.get("last_updated_timestamp") or meta.get("creation_timestamp") or 0,
        tags=tags,
    )


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Go through the files of a folder: the key of each, which may have `/`, and where it lies."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place) / name
            yield path.relative_to(folder).as_posix(), path
