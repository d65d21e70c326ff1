"""The log of `strace` as calls that went well: one after the other, as they returned.

Source: strace's manual, and what its versions from 5.3 on print for `-f -q -y -ttt`. A log may
have millions of lines: it is read line by line, and what lies outside of a folder is passed over
early. What a call means for a file is the business of `assay.pipeline.strict_steps`.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

_BIRTHS = ("clone", "clone3", "fork", "vfork")
_CALLS = (
    *("open", "openat", "openat2", "creat", "truncate", "mknod", "mknodat"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat"),
    *("symlink", "symlinkat", "link", "linkat", "execve", "execveat", "chdir", "fchdir"),
    *_BIRTHS,
)
OPTIONS = (
    "--seccomp-bpf",  # only the calls of the list stop a process; all others cost nothing
    *("-f", "-q", "-y", "-A"),  # children; no chatter; paths of descriptors; add to the log
    "-ttt",  # Unix seconds
    *("-e", "signal=none", "-e", "trace=" + ",".join(f"?{call}" for call in _CALLS)),
)
"""What `strace` is asked for: the calls that open, make, move and remove files."""

_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"(?:\.\.\.)?|<((?:[^<>\\]|\\.)*)>(?:\(deleted\))?')
_RETURNED = re.compile(rb"(\w+)\((.*)\)\s*= (\d+)(.*)\Z", re.DOTALL)
_LINE = re.compile(rb"(\d+) +(?:(\d+\.\d+) )?(.*)\n\Z", re.DOTALL)
_RESUMED = re.compile(rb"<\.\.\. \w+ resumed>")
_BORN = re.compile(
    rb"(\d+) +(?:\d+\.\d+ )?(?:<\.\.\. )?(?:clone3?|v?fork)\b.*\)\s*= (\d+)\n\Z", re.DOTALL
)
_ESCAPED = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_PLAIN = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}
_UNFINISHED = b" <unfinished ...>"
_TEXT, _FOLDER = "\x00", "\x01"  # what strace never prints


class Path(NamedTuple):
    """A path among the arguments of a call: as given, and the folder that was given with it.

    Attributes
    ----------
    at : str or None
        The folder; None where the path is relative to that of the process.
    """

    text: str
    at: str | None = None
    is_at_process: bool = False  # `at` is the folder of the process, told in passing


class Call(NamedTuple):
    """A call that went well.

    Attributes
    ----------
    arguments : list of str
        With marks in place of texts and paths.
    folder : str
        The path of its first descriptor, as `fchdir` has one.
    opened : str
        The path of the descriptor that it returned, without links; empty where it returned none.
    """

    pid: int
    name: str
    arguments: list[str]
    paths: list[Path]
    folder: str
    result: int
    opened: str

    @property
    def is_birth(self) -> bool:
        """Whether it made a process, or a thread."""
        return self.name in _BIRTHS


class Log:
    """A pass through a log.

    Attributes
    ----------
    ended : list of int
        The processes that ended since it was last emptied.
    began : float or None
        When the first call was made, in Unix seconds.
    """

    def __init__(self, lines: Iterator[bytes], *, inside: str) -> None:
        self._lines = lines
        self._ahead: deque[bytes] = deque()  # lines that were read to understand an earlier one
        self._begun: dict[int, bytes] = {}  # calls that have not returned, by process
        self.ended: list[int] = []
        self.began: float | None = None
        encoded = os.fsencode(inside)
        is_plain = re.fullmatch(rb"[ !#-;=?-\[\]-~]*", encoded)
        self._inside = encoded if is_plain else None  # no early look where strace escapes it

    def calls(self) -> Iterator[Call]:
        """Go through the calls; opening a file outside may be left out."""
        while line := self._ahead.popleft() if self._ahead else next(self._lines, b""):
            found = _LINE.match(line)
            if found is None:
                continue  # a last line without an end: strace was killed
            pid, text = int(found[1]), found[3]
            if self.began is None and found[2]:
                self.began = float(found[2])
            if text.startswith(b"+++"):
                self._begun.pop(pid, None)
                self.ended.append(pid)
                continue
            whole = self._whole(pid, text)
            if whole and not self._is_elsewhere(whole):
                call = _parsed(pid, whole)
                if call is not None:
                    yield call

    def _whole(self, pid: int, text: bytes) -> bytes | None:
        """Return a call as one text; None where this line only begins it."""
        if text.endswith(_UNFINISHED):
            self._begun[pid] = text.removesuffix(_UNFINISHED)
            return None
        if not text.startswith(b"<... "):
            return text
        begun = self._begun.pop(pid, None)
        return None if begun is None else begun + _RESUMED.sub(b"", text, count=1)

    def _is_elsewhere(self, text: bytes) -> bool:
        """Say quickly that a call opened a file outside by a path outside, or failed to open."""
        if not text.startswith(b"open"):
            return False
        if text.endswith(b")") and b" = -1 E" in text[-120:]:
            return True
        if self._inside is None or not (b', "/' in text or text.startswith(b'open("/')):
            return False
        opened = text.rfind(b"<") + 1
        return b'"' + self._inside not in text and not text.startswith(self._inside, opened)

    def in_birth(self) -> list[int]:
        """Return the processes that are in the midst of making another one."""
        return [
            pid for pid, text in self._begun.items() if text.startswith((b"clone", b"fork", b"vf"))
        ]

    def maker(self, pid: int) -> int | None:
        """Read on to the line that says which process made another, and return it."""
        for line in (*self._ahead, None):
            found = _BORN.match(line) if line else None
            if found and int(found[2]) == pid:
                return int(found[1])
        for line in self._lines:
            self._ahead.append(line)
            found = _BORN.match(line)
            if found and int(found[2]) == pid:
                return int(found[1])
        return None


def _parsed(pid: int, text: bytes) -> Call | None:
    """Return a call that went well, from its whole text; None for any other line."""
    pieces: list[str] = []

    def keep(found: re.Match[bytes]) -> bytes:
        is_text = found[1] is not None
        pieces.append(decoded(found[1] if is_text else found[2]))
        return (_TEXT if is_text else _FOLDER).encode()

    found = _RETURNED.match(_QUOTED.sub(keep, text))
    if found is None:
        return None
    arguments = found[2].decode(errors="replace").split(", ")
    left = iter(pieces)
    paths: list[Path] = []
    folder = ""
    at: tuple[str, bool] | None = None
    for argument in arguments:
        if argument == _TEXT:
            paths.append(Path(next(left), *(at or ())))
            at = None
        elif argument.endswith(_FOLDER):
            at = next(left), argument.startswith("AT_FDCWD")
            folder = folder or at[0]
        else:
            at = None
            for _ in range(argument.count(_TEXT) + argument.count(_FOLDER)):
                next(left)
    return Call(
        pid=pid,
        name=found[1].decode(),
        arguments=arguments,
        paths=paths,
        folder=folder,
        result=int(found[3]),
        opened=next(left, ""),
    )


def decoded(text: bytes) -> str:
    r"""Return a text without strace's escapes, which are those of C.

    Examples
    --------
    >>> decoded(rb'a\74b\303\274 \"\\')
    'a<bü "\\'
    """
    if b"\\" not in text:
        return os.fsdecode(text)

    def plain(found: re.Match[bytes]) -> bytes:
        code = found[1]
        return bytes([int(code, 8) & 255]) if code.isdigit() else _PLAIN.get(code, code)

    return os.fsdecode(_ESCAPED.sub(plain, text))
