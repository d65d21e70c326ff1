"""Which files of the project a recorded command line ran; whether they were there is not asked.

A script's run has the script and its arguments, or Python with its options and a script or
`-m MODULE` (`assay.ledger.sdk.calling`). A stage's run has lines of a shell: a file counts there
where it is the program, or has the ending of code.
"""

from __future__ import annotations

import os
import posixpath
import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

from assay.ledger.sdk import calling
from assay.pipeline import command as shell

_CODE = frozenset(
    {
        ".bash", ".go", ".ipynb", ".jl", ".js", ".lua", ".mjs", ".php", ".pl", ".py", ".r", ".rb",
        ".scala", ".sh", ".sql", ".ts", ".zsh",
    }
)  # fmt: skip
_BETWEEN = "();<>|&\n"
_PYTHON = re.compile(r"(python|pypy)[\d.]*")
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_MAIN = "__main__"
_BEFORE = frozenset(
    {"!", "do", "elif", "else", "exec", "if", "then", "time", "until", "while", "{"}
)
"""Words of a shell that a command may follow."""
_NOT_RUN = re.compile(r"""('[^']*'|"(?:[^"\\]|\\.)*"|\\.)|(?<![^\s();<>|&])\#[^\n]*""", re.DOTALL)
"""A comment of a shell; before it, what is quoted, where none begins."""


def programs(kind: str, command: str | None, directory: str | None, *, root: Path) -> list[str]:
    """Return the files that a command ran, relative to the project.

    Parameters
    ----------
    kind : str
        That of the run; other ones than 'script' and 'stage' ran none.
    directory : str or None
        Where it ran, relative to the project; None is outside.
    root : Path
        The folder of the project, for names that are absolute.

    Examples
    --------
    >>> programs("script", "train.py --lr 0.1", "src", root=Path("/p"))
    ['src/train.py']
    >>> programs("script", "/p/my/train.py", ".", root=Path("/p"))
    ['my/train.py']
    >>> programs("stage", "cd src && python prepare.py > out.py", ".", root=Path("/p"))
    ['src/prepare.py']
    >>> programs("script", "python -m pkg.mod", ".", root=Path("/p"))
    ['pkg/mod.py', 'pkg/mod/__main__.py']
    >>> programs("script", "python -O -X dev train.py", ".", root=Path("/p"))
    ['train.py']
    """
    if command is None or kind not in {"script", "stage"}:
        return []
    if kind == "script":
        named = [(directory, name) for name in _of_script(command)]
    else:
        named = list(_of_shell(command, directory))
    places = (_inside(name, folder, root=root) for folder, name in named)
    return list(dict.fromkeys(place for place in places if place is not None))


def modules(kind: str, command: str | None) -> list[str]:
    """Return the files that a module may be, relative to wherever Python looks for modules.

    Examples
    --------
    >>> modules("script", "python -O -m pkg.mod --lr 1")
    ['pkg/mod.py', 'pkg/mod/__main__.py']
    """
    if command is None or " -m " not in command:
        return []
    if kind == "script":
        called = calling.parse(command) if command.startswith("python -") else None
        return [] if called is None or called.module is None else _of_module(called.module)
    names = [name for _, name in _of_shell(command, ".")]
    return [name for name in names if _is_of_module(name, command)]


def hints(path: str) -> set[str]:
    """Return words of which a command that ran a file has at least one.

    Examples
    --------
    >>> hints("src/train model.py"), sorted(hints("pkg/__main__.py"))
    ({'train'}, ['__main__', 'pkg'])
    """
    place = PurePosixPath(path)
    names = [place.stem, *([place.parent.name] if place.stem == _MAIN else [])]
    return {max(re.findall(r"\w+", name), key=len, default="") for name in names if name}


