"""Where runs are recorded: in a project, or in the folder of a hub that belongs to none."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from pathlib import Path

import msgspec

from assay.base.errors import NotFound
from assay.base.files import explain
from assay.objects.cache import Cache
from assay.project.settings import ledger_where
from assay.project.workspace import Project

_LEFT = 86_400  # seconds


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger, the store of objects beside it, and a folder for what is on its way."""

    ledger: Path | str
    objects: Cache
    folder: Path
    project: Project | None = None


def of_project(project: Project) -> Place:
    """Return where a project records its runs."""
    return Place(
        ledger=ledger_where(project),
        objects=project.objects,
        folder=project.assay_dir / "records",
        project=project,
    )


def of_hub(directory: Path, *, create: bool = False) -> Place:
    """Return where `assay hub --directory` records what its clients send.

    Parameters
    ----------
    create : bool
        The folder may be a new one.

    Raises
    ------
    NotFound
        If no hub has been there, unless `create`.
    """
    from assay.workflows import hub

    places = hub.places(directory=directory)
    if not create and not Path(places.ledger).exists():
        raise NotFound(
            "no hub has recorded anything here",
            where=directory,
            hint="give the folder that 'assay hub --directory' was given",
        )
    return Place(
        ledger=places.ledger,
        objects=Cache(places.objects, algorithm="sha256"),
        folder=directory / "records",
    )


def temporary(place: Place) -> tempfile.TemporaryDirectory[str]:
    """Return a folder for records on their way, which goes with its `with`.

    What killed processes left a day ago goes, too.
    """
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        for left in place.folder.glob(".*"):
            with contextlib.suppress(FileNotFoundError):  # that of another command, which ended
                if left.stat().st_mtime < time.time() - _LEFT:
                    shutil.rmtree(left, ignore_errors=True)
        return tempfile.TemporaryDirectory(dir=place.folder, prefix=".")
    except OSError as error:
        raise explain(error, place.folder) from error
