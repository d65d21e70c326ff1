"""What a script is told of a place that cannot be written to: once, and where its records wait."""

from __future__ import annotations

import sys
from pathlib import Path

from assay.base.errors import Error


class Notice:
    """Says of one place what waits for it: at most once of a file, and once of memory."""

    def __init__(self, name: str, *, folder: Path) -> None:
        self._name, self._folder = name, folder
        self._told: set[bool] = set()  # whether it waits in a file

    def tell(self, away: Error | None, *, full: Error | None = None) -> None:
        """Say why nothing can be written; `full` is why what waits cannot lie in a file."""
        if (full is None) in self._told:
            return
        self._told.add(full is None)
        reason = "it is busy" if away is None else away.what
        waits = (
            f"in {self._folder}, and is sent by this process, the next run or 'assay runs sync'"
            if full is None
            else f"in memory ({self._folder}: {full.what}), and is lost if this process ends"
        )
        sys.stderr.write(
            f"assay: {self._name} cannot be written to now ({reason}); what is recorded waits "
            f"{waits}\n"
        )
