"""Turn a tree into a condition of SQLAlchemy's, alike on SQLite and PostgreSQL.

Each comparison is true or false, never null. Values are bound. LIKE tells capitals apart on both
databases (GLOB on SQLite), ILIKE does not for the letters A to Z; `%` and `_` are the only signs
in a pattern.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from assay.ledger.search.sources import Source
from assay.ledger.search.tree import And, Comparison, Not, Tree, Value

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

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
    also : mapping of str to a function
        What a row of an entity beside the target has to fulfil, too.
    """

    def __init__(
        self,
        source: Source,
        *,
        is_postgres: bool,
        also: dict[str, Callable[[Any], ColumnElement[bool]]] | None = None,
    ) -> None:
        self.source, self.is_postgres, self.also = source, is_postgres, also or {}

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
            value, is_nullable = self.source.attributes[leaf.key]
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
        if leaf.operator not in {"IS NULL", "IS NOT NULL"}:
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

        if not self.is_postgres or leaf.operator != "=" or not isinstance(leaf.value, str):
            return []
        if table.name not in {"param", "tag"}:
            return []
        if len(leaf.key.encode()) + len(leaf.value.encode()) >= INDEXED_SIZE:
            return []
        size = func.octet_length(table.c.key) + func.octet_length(table.c.value)
        return [size < literal_column(str(INDEXED_SIZE))]

    def _beside(self, leaf: Comparison) -> ColumnElement[bool]:
        from sqlalchemy import literal_column, select

        table, where = self.rows(leaf)
        link = self.source.link(self.source.free[leaf.entity], table)
        query: Select[Any] = select(literal_column("1")).select_from(table).where(*link, *where)
        exists = query.correlate(self.source.table).exists()
        return ~exists if leaf.operator == "IS NULL" else exists

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
        exists = query.correlate(self.source.table).exists()
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
        if isinstance(leaf.value, tuple):
            if all(isinstance(one, str) for one in leaf.value):
                return column.in_(leaf.value)
            return or_(*(self._ordered(column, "=", one) for one in leaf.value))
        if leaf.operator in {"LIKE", "ILIKE"}:
            return self._like(column, str(leaf.value), is_exact=leaf.operator == "LIKE")
        assert leaf.value is not None  # noqa: S101 -- only IS NULL has none
        return self._ordered(column, leaf.operator, leaf.value)

    def _ordered(self, column: ColumnElement[Any], sign: str, value: Value) -> ColumnElement[bool]:
        compare = _COMPARE[sign]
        if isinstance(value, str):
            by_bytes = self.is_postgres and sign not in {"=", "!="}
            return compare(column.collate("C") if by_bytes else column, value)  # type: ignore[no-any-return]
        if not _is_text(column):
            return compare(column, _literal(value))  # type: ignore[no-any-return]
        if sign == "!=":
            return ~self._ordered(column, "=", value)
        return self._as_number(column, compare, value)

    def _as_number(
        self, column: ColumnElement[Any], compare: Callable[[Any, Any], Any], value: float
    ) -> ColumnElement[bool]:
        """Compare text as a number; text that is none compares as false.

        SQLite turns text that is a number into one before it compares it with a number, and has
        any other text above all numbers, infinity included.
        """
        from sqlalchemy import Double, Numeric, case, cast, literal, literal_column, type_coerce

        if not self.is_postgres:
            text = type_coerce(column, Double)
            top = cast(literal_column("9e999"), Double)
            return compare(text, cast(literal(value, Double), Double)) & (text <= top)  # type: ignore[no-any-return]
        number = case((column.regexp_match(_NUMERAL), cast(column, Numeric)), else_=None)
        other = cast(literal(repr(value)), Numeric)
        return number.is_not(None) & compare(number, other)  # type: ignore[no-any-return]

    def _like(
        self, column: ColumnElement[Any], pattern: str, *, is_exact: bool
    ) -> ColumnElement[bool]:
        if self.is_postgres:
            plain = pattern.replace("\\", "\\\\")
            return column.like(plain) if is_exact else column.collate("C").ilike(plain)
        if is_exact:
            return column.op("GLOB", is_comparison=True)(glob(pattern))
        return column.op("LIKE", is_comparison=True)(pattern)


def glob(pattern: str) -> str:
    """Return the pattern of SQLite's GLOB that matches what one of LIKE does.

    Examples
    --------
    >>> glob("50%_[x]*")
    '50*?[[]x][*]'
    """
    return "".join(_GLOB.get(char, char) for char in pattern)


_GLOB = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}


def _literal(value: float) -> ColumnElement[Any]:
    """Return a number of its own width: as that of a column, PostgreSQL would round or refuse."""
    from sqlalchemy import BigInteger, Double, literal

    return literal(value, BigInteger() if isinstance(value, int) else Double())


@functools.cache
def _text_type() -> type:
    from sqlalchemy import String

    return String


def _is_text(column: ColumnElement[Any]) -> bool:
    return isinstance(column.type, _text_type())
