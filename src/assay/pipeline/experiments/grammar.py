"""The grammar of one override, `KEY=VALUE`, as Hydra 1.3 reads it.

Source: Hydra's `OverrideLexer.g4` and `OverrideParser.g4`. Tokens are the longest that fit, the
first of them where two are as long. What a function makes is in `assay.pipeline.experiments.
functions`. Not taken over: interpolations (`${...}`), and packages (`group@package`).
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

import msgspec

from assay.base.errors import Usage
from assay.pipeline.experiments import functions
from assay.pipeline.experiments.functions import Quoted, Sweep

Kind = Literal["change", "add", "force", "delete"]

_SIGNS: dict[str, Kind] = {"": "change", "+": "add", "++": "force", "~": "delete"}
_PART = r"(?:[A-Za-z_$][\w$-]*|0|[1-9](?:_?[0-9])*)"
_KEY = re.compile(
    rf"(?P<sign>\+\+|\+|~|)(?P<key>{_PART}(?:\.{_PART})+|[A-Za-z_][\w-]*(?:/[A-Za-z_][\w-]*)+|"
    r"[A-Za-z_$][\w$-]*)(?P<at>@[^=]*)?(?P<equal>=[ \t]*)?",
    re.ASCII,
)
_INT = r"(?:0|[1-9](?:_?[0-9])*)"
_POINT = rf"(?:{_INT}?\.[0-9](?:_?[0-9])*|{_INT}\.)"
_EXPONENT = rf"(?:{_INT}|{_POINT})[eE][+-]?[0-9](?:_?[0-9])*"
_TOKENS = [
    (name, re.compile(pattern, re.ASCII | re.DOTALL))
    for name, pattern in (
        ("(", r"[ \t]*\([ \t]*"),
        (",", r"[ \t]*,[ \t]*"),
        (")", r"[ \t]*\)"),
        ("[", r"\[[ \t]*"),
        ("]", r"[ \t]*\]"),
        ("{", r"\{[ \t]*"),
        ("}", r"[ \t]*\}"),
        (":", r"[ \t]*:[ \t]*"),
        ("=", r"[ \t]*=[ \t]*"),
        ("float", rf"[+-]?(?:{_EXPONENT}|{_POINT}|[Ii][Nn][Ff]|[Nn][Aa][Nn])"),
        ("int", rf"[+-]?{_INT}"),
        ("bool", r"(?i:true|false)"),
        ("null", r"(?i:null)"),
        ("char", r"[/\-\\+.$%*@?|]"),
        ("id", r"[A-Za-z_][\w-]*"),
        ("escape", r"(?:\\\\|\\[()\[\]{}:=, \t])+"),
        ("blank", r"[ \t]+"),
        ("quoted", r"""(["'])(?:(?:\\\\)*|.*?[^\\](?:\\\\)*)\1"""),
        ("${", r"\$\{[^}]+\}"),
    )
]
_PLAIN = frozenset(
    {"id", "null", "int", "float", "bool", "char", ":", "escape", "blank"}
)  # fmt: skip


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a parameter file.

    Attributes
    ----------
    kind : str
        "change" a value that is there, "add" one that is not, "force" either, "delete".
    key : str
        The dotted key.
    value : object
        What it becomes; a `Sweep` for several in turn; of "delete", what it has to be, or None.
    text : str
        The override as it was given.
    """

    kind: Kind
    key: str
    value: Any
    text: str


class Token(NamedTuple):
    """A piece of the text after the `=`."""

    kind: str
    text: str
    at: int


def parse(text: str) -> Override:
    """Read one override.

    Raises
    ------
    Usage
        If it does not follow the grammar; it shows where.

    Examples
    --------
    >>> parse("+model.layers=[8, {a: 1e-3}]").value
    [8, {'a': 0.001}]
    """
    found = _KEY.match(text)
    if found is None or (found.end() != len(text) and not found["equal"]):
        at = found.end() if found is not None else 0
        raise _fail(text, at, "a key is expected, such as 'lr' or 'model.depth', and then '='")
    if found["at"]:
        raise _fail(text, found.start("at"), "'@' names a group of configurations, and none is")
    kind = _SIGNS[found["sign"]]
    if not found["equal"] and kind != "delete":
        raise _fail(text, found.end(), "'=' and a value are expected")
    begin = found.end()
    empty = "" if found["equal"] else None
    value = _Parser(text, begin).value() if begin < len(text) else empty
    return Override(kind=kind, key=found["key"], value=value, text=text)


def _fail(text: str, at: int, what: str) -> Usage:
    return Usage(
        f"{what}, at character {at + 1} of '{text}'",
        where="--set-param",
        hint="quote what is special: -S \"name='a=b, c'\"",
    )


class _Parser:
    """Goes through the tokens of a value once."""

    def __init__(self, text: str, begin: int) -> None:
        self._text = text
        self._tokens = list(_tokens(text, begin))
        self._next = 0

    def _peek(self, ahead: int = 0) -> str:
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)].kind

    def _take(self, kind: str | None = None) -> Token:
        token = self._tokens[self._next]
        if kind is not None and token.kind != kind:
            found = f"'{token.text.strip()}'" if token.text.strip() else "the end"
            wanted = "the end" if kind == "end" else f"'{kind}'"
            raise _fail(self._text, token.at, f"{found} stands where {wanted} is expected")
        self._next += 1
        return token

    def value(self) -> Any:
        items = [self._element()]
        while self._peek() == ",":
            self._take()
            items.append(self._element())
        self._take("end")
        if len(items) == 1:
            return items[0] if isinstance(items[0], Sweep) else functions.plain(items[0])
        return functions.choice_of(items, is_simple=True)

    def _element(self) -> Any:
        kind = self._peek()
        if kind == "id" and self._peek(1) == "(":
            return self._function()
        if kind == "[":
            return self._list()
        if kind == "{":
            return self._dict()
        if kind == "quoted":
            return Quoted(_unquote(self._take().text))
        return self._primitive(_PLAIN)

    def _list(self) -> list[Any]:
        self._take("[")
        items: list[Any] = []
        while self._peek() != "]":
            if items:
                self._take(",")
            items.append(self._part())
        self._take("]")
        return items

    def _dict(self) -> dict[Any, Any]:
        self._take("{")
        items: dict[Any, Any] = {}
        while self._peek() != "}":
            if items:
                self._take(",")
            at = self._tokens[self._next].at
            key = self._primitive(_PLAIN - {":"})
            if key is None:
                raise _fail(self._text, at, "null cannot be a key")
            self._take(":")
            items[key] = self._part()
        self._take("}")
        return items

    def _part(self) -> Any:
        token = self._tokens[self._next]
        found = self._element()
        if isinstance(found, Sweep):
            raise _fail(self._text, token.at, "a sweep cannot stand inside a list or mapping")
        return found

    def _function(self) -> Any:
        name = self._take("id")
        self._take("(")
        args: list[Any] = []
        named: dict[str, Any] = {}
        while self._peek() != ")":
            if args or named:
                self._take(",")
            if self._peek() == "id" and self._peek(1) == "=":
                argument = self._take().text
                self._take("=")
                named[argument] = self._element()
            elif named:
                raise _fail(self._text, name.at, "an argument without a name follows one with it")
            else:
                args.append(self._element())
        self._take(")")
        try:
            return functions.call(name.text, args, named)
        except (TypeError, ValueError) as error:
            raise _fail(self._text, name.at, f"'{name.text}()': {error}") from error

    def _primitive(self, allowed: frozenset[str]) -> Any:
        tokens: list[Token] = []
        while self._peek() in allowed:
            tokens.append(self._take())
        if not tokens:
            token = self._tokens[self._next]
            if token.kind == "${":
                raise _fail(self._text, token.at, "'${...}' is not taken here")
            raise _fail(self._text, token.at, "a value is expected")
        begin = 1 if tokens[0].kind == "blank" else 0
        end = len(tokens) - (tokens[-1].kind == "blank" and len(tokens) > 1)
        if begin >= end:
            raise _fail(self._text, tokens[0].at, "a value is expected, and not only blanks")
        used = tokens[begin:end]
        if len(used) == 1:
            return _typed(used[0])
        return "".join(t.text[1::2] if t.kind == "escape" else t.text for t in used)


def _tokens(text: str, begin: int) -> list[Token]:
    found: list[Token] = []
    at = begin
    while at < len(text):
        best = Token("", "", at)
        for kind, pattern in _TOKENS:
            match = pattern.match(text, at)
            if match is not None and len(match[0]) > len(best.text):
                best = Token(kind, match[0], at)
        if not best.text:
            raise _fail(text, at, f"{text[at]!r} is not taken here without quotes")
        found.append(best)
        at += len(best.text)
    return [*found, Token("end", "", at)]


def _typed(token: Token) -> Any:
    """Return what a single token stands for."""
    if token.kind == "int":
        return int(token.text)
    if token.kind == "float":
        return float(token.text)
    if token.kind == "bool":
        return token.text.lower() == "true"
    if token.kind == "null":
        return None
    return token.text[1::2] if token.kind == "escape" else token.text


def _unquote(text: str) -> str:
    r"""Return what stands in quotes: a backslash counts before a quote only, `\"` and `\\"`."""
    quote, inner = text[0], text[1:]
    found = re.sub(rf"\\+{quote}", lambda match: match[0][1::2], inner)
    return found if inner.endswith(f"\\{quote}") else found[:-1]  # then the last quote is gone
