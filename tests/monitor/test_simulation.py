"""The promise on false alerts and delay, on made days that differ as real ones do.

20 columns of normal numbers, daily windows of about 1,000 rows over a year. Each day has an
effect of its own on the mean of a column (.05 standard deviations) and a place in a weekly wave
of .1. The counts of each cell are drawn at once from the day's probabilities: no row is made.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from assay.monitor import detectors

N_COLUMNS, N_REFERENCE, YEAR = 20, 56, 365
N_CELLS = 20
BUDGET = 1.0  # false alerts a year over all columns
LIMITS = detectors.limits(BUDGET, N_COLUMNS, windows_a_year=YEAR)
ORDER = range(N_CELLS)
EDGES = norm.ppf(np.arange(1, N_CELLS) / N_CELLS)


def counts(random: np.random.Generator, n_days: int, *, first: int = 0, shift: float = 0.0):
    """Return the counts of each day in cells of a twentieth, with day effect and weekly wave."""
    day = np.arange(first, first + n_days)
    mean = shift + 0.05 * random.normal(size=n_days) + 0.1 * np.sin(2 * np.pi * day / 7)
    upto = norm.cdf(EDGES[None, :] - mean[:, None])
    shares = np.diff(upto, axis=1, prepend=0.0, append=1.0)
    shares = np.pad(shares, ((0, 0), (0, 4)))  # other, NaN, invalid, missing
    return random.multinomial(random.poisson(1000, n_days), shares).tolist()


def watch(column: detectors.Column, windows: list[list[int]], *, name: str):
    """Return the number of the window that alerts, from 0, and how; nothing where none does."""
    state = detectors.start(column)
    for at, window in enumerate(windows):
        state, reading = detectors.step(column, state, window, seed=f"{name}/{at}", limits=LIMITS)
        if reading.alert:
            return at, reading.alert
    return None


def prepared(random: np.random.Generator) -> detectors.Column:
    return detectors.prepare(counts(random, N_REFERENCE), order=ORDER)


def false_alerts(seed: int) -> list[str]:
    """Return the false alerts of a year in all columns."""
    random = np.random.default_rng(seed)
    found = []
    for name in range(N_COLUMNS):
        column = prepared(random)
        alert = watch(column, counts(random, YEAR), name=f"{seed}/{name}")
        found += [alert[1]] if alert else []
    return found


def delays(seed: int, shift: float) -> list[int]:
    """Return for each column after how many windows a shift on a random day alerts."""
    random = np.random.default_rng(seed)
    found = []
    for name in range(N_COLUMNS):
        column, quiet = prepared(random), int(random.integers(0, 60))
        before = counts(random, quiet)
        after = counts(random, 40, first=quiet, shift=shift)
        alert = watch(column, before + after, name=f"{seed}/{name}")
        found.append(99 if alert is None else alert[0] - quiet + 1)
    return found


def check(seeds: range) -> None:
    alerts = [false_alerts(seed) for seed in seeds]
    rate = np.mean([len(found) for found in alerts])
    kinds = [kind for found in alerts for kind in found]
    waits = np.array([delays(seed, 0.5) for seed in seeds]).ravel()
    print(  # noqa: T201 -- what was seen is what this test is for
        f"\n{len(seeds)} years of {N_COLUMNS} columns: {rate:.2f} false alerts a year, budget "
        f"{BUDGET:g} ({kinds.count('slow')} slow, {kinds.count('shock')} shock); a shift of .5 is "
        f"found after {np.median(waits):g} windows (90 %: {np.quantile(waits, 0.9):g}, "
        f"last: {waits.max()})"
    )
    assert rate <= BUDGET
    assert waits.max() <= 8
    assert waits.min() >= 1


def test_false_alerts_stay_within_the_budget_and_a_shift_is_found_in_eight_windows():
    check(range(2))


@pytest.mark.slow
def test_false_alerts_stay_within_the_budget_over_twenty_years():
    check(range(20))
