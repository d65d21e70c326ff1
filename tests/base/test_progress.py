from __future__ import annotations

import io
import sys

import pytest

from assay.base import progress


def test_nothing_is_drawn_where_no_terminal_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.progress("hashing", total=3) as bar:
        bar.advance(3)
    assert bar.count == 3
    assert sys.stderr.getvalue() == ""


def test_a_terminal_gets_a_line_and_it_is_taken_away(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress("pushing", total=2_000_000, unit="bytes") as bar:
        bar._start = bar._last = bar._start - 2  # as if two seconds had passed
        bar.advance(1_000_000)
    shown = sys.stderr.getvalue()
    assert "pushing: 1.0 MB/2.0 MB" in shown
    assert shown.endswith("\r\x1b[K")