def _of_script(command: str) -> list[str]:
    try:
        words = command.split() if not re.search(r"[\\'\"]", command) else shlex.split(command)
    except ValueError:
        return []
    if words[:1] == ["python"]:
        called = calling.parse(command)
        if called is not None and called.module is not None:
            return _of_module(called.module)
        words = [] if called is None else [called.script]
    return words[:1] if words and words[0] not in {"", "-", "-c", "-m"} else []


def _of_shell(text: str, directory: str | None) -> Iterator[tuple[str | None, str]]:
    """Go through the files that lines of a shell run, each with the folder where it is then."""
    here, outside = directory, list[str | None]()
    is_script = _is_script(text)
    for words in _simple_commands(text):
        if words == ["\n"]:
            here = here if is_script else directory
        elif words == ["("]:
            outside.append(here)
        elif words == [")"]:
            here = outside.pop() if outside else here
        elif words[0] == "cd":
            here = _entered(here, words[1:])
        else:
            yield from ((here, name) for name in _of_command(words))


def _entered(here: str | None, arguments: list[str]) -> str | None:
    """Return the folder that `cd` leads to; None where only the shell knew it."""
    named = [one for one in arguments if not re.fullmatch("-[-LPe@]*", one)]
    if not named or named[0].startswith(("-", "~")) or "$" in named[0]:
        return None
    is_known = here is not None or posixpath.isabs(named[0])
    return posixpath.join(here or "", named[0]) if is_known else None


def _of_command(words: list[str]) -> Iterator[str]:
    is_python = False
    for place, word in enumerate(words):
        if is_python and word == "-m" and place + 1 < len(words):
            yield from _of_module(words[place + 1])
        is_program = place == 0 and "/" in word
        name = word.rpartition("=")[2]
        if is_program or PurePosixPath(name).suffix.lower() in _CODE:
            yield name
        is_python = is_python or _PYTHON.fullmatch(posixpath.basename(word)) is not None


@lru_cache(maxsize=1024)
def _is_script(text: str) -> bool:
    """Say whether lines were run by one shell, as those are of which one is no command alone."""
    first, _, rest = text.partition("\n")
    return first == "set -e" and shell.commands(rest) == [text]


def _simple_commands(text: str) -> Iterator[list[str]]:
    """Split lines of a shell where one command ends; what they write to is left out.

    Between two lines there is one of a newline alone, and around a subshell those of a
    parenthesis alone.
    """
    bare = _NOT_RUN.sub(lambda found: (found[1] or "").replace("\\\n", ""), text)
    lexer = shlex.shlex(bare, posix=True, punctuation_chars=_BETWEEN)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    words: list[str] = []
    is_target = False
    try:
        for word in lexer:
            if not set(word) <= set(_BETWEEN):
                is_word = not is_target and (words or word not in _BEFORE)
                words += [word] if is_word else []
                is_target = False
                continue
            is_target = word.strip("&|").endswith(">")
            if not is_target and "<" not in word:
                yield from [words] if words else []
                yield from ([one] for one in word if one in "\n()")
                words = []
    except ValueError:  # quotes that do not close: what stood before counts
        return
    if words:
        yield words


def _is_of_module(path: str, command: str) -> bool:
    name = path.removesuffix(f"/{_MAIN}.py").removesuffix(".py").replace("/", ".")
    return re.search(rf" -m +{re.escape(name)}(\s|$)", command) is not None


def _of_module(name: str) -> list[str]:
    if not _MODULE.fullmatch(name):
        return []
    path = name.replace(".", "/")
    return [f"{path}.py", f"{path}/{_MAIN}.py"]


def _inside(name: str, directory: str | None, *, root: Path) -> str | None:
    """Return a path relative to the project; None where it is outside, or not known."""
    if directory is None and not posixpath.isabs(name):
        return None
    there = posixpath.join(directory or "", name)
    found = os.path.relpath(there, root) if posixpath.isabs(there) else posixpath.normpath(there)
    return None if found == "." or found.split("/")[0] == ".." else found
