"""What was found as columns: names to lists of the same length, one value a run, None for none.

Parameters are text, as MLflow gives them; moments are Unix milliseconds UTC, durations seconds.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from assay.base.errors import Error
from assay.ledger.found import FoundRun
from assay.ledger.search.parser import parse_field
from assay.ledger.search.targets import RUNS

ATTRIBUTES: dict[str, Callable[[FoundRun], Any]] = {
    "run_id": lambda run: run.id,
    "run_name": lambda run: run.name,
    "status": lambda run: run.status,
    "experiment": lambda run: run.experiment,
    "experiment_id": lambda run: run.experiment_id,
    "kind": lambda run: run.kind,
    "stage": lambda run: run.stage,
    "parent": lambda run: run.parent,
    "user_id": lambda run: run.owner,
    "start_time": lambda run: run.start,
    "end_time": lambda run: run.end,
    "duration": lambda run: run.seconds,
    "commit": lambda run: run.commit,
    "artifact_uri": lambda run: run.artifact_uri,
    "lifecycle": lambda run: "active" if run.deleted is None else "deleted",
}
_PREFIXES = {"param": "params", "metric": "metrics", "tag": "tags", "dataset": "dataset"}
_MOMENTS = ("start_time", "end_time")


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One value of each run."""

    entity: str
    key: str

    @property
    def name(self) -> str:
        """What a query calls it; of a key with odd characters without its quotes."""
        return self.key if self.entity == "attribute" else f"{_PREFIXES[self.entity]}.{self.key}"

    def of(self, run: FoundRun) -> Any:
        """Return its value in a run, or None."""
        if self.entity == "attribute":
            return ATTRIBUTES[self.key](run)
        if self.entity == "metric":
            metric = run.metrics.get(self.key)
            return None if metric is None else metric.value
        if self.entity in {"param", "tag"}:
            return (run.params if self.entity == "param" else run.tags).get(self.key)
        fields = {"name": "path", "digest": "oid", "context": "context"}
        values = [getattr(data, fields[self.key]) for data in run.datasets]
        return ", ".join(value for value in values if value is not None) or None


def named(names: Sequence[str]) -> list[Column]:
    """Return the columns that names such as `run_id` or `metrics.rmse` stand for.

    Raises
    ------
    BadQuery
        If there is no such field.
    """
    columns = []
    for name in names:
        entity, key = parse_field(name, RUNS)
        if entity == "attribute" and key not in ATTRIBUTES:
            known = ", ".join(ATTRIBUTES)
            raise Error(f"{name!r} cannot be a column", hint=f"columns are {known}, and keys")
        columns.append(Column(entity=entity, key=key))
    return columns


def every(runs: Sequence[FoundRun]) -> list[Column]:
    """Return all columns of runs: attributes, then parameters, metrics and tags by key."""
    found = [Column(entity="attribute", key=key) for key in ATTRIBUTES]
    beside: tuple[tuple[str, Callable[[FoundRun], Mapping[str, Any]]], ...] = (
        ("param", lambda run: run.params),
        ("metric", lambda run: run.metrics),
        ("tag", lambda run: run.tags),
    )
    for entity, of in beside:
        keys = sorted({key for run in runs for key in of(run)})
        found += [Column(entity=entity, key=key) for key in keys]
    return found


def parts(columns: Sequence[Column]) -> set[str]:
    """Return which parts of runs the columns need, as `found.load` calls them."""
    plural = _PREFIXES | {"dataset": "datasets"}
    return {plural[one.entity] for one in columns if one.entity in plural}


class Columns(Mapping[str, list[Any]]):
    """Names to lists of the same length.

    Examples
    --------
    >>> found = Columns({"run_id": ["a", "b"], "metrics.rmse": [0.1, None]})
    >>> found["metrics.rmse"], found.n_rows
    ([0.1, None], 2)
    """

    def __init__(self, data: Mapping[str, list[Any]]) -> None:
        self._data = dict(data)

    @classmethod
    def of(cls, runs: Sequence[FoundRun], columns: Sequence[Column] | None = None) -> Columns:
        """Return some columns of runs, or all."""
        chosen = every(runs) if columns is None else columns
        return cls({one.name: [one.of(run) for run in runs] for one in chosen})

    @property
    def n_rows(self) -> int:
        """How many runs there are."""
        return len(next(iter(self._data.values()), []))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield one mapping a run."""
        for values in zip(*self._data.values(), strict=True):
            yield dict(zip(self._data, values, strict=True))

    def to_pandas(self) -> Any:
        """Return a data frame; moments are times in UTC."""
        pandas: Any = _library("pandas")
        frame = pandas.DataFrame(self._data)
        for name in _MOMENTS:
            if name in frame:
                frame[name] = pandas.to_datetime(frame[name], unit="ms", utc=True)
        return frame

    def to_arrow(self) -> Any:
        """Return a table of Arrow; moments are times in UTC."""
        arrow: Any = _library("pyarrow")
        data = {
            name: arrow.array(values, arrow.timestamp("ms", "UTC")) if name in _MOMENTS else values
            for name, values in self._data.items()
        }
        return arrow.table(data)

    def __getitem__(self, name: str) -> list[Any]:
        return self._data[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return f"Columns({self.n_rows} runs: {', '.join(self._data)})"


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Error(f"{name} is not installed", hint=f"pip install {name}") from None
