"""Turn a tree into a condition of SQLAlchemy's, alike on SQLite and PostgreSQL.

Each comparison is true or false, never null. Values are bound; those of slots when the condition
is asked. LIKE tells capitals apart on both databases (GLOB on SQLite), ILIKE does not for the
letters A to Z; `%` and `_` are the only signs in a pattern.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.ledger.search.sources import Source
from assay.ledger.search.targets import NANS, NULLS
from assay.ledger.search.tree import And, Comparison, Not, Slot, Tree, Value

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

TOGETHER = 20
"""So many comparisons and more are asked one by one."""

_NUMERAL = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*$"
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NEGATED = {"NOT LIKE": "LIKE", "NOT ILIKE": "ILIKE", "NOT IN": "IN"}


class Conditions:
    """Conditions on the rows of one source.

    Parameters
    ----------
    is_postgres : bool
        Which of the two databases it is.
    one_by_one : bool
        Whether PostgreSQL asks each comparison by itself, since there are `TOGETHER` or more:
        to plan hundreds of them together takes it minutes.
    also : mapping of str to a function
        What a row of an entity beside the target has to fulfil, too.

    Attributes
    ----------
    bound : mapping of str to a function
        For each parameter that stands for a slot, how it is made of the values of the query.
    """

    def __init__(
        self,
        source: Source,
        *,
        is_postgres: bool,
        one_by_one: bool = False,
        also: dict[str, Callable[[Any], ColumnElement[bool]]] | None = None,
    ) -> None:
        self.source, self.is_postgres, self.also = source, is_postgres, also or {}
        self.one_by_one = one_by_one and is_postgres
        self.bound: dict[str, Callable[[Sequence[Any]], Any]] = {}

    def of(self, tree: Tree) -> ColumnElement[bool]:
        """Return the condition that a tree is true."""
        from sqlalchemy import and_, false, not_, or_, true

        if isinstance(tree, Comparison):
            return self.leaf(tree)
        if isinstance(tree, Not):
            return not_(self.of(tree.part))
        parts = [self.of(part) for part in tree.parts]
        return and_(true(), *parts) if isinstance(tree, And) else or_(false(), *parts)

    def leaf(self, leaf: Comparison) -> ColumnElement[bool]:
        """Return the condition that one comparison is true."""
        if leaf.entity == "attribute":
            value, is_nullable, _ = self.source.attributes[leaf.key]
            if leaf.operator in {"IS NULL", "IS NOT NULL"}:
                return value.is_(None) if leaf.operator == "IS NULL" else value.is_not(None)
            condition = self.compared(value, leaf)
            return value.is_not(None) & condition if is_nullable else condition
        if leaf.entity == "dataset":
            return self._dataset(leaf)
        if self.follows(leaf):
            return self._derived(leaf)
        return self._beside(leaf)

    def rows(self, leaf: Comparison) -> tuple[Any, list[ColumnElement[bool]]]:
        """Return the table beside the target and the conditions on its rows that fulfil a leaf."""
        rows = self.source.free[leaf.entity]
        table = rows.table
        where = [table.c[rows.key] == leaf.key]
        if leaf.entity in self.also:
            where.append(self.also[leaf.entity](table))
        if leaf.operator in NANS:
            where.append(table.c.is_nan if leaf.operator == "IS NAN" else ~table.c.is_nan)
        elif leaf.operator not in NULLS:
            condition = self.compared(table.c[rows.value], leaf)
            if "is_nan" in table.c:  # not-a-number fulfils != alone, as in MLflow
                differs = leaf.operator in {"!=", "NOT IN"}
                condition = condition | table.c.is_nan if differs else condition & ~table.c.is_nan
            where.append(condition)
        return table, [*where, *self._indexed(table, leaf)]

    def _indexed(self, table: Any, leaf: Comparison) -> list[ColumnElement[bool]]:
        """Return what lets PostgreSQL look a value up in its index, which has only short ones."""
        from sqlalchemy import func, literal_column

        from assay.ledger.tables import INDEXED_SIZE

        if not self.is_postgres or leaf.operator != "=" or table.name not in {"param", "tag"}:
            return []
        if not _is_short(leaf, INDEXED_SIZE):
            return []
        size = func.octet_length(table.c.key) + func.octet_length(table.c.value)
        return [size < literal_column(str(INDEXED_SIZE))]

    def _beside(self, leaf: Comparison) -> ColumnElement[bool]:
        from sqlalchemy import literal_column, select

        table, where = self.rows(leaf)
        link = self.source.link(self.source.free[leaf.entity], table)
        query: Select[Any] = select(literal_column("1")).select_from(table).where(*link, *where)
        exists = self._apart(query).correlate(self.source.table).exists()
        return ~exists if leaf.operator == "IS NULL" else exists

    def _apart(self, query: Select[Any]) -> Select[Any]:
        """Return a select that PostgreSQL does not make a join of, where it is one of many."""
        return query.offset(0) if self.one_by_one else query

    def _dataset(self, leaf: Comparison) -> ColumnElement[bool]:
        from sqlalchemy import literal_column, select

        from assay.ledger.tables import run_data as table

        column = {"name": table.c.path, "digest": table.c.oid, "context": table.c.context}[
            leaf.key
        ]
        is_there = leaf.operator in {"IS NULL", "IS NOT NULL"}
        condition = column.is_not(None) if is_there else self.compared(column, leaf)
        link = (table.c.run_id == self.source.table.c.id, table.c.direction == "input")
        query: Select[Any] = select(literal_column("1")).select_from(table).where(*link, condition)
        exists = self._apart(query).correlate(self.source.table).exists()
        return ~exists if leaf.operator == "IS NULL" else exists

    def follows(self, leaf: Tree) -> bool:
        """Say whether a comparison is of a tag that follows from a column, if none is stored."""
        if not isinstance(leaf, Comparison) or leaf.entity != "tag":
            return False
        return leaf.key in self.source.derived_tags

    def by_column(self, leaf: Comparison) -> ColumnElement[bool]:
        """Return the condition that such a comparison is true of the column, and no tag stored."""
        column = self.source.table.c[self.source.derived_tags[leaf.key]]
        stored = Comparison(entity="tag", key=leaf.key, operator="IS NOT NULL")
        return column.is_not(None) & self.compared(column, leaf) & ~self._beside(stored)

    def _derived(self, leaf: Comparison) -> ColumnElement[bool]:
        column = self.source.table.c[self.source.derived_tags[leaf.key]]
        if leaf.operator == "IS NULL":
            return column.is_(None) & self._beside(leaf)
        if leaf.operator == "IS NOT NULL":
            return column.is_not(None) | self._beside(leaf)
        return self.by_column(leaf) | self._beside(leaf)

    def compared(self, column: ColumnElement[Any], leaf: Comparison) -> ColumnElement[bool]:
        """Return the condition that a value which is not null compares as a leaf says."""
        from sqlalchemy import not_, or_

        if leaf.operator in _NEGATED:
            same = msgspec.structs.replace(leaf, operator=_NEGATED[leaf.operator])
            return not_(self.compared(column, same))
        assert leaf.value is not None  # noqa: S101 -- only IS NULL has none
        if _is_texts(leaf.value):
            return column.in_(self._given(leaf.value, column.type, is_list=True))
        if isinstance(leaf.value, tuple):
            return or_(*(self._ordered(column, "=", one) for one in leaf.value))
        if leaf.operator in {"LIKE", "ILIKE"}:
            return self._like(column, leaf.value, is_exact=leaf.operator == "LIKE")
        return self._ordered(column, leaf.operator, leaf.value)

    def _given(
        self,
        value: Value | Slot | tuple[Value | Slot, ...],
        type_: Any,
        *,
        made: Callable[[Any], Any] = lambda value: value,
        is_list: bool = False,
    ) -> Any:
        """Return a parameter for a value, or for one that comes later."""
        from sqlalchemy import bindparam

        if not isinstance(value, Slot):
            return bindparam(None, made(value), type_, unique=True, expanding=is_list)
        name, number = f"given_{len(self.bound)}", value.number
        self.bound[name] = lambda values: made(values[number])
        return bindparam(name, type_=type_, expanding=is_list)

    def _ordered(
        self, column: ColumnElement[Any], sign: str, value: Value | Slot
    ) -> ColumnElement[bool]:
        compare = _COMPARE[sign]
        if _type(value) is str:
            by_bytes = self.is_postgres and sign not in {"=", "!="}
            text = self._given(value, column.type)
            return compare(column.collate("C") if by_bytes else column, text)  # type: ignore[no-any-return]
        if not _is_text(column):
            return compare(column, self._given(value, _width(_type(value))))  # type: ignore[no-any-return]
        if sign == "!=":
            return ~self._ordered(column, "=", value)
        return self._as_number(column, compare, value)

    def _as_number(
        self, column: ColumnElement[Any], compare: Callable[[Any, Any], Any], value: Value | Slot
    ) -> ColumnElement[bool]:
        """Compare text as a number; text that is none compares as false.

        SQLite turns text that is a number into one before it compares it with a number, and has
        any other text above all numbers, infinity included.
        """
        from sqlalchemy import Double, Numeric, Text, case, cast, literal_column, type_coerce

        if not self.is_postgres:
            text = type_coerce(column, Double)
            top = cast(literal_column("9e999"), Double)
            return compare(text, cast(self._given(value, Double()), Double)) & (text <= top)  # type: ignore[no-any-return]
        number = case((column.regexp_match(_NUMERAL), cast(column, Numeric)), else_=None)
        other = cast(self._given(value, Text(), made=repr), Numeric)
        return number.is_not(None) & compare(number, other)  # type: ignore[no-any-return]

    def _like(
        self, column: ColumnElement[Any], pattern: Value | Slot, *, is_exact: bool
    ) -> ColumnElement[bool]:
        if self.is_postgres:
            plain = self._given(pattern, column.type, made=_plain)
            return column.like(plain) if is_exact else column.collate("C").ilike(plain)
        given = self._given(pattern, column.type, made=glob if is_exact else str)
        return column.op("GLOB" if is_exact else "LIKE", is_comparison=True)(given)


def glob(pattern: str) -> str:
    """Return the pattern of SQLite's GLOB that matches what one of LIKE does.

    Examples
    --------
    >>> glob("50%_[x]*")
    '50*?[[]x][*]'
    """
    return "".join(_GLOB.get(char, char) for char in pattern)


_GLOB = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}


def _plain(pattern: str) -> str:
    """Return the pattern of PostgreSQL's LIKE in which a backslash is one."""
    return pattern.replace("\\", "\\\\")


def _type(value: Value | Slot) -> type:
    """Return the type of a value, also of one that comes later."""
    return value.type if isinstance(value, Slot) else type(value)


def _is_texts(value: Value | Slot | tuple[Value | Slot, ...]) -> bool:
    if isinstance(value, Slot):
        return value.type is tuple
    return isinstance(value, tuple) and all(isinstance(one, str) for one in value)


def _is_short(leaf: Comparison, size: int) -> bool:
    if isinstance(leaf.value, Slot):
        return leaf.value.is_short
    return isinstance(leaf.value, str) and len(f"{leaf.key}{leaf.value}".encode()) < size


def _width(kind: type) -> Any:
    """Return the type of a number by itself: as that of a column PostgreSQL would round it."""
    from sqlalchemy import BigInteger, Double

    return BigInteger() if kind is int else Double()


@functools.cache
def _text_type() -> type:
    from sqlalchemy import String

    return String


def _is_text(column: ColumnElement[Any]) -> bool:
    return isinstance(column.type, _text_type())
