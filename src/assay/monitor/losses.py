# ruff: noqa: S608 -- every name and literal in the SQL of this file goes through `quoted`
"""Losses of logged rows that have their truth, and of the baselines on the same rows, by day.

What is kept of rows are sums by version and day: they add up to any window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error, Usage
from assay.data.read import Table
from assay.evaluate import metrics
from assay.evaluate.metrics import Metric
from assay.evaluate.rows import View, encode
from assay.evaluate.slices import expressions
from assay.monitor import windows
from assay.monitor.windows import DAY, Span
from assay.project.declaration import Baseline, Model
from assay.traffic.columns import NOTHING
from assay.traffic.parts import INPUT, OUTPUT
from assay.traffic.table import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from assay.bundle.reference import Reference
    from assay.traffic.log import Log

WHERE = "assay.yaml: monitor.performance.metric"
PREDICT, PROBABILITIES = f"{OUTPUT}predict", f"{OUTPUT}predict_proba"


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the rows of a day that one version answered and that have a truth.

    Attributes
    ----------
    n : int
        How many rows.
    loss : float
        The sum of their losses.
    baselines : dict of str to tuple
        Rows that the baseline has an answer for too, its losses on them, and the model's.
    """

    n: int = 0
    loss: float = 0.0
    baselines: dict[str, tuple[int, float, float]] = {}

    def __add__(self, other: Sums) -> Sums:
        nothing = (0, 0.0, 0.0)
        added = {
            name: tuple(
                a + b
                for a, b in zip(
                    self.baselines.get(name, nothing),
                    other.baselines.get(name, nothing),
                    strict=True,
                )
            )
            for name in (self.baselines | other.baselines)
        }
        return Sums(
            n=self.n + other.n,
            loss=self.loss + other.loss,
            baselines=added,  # type: ignore[arg-type]
        )


Days = dict[tuple[str, int], Sums]
"""Sums by version and day, which is counted from 1970-01-01."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured.

    Attributes
    ----------
    classes : mapping of str to sequence
        By version, the classes in the order of its probabilities.
    shares : sequence of float or None
        The share of each declared class among the training rows, for a majority.
    series : tuple of str
        The logged columns that tell series apart, for a season.
    first : str or None
        The baseline that is shown where there is room for one.
    """

    model: Model
    metric: Metric
    baselines: Mapping[str, Baseline]
    classes: Mapping[str, Sequence[Any]] = {}
    shares: Sequence[float] | None = None
    series: tuple[str, ...] = ()
    first: str | None = None

    @property
    def name(self) -> str:
        """What the loss is called.

        Examples
        --------
        >>> model = Model(name="m", task="regression", target="y")
        >>> Job(model=model, metric=metric(model, "mae"), baselines={}).name
        'mae'
        """
        return f"1 - {self.metric.name}" if self.metric.larger_is_better else self.metric.name

    def loss(self, view: View) -> Any:
        """Return the loss of each row; less is better."""
        if self.metric.per_row is None:
            raise AssertionError(self.metric.name)
        values = self.metric.per_row(view)
        return 1 - values if self.metric.larger_is_better else values


def metric(model: Model, name: str) -> Metric:
    """Return a metric that is a mean over rows.

    Raises
    ------
    assay.Error
        If there is none of this name, or it is none.
    """
    found = metrics.get(name, task=model.task)
    if found.per_row is None or found.subset is not None or found.kind in {"median", "extreme"}:
        fit = [one for one, m in metrics.known(model.task).items() if m.per_row and not m.subset
               and m.kind in {"mean", "proportion"}]  # fmt: skip
        raise Usage(
            f"'{name}' is not a mean over rows, so windows of it do not add up",
            where=WHERE,
            hint=f"use one of {', '.join(fit)}",
        )
    return found


def majority(reference: Reference, classes: Sequence[str | int]) -> list[float] | None:
    """Return the share of each class among the training rows; None where that is not known."""
    cells = reference.target_cells()
    if cells is None or not cells.values:
        return None
    counted = {_plain(value): n for value, n in zip(cells.values, cells.at, strict=True)}
    counts = [counted.get(_plain(name), 0) for name in classes]
    total = sum(counts)
    return [n / total for n in counts] if total else None


