"""The ledger whose runs commands list, and what they say where scripts record elsewhere."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from assay.base.errors import Error
from assay.cli.output import note
from assay.project import workspace

if TYPE_CHECKING:
    from assay.ledger.database import Ledger


def open_runs() -> Ledger:
    """Open the ledger; runs of scripts whose process is gone are marked so at this look."""
    from assay.base.clock import now_ms
    from assay.ledger.database import open_ledger
    from assay.ledger.writer import Writer
    from assay.project.settings import ledger_where

    ledger = open_ledger(ledger_where(workspace.find()), create=False)
    with contextlib.suppress(Error):  # where it can be read and not written
        Writer(ledger).mark_killed(at=now_ms(), kind="script")
    return ledger


def has_runs() -> bool:
    """Say whether there is a ledger; where scripts record to a hub, that is said."""
    from assay.ledger.places import hub
    from assay.project.settings import has_ledger

    project = workspace.find()
    where = hub(project)
    if where is not None:
        note(
            f"These are the runs of this project's own ledger. Scripts record to the hub {where}: "
            "assay.search_runs() reads there."
        )
    return has_ledger(project)
