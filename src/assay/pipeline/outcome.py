"""What a `repro` says while it runs, and what it did in the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from assay.objects.scan import Content
from assay.pipeline.plan import Done


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a `repro` did.

    Attributes
    ----------
    stages : list of Done
        In the order of the plan.
    run : str or None
        The id of the run in the ledger; None where no stage ran.
    files : list of Path
        Files that git should get.
    """

    stages: list[Done]
    run: str | None = None
    files: list[Path] = []
    n_hashed: int = 0
    killed: list[str] = []
    made: list[tuple[Path, Content]] = []


class Events(msgspec.Struct, frozen=True):
    """Where a `repro` says what it does: a line for people, and what commands print."""

    say: Callable[[str], None]
    echo: Callable[[bytes], None]
