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

    from assay.ledger.sinks import Sink
    from assay.ledger.writer import Artifact
    from assay.objects.cache import Cache
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
        return names.find(_of_model(text), project=project)
    if isinstance(ref, str) and text.startswith("runs:/"):
        return _of_run(text, project=project)
    return names.find(ref, project=project)


def _of_model(address: str) -> str:
    """Return `MODEL@3` for `models:/MODEL/3`, and `MODEL@ALIAS` for `models:/MODEL@ALIAS`."""
    match = re.fullmatch(r"models:/([^/@]+)(?:/(\d{1,9})|@([^/@]+))/*", address)
    if match is None:
        raise Error(
            f"the address {address!r} cannot be read",
            hint="write it as models:/MODEL/3 or models:/MODEL@ALIAS",
        )
    return f"{match[1]}@{match[2] or match[3]}"


def _of_run(address: str, *, project: Project | None) -> Contents | Path:
    from assay.ledger import downloads, places
    from assay.ledger.sinks import is_hub, sink_of

    project = project or places.find_project()
    place = places.find(project)
    run, path = downloads.split(address)
    if not run:
        raise Error(f"the address {address!r} names no run", hint="runs:/RUN/PATH")
    if not path and not is_hub(place.where):
        return names.find(run, project=project)
    sink = sink_of(place.where, objects=place.objects, token=place.token)
    try:
        id_, found = downloads.find(sink, address)
        of_bundle = _bundle(found, path)
        if of_bundle:
            return _opened(place.objects, sink, found, of_bundle)
        if not path:
            raise NotFound(f"the run {id_} made no bundle", hint=f"name a file: {address}/PATH")
        downloads.bring(place, sink, found)
        return downloads.write(place, id_, found, path)
    finally:
        sink.rest()


def _bundle(found: Sequence[Artifact], path: str) -> str | None:
    """Return the hash of the bundle that files are, or that lies alone among all of a run."""
    indexes = [one for one in found if Path(one.path).name == INDEX]
    if path:
        wanted = {path, f"{path}/{INDEX}"}
        indexes = [one for one in indexes if one.path in wanted]
    return indexes[0].oid.removeprefix("sha256:") if len(indexes) == 1 else None


def _opened(objects: Cache, sink: Sink, found: Sequence[Artifact], oid: str) -> Contents:
    for one in found:
        file = one.oid.removeprefix("sha256:")
        if not objects.has(file):
            sink.fetch(file, objects)
    return contents.read_objects(objects, oid)
