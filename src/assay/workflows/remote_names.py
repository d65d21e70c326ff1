"""What the JSON documents on a remote name, so that nobody has to fetch them to know.

A bundle's index names its files, and no record does. Who sends objects of runs writes down what
each of them names, as `assay/names/HASH`: gzip of one JSON document. That is a fact of the content
and stays true, whichever records come and go.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.objects.hashing import hash_file
from assay.objects.remotes import Item, Remote
from assay.project.workspace import Project
from assay.workflows.record_places import of_project, temporary

PREFIX = "assay/names"
"""Where that lies on a remote."""

_FORM = 1
_NAME = re.compile(rf"{PREFIX}/([0-9a-f]{{64}})")


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Objects by their SHA-256, each with those that it names and were sent with it."""

    names: dict[str, list[str]]
    form: int = _FORM


def write(project: Project, remote: Remote, names: Mapping[str, AbstractSet[str]]) -> None:
    """Write down what objects name; those that name nothing are told of, too."""
    if not names:
        return
    told = Names(names={oid: sorted(named) for oid, named in names.items()})
    with temporary(of_project(project)) as folder:
        path = Path(folder) / "names"
        path.write_bytes(gzip.compress(msgspec.json.encode(told, order="sorted"), mtime=0))
        oid, _ = hash_file(path, algorithm="sha256")
        item = Item(f"{PREFIX}/{oid}", path, oid, "sha256")
        if remote.upload([item], advance=lambda _count: None):
            raise Error("it was changed while it was sent", where=path)


def read(project: Project, remote: Remote) -> dict[str, set[str]]:
    """Return what is written down; a file that is damaged, or of a newer form, tells nothing."""
    found: dict[str, set[str]] = {}
    with temporary(of_project(project)) as folder:
        (Path(folder) / PREFIX).mkdir(parents=True)
        items = [
            Item(key, f"{folder}/{key}", match[1], "sha256")
            for key in remote.list_(PREFIX)
            if (match := _NAME.fullmatch(key))
        ]
        damaged = {one.item.key for one in remote.download(items, advance=lambda _count: None)}
        for item in items:
            told = None if item.key in damaged else _decoded(item.path)
            for oid, names in (told.names if told is not None else {}).items():
                found.setdefault(oid, set()).update(names)
    return found


def _decoded(path: Path) -> Names | None:
    try:
        told = msgspec.json.decode(gzip.decompress(path.read_bytes()), type=Names)
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError):
        return None
    return told if told.form == _FORM else None