def prepare(log: Log, job: Job, *, within: Span) -> tuple[dict[str, str], str]:
    """Return the SQL of target, prediction and what else losses need, and the joins it takes.

    Makes a table of the truths one season before, for each baseline that is one.

    Raises
    ------
    assay.Error
        If what was logged is no answer that has such a loss.
    """
    known = {column.name: column for column in log.columns}
    answer = known.get(PREDICT)
    if answer is not None and answer.type.endswith("]"):
        raise Error("the model gives several numbers a row; a loss is of one", where=WHERE)
    target = known["target"].type
    terms = {
        "assay.version": "p.version",
        "assay.target": _value("l.target", target, job.model),
        "assay.prediction": "NULL::DOUBLE" if answer is None
        else _value(f"p.{quoted(answer.ref, chr(34))}", answer.type, job.model),
    }  # fmt: skip
    if job.metric.needs_probabilities:
        terms |= _probabilities(known.get(PROBABILITIES), job)
    joins = "LEFT JOIN latest l USING (prediction_id)"
    seasons = {name: one for name, one in job.baselines.items() if one.season is not None}
    for at, (name, one) in enumerate(seasons.items()):
        terms[f"assay.baseline.{name}"] = f"s{at}.target"
        joins += _season(log, job, one, at=at, within=within)
    return terms, joins


def measure(table: Table, job: Job, *, say: Callable[[str], object]) -> Days:
    """Return the sums of the rows of `t` that have an answer and a truth.

    Parameters
    ----------
    say : callable
        Is told why a baseline has no answer.
    """
    import numpy as np

    versions = [
        row[0] for row in table.execute('SELECT DISTINCT "assay.version" FROM t').fetchall()
    ]
    names = ", ".join(quoted(name) for name in versions)
    there = '"assay.target" IS NOT NULL AND "assay.prediction" IS NOT NULL'
    terms = {
        "version": f'list_position([{names}], "assay.version") - 1',
        "time": '"assay.time"', "target": '"assay.target"', "prediction": '"assay.prediction"',
    }  # fmt: skip
    n_probabilities = len(job.model.classes) if job.metric.needs_probabilities else 0
    terms |= {f"p{at}": f'"assay.p{at}"' for at in range(n_probabilities)}
    terms |= {
        f"season {name}": quoted(f"assay.baseline.{name}", '"')
        for name, one in job.baselines.items()
        if one.season is not None
    }
    found = windows.arrays(table, terms, where=there)
    n = len(found["time"])
    if not n:
        return {}
    plain = {name: np.ma.getdata(found[name]) for name in ("version", "time", "target")}
    target = plain["target"]
    loss = job.loss(_view(job, target, np.ma.getdata(found["prediction"]), _columns(found)))
    days = np.floor_divide(plain["time"], DAY)
    first = int(days.min())
    place = plain["version"] * (int(days.max()) - first + 1) + days - first
    others = {}
    for name, one in job.baselines.items():
        try:
            others[name] = _baseline(table, job, name, one, found=found, there=there)
        except Error as error:
            say(f"the baseline '{name}' is not shown: {error.what}")
    return _summed(versions, place, first, int(days.max()) - first + 1, loss, others)


