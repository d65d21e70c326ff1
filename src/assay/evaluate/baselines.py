"""Baselines: naive predictors that every model has to beat.

The majority class, the value one season before, or SQL over a row. What a baseline cannot answer
(no value one season before, NULL) is left out, and `Guess.present` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error
from assay.data.read import Table
from assay.evaluate.rows import Rows, encode
from assay.evaluate.slices import expressions
from assay.project.declaration import Baseline, seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from assay.evaluate.rows import Floats, Ints, Mask

WHERE = "assay.yaml: evaluation.baselines"


class Guess(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a baseline answers to the rows.

    Attributes
    ----------
    values : array, shape (n_rows,)
        Numbers, or positions in the classes; without meaning where `present` is false.
    present : array of bool
        For which rows there is an answer.
    probabilities : array, shape (n_rows, n_classes), or None
    """

    values: NDArray[Any]
    present: Mask
    probabilities: Floats | None = None


class History(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Known values of the target: of the training table, and of the evaluation table itself.

    Attributes
    ----------
    target : array
        Numbers, or positions in the classes.
    time : array of int, or None
        Unix microseconds.
    series : sequence of str, or None
        Which series a value belongs to, where there are several.
    """

    target: NDArray[Any]
    time: Ints | None = None
    series: Sequence[str] | None = None


def guess(
    name: str,
    declared: Baseline,
    rows: Rows,
    *,
    table: Table | None = None,
    history: History | None = None,
    series: Sequence[str] | None = None,
) -> Guess:
    """Return the answers of a declared baseline.

    Parameters
    ----------
    table : Table
        The open evaluation table, whose rows are those of `rows`; for SQL.
    history : History
        Known targets; without it the evaluation rows' own, of which a season ago is known
        when a row is predicted.
    series : sequence of str
        Which series a row belongs to, where the table has several.

    Raises
    ------
    assay.Error
        If not exactly one kind of baseline is declared, or it does not fit the rows.
    """
    where = f"{WHERE}.{name}"
    kinds = (declared.majority, declared.season is not None, declared.sql is not None)
    if sum(kinds) != 1:
        raise Error(
            f"the baseline '{name}' has {sum(kinds)} kinds, expected one",
            where=where,
            hint="give one of 'majority: true', 'season: 7d' or 'sql: ...'",
        )
    known = history or History(target=rows.target, time=rows.time, series=series)
    if declared.majority:
        return majority(rows, known, where=where)
    if declared.season is not None:
        return seasonal(rows, known, season=seconds(declared.season), series=series, where=where)
    if table is None or declared.sql is None:
        raise Error(f"the baseline '{name}' is SQL, and there is no table to ask", where=where)
    return of_sql(name, declared.sql, rows, table)


def majority(rows: Rows, history: History, *, where: str = WHERE) -> Guess:
    """Return the most frequent class of the history for every row, and the classes' shares.

    As scikit-learn's `DummyClassifier(strategy="prior")`: ties go to the first class.
    """
    import numpy as np

    if rows.task == "regression":
        raise Error(
            "a majority needs classes, this target is a number",
            where=where,
            hint="use 'season: 7d', or 'sql:' with a number",
        )
    if not len(history.target):
        raise Error("there is no row to take the majority of", where=where)
    counts = np.bincount(history.target, minlength=len(rows.classes))
    return Guess(
        values=np.full(rows.n_rows, int(counts.argmax())),
        present=np.ones(rows.n_rows, dtype=bool),
        probabilities=np.tile(counts / counts.sum(), (rows.n_rows, 1)),
    )


def seasonal(
    rows: Rows,
    history: History,
    *,
    season: float,
    series: Sequence[str] | None = None,
    where: str = WHERE,
) -> Guess:
    """Return for each row the value of exactly one season (in seconds) before.

    References
    ----------
    Hyndman and Athanasopoulos (2021), "Forecasting: Principles and Practice", section 5.2.
    """
    import numpy as np

    if rows.time is None or history.time is None:
        raise Error(
            "a season needs a time for each row",
            where=where,
            hint="declare the table's time column under data.tables",
        )
    known = _by_time(history, where)
    step = round(season * 1_000_000)
    own = [""] * rows.n_rows if series is None else series
    at = [
        known.get((name, moment - step))
        for name, moment in zip(own, rows.time.tolist(), strict=True)
    ]
    present = np.array([i is not None for i in at], dtype=bool)
    values = history.target[[i or 0 for i in at]] if len(history.target) else rows.target
    return Guess(values=values, present=present)


def _by_time(history: History, where: str) -> dict[tuple[str, int], int]:
    moments = [] if history.time is None else history.time.tolist()
    names = [""] * len(moments) if history.series is None else history.series
    known: dict[tuple[str, int], int] = {}
    for i, key in enumerate(zip(names, moments, strict=True)):
        if known.setdefault(key, i) != i and history.target[known[key]] != history.target[i]:
            raise Error(
                "two values of the target have the same time",
                where=where,
                hint="say which series a row belongs to by the table's key columns",
            )
    return known


def of_sql(name: str, sql: str, rows: Rows, table: Table) -> Guess:
    """Return the values of an SQL expression over each row; NULL is no answer."""
    import numpy as np

    found = expressions(table, {name: sql}, where=WHERE)[name]
    if len(found) != rows.n_rows:
        raise Error(
            f"the table has {len(found)} rows, the evaluation {rows.n_rows}",
            where=f"{WHERE}.{name}",
        )
    present = ~np.ma.getmaskarray(found)
    plain = np.ma.getdata(found)
    if rows.task != "regression":
        values = np.zeros(rows.n_rows, dtype=np.int64)
        keys = [rows.key[i] for i in np.flatnonzero(present)]
        values[present] = encode(
            plain[present], rows.classes, key=keys, column=f"baseline '{name}'"
        )
        return Guess(values=values, present=present)
    if plain.dtype.kind not in "iufb":
        raise Error(
            f"the baseline '{name}' is {sql!r}, which is not a number",
            where=f"{WHERE}.{name}",
            hint="write an SQL expression that gives a number for each row",
        )
    numbers = plain.astype(np.float64)
    present &= np.isfinite(numbers)
    return Guess(values=np.where(present, numbers, 0.0), present=present)


def add(rows: Rows, name: str, answers: Guess) -> tuple[Rows, Mask]:
    """Return the rows that a baseline has an answer for, with it as a model, and which they are.

    Raises
    ------
    assay.Error
        If it has no answer for any row.
    """
    import numpy as np

    if not answers.present.any():
        raise Error(
            f"the baseline '{name}' has no answer for any row",
            where=f"{WHERE}.{name}",
            hint="give it a history that reaches one season before the evaluation rows",
        )
    at = np.flatnonzero(answers.present)
    kept = rows if len(at) == rows.n_rows else rows.take(at)
    probabilities = None if answers.probabilities is None else answers.probabilities[at]
    return kept.with_answers(name, answers.values[at], probabilities), answers.present
