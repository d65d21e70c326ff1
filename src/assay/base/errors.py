"""Every error a user can act on: what is wrong, where, and what to do next.

    Error                 255  something went wrong
    ├── Negative            1  the answer is 'no', or a rule refuses
    ├── Usage               2  the command or call was put wrongly
    ├── Inconclusive        3  there is not enough data to tell
    ├── NotFound          255  a thing that was named does not exist
    └── Taken             255  a name that has to be new is there already

`what` is one lower-case sentence without the place, `where` is a file with line, a key path or
a column, `hint` is an imperative or a command that can be pasted.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any


class Error(Exception):
    """Base of every error a user can act on."""

    exit_code = 255

    def __init__(
        self, what: str, *, where: str | Path | None = None, hint: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = None if where is None else str(where)
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Say how another process gets a copy: by attributes, whatever it was made of."""
        return _again, (type(self), self.args), self.__dict__

    def __str__(self) -> str:
        head = self.what if self.where is None else f"{self.where}: {self.what}"
        return head if self.hint is None else f"{head}\n  hint: {self.hint}"


def _again(kind: type[Error], args: tuple[Any, ...]) -> Error:
    """Return an error of a class without its attributes."""
    return kind.__new__(kind, *args)


class Negative(Error):
    """The answer is 'no': a gate failed, data is invalid, a rule refuses."""

    exit_code = 1


class Usage(Error):
    """The command or call was put wrongly."""

    exit_code = 2


class Inconclusive(Error):
    """There is not enough data to tell."""

    exit_code = 3


class NotFound(Error):
    """A thing that was named does not exist."""


class Taken(Error):
    """A name that has to be new is there already."""


def with_article(name: str) -> str:
    """Return the name of one of a kind, as a sentence has it.

    Examples
    --------
    >>> with_article("object"), with_article("list"), with_article("NoneType")
    ('an object', 'a list', 'None')
    """
    if name == "NoneType":
        return "None"
    return f"an {name}" if name[:1].lower() in {*"aeio"} else f"a {name}"


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return the hint that names the nearest known name, or None where none is near.

    Examples
    --------
    >>> did_you_mean("dep", ["deps", "outs"])
    "did you mean 'deps'?"
    """
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else None
