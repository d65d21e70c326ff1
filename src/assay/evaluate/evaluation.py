"""The evaluation of one candidate: each metric on all rows and on each slice, beside a base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from assay.base.errors import Error
from assay.data.multiple import holm
from assay.evaluate import metrics as known
from assay.evaluate.blocks import DAY
from assay.evaluate.bootstrap import seed
from assay.evaluate.compare import Comparison, compare
from assay.evaluate.intervals import Estimate, Interval, estimate, of
from assay.evaluate.metrics import Metric, measure
from assay.evaluate.rows import Rows
from assay.project import declaration
from assay.project.declaration import Task

if TYPE_CHECKING:
    from assay.evaluate.rows import Mask

CANDIDATE, BASE = "candidate", "base"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One metric on all rows or on a slice.

    Attributes
    ----------
    slice : str or None
        None for all rows.
    too_few : bool
        Whether the slice has fewer rows than `min_n`: it is listed and nothing is concluded.
    comparison : Comparison or None
        None without a base, and where there are too few rows.
    p_holm : float or None
        The comparison's p-value, adjusted over all slices of this metric.
    """

    metric: str
    slice: str | None
    n_rows: int
    candidate: Estimate
    too_few: bool = False
    comparison: Comparison | None = None
    p_holm: float | None = None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a candidate.

    Attributes
    ----------
    candidate, base : str
        The names of the two models in the rows; no base is None.
    note : str
        What is not compared, in words.
    """

    task: Task
    candidate: str
    base: str | None
    n_rows: int
    min_n: int
    results: tuple[Result, ...]
    note: str = ""

    def find(self, metric: str, of_slice: str | None = None) -> Result | None:
        """Return the result of a metric, or None where it was not asked for."""
        for result in self.results:
            if (result.metric, result.slice) == (metric, of_slice):
                return result
        return None

    @property
    def slices(self) -> tuple[str, ...]:
        """The names of the slices."""
        return tuple(dict.fromkeys(r.slice for r in self.results if r.slice is not None))


def evaluate(
    rows: Rows,
    metrics: Sequence[str],
    *,
    candidate: str = CANDIDATE,
    base: str | None = None,
    slices: Mapping[str, Mask] | None = None,
    block_seconds: float | None = None,
    min_n: int = 30,
    run: str = "",
    note: str = "",
) -> Evaluation:
    """Measure a candidate, and compare it with a base on the same rows.

    Parameters
    ----------
    rows : Rows
        With the answers of the models that are named.
    metrics : sequence of str
        Names of metrics of the rows' task.
    slices : mapping of str to array of bool
        Which rows are in a slice.
    block_seconds : float, optional
        For rows in time order; `block_seconds` of this module reads it of a declaration.
    min_n : int
        A slice with fewer rows is 'too few'.
    run : str
        What makes the draws of the bootstrap: the same run gives the same digits.

    Raises
    ------
    assay.Error
        If a metric, or a model of the rows, is not known.
    """
    wanted = [known.get(name, task=rows.task) for name in dict.fromkeys(metrics)]
    for name in (candidate, base):
        if name is not None and name not in rows.models:
            raise Error(f"the rows have no answers of '{name}'", hint="add the model to them")
    found: list[Result] = []
    for metric in wanted:
        results = [
            _result(metric, rows, (base, candidate), name, mask, block_seconds, min_n, run)
            for name, mask in [(None, None), *(slices or {}).items()]
        ]
        found.extend(_adjusted(results))
    return Evaluation(
        task=rows.task,
        candidate=candidate,
        base=base,
        n_rows=rows.n_rows,
        min_n=min_n,
        results=tuple(found),
        note=note,
    )


def block_seconds(declared: declaration.Evaluation, *, timed: bool) -> float | None:
    """Return the length of a block that a declaration asks for.

    Parameters
    ----------
    timed : bool
        Whether the table has a time column; then the default is a day.
    """
    if isinstance(declared.blocks, msgspec.UnsetType):
        return DAY if timed else None
    if declared.blocks is not None and not timed:
        raise Error(
            "blocks need a time for each row",
            where="assay.yaml: evaluation.blocks",
            hint="declare the table's time column under data.tables, or leave 'blocks' out",
        )
    return None if declared.blocks is None else declaration.seconds(declared.blocks)


def _result(
    metric: Metric,
    rows: Rows,
    sides: tuple[str | None, str],
    name: str | None,
    mask: Mask | None,
    length: float | None,
    min_n: int,
    run: str,
) -> Result:
    base, candidate = sides
    view = rows.view(candidate, mask)
    if view.n_rows == 0 or (name is not None and view.n_rows < min_n):
        why = f"too few: {view.n_rows} of at least {min_n} rows"
        alone = of(measure(metric, view), Interval(why_not=why))
        return Result(
            metric=metric.name,
            slice=name,
            n_rows=view.n_rows,
            candidate=alone,
            too_few=name is not None,
        )
    start = seed(run, metric.name, name or "")
    if base is None:
        single = estimate(metric, view, block_seconds=length, seed=start)
        return Result(metric=metric.name, slice=name, n_rows=view.n_rows, candidate=single)
    comparison = compare(metric, rows.view(base, mask), view, block_seconds=length, seed=start)
    return Result(
        metric=metric.name,
        slice=name,
        n_rows=view.n_rows,
        candidate=comparison.candidate,
        comparison=comparison,
    )


def _adjusted(results: list[Result]) -> list[Result]:
    """Return the results of one metric with p-values adjusted over its slices."""
    given = [
        (i, r.comparison.p_value)
        for i, r in enumerate(results)
        if r.slice is not None and r.comparison is not None and r.comparison.p_value is not None
    ]
    adjusted = holm([p for _, p in given])
    for (i, _), p in zip(given, adjusted, strict=True):
        results[i] = msgspec.structs.replace(results[i], p_holm=p)
    return results
