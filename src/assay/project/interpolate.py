"""`${}` in `dvc.yaml`: names of variables in text, read once and put in as often as needed.

Source: DVC 3.67's `dvc.parsing.interpolate`. Where the values come from is the business of
`assay.project.variables`; which stages a template makes that of `assay.project.templates`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from shlex import quote
from typing import Any

import msgspec

from assay.base.errors import did_you_mean, with_article
from assay.project.grammar import At, kind_of
from assay.project.variables import Missing, Variables

Resolve = Callable[[Variables], Any]
"""Puts the values of variables into one part of a file."""

_MATCH = re.compile(r"(?<!\\)\$\{(.*?)\}")
_EXPRESSION = re.compile(r"[^.\[\]]+(?:\s*\.[^.\[\]]+|\s*\[[^.\[\]]+\])*\s*\Z")
_PART = re.compile(r"(?:\A|\.|\[)([^.\[\]]+)")
_TEXT_KEYS = frozenset({"cmd", "deps", "wdir", "params"})
_OUT_KEYS = frozenset({"outs", "metrics", "plots"})
_BOOLEANS = frozenset({"cache", "persist", "push", "checkpoint", "header"})


class Unresolved(Exception):
    """A `${}` that cannot be replaced.

    Attributes
    ----------
    at : sequence
        The keys and positions in the file that lead to its text.
    """

    def __init__(self, problem: str, *, at: At, hint: str | None = None) -> None:
        super().__init__(problem)
        self.problem, self.at, self.hint = problem, at, hint


class Flags(msgspec.Struct, frozen=True):
    """How a mapping becomes options of a command. Source: DVC's configuration `parsing`.

    Attributes
    ----------
    negate : bool
        False becomes `--no-name` (`boolean_optional`), not nothing (`store_true`).
    repeat : bool
        A list becomes `--name 1 --name 2` (`append`), not `--name 1 2` (`nargs`).
    """

    negate: bool = False
    repeat: bool = False

    def of(self, data: dict[Any, Any]) -> str:
        """Return a mapping as options, in its order; nested names are joined by dots.

        Raises
        ------
        ValueError
            If a list holds lists or mappings; with the name of the option.

        Examples
        --------
        >>> Flags().of({"lr": 0.1, "on": True, "off": False, "net": {"sizes": [8, 4], "f": "a b"}})
        "--lr 0.1 --on --net.sizes 8 4 --net.f 'a b'"
        """
        return " ".join(part for name, value in _flat(data) for part in self._option(name, value))

    def _option(self, name: str, value: Any) -> list[str]:
        if isinstance(value, bool):
            return [f"--{name}"] if value else [f"--no-{name}"] if self.negate else []
        if not isinstance(value, list):
            return [f"--{name} {_quoted(value)}"]
        if any(isinstance(item, (list, dict)) for item in value):
            raise ValueError(name)
        words = [_quoted(item) for item in value]
        if self.repeat:
            return [f"--{name} {word}" for word in words]
        return [f"--{name} {' '.join(words)}"] if words else []


def _flat(data: dict[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(key, str) and isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(key, str):  # other keys have no name that a command could be given
            yield f"{prefix}{key}", value


def _quoted(value: Any) -> str:
    return quote(value) if isinstance(value, str) else str(value)


def to_text(value: Any) -> str:
    """Return a single value as it stands in text.

    Examples
    --------
    >>> [to_text(value) for value in (True, None, 1e-3, "a b")]
    ['true', 'None', '0.001', 'a b']
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class Reference(msgspec.Struct, frozen=True):
    """One `${}`: its text, the names and positions it is made of, and where it stands."""

    text: str
    parts: tuple[str, ...]
    at: tuple[Any, ...]

    def value(self, variables: Variables) -> Any:
        """Return what the variable is.

        Raises
        ------
        Unresolved
            If there is no such variable; with the nearest name.
        """
        try:
            return variables.select(self.parts)
        except Missing:
            name = ".".join(self.parts)
            raise Unresolved(
                f"there is no variable '{name}' for '{self.text}'",
                at=self.at,
                hint=did_you_mean(name, variables.names())
                or "set it in params.yaml beside this file, or under 'vars'; "
                f"the shell's own is written '\\{self.text}'",
            ) from None

    def fail(self, value: Any, expected: str, *, hint: str) -> Unresolved:
        """Return the error for a value that does not fit here."""
        return Unresolved(f"'{self.text}' is {_kind(value)}, {expected}", at=self.at, hint=hint)


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else to_text(value)
    known = (str, int, float, list, dict)
    return kind_of(value) if isinstance(value, known) else with_article(type(value).__name__)


def is_template(value: Any) -> bool:
    """Say whether a text has a `${}` in it."""
    return isinstance(value, str) and _MATCH.search(value) is not None


def find(value: Any, at: At) -> tuple[Any, ...] | None:
    """Return where the first `${}` in a part of a file stands, or None."""
    if is_template(value):
        return tuple(at)
    if isinstance(value, dict):
        inner = ((part, [*at, key]) for key, item in value.items() for part in (key, item))
        return next(filter(None, (find(part, here) for part, here in inner)), None)
    if isinstance(value, list):
        return next(filter(None, (find(v, [*at, n]) for n, v in enumerate(value))), None)
    return None


