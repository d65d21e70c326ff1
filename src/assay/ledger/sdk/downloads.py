"""The files that a run keeps, on this machine: found in the ledger or the hub, copied to a folder.

Copies lie in `.assay/artifacts/RUN`; they are a person's to change, and are written again when
they are asked for again. `assay.load("runs:/RUN/PATH")` returns their path.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from assay.base.errors import Error, NotFound, did_you_mean
from assay.base.files import explain, inside
from assay.objects import copying

if TYPE_CHECKING:
    from assay.ledger.sdk.places import Place
    from assay.ledger.sinks import Sink
    from assay.ledger.writer import Artifact
    from assay.objects.cache import Cache

RUNS = "runs:/"


def split(address: str) -> tuple[str, str]:
    """Return the run and the path that an address names.

    Examples
    --------
    >>> split("runs:/0190ab/plots/roc.png"), split("runs:/0190ab")
    (('0190ab', 'plots/roc.png'), ('0190ab', ''))
    """
    run, _, path = address.removeprefix(RUNS).strip("/").partition("/")
    return run, path.strip("/")


def find(sink: Sink, address: str) -> tuple[str, list[Artifact]]:
    """Return the id of a run, and the file or the files of the folder that an address names.

    Raises
    ------
    NotFound
        If there is no such run, or it keeps nothing there.
    """
    name, path = split(address)
    run = sink.find(name).id
    found = sink.artifacts(run, path)
    if not found:
        every = [one.path for one in sink.artifacts(run, "")]
        near = did_you_mean(path, every)
        shown = ", ".join(every[:8]) + (", …" if len(every) > 8 else "")
        said = f"it keeps: {shown}" if every else "it keeps no files"
        raise NotFound(f"the run {run} keeps nothing at {path!r}", hint=near or said)
    return run, found


def bring(place: Place, sink: Sink, found: Sequence[Artifact]) -> None:
    """See to it that the contents of files are in the store of this machine."""
    objects = place.objects
    for one in found:
        oid = one.oid.removeprefix("sha256:")
        if not objects.has(oid):
            sink.fetch(oid, objects)


def write(place: Place, run: str, found: Sequence[Artifact], path: str) -> Path:
    """Write files to the folder of their run, and return where that is which was asked for."""
    folder = inside(place.folder / "artifacts", run)
    for one in found:
        target = inside(folder, one.path)
        with contextlib.suppress(OSError):  # what is in the way is said below
            target.unlink()
        copy_one(place.objects, one.oid.removeprefix("sha256:"), one.path, folder)
    return folder / path if path else folder


def copy_one(objects: Cache, oid: str, path: str, folder: Path) -> None:
    """Copy a file of a run to its path in a folder, where there is none.

    Raises
    ------
    Error
        If the file system does not take it there, or it is damaged. Nothing is there then.
    """
    target = inside(folder, path)
    source = objects.place(oid)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        copied, _ = copying.copy(source, str(target), algorithm="sha256", mode=0o644)
    except OSError as error:
        raise _in_the_way(folder, path) or explain(error, target) from error
    if copied != oid:
        target.unlink()
        raise objects.damaged(oid)


def _in_the_way(folder: Path, path: str) -> Error | None:
    """Return the error of a run that keeps a file where another one of it needs a folder."""
    hint = "copy it alone to another folder: 'assay runs artifacts RUN PATH --out DIR'"
    target = folder / path
    if os.path.isdir(target):  # noqa: PTH112 -- false where a name is too long
        return Error("a folder is there, with other files of this name", where=target, hint=hint)
    above = [folder / one for one in PurePosixPath(path).parents if one.name]
    for one in above:
        if os.path.isfile(one):  # noqa: PTH113
            what = f"the folder for it cannot be made: there is a file {one.name!r}"
            return Error(what, where=target, hint=hint)
    return None
