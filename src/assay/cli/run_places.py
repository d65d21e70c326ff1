"""Where runs are: what commands that list those of the project say about a hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.cli.output import note

if TYPE_CHECKING:
    from assay.project.workspace import Project


def note_hub(project: Project) -> None:
    """Say that scripts record elsewhere, where they do."""
    from assay.ledger.places import hub

    where = hub(project)
    if where is not None:
        note(
            f"These are the runs of this project's own ledger. Scripts record to the hub {where}: "
            "assay.search_runs() reads there."
        )
