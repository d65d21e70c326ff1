"""What a query says: comparisons, joined by AND, OR and NOT.

A comparison is true or false, never unknown: what is missing fulfils nothing but IS NULL, so that
NOT finds what lacks a metric too.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from assay.base.errors import Error

Operator = Literal[
    "=", "!=", "<", "<=", ">", ">=", "LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE", "IN", "NOT IN",
    "IS NULL", "IS NOT NULL", "IS NAN", "IS NOT NAN",
]  # fmt: skip
Value = str | int | float


class Slot(msgspec.Struct, frozen=True):
    """The place of a value that comes when the query is asked; what is known of it before."""

    number: int  # among the values of the query
    type: type
    is_short: bool = False  # whether it is in PostgreSQL's index of values


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One field, an operator, and what it is compared with."""

    entity: str  # attribute, metric, param, tag, dataset
    key: str
    operator: Operator
    value: Value | Slot | tuple[Value | Slot, ...] | None = None  # several for IN, none for IS


class And(msgspec.Struct, frozen=True):
    """All of its parts are true; without parts it is true."""

    parts: tuple[Tree, ...]


class Or(msgspec.Struct, frozen=True):
    """One of its parts is true."""

    parts: tuple[Tree, ...]


class Not(msgspec.Struct, frozen=True):
    """Its part is false."""

    part: Tree


Tree = Comparison | And | Or | Not
EVERYTHING = And(())


class BadQuery(Error):
    """A query cannot be read; `text` is the query, `column` counts from 1."""

    def __init__(self, message: str, *, text: str, at: int, hint: str | None = None) -> None:
        self.text, self.column = text, at + 1
        super().__init__(f"at column {self.column}: {message}", hint=hint)

    def __str__(self) -> str:
        return "\n".join(
            [self.what, *self._pointer(), *([f"  hint: {self.hint}"] * bool(self.hint))]
        )

    def _pointer(self) -> list[str]:
        """Return the line of the query with a caret below what is wrong."""
        before = self.text[: self.column - 1]
        start = before.rfind("\n") + 1
        line = self.text[start:].split("\n", 1)[0]
        cut = max(0, len(before) - start - 60)
        shown = "".join(c if c.isprintable() else " " for c in line[cut : cut + 100])
        return [f"  {shown}", f"  {' ' * (len(before) - start - cut)}^"]


def leaves(tree: Tree) -> list[Comparison]:
    """Return the comparisons of a tree from left to right.

    Examples
    --------
    >>> one = Comparison(entity="tag", key="a", operator="IS NULL")
    >>> len(leaves(Or((one, Not(And((one, one)))))))
    3
    """
    if isinstance(tree, Comparison):
        return [tree]
    parts = (tree.part,) if isinstance(tree, Not) else tree.parts
    return [leaf for part in parts for leaf in leaves(part)]


def slotted(tree: Tree, *, short: int) -> tuple[Tree, list[Value | tuple[str, ...]]]:
    """Return a tree with slots for its values, and the values.

    Queries that ask the same of other values have the same tree then. The texts of a list take
    one slot together, however many they are.

    Parameters
    ----------
    short : int
        Below how many bytes a key and its value are short.

    Examples
    --------
    >>> one = Comparison(entity="metric", key="loss", operator="<", value=0.5)
    >>> slotted(one, short=100)[1]
    [0.5]
    >>> slotted(one, short=9)[0] == slotted(msgspec.structs.replace(one, value=7.5), short=9)[0]
    True
    """
    values: list[Value | tuple[str, ...]] = []

    def slot(leaf: Comparison, value: Value | Slot) -> Slot:
        assert not isinstance(value, Slot)  # noqa: S101 -- it has been done already
        values.append(value)
        is_text = isinstance(value, str)
        is_short = is_text and len(f"{leaf.key}{value}".encode()) < short
        return Slot(len(values) - 1, type(value), is_short)

    def of(part: Tree) -> Tree:
        if isinstance(part, Not):
            return Not(of(part.part))
        if not isinstance(part, Comparison):
            return type(part)(tuple(of(one) for one in part.parts))
        value = part.value
        if value is None:
            return part
        if not isinstance(value, tuple):
            return msgspec.structs.replace(part, value=slot(part, value))
        texts = tuple(one for one in value if isinstance(one, str))
        if len(texts) == len(value):
            values.append(texts)
            return msgspec.structs.replace(part, value=Slot(len(values) - 1, tuple))
        return msgspec.structs.replace(part, value=tuple(slot(part, one) for one in value))

    return of(tree), values
