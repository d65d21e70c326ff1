"""Read a query by what its target allows: MLflow's list of comparisons, or Assay's expressions.

MLflow's reader splits by `sqlparse`, so that comparisons may stand side by side without AND, and
an AND may stand at either end; OR, NOT and parentheses are refused.
"""

from __future__ import annotations

from typing import cast

import msgspec

from assay.ledger.search.fields import named, read_value
from assay.ledger.search.lexer import Token, tokens
from assay.ledger.search.targets import LISTS, NANS, NULLS, PATTERNS, Field, Target
from assay.ledger.search.tree import (
    EVERYTHING,
    And,
    BadQuery,
    Comparison,
    Not,
    Operator,
    Or,
    Tree,
    Value,
)

MOST_COMPARISONS = 500
DEEPEST = 50
_SPELLINGS = {"==": "=", "<>": "!="}
_WORDS: dict[Operator, Operator] = {"LIKE": "NOT LIKE", "ILIKE": "NOT ILIKE", "IN": "NOT IN"}


def parse(text: str, target: Target) -> Tree:
    """Return the tree of a query; an empty one is everything.

    Raises
    ------
    BadQuery
        With the column at which it cannot be read.
    """
    if not text or (target.is_open and not text.strip()):
        return EVERYTHING
    if not text.strip():
        raise BadQuery("there are only spaces", text=text, at=0, hint="leave the filter empty")
    reader = _Reader(text, target)
    tree = reader.either(0) if target.is_open else reader.clauses()
    if reader.here.kind != "end":
        raise reader.unexpected("AND, OR or the end" if target.is_open else "AND or the end")
    return tree


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One key of an order."""

    entity: str
    key: str
    is_descending: bool = False


def parse_order(text: str, target: Target) -> Order:
    """Return the key of an order that a text such as ``metrics.rmse DESC`` names."""
    reader = _Reader(text, target)
    token = reader.here
    if token.text in target.order_only:
        entity, key, is_ordered = "attribute", target.order_only[token.text], True
        reader.take()
    else:
        entity, field = reader.field()
        key, is_ordered = field.name, field.is_ordered and entity in target.ordered
    if not is_ordered:
        raise reader.bad(f"{token.text} does not give an order", token)
    is_descending = reader.took("DESC")
    if not is_descending:
        reader.took("ASC")
    if reader.here.kind != "end":
        raise reader.unexpected("ASC, DESC or the end")
    return Order(entity=entity, key=key, is_descending=is_descending)


def parse_field(text: str, target: Target) -> tuple[str, str]:
    """Return the entity and the key that a field such as ``metrics.`val loss` `` names.

    Examples
    --------
    >>> from assay.ledger.search.targets import RUNS
    >>> parse_field("params.lr", RUNS), parse_field("owner", RUNS)
    (('param', 'lr'), ('attribute', 'user_id'))
    """
    reader = _Reader(text, target)
    entity, field = reader.field()
    if reader.here.kind != "end":
        raise reader.unexpected("the end")
    return entity, field.name


class _Reader:
    """The tokens of one query, and how far they were read."""

    def __init__(self, text: str, target: Target) -> None:
        self.text, self.target = text, target
        self.tokens = tokens(text)
        self.index = 0
        self.n_comparisons = 0

    @property
    def here(self) -> Token:
        return self.tokens[self.index]

    def take(self) -> Token:
        token = self.here
        self.index += token.kind != "end"
        return token

    def took(self, word: str) -> bool:
        """Take a word if it comes next, and tell whether it did."""
        is_next = self.here.word == word
        self.index += is_next
        return is_next

    def bad(self, message: str, token: Token, *, hint: str | None = None) -> BadQuery:
        return BadQuery(message, text=self.text, at=token.at, hint=hint)

    def unexpected(self, expected: str) -> BadQuery:
        token = self.here
        is_ours = token.word in {"OR", "NOT"} or token.kind in {"(", ")"}
        hint = None
        if is_ours and not self.target.is_open:
            hint = (
                "MLflow's filters join comparisons by AND only; "
                "'assay runs search' knows OR, NOT and parentheses"
            )
        found = token.text or "the end"
        return self.bad(f"{found} is found where {expected} is expected", token, hint=hint)

    def clauses(self) -> Tree:
        """Read MLflow's list."""
        parts: list[Tree] = []
        after_value = False  # there sqlparse takes the next word for an alias
        while self.here.kind != "end":
            if self.took("AND"):
                after_value = False
                continue
            token, part = self.here, self.comparison()
            operator = part.operator if isinstance(part, Comparison) else ""
            if after_value and operator in LISTS | NULLS:
                raise self.bad("AND is missing before this comparison", token)
            parts.append(part)
            after_value = operator not in NULLS
        return _joined(And, parts)

    def either(self, depth: int) -> Tree:
        """Read what OR joins."""
        parts = [self.both(depth)]
        while self.took("OR"):
            parts.append(self.both(depth))
        return _joined(Or, parts)

    def both(self, depth: int) -> Tree:
        """Read what AND joins; as in MLflow, it may be left out."""
        parts = [self.one(depth)]
        while self.took("AND") or self._begins():
            parts.append(self.one(depth))
        return _joined(And, parts)

    def _begins(self) -> bool:
        return self.here.kind in {"field", "text", "("} or self.here.word == "NOT"

    def one(self, depth: int) -> Tree:
        """Read a comparison, or what stands behind NOT or in parentheses."""
        if depth > DEEPEST:
            raise self.bad(f"parentheses and NOT are more than {DEEPEST} deep", self.here)
        if self.took("NOT"):
            return Not(self.one(depth + 1))
        if self.here.kind != "(":
            return self.comparison()
        self.take()
        inner = self.either(depth + 1)
        self.expect(")")
        return inner

    def expect(self, kind: str) -> None:
        if self.here.kind != kind:
            raise self.unexpected(f"'{kind}'")
        self.take()

    def field(self) -> tuple[str, Field]:
        token = self.here
        if token.kind not in {"field", "text"} or token.text.startswith("'"):
            raise self.unexpected("a field")
        found = named(token, self.target, text=self.text)
        self.take()
        return found

    def comparison(self) -> Tree:
        start = self.here
        self.n_comparisons += 1
        if self.n_comparisons > MOST_COMPARISONS:
            raise self.bad(f"there are more than {MOST_COMPARISONS} comparisons", start)
        entity, field = self.field()
        is_negated = self.target.is_open and self._negates("BETWEEN")
        if self.target.is_open and self.took("BETWEEN"):
            return self.between(entity, field, is_negated=is_negated)
        place = self.here
        operator = self.operator()
        if operator not in field.operators:
            known = ", ".join(sorted(field.operators))
            hint = f"expected is one of {known}"
            raise self.bad(f"{operator} does not go with {start.text}", place, hint=hint)
        value: Value | tuple[Value, ...] | None = None
        if operator in LISTS:
            value = self.values(field)
        elif operator not in NULLS | NANS:
            value = self.value(field, operator)
        return Comparison(entity=entity, key=field.name, operator=operator, value=value)

    def _negates(self, word: str) -> bool:
        """Take a NOT that stands before a word, and tell whether it did."""
        is_so = self.here.word == "NOT" and self.tokens[self.index + 1].word == word
        self.index += is_so
        return is_so

    def between(self, entity: str, field: Field, *, is_negated: bool) -> Tree:
        """Read the two ends, which both belong to it."""
        if ">=" not in field.operators or entity == "dataset":
            raise self.unexpected("an operator that goes with this field")
        low = self.value(field, ">=")
        if not self.took("AND"):
            raise self.unexpected("AND and the upper end")
        high = self.value(field, "<=")
        inside = And(
            (
                Comparison(entity=entity, key=field.name, operator=">=", value=low),
                Comparison(entity=entity, key=field.name, operator="<=", value=high),
            )
        )
        return Not(inside) if is_negated else inside

    def operator(self) -> Operator:
        """Read an operator and return it in one spelling."""
        token = self.here
        if token.kind == "operator":
            self.take()
            text = _SPELLINGS.get(token.text, token.text) if self.target.is_open else token.text
            return cast("Operator", text)  # or the field has no such operator
        for word, negated in _WORDS.items():
            if self._negates(word):
                self.take()
                return negated
            if self.took(word):
                return word
        if not self.took("IS"):
            raise self.unexpected("an operator")
        is_negated = self.took("NOT")
        if self.target.is_open and self.here.kind == "field" and self.here.text.upper() == "NAN":
            self.take()
            return "IS NOT NAN" if is_negated else "IS NAN"
        if not self.took("NULL"):
            raise self.unexpected("NULL or NAN" if self.target.is_open else "NULL")
        return "IS NOT NULL" if is_negated else "IS NULL"

    def value(self, field: Field, operator: str) -> Value:
        token = self.here
        if operator in PATTERNS:  # a pattern is text whatever the field is, and no choice
            field = Field(field.name, "text", field.operators)
        found = read_value(token, field, self.target, text=self.text)
        self.take()
        return found

    def values(self, field: Field) -> tuple[Value, ...]:
        """Read a list, which has one value at least and may end in a comma."""
        self.expect("(")
        found: list[Value] = []
        while not found or self.here.kind != ")":
            found.append(self.value(field, "="))
            if self.here.kind != ",":
                break
            self.take()
        self.expect(")")
        return tuple(found)


def _joined(kind: type[And | Or], parts: list[Tree]) -> Tree:
    return parts[0] if len(parts) == 1 else kind(tuple(parts))
