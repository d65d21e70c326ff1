"""How far two windows of one table differ: measures, tests, and a verdict for each column.

Everything here takes the *reference* first and the *current* window second, as counts over the
same cells, so that profiles are all it needs. A new measure or test is one new file with one
function of the form below, and an entry point in `assay.drift_measures` or `assay.drift_tests`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from assay.base.errors import NotFound, did_you_mean


class DriftMeasure(Protocol):
    """A distance of two sets of counts over the same cells; 0 where they are proportional."""

    def __call__(self, reference: Sequence[float], current: Sequence[float]) -> float:
        """Return the distance."""


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """What a test found."""

    statistic: float
    p_value: float


class DriftTest(Protocol):
    """A test of whether both sets of counts were drawn from one distribution.

    Where the cells are those of numbers, they are given in the numbers' order.
    """

    def __call__(self, reference: Sequence[float], current: Sequence[float]) -> Tested:
        """Return the statistic and its p-value."""


MEASURES = {
    "psi": "assay.data.drift.psi:psi",
    "js_distance": "assay.data.drift.js:js_distance",
    "js_distance_corrected": "assay.data.drift.js:js_distance_corrected",
}
TESTS = {
    "chi-square": "assay.data.drift.chi_square:chi_square",
    "ks": "assay.data.drift.ks:ks",
}


def get_measure(name: str) -> DriftMeasure:
    """Return a measure by its name."""
    found: DriftMeasure = _get(name, MEASURES, "assay.drift_measures", "measure of drift")
    return found


def get_test(name: str) -> DriftTest:
    """Return a test by its name."""
    found: DriftTest = _get(name, TESTS, "assay.drift_tests", "test of drift")
    return found


def _get(name: str, own: dict[str, str], group: str, what: str) -> Any:
    """Return a member of a kind: ours by the table, a stranger's by its entry point."""
    import importlib

    if name in own:
        module, _, attribute = own[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    from importlib.metadata import entry_points

    for point in entry_points(group=group, name=name):
        return point.load()
    raise NotFound(
        f"no {what} is called '{name}'",
        hint=did_you_mean(name, own) or f"known are: {', '.join(own)}",
    )
