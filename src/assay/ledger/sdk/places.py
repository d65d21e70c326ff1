"""Where a process records its runs: which ledger or hub, and the folders beside the project.

ASSAY_LEDGER names a ledger, as `assay repro` does for its stages; ASSAY_HUB or the setting
`hub.url` a hub; without them it is the ledger of the project. Outside a project, what waits for
a hub lies in the user's state folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import NotFound
from assay.ledger.sinks import is_hub, sink_of

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.sdk.channel import Channel
    from assay.ledger.sinks import Sink
    from assay.objects.cache import Cache
    from assay.project.workspace import Project


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the runs of a process are recorded.

    Attributes
    ----------
    where : str
        The path or URL of a ledger, or the URL of a hub.
    folder : Path
        `.assay`, or what stands for it outside a project.
    token : str or None
        What a hub lets this process in by.
    """

    where: str
    folder: Path
    token: str | None = None

    @property
    def objects(self) -> Cache:
        """Where files lie by content on this machine."""
        from assay.objects.cache import Cache

        return Cache(self.folder / "objects" / "sha256", algorithm="sha256")

    @property
    def spool(self) -> Path:
        """Where that lies which could not be written yet."""
        return self.folder / "spool"

    @property
    def is_hub(self) -> bool:
        """Whether a hub keeps the runs."""
        return is_hub(self.where)

    def open(self, *, create: bool = False) -> Ledger:
        """Open the ledger, or that of the hub, for functions that a hub can be asked for."""
        if self.is_hub:
            from assay.ledger.askable import HubLedger
            from assay.ledger.hub import HubSink

            return HubLedger.open(HubSink(self.where, objects=self.objects, token=self.token))
        from assay.ledger.database import open_ledger

        return open_ledger(self.where, create=create)

    def read(self, oid: str) -> bytes:
        """Return the content of an object, which a hub may have to send first."""
        objects = self.objects
        if self.is_hub and not objects.has(oid):
            sink = self.sink()
            try:
                sink.fetch(oid, objects)
            finally:
                sink.rest()
        return objects.read(oid)

    def sink(self) -> Sink:
        """Return a way to what it keeps, for one thread; end it with `rest`."""
        return sink_of(self.where, objects=self.objects, token=self.token)

    def channel(self) -> Channel:
        """Return the way of this process to it."""
        from assay.ledger.sdk import channels

        return channels.channel(
            self.where, folder=self.spool, objects=self.objects, token=self.token
        )


def find_project() -> Project | None:
    """Return the project around the current folder, or None."""
    from assay.project import workspace

    try:
        return workspace.find()
    except NotFound:
        return None


def find(project: Project | None) -> Place:
    """Return where runs are recorded now.

    Raises
    ------
    NotFound
        If that is nowhere: there is neither a project nor a variable that names a place.
    """
    where = _named("ASSAY_LEDGER") or hub(project)
    if where is None:
        from assay.project import settings, workspace

        project = project or workspace.find()  # which says what to do
        where = str(settings.ledger_where(project))
    folder = _state_folder() if project is None else project.assay_dir
    return Place(where=where, folder=folder, token=token(project))


def own(project: Project) -> Place:
    """Return the ledger of a project, whatever hub scripts record to; a stage's is its run's."""
    from assay.project import settings

    where = _named("ASSAY_LEDGER") or str(settings.ledger_where(project))
    return Place(where=where, folder=project.assay_dir, token=token(project))


def hub(project: Project | None) -> str | None:
    """Return the address of the hub that scripts record to; None where it is the ledger."""
    named = _named("ASSAY_HUB") or setting("hub.url", project)
    return named.rstrip("/") if named else None


def _named(variable: str) -> str | None:
    """Return the place that a variable names, if any.

    Raises
    ------
    Usage
        If it is an address without its protocol: that would be the name of a file.
    """
    from assay.base import settings

    found = os.environ.get(variable)
    settings.check_address(variable, found)
    return found or None


def token(project: Project | None) -> str | None:
    """Return what the hub lets this process in by."""
    return os.environ.get("ASSAY_TOKEN", "").strip() or setting("hub.token", project) or None


def setting(key: str, project: Project | None = None) -> Any:
    """Return one of our settings; outside a project that of the environment, or its default."""
    from assay.base import settings
    from assay.project.settings import Store

    project = project or find_project()
    if project is not None:
        return Store(project).value(key)
    name = settings.variable(key)
    return settings.resolve(key, [(name, {key: os.environ[name]} if name in os.environ else {})])


def _state_folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(base) / "assay"
