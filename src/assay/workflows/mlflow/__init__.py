"""What MLflow recorded, read from its own store: a database file, or a folder `mlruns`.

A reader goes through the store and gives what it finds as our own records, with the places where
files lie; it only reads. `importing` takes that into the ledger and the object store.
Sources: MLflow 3.17, `store/tracking/dbmodels/models.py`, `store/tracking/file_store.py`,
`store/model_registry/file_store.py`; a column or file that an older MLflow does not have is
taken for empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from assay.ledger.exchange.records import ExperimentRecord, ModelRecord, RunRecord


class FoundRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run, and where its artifacts lie, as MLflow says."""

    record: RunRecord
    uri: str | None
    folder: str  # of its artifacts, below the root where MLflow keeps them by default


class FoundModel(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model, and where its files lie, as MLflow says."""

    record: ModelRecord
    uri: str | None
    folder: str


class RegisteredVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a registered model."""

    number: int
    source: str | None
    run_id: str | None
    model_id: str | None
    description: str | None
    owner: str | None
    stage: str | None
    status: str
    status_message: str | None
    run_link: str | None
    created: int
    updated: int
    tags: dict[str, str]


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A registered model with its versions, the oldest first."""

    name: str
    description: str | None
    created: int
    updated: int
    tags: dict[str, str]
    aliases: dict[str, int]
    versions: tuple[RegisteredVersion, ...]


class Store(Protocol):
    """A store of MLflow. What cannot be read is added to `complaints` and passed by."""

    complaints: list[str]
    folder: Path  # in which it lies: relative paths in it begin there
    roots: tuple[Path, ...]  # where MLflow keeps artifacts, if nobody says otherwise

    def experiments(self) -> list[ExperimentRecord]:
        """Return all experiments, the deleted ones too."""

    def runs(self) -> Iterator[FoundRun]:
        """Go through all runs, the deleted ones too."""

    def models(self) -> Iterator[FoundModel]:
        """Go through the logged models."""

    def registered(self) -> list[Registered]:
        """Return the registered models."""

    def close(self) -> None:
        """Give back what is open."""
