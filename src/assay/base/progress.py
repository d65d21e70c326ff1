"""One way to show progress: a line on stderr that redraws itself, silent when not a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_quiet = False


def set_quiet(*, quiet: bool) -> None:
    """Silence all progress of this process (the CLI's `-q`)."""
    global _quiet  # noqa: PLW0603 -- one switch for one terminal
    _quiet = quiet


class Progress:
    """A counter that draws itself at most ten times a second, and only after the first second."""

    def __init__(self, label: str, *, total: int | None, unit: str) -> None:
        self.label, self.total, self.unit, self.count = label, total, unit, 0
        self._start = self._last = time.monotonic()
        self._drawn = False
        self._on = not _quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def advance(self, by: int = 1) -> None:
        """Count `by` more units."""
        self.count += by
        if not self._on:
            return
        now = time.monotonic()
        if now - self._start < 1 or now - self._last < 0.1:
            return
        self._last = now
        self._draw(now - self._start)

    def _draw(self, seconds: float) -> None:
        share = f"/{self._amount(self.total)}" if self.total else ""
        rate = self._amount(int(self.count / seconds))
        line = f"{self.label}: {self._amount(self.count)}{share} {self._name()}, {rate}/s"
        sys.stderr.write(f"\r\x1b[K{line[:120]}")
        sys.stderr.flush()
        self._drawn = True

    def _amount(self, value: int | None) -> str:
        return human_size(value or 0) if self.unit == "bytes" else f"{value or 0:,}"

    def _name(self) -> str:
        return "" if self.unit == "bytes" else self.unit

    def close(self) -> None:
        """Take the line away."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@contextmanager
def progress(label: str, *, total: int | None = None, unit: str = "files") -> Iterator[Progress]:
    """Show that `label` is going on; `unit` is what is counted ('bytes' is shown as sizes)."""
    bar = Progress(label, total=total, unit=unit)
    try:
        yield bar
    finally:
        bar.close()


def human_size(size: float) -> str:
    """Return a number of bytes for people, in powers of 1000.

    Examples
    --------
    >>> human_size(999), human_size(1_144_308), human_size(2.5e9)
    ('999 B', '1.1 MB', '2.5 GB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def counted(count: int, noun: str) -> str:
    """Return a number of things for people.

    Examples
    --------
    >>> counted(1, "object"), counted(1200, "object")
    ('1 object', '1,200 objects')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
