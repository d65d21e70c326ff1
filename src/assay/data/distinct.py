"""How many distinct values a column has: counted where that is cheap, else estimated."""

from __future__ import annotations

import msgspec

from assay.data.sketches import Sketch, estimate_hll, merge_hll


class Distinct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The number of distinct values, and a sketch of them that merges."""

    count: int
    exact: bool  # False: the sketch's estimate, with a standard error of 1.6 %
    sketch: Sketch | None = None


def merge(a: Distinct, b: Distinct, *, counted: int | None = None) -> Distinct:
    """Return the distinct values of both; `counted` is their number where that is known."""
    if a.sketch is None or b.sketch is None:
        known = max(a.count, b.count) if counted is None else counted
        return Distinct(count=known, exact=counted is not None)
    sketch = merge_hll(a.sketch, b.sketch)
    if counted is not None:
        return Distinct(count=counted, exact=True, sketch=sketch)
    least = max((x.count for x in (a, b) if x.exact), default=0)
    return Distinct(count=max(estimate_hll(sketch), least), exact=False, sketch=sketch)
