from __future__ import annotations

import io
import sys

import pytest  # noqa: TC002 -- as everywhere

from assay.base import progress


def test_nothing_is_drawn_where_no_terminal_is(monkeypatch: pytest.MonkeyPatch):
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    with progress.progress("hashing", total=3) as bar:
        bar.advance(3)
    assert bar.count == 3
    assert shown.getvalue() == ""


def test_a_terminal_gets_a_line_and_it_is_taken_away(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress("pushing", total=2_000_000, unit="bytes") as bar:
        bar._start = bar._last = bar._start - 2  # as if two seconds had passed
        bar.advance(1_000_000)
    assert "pushing: 1.0 MB/2.0 MB" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
