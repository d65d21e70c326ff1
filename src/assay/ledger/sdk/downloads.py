"""The files that a run keeps, on this machine: found in the ledger or the hub, copied to a folder.

Copies lie in `.assay/artifacts/RUN`; they are a person's to change, and are written again when
they are asked for again. `assay.load("runs:/RUN/PATH")` returns their path.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.errors import NotFound, did_you_mean
from assay.base.files import inside
from assay.objects import copying

if TYPE_CHECKING:
    from assay.ledger.sdk.places import Place
    from assay.ledger.sinks import Sink
    from assay.ledger.writer import Artifact

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
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        source = place.objects.place(one.oid.removeprefix("sha256:"))
        copying.copy(source, str(target), algorithm="sha256", mode=0o644)
    return folder / path if path else folder
