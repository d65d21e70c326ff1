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
from pathlib import Path, PurePosixPath

from assay.ledger.sdk import calling

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
    here = directory
    for words in _simple_commands(text):
        if words == ["\n"]:
            here = directory
        if words[0] == "cd" and len(words) > 1:
            here = None if here is None else posixpath.join(here, words[1])
            continue
        is_python = False
        for place, word in enumerate(words):
            if is_python and word == "-m" and place + 1 < len(words):
                yield from ((here, name) for name in _of_module(words[place + 1]))
            is_program = place == 0 and "/" in word
            name = word.rpartition("=")[2]
            if is_program or PurePosixPath(name).suffix.lower() in _CODE:
                yield here, name
            is_python = is_python or _PYTHON.fullmatch(posixpath.basename(word)) is not None


def _simple_commands(text: str) -> Iterator[list[str]]:
    """Split lines of a shell where one command ends; what they write to is left out.

    Between two lines, which are a shell's each, there is one of a newline alone.
    """
    lexer = shlex.shlex(text, posix=True, punctuation_chars=_BETWEEN)
    lexer.whitespace, lexer.whitespace_split = " \t\r", True
    words: list[str] = []
    is_target = False
    try:
        for word in lexer:
            if not set(word) <= set(_BETWEEN):
                words += [] if is_target else [word]
                is_target = False
                continue
            is_target = word.strip("&|").endswith(">")
            if not is_target and "<" not in word:
                yield from [words] if words else []
                yield from [["\n"]] if "\n" in word else []
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
    if posixpath.isabs(name):
        found = os.path.relpath(name, root)
    elif directory is None:
        return None
    else:
        found = posixpath.normpath(posixpath.join(directory, name))
    return None if found == "." or found.split("/")[0] == ".." or posixpath.isabs(found) else found
