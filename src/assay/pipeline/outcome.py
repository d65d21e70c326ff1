"""What a `repro` says while it runs, and what it did in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error
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


class StagesFailed(Error):
    """Stages failed, and what does not depend on them was gone through.

    Attributes
    ----------
    outcome : Outcome or None
        What became of all stages.
    """

    outcome: Outcome | None = None

    def __init__(self, failed: Sequence[str], *, left_out: Sequence[str]) -> None:
        names = " and ".join(f"'{address}'" for address in failed)
        more = f"; left out: {_named(left_out)}" if left_out else ""
        super().__init__(
            f"{'stage' if len(failed) == 1 else 'stages'} {names} failed{more}",
            hint="mend what is said above, and run it again: what ran well does not run again",
        )


def _named(addresses: Sequence[str]) -> str:
    """Return the names of stages for people, the first few where they are many."""
    named = [f"'{address}'" for address in addresses[:8]]
    more = len(addresses) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


class Events(msgspec.Struct, frozen=True):
    """Where a `repro` says what it does: a line for people, and what commands print."""

    say: Callable[[str], None]
    echo: Callable[[bytes], None]
