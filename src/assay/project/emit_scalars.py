"""How one scalar stands in a YAML file, byte for byte as ruamel.yaml's round-trip writer puts it.

Plain where that reads back as the same value, else double-quoted if it holds an apostrophe or a
line break, else single-quoted if it can be, else double-quoted; folded at column 80 with all
of that writer's habits. Where its text would not read back (a key folded in the middle, the line
breaks NEL, LS and PS) this one writes what does. The frame around it is in `assay.project.emit`.

Source: ruamel.yaml 0.19.1, `Emitter.analyze_scalar`, `choose_scalar_style`, `write_plain`,
`write_single_quoted` and `write_double_quoted`.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from assay.base.errors import Error
from assay.project.yaml12_scalars import kind_of

WIDTH = 80
_BREAKS = "\n\x85\u2028\u2029"
_BLANKS = f"\0 \t\r{_BREAKS}"

_ORDINARY = re.compile(r"""[A-Za-z_/](?:[ !"$-9;-~]*[!"$-9;-~])?\Z""")  # plain, but for _WORDS
_WORDS = frozenset({"true", "True", "TRUE", "false", "False", "FALSE"} | {"null", "Null", "NULL"})
_NOT_PLAIN = re.compile(
    rf"""\A(?:---|\.\.\.|[#,\[\]{{}}&*!|>'"%@` ]|[?:-](?:[{_BLANKS}]|\Z))"""
    rf"""|:(?:[{_BLANKS}]|\Z)|[{_BLANKS}]\#|[{_BREAKS}]|[ ]\Z"""
)
_SPECIAL = re.compile(
    "[^\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_BREAK = re.compile(f"[{_BREAKS}]")
_NOT_SINGLE = re.compile(f"['\n\x85]| [{_BREAKS}]|[{_BREAKS}] ")
_SPACES = re.compile("( +)")
_SPACES_OR_BREAKS = re.compile("( +|[\u2028\u2029]+)")
_ESCAPED = re.compile(
    '["\\\\\x85\u2028\u2029\ufeff]|[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]'
)
_ESCAPES = dict(
    zip('\0\x07\x08\t\n\v\f\r\x1b"\\\x85\xa0\u2028\u2029', '0abtnvfre"\\N_LP', strict=True)
)


def write(value: Any, *, column: int, indent: int, is_key: bool = False) -> str:
    r"""Return the text of a scalar.

    Parameters
    ----------
    value : str, int, float, bool, None, date or datetime
    column : int
        Where its first character stands, counted from 0.
    indent : int
        Where a continuation line starts.
    is_key : bool
        A key that stands before its colon on one line: it is never folded.

    Raises
    ------
    assay.Error
        If the value is none of these types.

    Examples
    --------
    >>> [write(value, column=0, indent=2) for value in ("a b", "2.0", "it's: so", 1e-5, True)]
    ['a b', "'2.0'", '"it\'s: so"', '1e-05', 'true']
    """
    if type(value) is str:
        if _ORDINARY.match(value) is not None and value not in _WORDS:
            return value if is_key else fold_plain(value, column, indent)
        return _write_text(value, column, indent, is_key=is_key)
    text = literal(value)
    if is_key:
        return text or "null"
    return fold_plain(text, column, indent)


def literal(value: Any) -> str:
    """Return the plain text of a scalar that is no text; the empty one for `None`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}.get(text := repr(value), text)
    if isinstance(value, dt.datetime):
        return value.isoformat(" ")
    if isinstance(value, dt.date):
        return value.isoformat()
    raise Error(f"a value of type '{type(value).__name__}' cannot be written as YAML")


def is_multiline(text: str) -> bool:
    """Whether the text holds a line break; as a key it then needs a `?` before it."""
    return _BREAK.search(text) is not None


def fold_plain(text: str, column: int, indent: int) -> str:
    """Fold a plain scalar: a word that does not fit goes to a new line, its blank stays."""
    if column + len(text) <= WIDTH:
        return text
    parts = _SPACES.split(text)
    for index, part in enumerate(parts):
        before = parts[index - 1] if index else " "
        if index % 2 == 1 and len(part) == 1 and column >= WIDTH:
            parts[index] = "\n" + " " * indent
            column = indent
        elif index % 2 == 0 and column > indent and column + len(part) > WIDTH and before == " ":
            parts[index] = "\n" + " " * indent + part
            column = indent + len(part)
        else:
            column += len(part)
    return "".join(parts)


def _write_text(text: str, column: int, indent: int, *, is_key: bool) -> str:
    special = _SPECIAL.search(text) is not None
    if not special and text and _NOT_PLAIN.search(text) is None and kind_of(text) is None:
        return text if is_key else fold_plain(text, column, indent)
    if special or _NOT_SINGLE.search(text) is not None:
        return _fold_double(text, column, indent, is_key=is_key)
    return f"'{text}'" if is_key else _fold_single(text, column, indent)


def _fold_single(text: str, column: int, indent: int) -> str:
    """Fold between single quotes, none of which is in the text: after column 80, at one blank."""
    parts = _SPACES_OR_BREAKS.split(text)
    if len(parts) == 1 or (column + len(text) <= WIDTH and _BREAK.search(text) is None):
        return f"'{text}'"
    pad = " " * indent
    column += 1
    for index, part in enumerate(parts):
        is_inner = 0 < index < len(parts) - 1 and bool(parts[index - 1]) and bool(parts[index + 1])
        if part[:1] in {"\u2028", "\u2029"}:
            parts[index] = part + pad
            column = indent
        elif part == " " and is_inner and column > WIDTH:
            parts[index] = "\n" + pad
            column = indent
        else:
            column += len(part)
    return "'" + "".join(parts) + "'"


def _fold_double(text: str, column: int, indent: int, *, is_key: bool) -> str:
    escaped = _ESCAPED.sub(_escape, text)
    if is_key or column + 1 + len(escaped) <= WIDTH:
        return f'"{escaped}"'
    out: list[str] = []
    column += 1
    start = 0
    for end in range(len(text) + 1):
        char = text[end : end + 1]
        match = _ESCAPED.match(char)
        if not char or match:
            out.append(text[start:end])
            column += max(end - start, 0)
            start = max(start, end)
        if match:
            out.append(_escape(match))
            column += len(out[-1])
            start = end + 1
        if not (0 < end < len(text) - 1 and (char == " " or start >= end)):
            continue
        if column + end - start <= WIDTH:
            continue
        needs_backslash = start == end or _breaks_badly(text, start, end)
        out.append(text[start:end] + ("\\" if needs_backslash else ""))
        out.append("\n" + " " * indent)
        column = indent
        start = max(start, end)
        if text[start] == " ":
            out.append("\\" if needs_backslash else "")
            column += needs_backslash
            start += not needs_backslash
    return '"' + "".join(out) + '"'


def _breaks_badly(text: str, start: int, end: int) -> bool:
    """Whether a line break at `end` needs a backslash before it, by ruamel's rule of thumb.

    The rule forgets that a break after an escape, where no blank follows, is read as a blank.
    """
    if text[max(start, end)] != " ":
        return True
    blank = text.find(" ", end)
    newline = text.find("\n", end, blank)
    at = blank if newline < 0 else newline
    after = text[at + 1 : at + 2]
    if not after or (text[at] == "\n" and after != " "):
        return True
    quoted = '"' in text[end:at] or "'" in text[end:at]
    return quoted or after in " \n" or text[end - 1 : end + 1] == "  "


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    if char in _ESCAPES:
        return "\\" + _ESCAPES[char]
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"
