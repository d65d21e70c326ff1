"""What a script opens is remembered up to a bound, whatever it does with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from assay.ledger import reads
from assay.ledger.reads import Reads

if TYPE_CHECKING:
    import pytest


def test_files_that_are_written_count_as_those_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reads, "_MOST", 10)
    heard = Reads()
    heard._root = f"{tmp_path}/"
    for number in range(100):
        heard._hear("open", (f"{tmp_path}/{number}", "r" if number % 2 else "w", 0))
    assert len(heard._read) == len(heard._written) == 5