def references(text: str, at: At) -> list[str | Reference]:
    r"""Cut a text into plain pieces and the `${}` between them; `\${` is a plain `${`.

    Raises
    ------
    Unresolved
        If something in `${}` is not a name.

    Examples
    --------
    >>> [getattr(piece, "parts", piece) for piece in references(r"--lr ${ train.lr } \${x}", [])]
    ['--lr ', ('train', 'lr'), ' ${x}']
    """
    pieces: list[str | Reference] = []
    end = 0
    for match in _MATCH.finditer(text):
        if match.start() > end:
            pieces.append(text[end : match.start()].replace("\\${", "${"))
        end = match.end()
        inner = match[1]
        if not _EXPRESSION.match(inner):
            raise Unresolved(
                f"'{match[0]}' is not the name of a variable",
                at=at,
                hint="write '${train.lr}' or '${layers[0]}'; for a plain '${' write '\\${'",
            )
        parts = tuple(part.strip() for part in _PART.findall(inner))
        pieces.append(Reference(match[0], parts, tuple(at)))
    if end < len(text) or not pieces:
        pieces.append(text[end:].replace("\\${", "${"))
    return pieces


def compile_key(key: str, value: Any, *, at: At, flags: Flags) -> Resolve | None:
    """Read the value of one key of a stage; None where nothing is to be put in.

    A `${}` alone keeps the type of its value where any type fits. Lists and mappings are no
    values for a stage, but a mapping within the text of a `cmd` becomes options.

    Raises
    ------
    Unresolved
        If something in `${}` is not a name.
    """
    return _Compiler(key, flags, n_above=len(at)).compile(value, tuple(at), 0)


def compile_any(value: Any, *, at: At) -> Resolve | None:
    """Read something beside the stages, where a `${}` alone may be a list or a mapping."""
    return _Compiler(None, Flags(), n_above=len(at)).compile(value, tuple(at), 0)


class _Compiler:
    def __init__(self, key: str | None, flags: Flags, *, n_above: int) -> None:
        self.key = key
        self.flags = flags
        self.n_above = n_above  # how many keys lead to what is compiled

    def compile(self, value: Any, at: tuple[Any, ...], depth: int) -> Resolve | None:
        if isinstance(value, str):
            return self.text(value, at, depth)
        if isinstance(value, dict):
            return self.mapping(value, at, depth)
        if isinstance(value, list):
            return self.list(value, at, depth)
        return None

    def list(self, value: list[Any], at: tuple[Any, ...], depth: int) -> Resolve | None:
        parts = [(v, self.compile(v, (*at, n), depth + 1)) for n, v in enumerate(value)]
        if all(part is None for _, part in parts):
            return None
        return lambda variables: [v if part is None else part(variables) for v, part in parts]

    def mapping(self, value: dict[Any, Any], at: tuple[Any, ...], depth: int) -> Resolve | None:
        parts = [
            (key, self.compile(key, (*at, key), depth), v, self.compile(v, (*at, key), depth + 1))
            for key, v in value.items()
        ]
        if all(key is None and part is None for _, key, _, part in parts):
            return None
        return lambda variables: {
            k if key is None else key(variables): v if part is None else part(variables)
            for k, key, v, part in parts
        }

    def text(self, value: str, at: tuple[Any, ...], depth: int) -> Resolve | None:
        if "${" not in value:
            return None
        pieces = references(value, at)
        if len(pieces) > 1:
            return lambda variables: "".join(
                piece if isinstance(piece, str) else self.within(piece, variables)
                for piece in pieces
            )
        (only,) = pieces
        if isinstance(only, str):
            return lambda _: only
        if self.key in _TEXT_KEYS or (self.key in _OUT_KEYS and depth == 1):
            return lambda variables: self.as_path(only, variables)
        if self.key in _OUT_KEYS and depth > 2:
            return self.of_property(only)
        return lambda variables: self.alone(only, variables)

    def of_property(self, piece: Reference) -> Resolve:
        """Return how a property of an output is resolved: only `meta` may be other than text."""
        name = next(n for n in piece.at[self.n_above + 2 :] if isinstance(n, str))
        if name in _BOOLEANS:
            raise Unresolved(
                f"'{name}' is '{piece.text}', not true or false",
                at=piece.at,
                hint="write 'true' or 'false': no variable can stand here",
            )
        if name == "meta":
            return lambda variables: self.alone(piece, variables)
        return lambda variables: to_text(self.alone(piece, variables))

    def within(self, piece: Reference, variables: Variables) -> str:
        """Return a value as a part of a longer text."""
        value = piece.value(variables)
        if type(value) is str:
            return value
        if isinstance(value, dict) and self.key == "cmd":
            try:
                return self.flags.of(value)
            except ValueError as error:
                raise Unresolved(
                    f"'{error}' of '{piece.text}' is a list of lists or mappings, "
                    "which no option of a command can be",
                    at=piece.at,
                ) from None
        if isinstance(value, (list, dict, set)):
            raise piece.fail(value, "which cannot stand in text", hint=_ELEMENTS)
        return to_text(value)

    def alone(self, piece: Reference, variables: Variables) -> Any:
        """Return a value that is all of a text: it keeps its type."""
        value = piece.value(variables)
        if self.key is not None and isinstance(value, (list, dict, set)):
            raise piece.fail(value, "expected text or a number", hint=_ELEMENTS)
        return value

    def as_path(self, piece: Reference, variables: Variables) -> str:
        """Return a value that is all of a command, a path or the name of a parameter."""
        value = piece.value(variables)
        if isinstance(value, str):
            return value
        if isinstance(value, (list, dict, set)):
            hint = "write a command before it" if self.key == "cmd" else _ELEMENTS
        else:
            hint = "put it in quotes where it is set, or write more text around it"
        raise piece.fail(value, "not text", hint=hint)


_ELEMENTS = "name one of its elements, as in '${train.lr}' or '${layers[0]}'"
