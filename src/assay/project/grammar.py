"""What keys a mapping of a person's file may have, and errors with line and nearest name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error, did_you_mean
from assay.project import yaml12

Type = type | tuple[type, ...]
At = Sequence[Any]
"""The keys and positions that lead to a value."""
_NAMES = {str: "text", bool: "true or false", list: "a list", dict: "a mapping", int: "a number"}


class Invalid(Error):
    """A file of the project breaks the grammar of its kind."""


class Source(msgspec.Struct, frozen=True):
    """A text that is being read, for messages with line numbers."""

    shown: str
    text: str

    @classmethod
    def of(cls, path: Path, *, shown: str | None = None) -> Source:
        """Read a file."""
        try:
            return cls(shown or str(path), path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise Invalid(
                "the file is not UTF-8 text",
                where=shown or path,
                hint="save it with the encoding UTF-8",
            ) from error
        except OSError as error:
            from assay.base.files import explain

            raise explain(error, shown or path) from error

    def load(self) -> Any:
        """Parse the YAML."""
        return yaml12.load(self.text, where=self.shown)

    def fail(self, at: At, what: str, *, hint: str | None = None) -> Invalid:
        """Return the error for the value at a key path."""
        line = yaml12.line_of(self.text, at)
        return Invalid(what, where=f"{self.shown}:{line}" if line else self.shown, hint=hint)


def mapping(
    source: Source,
    value: Any,
    at: At,
    known: Mapping[str, Type],
    *,
    what: str,
    required: Sequence[str] = (),
) -> dict[str, Any]:
    """Return `value` if it is a mapping with known keys and types.

    Parameters
    ----------
    known : mapping
        The type (or types) of each allowed key; `object` allows everything.
    what : str
        What this mapping is, for messages: "stage 'train'".
    """
    if not isinstance(value, dict):
        raise source.fail(at, f"{what} is {kind_of(value)}, not a mapping")
    for key, content in value.items():
        wanted = known.get(key)
        if wanted is None:
            near = did_you_mean(str(key), known)
            raise source.fail(
                [*at, key],
                f"{what} has the unknown key '{key}'",
                hint=near or f"known are: {', '.join(known)}",
            )
        if not _fits(content, wanted):
            typed(source, content, [*at, key], wanted, what=f"'{key}' of {what}")
    for key in required:
        if value.get(key) is None:
            raise source.fail(at, f"{what} has no '{key}'", hint=f"add '{key}:' to it")
    return value


def typed(source: Source, value: Any, at: At, type_: Type, *, what: str) -> None:
    """Raise unless `value` has the type."""
    if not _fits(value, type_):
        types = type_ if isinstance(type_, tuple) else (type_,)
        wanted = " or ".join(_NAMES.get(t, t.__name__) for t in types)
        raise source.fail(at, f"{what} is {kind_of(value)}, not {wanted}")


def _fits(value: Any, type_: Type) -> bool:
    if not isinstance(value, type_):
        return False
    if not isinstance(value, bool):
        return True
    types = type_ if isinstance(type_, tuple) else (type_,)
    return bool in types or object in types  # to Python, true is a number


def kind_of(value: Any) -> str:
    """Say what a value is, in words."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"'{str(value).lower()}'"
    if isinstance(value, (str, int, float)):
        return f"{value!r}"
    return "a list" if isinstance(value, list) else "a mapping"
