"""Which new column of a table may be one that it lost: by its name, or by what is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher

from assay.data import schema as schemas
from assay.data.columns import Column
from assay.project.declaration import ColumnSchema, NumberDomain

NEAR = 0.6  # of `SequenceMatcher`, as for the nearest name of a command
INSIDE = 0.9  # the share of texts that has to be in the domain
WIDE = 0.25  # the part of a range that numbers have to fill


def find(lost: Mapping[str, ColumnSchema], found: Sequence[Column]) -> dict[str, str]:
    """Return new names by the lost ones, as far as there is reason to think so.

    A near name is reason enough; like content is where it fits no other pair.

    Parameters
    ----------
    lost : mapping
        What the schema says of the columns that the table lacks.
    found : sequence of Column
        The columns that the schema does not have.
    """
    alike = {(old, c.name) for old, expected in lost.items() for c in found if _like(c, expected)}
    pairs = sorted(
        (-_nearness(old, column.name), old, column.name)
        for old in lost
        for column in found
        if _nearness(old, column.name) >= NEAR or _is_alone(alike, old, column.name)
    )
    result: dict[str, str] = {}
    for _, old, new in pairs:
        if old not in result and new not in result.values():
            result[old] = new
    return result


def _is_alone(pairs: set[tuple[str, str]], old: str, new: str) -> bool:
    """Return whether a pair is one of these, and neither name is in another."""
    return [pair for pair in pairs if old == pair[0] or new == pair[1]] == [(old, new)]


def _nearness(a: str, b: str) -> float:
    """Return how near two names are, whatever their case and what separates their words."""
    a, b = ("".join(c for c in name.casefold() if c.isalnum()) for name in (a, b))
    return SequenceMatcher(None, a, b).ratio()


def _like(column: Column, expected: ColumnSchema) -> bool:
    """Return whether a column holds what is expected of another, so that it hardly is chance."""
    if not column.n_present or not schemas.fits(column, expected):
        return False
    if expected.string_domain is not None:
        return _is_among(column, set(expected.string_domain.value))
    domain = expected.int_domain or expected.float_domain
    if domain is not None and domain.min is not None and domain.max is not None:
        return _fills(column, domain, domain.max - domain.min)
    return expected.type == "TIME"


def _is_among(column: Column, known: set[str]) -> bool:
    cells = column.cells
    if cells is None:
        return False
    pairs = zip(cells.values, cells.at, strict=True)
    inside = sum(n for value, n in pairs if str(value) in known)
    return inside >= INSIDE * column.n_present


def _fills(column: Column, domain: NumberDomain, width: float) -> bool:
    numbers = column.numbers
    if numbers is None or numbers.min is None or numbers.max is None:
        return False
    if domain.min is None or domain.max is None:
        return False
    if numbers.min < domain.min or numbers.max > domain.max:
        return False
    return numbers.max - numbers.min >= WIDE * width
