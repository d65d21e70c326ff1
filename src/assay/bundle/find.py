"""Which bundle a person means: a folder, an id, a run, or a version of a registered model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.errors import Error, NotFound
from assay.bundle import contents
from assay.bundle import index as indexes
from assay.bundle.contents import Contents
from assay.bundle.index import INDEX

if TYPE_CHECKING:
    from assay.ledger.models import Version
    from assay.ledger.sdk.places import Place
    from assay.ledger.sinks import Sink
    from assay.objects.cache import Cache
    from assay.project.workspace import Project

_HINT = (
    "name a folder, an id or its beginning, a run ('latest'), or MODEL@VERSION with a number or "
    "an alias"
)
_WHOLE = 64  # digits of an id


def find(ref: str | Path, *, project: Project | None = None) -> Contents:
    """Return the contents of the bundle that `ref` names, checked against its index.

    Parameters
    ----------
    project : Project, optional
        Where ids, runs and versions are known: in its own ledger. By default that around the
        current folder, or the hub that it records to.

    Raises
    ------
    NotFound
        If there is none.
    assay.Error
        If `ref` is the beginning of several, or the bundle is not whole.
    """
    folder = Path(ref)
    if folder.name == INDEX and folder.is_file():
        folder = folder.parent
    if folder.is_dir():
        return contents.read_folder(folder)
    text = str(ref)
    if isinstance(ref, Path) or text.startswith((".", "/")):
        raise NotFound("there is no such folder", where=text, hint=_HINT)
    from assay.ledger.sdk import places

    place = places.find(places.find_project()) if project is None else places.own(project)
    return read(place, _oid(place, text))


def read(place: Place, oid: str) -> Contents:
    """Return the contents of the bundle with an index, whose files a hub may have to send."""
    if place.is_hub:
        sink = place.sink()
        try:
            bring(place.objects, sink, oid)
        finally:
            sink.rest()
    return contents.read_objects(place.objects, oid)


def bring(objects: Cache, sink: Sink, oid: str) -> None:
    """Bring the index of a bundle, and then its files, into a store that lacks them."""
    if not objects.has(oid):
        sink.fetch(oid, objects)
    found = indexes.load(objects.read(oid), where=f"sha256:{oid[:12]}")
    for file in found.files.values():
        if not objects.has(file.sha256):
            sink.fetch(file.sha256, objects)


def newest(project: Project) -> str:
    """Return the id of the newest run that made a bundle and finished; see `listing`.

    Raises
    ------
    NotFound
        If there is none.
    """
    from assay.ledger import listing
    from assay.ledger.sdk import places

    try:
        with places.own(project).open() as ledger:
            found = listing.newest_maker(ledger)
    except NotFound:  # nothing was ever recorded here
        found = None
    if found is None:
        raise NotFound("no run that finished made a bundle", hint=_HINT)
    return found


def _oid(place: Place, ref: str) -> str:
    if names_version(ref):
        return of_version(place, ref)
    prefix = ref.removeprefix("sha256:")
    if re.fullmatch(r"[0-9a-f]{4,64}", prefix):
        found = _with_prefix(place.objects, prefix)
        if len(found) > 1:
            shown = ", ".join(f"sha256:{oid[:12]}" for oid in found[:8])
            raise Error(
                f"'{ref}' is the beginning of several bundles: {shown}", hint="give more of the id"
            )
        if found:
            return found[0]
        if place.is_hub and ref.startswith("sha256:") and len(prefix) == _WHOLE:
            return prefix
    if ref.startswith("sha256:"):
        raise NotFound(f"there is no bundle '{ref}' in this project", hint=_HINT)
    return _of_run(place, ref)


def _with_prefix(objects: Cache, prefix: str) -> list[str]:
    """Return the bundles whose id begins with four digits or more."""
    shard = objects.folder / prefix[:2]
    if not shard.is_dir():
        return []
    oids = sorted(
        prefix[:2] + path.name
        for path in shard.iterdir()
        if path.name.startswith(prefix[2:]) and not path.name.startswith(".")
    )
    return [oid for oid in oids if _is_index(objects.path(oid))]


def _is_index(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(10) == b'{"bundle":'


def names_version(ref: str) -> bool:
    """Tell whether a name is that of a version by its letters: `MODEL@…` or `MODEL/3`.

    Examples
    --------
    >>> [ref for ref in ("a@3", "a@live", "a/3", "a/v3", "a", "a/b", "/a/3") if names_version(ref)]
    ['a@3', 'a@live', 'a/3', 'a/v3']
    """
    return "@" in ref or re.fullmatch(r"[^/]+/v?\d{1,9}", ref) is not None


def version_of(place: Place, ref: str) -> Version:
    """Return the version `MODEL@3`, `MODEL/3`, `MODEL@ALIAS`, or `MODEL` for the newest.

    Raises
    ------
    NotFound
        If there is none.
    Error
        If it means one version by its number, and another one by an alias.
    """
    from assay.ledger import models

    with place.open() as ledger:
        return models.get_version(ledger, ref)


def of_version(place: Place, ref: str) -> str:
    """Return the bundle of a version; see `version_of`."""
    version = version_of(place, ref)
    if version.bundle is None:
        raise NoBundle(version)
    return version.bundle.removeprefix("sha256:")


class NoBundle(NotFound):
    """A version is a model that another tool made."""

    def __init__(self, version: Version) -> None:
        super().__init__(
            f"version {version.number} of the model '{version.model}' is no bundle",
            where=version.source,
            hint="another tool made it; the path of its files is "
            f"assay.load('models:/{version.model}/{version.number}')",
        )
        self.version = version


def _of_run(place: Place, ref: str) -> str:
    """Return the bundle that a run, or a part of it, made."""
    from assay.ledger import lineage, runs

    try:
        with place.open() as ledger:
            run = runs.get(ledger, ref)
            made = {
                edge.target.removeprefix("bundle:sha256:")
                for one in (run.id, *run.children)
                for edge in lineage.edges_from(ledger, f"run:{one}")
                if edge.relation == "made" and edge.target.startswith("bundle:sha256:")
            }
    except NotFound as error:
        raise NotFound(f"there is no bundle '{ref}'", hint=_HINT) from error
    if not made:
        raise NotFound(
            f"the run {run.id} made no bundle", hint="call assay.bundle() in its script"
        )
    if len(made) > 1:
        shown = ", ".join(f"sha256:{oid[:12]}" for oid in sorted(made))
        raise Error(f"the run {run.id} made several bundles: {shown}", hint="name one of them")
    return made.pop()
