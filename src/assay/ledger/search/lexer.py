"""Split a query into tokens with their places.

A field is one token, dots and quoted keys included: ``metrics.`val loss` ``. Which fields and
numbers a dialect knows is the parser's business. The forms are those that MLflow's reader
accepts: no escapes in quotes, names of letters, digits and underscores, `params.layers[0]`.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from assay.ledger.search.tree import BadQuery

Kind = Literal["field", "text", "number", "operator", "word", "(", ")", ",", "end"]


class Token(msgspec.Struct, frozen=True):
    """A piece of a query, as it is written, and where it begins, counted from 0."""

    kind: Kind
    text: str
    at: int

    @property
    def word(self) -> str:
        """The word that it is, in capitals; empty for all else."""
        return self.text.upper() if self.kind == "word" else ""


WORDS = {"AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "ILIKE", "BETWEEN", "ASC", "DESC"}

_TICKED = r"`(?:``|[^`])*`"
_DOUBLE = r'"(?:""|\\"|[^"])*"'
_SINGLE = r"'(?:''|\\'|[^'])*'"
_FIRST = rf"(?:[^\W\d]\w*|{_TICKED})"
_NUMERIC = r"\d+(?:\.\d+)?[eE]-?\d|\d+(?![\d_A-Za-zÀ-ü])"  # what is a number after a dot, too
_NEXT = rf"(?:(?!{_NUMERIC})\w+(?:\[[^\]\[]+\])*|{_TICKED}|{_DOUBLE}|{_SINGLE})"
_TOKEN = re.compile(
    rf"""
      (?P<field>{_FIRST}(?:\s*\.\s*{_NEXT})+)
    | (?P<text>{_SINGLE}|{_DOUBLE}|{_TICKED})
    | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<word>[^\W\d]\w*)
    | (?P<operator>[<>=~!]+)
    | (?P<mark>[(),])
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*")


def tokens(text: str) -> list[Token]:
    """Return the tokens of a query; the last one is its end.

    Examples
    --------
    >>> [token.text for token in tokens("metrics.rmse<1 AND tags.`a b` != 'x'")]
    ['metrics.rmse', '<', '1', 'AND', 'tags.`a b`', '!=', "'x'", '']
    """
    found: list[Token] = []
    at = _SPACE.match(text).end()  # type: ignore[union-attr] # it always matches
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadQuery(*_unreadable(text[at]), text=text, at=at)
        found.append(Token(_kind(match), match[0], at))
        at = _SPACE.match(text, match.end()).end()  # type: ignore[union-attr]
    return [*found, Token("end", "", len(text))]


def _kind(match: re.Match[str]) -> Kind:
    kind = match.lastgroup
    if kind == "mark":
        return match[0]  # type: ignore[return-value] # one of the three
    if kind == "word" and match[0].upper() not in WORDS:
        return "field"
    return kind  # type: ignore[return-value] # the names of the groups


def _unreadable(char: str) -> tuple[str]:
    if char in "'\"`":
        return (f"this quote {char} is not closed",)
    return (f"{char!r} is not expected here; a key with such characters needs backticks",)


def unquoted(text: str, quotes: str) -> str:
    """Return what one of the quotes encloses; there are no escapes.

    Examples
    --------
    >>> unquoted("'it''s'", "'"), unquoted("x", "'")
    ("it''s", 'x')
    """
    for quote in quotes:
        if len(text) > 1 and text[0] == quote == text[-1]:
            return text[1:-1]
    return text
