"""The last lines that a script wrote to its terminal, for the record of its runs.

While a run goes on, `sys.stdout` and `sys.stderr` are what they were, and remember what passes.
What a program that the script starts writes, or a library in C, does not pass here.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from typing import Any, TextIO

_LONGEST = 100_000  # characters that are remembered


class _Listening:
    """A stream that remembers what is written to it; all else is the stream itself."""

    def __init__(self, stream: TextIO, tail: Tail) -> None:
        self._stream, self._tail = stream, tail

    def write(self, text: str) -> int:
        n_written = self._stream.write(text)
        self._tail.add(text)
        return n_written

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Any:
        return iter(self._stream)

    def __enter__(self) -> Any:
        self._stream.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        return self._stream.__exit__(*error)  # type: ignore[arg-type]


class Tail:
    """What was written last; runs inside each other share it."""

    def __init__(self) -> None:
        self._parts: deque[str] = deque()
        self._n_kept = 0
        self.n_seen = 0  # characters
        self._lock = threading.RLock()  # a signal's handler may print, too
        self._users = 0
        self._before: dict[str, tuple[Any, Any]] = {}

    def add(self, text: str) -> None:
        """Remember some text, and forget the oldest above the bound."""
        part, n_seen = text[-_LONGEST:], len(text)
        n_kept = len(part)
        with self._lock:  # no call within a count: a signal's handler may print between
            self._parts.append(part)
            self._n_kept += n_kept
            self.n_seen += n_seen
            while len(self._parts) > 1 and self._n_kept - len(self._parts[0]) >= _LONGEST:
                n_kept = len(self._parts.popleft())
                self._n_kept -= n_kept

    def begin(self) -> int:
        """Listen from now on, and return the place where that is."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                for name in ("stdout", "stderr"):
                    stream = getattr(sys, name)
                    if stream is not None:
                        listening = _Listening(stream, self)
                        self._before[name] = stream, listening
                        setattr(sys, name, listening)
            return self.n_seen

    def end(self) -> None:
        """Listen no more when nobody does."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for name, (stream, listening) in self._before.items():
                    if getattr(sys, name) is listening:  # else somebody else came in between
                        setattr(sys, name, stream)
                self._before.clear()

    def since(self, place: int, *, n_lines: int) -> str:
        """Return the last lines since a place."""
        with self._lock:
            text = "".join(self._parts)
            since = max(0, len(text) - (self.n_seen - place))
        return "".join(text[since:].splitlines(keepends=True)[-n_lines:])


of_process = Tail()
"""The one of this process."""


def _after_fork_in_child() -> None:
    of_process._lock = threading.RLock()  # noqa: SLF001 -- another thread may have held it


os.register_at_fork(after_in_child=_after_fork_in_child)
