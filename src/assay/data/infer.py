"""Which type a column of texts has, by which rule, and the SQL that reads it as that type.

A sample of the head, the middle and the tail of the table proposes a type; a pass over the whole
column then confirms it, and counts what does not fit. Values that do not fit stay in the
counts as *invalid*: a late `x` in a column of integers neither stops the profile nor turns the
column into text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

LogicalType = Literal["integer", "float", "boolean", "time", "category", "text", "other"]

NULLS = ("", "#N/A", "<NA>", "N/A", "NA", "NULL", "None", "n/a", "null")
BOOLEANS = (("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"))
FITS = 0.95  # the share of a column's values that has to parse for it to have the type
FEW_DISTINCT = 20  # so few distinct texts are categories, however few rows there are
FORCED = "as in the profile of the edges"
BLOCK = 1000  # rows of each of the three blocks of the sample
ENOUGH = 100  # values a column needs in the sample; else the whole column is looked at

_INTEGER = r"\s*[+-]?[0-9]+\s*"
_LEADING_ZERO = r"\s*[+-]?0[0-9]+\s*"
_TIME = r"\s*[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}([ T][0-9].*)?"
_ZONE = r".*[0-9]:[0-9]{2}.*(Z|[+-][0-9]{2}(:?[0-9]{2})?)\s*"

Row = tuple[Any, ...]
Ask = Callable[[Sequence[Sequence[str]]], list[Row]]
Look = Callable[[str], list[Sequence[Any]]]


class Inferred(msgspec.Struct, frozen=True, kw_only=True):
    """The type of a column, why, and what reading it needs to know."""

    type: LogicalType
    rule: str
    words: tuple[str, str] = BOOLEANS[0]  # what a boolean is written as: false, true
    zoned: bool = False  # a time with a zone or offset
    n_present: int = 0  # values of the column that are not missing for this type

    def replaced(self, type_: LogicalType, rule: str) -> Inferred:
        """Return this with another type, for another reason."""
        return msgspec.structs.replace(self, type=type_, rule=rule)


def quoted(text: str, quote: str = "'") -> str:
    """Return `text` as a literal of SQL; with `"` as a name.

    Examples
    --------
    >>> print(quoted("it's"), quoted('a "b" c', '"'))
    'it''s' "a ""b"" c"
    """
    return quote + text.replace(quote, quote * 2) + quote


def known(ref: str) -> str:
    """Return the SQL condition under which a text is a value for types other than text.

    A quoted null spelling is a value for a text column; a number, time or boolean it is not.
    """
    return f"({ref} IS NOT NULL AND {ref} NOT IN ({', '.join(map(quoted, NULLS))}))"


def parsed(ref: str, inferred: Inferred) -> str:
    """Return the SQL that reads the text `ref` as a type; NULL where it does not fit."""
    match inferred.type:
        case "integer":
            return f"CASE WHEN {_full(ref, _INTEGER)} THEN try_cast({ref} AS BIGINT) END"
        case "float":
            return f"CASE WHEN NOT contains({ref}, '_') THEN try_cast({ref} AS DOUBLE) END"
        case "boolean":
            false, true = map(quoted, inferred.words)
            word = f"lower(trim({ref}))"
            return f"CASE {word} WHEN {true} THEN true WHEN {false} THEN false END"
        case "time":
            kind = "TIMESTAMPTZ" if inferred.zoned else "TIMESTAMP"
            return f"CASE WHEN {_full(ref, _TIME)} THEN try_cast({ref} AS {kind}) END"
        case _:
            return ref


def infer(
    refs: Sequence[str],
    ask: Ask,
    look: Look,
    *,
    n_rows: int,
    forced: Sequence[LogicalType | None],
) -> list[Inferred]:
    """Return the types of columns of texts.

    Parameters
    ----------
    refs : sequence of str
        The names of the columns, which need no quotes.
    ask : callable
        Called with the SQL of some aggregates for each column; returns their values.
    look : callable
        Called with a condition on the rows; returns for each column its values there.
    n_rows : int
        The rows of the table.
    forced : sequence of logical types
        What a column is read as, whatever is in it; None where that is to be inferred.
    """
    suggested = _suggestions(refs, ask, look, n_rows=n_rows)
    wanted = [
        proposed if type_ is None else proposed.replaced(type_, FORCED)
        for proposed, type_ in zip(suggested, forced, strict=True)
    ]
    rows = ask([_confirming(ref, it) for ref, it in zip(refs, wanted, strict=True)])
    return [
        _confirm(it, row, forced=type_ is not None)
        for it, row, type_ in zip(wanted, rows, forced, strict=True)
    ]


def of_strings(n_present: int, n_distinct: int) -> tuple[LogicalType, str]:
    """Return whether texts are categories or free text, and the rule.

    Examples
    --------
    >>> of_strings(1000, 7)
    ('category', 'at most 20 distinct values')
    >>> of_strings(1000, 900)
    ('text', 'more than half of the values are distinct')
    """
    if not n_present:
        return "category", "no value"
    if n_distinct <= FEW_DISTINCT:
        return "category", f"at most {FEW_DISTINCT} distinct values"
    if n_distinct * 2 <= n_present:
        return "category", "at most half of the values are distinct"
    return "text", "more than half of the values are distinct"


def _sample(n_rows: int) -> str:
    if n_rows <= 3 * BLOCK:
        return "true"
    middle = (n_rows - BLOCK) // 2
    return (
        f"(rowid < {BLOCK} OR rowid BETWEEN {middle} AND {middle + BLOCK - 1}"
        f" OR rowid >= {n_rows - BLOCK})"
    )


def _suggestions(refs: Sequence[str], ask: Ask, look: Look, *, n_rows: int) -> list[Inferred]:
    """Return for each column what its values in the sample look like."""
    missing = {None, *NULLS}
    samples = [[v for v in values if v not in missing] for values in look(_sample(n_rows))]
    sparse = [at for at, values in enumerate(samples) if len(values) < min(ENOUGH, n_rows)]
    if n_rows > 3 * BLOCK:
        rows = ask(
            [
                [f"min({ref}, {BLOCK}) FILTER ({known(ref)})"]
                for ref in map(refs.__getitem__, sparse)
            ]
        )
        for at, (values,) in zip(sparse, rows, strict=True):
            samples[at] = values or []
    return [_suggest(values) for values in samples]


def _suggest(values: Sequence[str]) -> Inferred:
    seen, count = len(values), Counter(value.strip().lower() for value in values)
    enough = FITS * seen
    pair = max(BOOLEANS, key=lambda pair: sum(count[word] for word in pair))
    no, yes = (count[word] for word in pair)
    plain = Inferred(type="text", rule="", words=pair)
    # One word of these alone may mean anything ('no' is Norway); true and false may not.
    both = pair == BOOLEANS[0] or (no and yes)
    if not seen:
        return plain
    if no + yes >= enough and both:
        return plain.replaced("boolean", f"values are '{pair[0]}' or '{pair[1]}'")
    tests: tuple[tuple[LogicalType, Callable[[str], object], str], ...] = (
        ("integer", re.compile(_INTEGER).fullmatch, "values parse as integers"),
        ("float", _is_float, "values parse as numbers"),
        ("time", re.compile(_TIME, re.IGNORECASE).fullmatch, "values are ISO 8601 times"),
    )
    for type_, test, rule in tests:
        if sum(times for value, times in count.items() if test(value)) >= enough:
            return plain.replaced(type_, rule)
    return plain


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _confirming(ref: str, inferred: Inferred) -> list[str]:
    """Return the aggregates over a whole column that confirm or refuse its type."""
    numeric = inferred.type in {"integer", "float"}
    as_float = parsed(ref, inferred.replaced("float", ""))
    return [  # a null spelling fits none of these types
        f"count({ref})",
        f"approx_count_distinct({ref})",
        f"count(*) FILTER ({known(ref)})",
        f"count({parsed(ref, inferred)})",
        f"count({as_float})" if inferred.type == "integer" else "0",
        f"count(*) FILTER ({_full(ref, _LEADING_ZERO)})" if numeric else "0",
        _digits(ref, inferred.type) if numeric else "0",
        f"count(*) FILTER ({_full(ref, _ZONE)})" if inferred.type == "time" else "0",
    ]


def _confirm(inferred: Inferred, row: Row, *, forced: bool) -> Inferred:
    present, distinct, seen, fit, floats, leading, integers, zoned = row
    result = msgspec.structs.replace(inferred, zoned=zoned > 0, n_present=seen)
    strings = msgspec.structs.replace(result, n_present=present)
    type_, rule = of_strings(present, distinct)
    if inferred.type in {"category", "text", "other"}:
        return strings if forced else strings.replaced(type_, rule)
    if forced:
        return result
    if leading:
        return strings.replaced(type_, "numbers with leading zeros are texts")
    too_long = fit if inferred.type == "integer" else FITS * seen
    if integers > too_long:
        return strings.replaced(type_, "integers of more than 64 bits are texts")
    if inferred.type == "integer" and floats > fit:
        result, fit = result.replaced("float", "values parse as numbers"), floats
    if fit < FITS * seen:
        return strings.replaced(type_, f"only {fit} of {seen} values parse as {result.type}")
    return result


def _digits(ref: str, type_: LogicalType) -> str:
    """Return the SQL for the number of values that are all digits, however many."""
    digits = f"CASE WHEN {_full(ref, _INTEGER)} THEN 1 END"
    if type_ == "integer":  # where the cast fits, the pattern has been matched already
        fits = parsed(ref, Inferred(type="integer", rule=""))
        return (
            f"count({fits}) + count(CASE WHEN try_cast({ref} AS BIGINT) IS NULL THEN {digits} END)"
        )
    return f"count({digits})"


def _full(ref: str, pattern: str) -> str:
    return f"regexp_full_match({ref}, {quoted(pattern)})"
