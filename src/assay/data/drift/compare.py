"""The comparison of two profiles: two measures, one test and a verdict for each column.

A column has *drifted* where its test says so after Holm's adjustment over all columns, and its
bias-corrected Jensen-Shannon distance says that it matters. Where nothing was found, there were
*too few rows* if a PSI of .25, which the industry acts on, would be missed more than one time of
five. Columns of times are listed, but not compared: another window has other times.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from assay.base.errors import NotFound, Usage, did_you_mean
from assay.data.columns import Column
from assay.data.drift import DriftTest, Tested, get_measure, get_test
from assay.data.drift.chi_square import detectable_psi
from assay.data.drift.pooling import Cell, pool
from assay.data.multiple import holm
from assay.data.profile import Profile

ALPHA = 0.05
MIN_EFFECT = 0.05  # bias-corrected Jensen-Shannon distance, base 2
MATTERS = 0.25  # PSI that must not be missed for want of rows

Verdict = Literal["drifted", "no drift", "too few rows", "not compared"]


class ColumnDrift(msgspec.Struct, frozen=True, kw_only=True):
    """How far a column of the current window differs from the reference.

    Attributes
    ----------
    js_distance, js_distance_raw : float or None
        The Jensen-Shannon distance in base 2, with and without the correction for chance.
    p_adjusted : float or None
        The p-value after Holm's adjustment over the compared columns.
    detectable_psi : float or None
        The smallest PSI that would have been seen four times of five.
    cells : tuple of Cell
        What was compared.
    """

    column: str
    verdict: Verdict
    reason: str = ""  # why it was not compared
    psi: float | None = None
    js_distance: float | None = None
    js_distance_raw: float | None = None
    test: str | None = None
    statistic: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    detectable_psi: float | None = None
    cells: tuple[Cell, ...] = ()

    @property
    def largest(self) -> Cell | None:
        """The cell whose share differs most."""
        n_reference = sum(cell.reference for cell in self.cells)
        n_current = sum(cell.current for cell in self.cells)
        if not n_reference or not n_current:
            return None
        return max(
            self.cells,
            key=lambda cell: abs(cell.current / n_current - cell.reference / n_reference),
        )


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """How far a current window differs from the reference."""

    reference: str
    current: str
    n_reference: int
    n_current: int
    alpha: float
    min_effect: float
    verdict: Verdict
    columns: tuple[ColumnDrift, ...]


def compare(
    reference: Profile,
    current: Profile,
    *,
    columns: Collection[str] | None = None,
    exclude: Collection[str] = (),
    test: str = "chi-square",
    alpha: float = ALPHA,
    min_effect: float = MIN_EFFECT,
) -> Drift:
    """Compare two profiles, the current one made on the edges of the reference.

    Parameters
    ----------
    reference, current : Profile
        `profile.make(files, edges=reference)` makes the second.
    columns : collection of str, optional
        What to compare; by default all columns that both have, but for those of times.
    exclude : collection of str
        What to leave out, such as the columns that name a row.
    test : str
        A test of `assay.data.drift.TESTS`; one that needs an order gives way to chi-square where
        a column has none.
    alpha : float
        The probability of a false 'drifted' in all columns together.
    min_effect : float
        The least bias-corrected Jensen-Shannon distance that matters.

    Raises
    ------
    NotFound
        If a named column is in neither table, or there is no such test.
    Usage
        If `alpha` is not between 0 and 1, or `min_effect` is negative.
    """
    if not 0 < alpha < 1 or not min_effect >= 0:
        raise Usage("'alpha' lies between 0 and 1, and the least effect is not negative")
    names = list(dict.fromkeys(c.name for p in (reference, current) for c in p.columns))
    for name in (*(columns or ()), *exclude):
        if name not in names:
            raise NotFound(f"neither table has a column '{name}'", hint=did_you_mean(name, names))
    reasons = {
        name: _why_not(reference.column(name), current.column(name), columns, exclude)
        for name in names
        if columns is None or name in columns
    }
    compared = [name for name, reason in reasons.items() if not reason]
    chosen = get_test(test)
    found = [_compared(reference, current, name, test, chosen) for name in compared]
    adjusted = holm([1.0 if one.p_value is None else one.p_value for one in found])
    level = alpha / max(len(compared), 1)
    judged = {
        one.column: _judge(one, p, alpha=alpha, level=level, min_effect=min_effect,
                           n=(reference.n_rows, current.n_rows))
        for one, p in zip(found, adjusted, strict=True)
    }  # fmt: skip
    rows = tuple(
        judged.get(name) or ColumnDrift(column=name, verdict="not compared", reason=reason)
        for name, reason in reasons.items()
    )
    return Drift(
        reference=reference.source,
        current=current.source,
        n_reference=reference.n_rows,
        n_current=current.n_rows,
        alpha=alpha,
        min_effect=min_effect,
        verdict=_overall(rows),
        columns=rows,
    )


def _why_not(
    reference: Column | None,
    current: Column | None,
    columns: Collection[str] | None,
    exclude: Collection[str],
) -> str:
    """Return why a column is not compared; nothing where it is."""
    if reference is None or current is None:
        return f"only in the {'current table' if reference is None else 'reference'}"
    if reference.name in exclude:
        return "left out"
    if columns is None and reference.type == "time":
        return "a time"
    return ""


def _compared(
    reference: Profile, current: Profile, name: str, test: str, run: DriftTest
) -> ColumnDrift:
    before, now = reference.column(name), current.column(name)
    assert before is not None  # noqa: S101 -- `_why_not` says so
    assert now is not None  # noqa: S101
    ordered, loose = pool(before, now)
    cells = [*ordered, *loose]
    if test == "ks" and (loose or not ordered):
        test, run = "chi-square", get_test("chi-square")
    old, new = [cell.reference for cell in cells], [cell.current for cell in cells]
    tested = run(old, new) if cells else Tested(statistic=0.0, p_value=1.0)
    return ColumnDrift(
        column=name,
        verdict="no drift",
        psi=_finite(get_measure("psi")(old, new)),
        js_distance=_finite(get_measure("js_distance_corrected")(old, new)),
        js_distance_raw=_finite(get_measure("js_distance")(old, new)),
        test=test,
        statistic=tested.statistic,
        p_value=tested.p_value,
        cells=tuple(cells),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _judge(
    one: ColumnDrift,
    p_adjusted: float,
    *,
    alpha: float,
    level: float,
    min_effect: float,
    n: tuple[int, int],
) -> ColumnDrift:
    """Return the column with its verdict."""
    detectable = detectable_psi(*n, n_cells=len(one.cells), alpha=level)
    verdict: Verdict = "no drift"
    if p_adjusted <= alpha and one.js_distance is not None and one.js_distance >= min_effect:
        verdict = "drifted"
    elif detectable > MATTERS:
        verdict = "too few rows"
    return msgspec.structs.replace(
        one, verdict=verdict, p_adjusted=p_adjusted, detectable_psi=_finite(detectable)
    )


def _overall(columns: Sequence[ColumnDrift]) -> Verdict:
    """Return the verdict on the table: drift in one column is drift."""
    verdicts = {one.verdict for one in columns}
    for verdict in ("drifted", "too few rows", "no drift"):
        if verdict in verdicts:
            return verdict
    return "not compared"
