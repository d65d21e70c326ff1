"""Which field a token names, and which value one stands for, by what the target declares."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime

from assay.base.errors import did_you_mean
from assay.ledger.search.lexer import Token, unquoted
from assay.ledger.search.targets import Field, Target
from assay.ledger.search.tree import BadQuery, Value

_NUMBER = re.compile(r"-?(\d+(\.\d+)?[eE]-?\d+|\d+(\.\d*)?|\.\d+)")  # as MLflow writes them


def named(token: Token, target: Target, *, text: str) -> tuple[str, Field]:
    """Return the entity and the field that a token names; `text` is the whole query."""
    written, dot, key = token.text.partition(".")
    if target.name == "runs":
        written = unquoted(written, "`")
    if dot and written not in target.entities:
        known = ", ".join(sorted(target.entities))
        hint = did_you_mean(written, target.entities) or f"expected is one of {known}"
        raise BadQuery(f"invalid entity type {written!r}", text=text, at=token.at, hint=hint)
    entity = target.entities[written] if dot else "attribute"
    key = key if dot else token.text
    plain = unquoted(unquoted(key, "'\""), "`")
    if target.is_open and plain != key and key.startswith("`"):
        plain = plain.replace("``", "`")
    if entity in target.free:
        of_any = target.free[entity]
        return entity, Field(plain, of_any.type, of_any.operators, of_any.is_ordered)
    name = plain if target.quotes_attributes or entity != "attribute" else key
    if name not in target.fixed[entity]:
        hint = did_you_mean(name, target.fixed[entity]) or _ways(name, entity, target)
        raise BadQuery(f"invalid {entity} key {name!r}", text=text, at=token.at, hint=hint)
    return entity, target.fixed[entity][name]


def _ways(name: str, entity: str, target: Target) -> str:
    """Return how what has no such name can be written."""
    known = ", ".join(sorted({field.name for field in target.fixed[entity].values()}))
    if target.is_open and entity == "attribute":
        return f"write metrics.{name}, params.{name} or tags.{name}; else there are {known}"
    return f"expected is one of {known}"


def read_value(token: Token, field: Field, target: Target, *, text: str) -> Value:
    """Return the value that a token stands for where it is one of the field's type."""
    quoted = _quoted(token)
    found: Value | None = None
    if field.type in {"text", "any"}:
        found = quoted
    elif field.type in {"id", "numeral"} and quoted is not None:
        with contextlib.suppress(ValueError):
            found = _whole(quoted)
    elif field.type == "moment" and quoted is not None:
        found = _moment(quoted)
    if token.kind == "number" and field.type not in {"text", "id"}:
        found = _number(token.text, is_open=target.is_open)
        if field.type in {"whole", "numeral"} and not re.fullmatch(r"[+-]?\d+", token.text):
            found = None
    if found is None:
        shown = token.text or "the end"
        expected = _EXPECTED[field.type]
        what = f"{shown} is found where {expected} is expected"
        raise BadQuery(what, text=text, at=token.at, hint=_hint(token, field))
    return _chosen(found, token, field, target, text) if field.choices else found


def _hint(token: Token, field: Field) -> str | None:
    is_nan = token.text.lower() == "nan" and "IS NAN" in field.operators
    return "write IS NAN, or IS NOT NAN" if is_nan else None


_EXPECTED = {
    "number": "a number",
    "whole": "a whole number",
    "numeral": "a whole number",
    "id": "a whole number in quotes",
    "text": "text in quotes",
    "moment": "a date in quotes, such as '2026-11-21', or Unix milliseconds",
    "any": "text in quotes or a number",
}


def _quoted(token: Token) -> str | None:
    if token.kind != "text" or token.text.startswith("`"):
        return None
    return unquoted(token.text, "'\"")


def _number(text: str, *, is_open: bool) -> int | float | None:
    if not is_open and not _NUMBER.fullmatch(text):
        return None
    try:
        return _whole(text)
    except ValueError:
        return float(text)


def _whole(text: str) -> int | float:
    """Return a whole number; one of more than 64 bits, which no column holds, as a float."""
    whole = int(text)
    return whole if -(2**63) <= whole < 2**63 else float(text)


def _moment(text: str) -> int | None:
    """Return Unix milliseconds of a date or time in ISO 8601; without a zone it is UTC.

    Examples
    --------
    >>> _moment("1970-01-02"), _moment("1970-01-01T01:00+01:00"), _moment("soon")
    (86400000, 0, None)
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return round(at.timestamp() * 1000)


def _chosen(found: Value, token: Token, field: Field, target: Target, text: str) -> Value:
    """Return the one of the field's values that is meant; in Assay's dialect case is no matter."""
    chosen = found.lower() if target.is_open and isinstance(found, str) else found
    if chosen in field.choices:
        return chosen
    known = ", ".join(field.choices)
    what = f"invalid {field.name} {found!r}; expected is one of {known}"
    raise BadQuery(what, text=text, at=token.at)
