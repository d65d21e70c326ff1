"""What a query means, in plain Python: the oracle of the conditions in SQL."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from assay.ledger.search.tree import And, Comparison, Not, Or, Tree

Row = dict[str, Any]  # attributes, and metric, param, tag: dict, dataset: list of dict


def is_true(tree: Tree, row: Row) -> bool:
    """Say whether a row fulfils a tree."""
    match tree:
        case And(parts):
            return all(is_true(part, row) for part in parts)
        case Or(parts):
            return any(is_true(part, row) for part in parts)
        case Not(part):
            return not is_true(part, row)
        case Comparison():
            return _leaf(tree, row)


def _leaf(leaf: Comparison, row: Row) -> bool:
    if leaf.entity == "dataset":
        values = [one[leaf.key] for one in row["dataset"]]
    elif leaf.entity == "attribute":
        values = [row[leaf.key]]
    else:
        values = [row[leaf.entity].get(leaf.key)]
    there = [value for value in values if value is not None]
    if leaf.operator in {"IS NULL", "IS NOT NULL"}:
        return bool(there) == (leaf.operator == "IS NOT NULL")
    if leaf.operator in {"IS NAN", "IS NOT NAN"}:
        return any(math.isnan(value) == (leaf.operator == "IS NAN") for value in there)
    return any(compare(leaf.operator, value, leaf.value) for value in there)


def compare(operator: str, value: Any, other: Any) -> bool:
    """Compare a value that is there."""
    if operator.startswith("NOT "):
        return not compare(operator.removeprefix("NOT "), value, other)
    if operator == "!=":
        return not compare("=", value, other)
    if operator == "IN":
        return any(compare("=", value, one) for one in other)
    if operator in {"LIKE", "ILIKE"}:
        return matches(value, other, is_exact=operator == "LIKE")
    if isinstance(value, str) and not isinstance(other, str):
        value = as_number(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return False
    signs: dict[str, Callable[[Any, Any], bool]] = {
        "=": lambda a, b: a == b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
    }
    return signs[operator](value, other)


def matches(value: str, pattern: str, *, is_exact: bool) -> bool:
    """Say whether a value is of a pattern; without `is_exact` A to Z are a to z."""
    if not is_exact:
        value, pattern = _lower(value), _lower(pattern)
    signs = {"%": ".*", "_": "."}
    expression = "".join(signs.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(expression, value, re.DOTALL) is not None


def _lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def as_number(text: str) -> float | None:
    """Return the number that a text stands for."""
    if not re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", text, re.ASCII):
        return None
    return float(text)
