"""How this process was called: the command line that a run keeps, so that it can be called again.

A script stands there with its arguments, as `sys.argv` has them: `train.py --lr 1`. Where Python
was given options, or a module by `-m`, it stands there as it was typed: `python -O train.py`,
`python -m pkg.train --lr 1`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from assay.project.workspace import Project

_MAIN = ".__main__"
_WITH_VALUE = ("-X", "-W", "--check-hash-based-pycs")


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """A command line that a run keeps: of a module, or else of a script."""

    options: tuple[str, ...]  # of the interpreter
    module: str | None
    script: str  # the path of a file, "-c" or "-"; "" for a module
    arguments: tuple[str, ...]


def command(project: Project | None = None) -> str:
    """Return the command line of this process; "" where there is none.

    A module that lies outside the project is named by its file, which says so.
    """
    module = _module(project)
    called = sys.argv if module is None else ["-m", module, *sys.argv[1:]]
    options, rest = _options(sys.orig_argv[1:])
    is_worker = rest[:1] == ["-c"] and sys.argv[:1] != ["-c"]  # of multiprocessing
    if called and called[0] != "-c" and not is_worker and options:
        return shlex.join(["python", *options, *called])
    return shlex.join(called if module is None else ["python", *called])


def parse(command: str | None) -> Called | None:
    """Return what a run's command line says; None where it says nothing.

    Examples
    --------
    >>> parse("python -O -m pkg.train --lr 1").module, parse("train.py --lr 1").script
    ('pkg.train', 'train.py')
    """
    try:
        words = shlex.split(command or "")
    except ValueError:
        return None
    options: list[str] = []
    if words[:1] == ["python"] and words[1:2] and words[1].startswith("-"):
        options, words = _options(words[1:])
    if words[:1] == ["-m"] and len(words) > 1:
        return Called(
            options=tuple(options), module=words[1], script="", arguments=tuple(words[2:])
        )
    if not words or not words[0]:
        return None
    return Called(options=tuple(options), module=None, script=words[0], arguments=tuple(words[1:]))


def name() -> str:
    """Return what a run is called by default: after the script or module; "" at a prompt."""
    path = Path(sys.argv[0]) if sys.argv and sys.argv[0] else Path()
    if path.name == "__main__.py":  # of a package, or of a folder
        return path.absolute().parent.name
    return path.stem.strip("-")


def _module(project: Project | None) -> str | None:
    """Return the name of the module that `python -m` ran, None where it was a script."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is None or not sys.argv or spec.origin != sys.argv[0]:
        return None
    if project is not None and project.root not in Path(spec.origin).resolve().parents:
        return None
    found = str(spec.name)
    return found.removesuffix(_MAIN) if found != "__main__" else None


def _options(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the options of an interpreter, and what comes after them.

    Examples
    --------
    >>> _options(["-X", "dev", "-um", "pkg", "-O"])
    (['-X', 'dev', '-u'], ['-m', 'pkg', '-O'])
    """
    found: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word in _WITH_VALUE:
            found += [word, *rest[:1]]
            del rest[:1]
        elif word.startswith(_WITH_VALUE):
            found.append(word)
        else:
            letters = word[1:] if not word.startswith("--") else ""
            end = min((letters.find(one) for one in "mcWX" if one in letters), default=-1)
            if end < 0 or letters[end] in "WX":
                found.append(word)
                if 0 <= end == len(letters) - 1:  # '-OW error'
                    found += rest[:1]
                    del rest[:1]
                continue
            found += [f"-{letters[:end]}"] if end else []
            value = letters[end + 1 :]
            return found, [f"-{letters[end]}", *([value] if value else []), *rest]
    return found, rest
