"""Where a hub keeps its ledger and its objects: those of the project, or a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from assay.base.errors import NotFound
from assay.project import workspace
from assay.project.settings import ledger_where

if TYPE_CHECKING:
    from assay.objects.cache import Cache


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """What a hub opens.

    Attributes
    ----------
    ledger : str or Path
        A path or a URL.
    objects : Path
        The folder of the objects.
    """

    ledger: str | Path
    objects: Path

    def cache(self) -> Cache:
        """Return the store of objects."""
        from assay.objects.cache import Cache

        return Cache(self.objects, algorithm="sha256")


def places(
    *, ledger: str | None = None, store: Path | None = None, directory: Path | None = None
) -> Places:
    """Return where a hub's things are.

    Parameters
    ----------
    ledger : str, optional
        A path or a URL, above all else.
    store : Path, optional
        The folder of the objects, above all else.
    directory : Path, optional
        A folder for what is not named; without it, the project is asked.

    Raises
    ------
    NotFound
        If something is not named, and there is no project.
    """
    if ledger is not None and store is not None:
        return Places(ledger=ledger, objects=store)
    if directory is not None:
        return Places(
            ledger=directory / "ledger.db" if ledger is None else ledger,
            objects=directory / "objects" / "sha256" if store is None else store,
        )
    try:
        project = workspace.find()
    except NotFound as error:
        raise NotFound(
            error.what,
            where=error.where,
            hint="name a folder for the hub's ledger and objects: assay hub --directory DIR",
        ) from None
    return Places(
        ledger=ledger_where(project) if ledger is None else ledger,
        objects=project.objects.folder if store is None else store,
    )
