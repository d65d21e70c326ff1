"""The ledger that commands on runs and models work with: the project's, a hub's, or a folder's."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.base.errors import Error
from assay.cli.output import note
from assay.project import workspace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from assay.ledger.database import Ledger
    from assay.objects.cache import Cache
    from assay.workflows.record_places import Place

directory_option = click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The ledger in the folder of a project or of a hub.",
)


def open_place(directory: Path | None = None) -> Ledger:
    """Open the ledger of a folder, or where this project records: the hub of `hub.url`, if any."""
    from assay.ledger.database import open_ledger
    from assay.ledger.sdk import places

    if directory is not None:
        return open_ledger(own_place(directory).ledger, create=False)
    return places.find(places.find_project()).open()


def open_runs(directory: Path | None = None) -> Ledger:
    """Open the ledger; runs whose process is gone are marked so at this look.

    What a killed `repro` left running in this project is ended. A hub looks by itself.
    """
    from assay.base.clock import now_ms
    from assay.ledger import liveness
    from assay.ledger.sdk import places
    from assay.pipeline import killed

    project = places.find_project() if directory is None else own_place(directory).project
    if project is not None:
        with contextlib.suppress(Error, OSError):  # the ledger can be read and not written
            killed.settle(project)
    ledger = open_place(directory)
    liveness.look(ledger, at=now_ms())
    return ledger


def bring(directory: Path | None, oids: Iterable[str]) -> Cache:
    """Return where objects lie, after a hub sent those that are not here."""
    from assay.ledger.sdk import places

    if directory is not None:
        return own_place(directory).objects
    place = places.find(places.find_project())
    missing = [oid for oid in oids if not place.objects.has(oid)] if place.is_hub else []
    if missing:
        sink = place.sink()
        try:
            for oid in missing:
                sink.fetch(oid, place.objects)
        finally:
            sink.rest()
    return place.objects


def has_runs(directory: Path | None = None) -> bool:
    """Say whether there is a ledger to look into."""
    from assay.ledger.sdk import places

    if directory is not None:
        return True
    project = places.find_project()
    place = places.find(project)
    return project is None or "://" in place.where or Path(place.where).exists()


def own_place(directory: Path | None, *, create: bool = False) -> Place:
    """Return where the runs of a folder lie, or those of this project; never a hub's address."""
    from assay.workflows import record_places

    if directory is None:
        return record_places.of_project(workspace.find())
    if (directory / ".assay").is_dir() and not (directory / "ledger.db").exists():
        return record_places.of_project(workspace.find(directory))
    return record_places.of_hub(directory, create=create)


def say_whose(directory: Path | None) -> None:
    """Say that a command works on the project's own ledger, where the runs are a hub's."""
    from assay.ledger.sdk import places

    hub = places.hub(places.find_project())
    if directory is None and hub is not None:
        note(
            f"This works on the project's own ledger, not at the hub {hub}. On the machine of the "
            "hub, '--directory' with its folder does it there."
        )