def _summed(
    versions: Sequence[str],
    place: NDArray[Any],
    first: int,
    n_days: int,
    loss: NDArray[Any],
    others: Mapping[str, NDArray[Any]],
) -> Days:
    """Return the sums of losses by place, which is version times the number of days plus day."""
    import numpy as np

    width = len(versions) * n_days
    n_rows = np.bincount(place, minlength=width)
    total = np.bincount(place, weights=loss, minlength=width)
    beside = {}
    for name, values in others.items():
        there = np.isfinite(values)
        at = place[there]
        beside[name] = (
            np.bincount(at, minlength=width),
            np.bincount(at, weights=values[there], minlength=width),
            np.bincount(at, weights=loss[there], minlength=width),
        )
    return {
        (versions[at // n_days], first + at % n_days): Sums(
            n=int(n_rows[at]),
            loss=float(total[at]),
            baselines={
                name: (int(n[at]), float(its[at]), float(own[at]))
                for name, (n, its, own) in beside.items()
            },
        )
        for at in np.flatnonzero(n_rows).tolist()
    }


def _baseline(
    table: Table, job: Job, name: str, one: Baseline, *, found: Mapping[str, Any], there: str
) -> NDArray[Any]:
    """Return the losses of a baseline; NaN where it has no answer."""
    import numpy as np

    target = np.ma.getdata(found["target"])
    n = len(target)
    probabilities = None
    if one.majority:
        if job.shares is None:
            raise Error("the classes of the training rows are not known")
        values = np.full(n, int(np.argmax(job.shares)))
        probabilities = np.tile(np.array(job.shares), (n, 1))
    elif one.season is not None:
        values = found[f"season {name}"]
    else:
        rows = np.flatnonzero(_true(table, there))
        values = expressions(
            table, {name: one.sql or ""}, where="assay.yaml: evaluation.baselines"
        )[name][rows]
    gone = np.ma.getmaskarray(values)
    data = np.ma.getdata(values)
    if job.model.task != "regression" and one.sql is not None:
        codes = np.zeros(n, np.int64)
        codes[~gone] = encode(
            data[~gone], job.model.classes, key=[""] * int((~gone).sum()), column=name
        )
        data = codes
    if data.dtype.kind not in "iufb":
        raise Error(f"the baseline '{name}' is not a number")
    if job.metric.needs_probabilities and probabilities is None:
        raise Error(f"the baseline '{name}' gives no probabilities, which the metric needs")
    if job.model.task == "regression":
        data = np.where(gone, np.nan, data.astype(np.float64))
        gone = ~np.isfinite(data)
    kept = ~gone
    losses = np.full(n, np.nan)
    if kept.any():
        shares = None if probabilities is None else probabilities[kept]
        losses[kept] = job.loss(_view(job, target[kept], data[kept], shares))
    return losses


def _true(table: Table, condition: str) -> Any:
    return windows.arrays(table, {"is": f"({condition})"})["is"]


def _view(job: Job, target: Any, prediction: Any, probabilities: Any) -> View:
    return View(
        task=job.model.task,
        classes=tuple(job.model.classes),
        target=target,
        prediction=prediction,
        probabilities=probabilities,
        time=None,
    )


def _columns(found: Mapping[str, Any]) -> Any:
    import numpy as np

    columns = [values for name, values in found.items() if name[0] == "p" and name[1:].isdigit()]
    return np.column_stack([np.ma.filled(one, 0.0) for one in columns]) if columns else None


def _value(term: str, type_: str, model: Model) -> str:
    """Return the SQL of an answer or a truth: a number, or the position of a class.

    What is neither is NULL, so that a wrong truth takes no row of others with it.
    """
    if model.task == "regression":
        if type_ == NOTHING:
            return "NULL::DOUBLE"
        number = f"try_cast({term} AS DOUBLE)"
        return f"CASE WHEN isfinite({number}) THEN {number} END"
    text = f"{term}::VARCHAR"
    if type_ == "BOOLEAN":
        text = f"({term})::INTEGER::VARCHAR"
    elif type_ in {"DOUBLE", "HUGEINT"}:
        text = f"CASE WHEN {term} = floor({term}) THEN try_cast({term} AS BIGINT)::VARCHAR END"
    names = ", ".join(quoted(_plain(name)) for name in model.classes)
    return f"nullif(list_position([{names}], {text}), 0) - 1"


def _plain(name: Any) -> str:
    """Return a class as text: 1.0 and True are what the declaration calls 1."""
    if isinstance(name, bool | float) and name == int(name):
        name = int(name)
    return str(name)


def _probabilities(column: Any, job: Job) -> dict[str, str]:
    """Return the SQL of the probability of each declared class, by the order of each version."""
    if column is None:
        raise Error("the model gives no probabilities", where=WHERE)
    ref = f"p.{quoted(column.ref, chr(34))}"
    terms = {}
    for at, name in enumerate(job.model.classes):
        cases = ""
        for version, classes in job.classes.items():
            places = [place for place, own in enumerate(classes) if _plain(own) == _plain(name)]
            if places:
                cases += f" WHEN {quoted(version)} THEN {ref}[{places[0] + 1}]"
        terms[f"assay.p{at}"] = f"CASE p.version{cases} ELSE 0.0 END" if cases else "0.0::DOUBLE"
    return terms


def _season(log: Log, job: Job, one: Baseline, *, at: int, within: Span) -> str:
    """Make the table of the truths of a season before, and return the join with it."""
    step = windows.milliseconds(one.season or "")
    known = {column.name: column for column in log.columns}
    keys = [known[INPUT + name] for name in job.series if INPUT + name in known]
    refs = [quoted(column.ref, '"') for column in keys]
    columns = "".join(f", p.{ref} AS k{number}" for number, ref in enumerate(refs))
    groups = "".join(f", k{number}" for number in range(len(refs)))
    value = _value("l.target", known["target"].type, job.model)
    log.connection.execute(
        f"CREATE OR REPLACE TABLE season_{at} AS SELECT p.event_time + {step} AS due{columns},"
        f" arg_max({value}, l.target_at) AS target"
        " FROM predictions p JOIN latest l USING (prediction_id)"
        f" WHERE p.event_time >= {within.start - step} AND p.event_time < {within.end - step}"
        f" GROUP BY due{groups}"
    )
    same = "".join(
        f" AND s{at}.k{number} IS NOT DISTINCT FROM p.{ref}" for number, ref in enumerate(refs)
    )
    return f" LEFT JOIN season_{at} s{at} ON s{at}.due = p.event_time{same}"
