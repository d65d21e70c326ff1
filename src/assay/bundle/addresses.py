"""Addresses in MLflow's form: `runs:/RUN/PATH` and `models:/MODEL/VERSION`, as bundle or file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.errors import Error, NotFound
from assay.bundle import contents
from assay.bundle import find as names
from assay.bundle.contents import Contents
from assay.bundle.index import INDEX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assay.ledger.models import Version
    from assay.ledger.sdk.places import Place
    from assay.ledger.writer import Artifact
    from assay.project.workspace import Project


def find(ref: str | Path, *, project: Project | None = None) -> Contents | Path:
    """Return the bundle that a name or an address means, or the copy of a file that a run keeps.

    Raises
    ------
    NotFound
        If there is none.
    Error
        If the bundle is not whole, or the address cannot be read.
    """
    text = str(ref)
    if isinstance(ref, str) and text.startswith("models:/"):
        return _of_model(text, project=project)
    if isinstance(ref, str) and text.startswith("runs:/"):
        return _of_run(text, project=project)
    return names.find(ref, project=project)


def _place(project: Project | None) -> Place:
    from assay.ledger.sdk import places

    return places.find(places.find_project()) if project is None else places.own(project)


def _of_model(address: str, *, project: Project | None) -> Contents | Path:
    """Return the bundle of a version; of a model of another tool's, the folder of its files."""
    place = _place(project)
    try:
        return names.read(place, names.of_version(place, _version(address)))
    except names.NoBundle as error:
        return _files_of(place, error.version)


def version(ref: str, *, project: Project | None = None) -> Version | None:
    """Return the version that a name or an address means; None where it is another name."""
    if ref.startswith("models:/"):
        ref = _version(ref)
    elif not names.names_version(ref) or Path(ref).exists():
        return None
    return names.version_of(_place(project), ref)


def _version(address: str) -> str:
    """Return how we write a version; only `MODEL@ALIAS` may mean two.

    Examples
    --------
    >>> [_version(f"models:/churn{end}") for end in ("/3", "@live", "/latest")]
    ['churn/3', 'churn@live', 'churn']
    """
    match = re.fullmatch(r"models:/([^/@]+)(?:/(\d{1,9}|latest)|@([^/@]+))/*", address)
    if match is None:
        raise Error(
            f"the address {address!r} cannot be read",
            hint="write it as models:/MODEL/3, models:/MODEL/latest or models:/MODEL@ALIAS",
        )
    if match[2] == "latest":
        return match[1]
    return f"{match[1]}/{match[2]}" if match[2] else f"{match[1]}@{match[3]}"


def _files_of(place: Place, of: Version) -> Path:
    from assay.ledger import listing
    from assay.ledger.sdk import downloads

    with place.open() as ledger:
        found = listing.files_of_version(ledger, of)
    if not found:
        raise NotFound(
            f"the files of version {of.number} of the model '{of.model}' are not kept "
            "in this ledger",
            where=of.source,
            hint="open it with the tool that made it",
        )
    sink = place.sink()
    try:
        downloads.bring(place, sink, found)
    finally:
        sink.rest()
    return downloads.write(place, f"{of.model}-{of.number}", found, "")


def _of_run(address: str, *, project: Project | None) -> Contents | Path:
    from assay.ledger.sdk import downloads

    place = _place(project)
    run, path = downloads.split(address)
    if not run:
        raise Error(f"the address {address!r} names no run", hint="runs:/RUN/PATH")
    if not path:
        return names.find(run, project=project)
    sink = place.sink()
    try:
        id_, found = downloads.find(sink, address)
        index = _index(found, path)
        if index is None:
            downloads.bring(place, sink, found)
            return downloads.write(place, id_, found, path)
        names.bring(place.objects, sink, index)
        return contents.read_objects(place.objects, index)
    finally:
        sink.rest()


def _index(found: Sequence[Artifact], path: str) -> str | None:
    """Return the hash of the index of a bundle that lies at a path, None if none does."""
    wanted = {path, f"{path}/{INDEX}"}
    indexes = [one for one in found if Path(one.path).name == INDEX and one.path in wanted]
    return indexes[0].oid.removeprefix("sha256:") if len(indexes) == 1 else None
