"""The files of registered bundles in the tree of the hub: `bundles/ID/FILE`, to read.

A version that `assay model register` made has its files there, so that a client of MLflow can
list and download them. Only bundles that a version names are shown, and nothing can be written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.api.mlflow.errors import invalid, missing
from assay.bundle import index as indexes
from assay.bundle.index import INDEX, File
from assay.ledger.artifacts import Entry, Kept

if TYPE_CHECKING:
    from assay.api.hub import Hub

ROOT = "bundles"


def is_in(path: str) -> bool:
    """Tell whether a path of the tree is one of these.

    Examples
    --------
    >>> is_in("bundles/5e/golden.json"), is_in("3/5e/artifacts/x")
    (True, False)
    """
    return path.split("/", maxsplit=1)[0] == ROOT


def get(hub: Hub, path: str) -> Kept:
    """Return a file of a bundle.

    Raises
    ------
    Refused
        If no registered version is this bundle, it is not in the hub's store, or has no such file.
    """
    files, name, at = _opened(hub, path)
    if name in files:
        file = files[name]
        return Kept(path=name, oid=f"sha256:{file.sha256}", size=file.size, at=at)
    if _below(files, name):
        raise invalid(f"Artifact path refers to a directory, not a file: '{name}'")
    raise missing(f"No such artifact: '{name}'")


def list_(hub: Hub, path: str) -> list[Entry]:
    """Return what lies in a folder of a bundle, by name; nothing where there is no such folder."""
    files, name, _ = _opened(hub, path)
    return _below(files, name)


def _below(files: dict[str, File], folder: str) -> list[Entry]:
    """Return the files and folders right below a folder; "" is the bundle itself."""
    above = f"{folder}/" if folder else ""
    found: dict[str, Entry] = {}
    for name, file in files.items():
        if name.startswith(above):
            head, slash, _ = name.removeprefix(above).partition("/")
            size = None if slash else file.size
            found[above + head] = Entry(path=above + head, size=size)
    return [found[name] for name in sorted(found)]


def _opened(hub: Hub, path: str) -> tuple[dict[str, File], str, int]:
    """Return the files of the bundle that a path is in, the rest of the path, and its moment."""
    _, oid, *rest = *path.split("/"), "", ""
    created = _registered(hub, oid)
    if created is None:
        raise missing(f"No registered version is the bundle '{oid}'")
    if not hub.objects.has(oid):
        raise missing(f"The bundle '{oid}' is registered, but not in the store of this hub")
    content = hub.objects.read(oid)
    index = indexes.load(content, where=f"{ROOT}/{oid}")
    files = {**index.files, INDEX: indexes.file_of(content)}
    return files, "/".join(rest).strip("/"), created


def _registered(hub: Hub, oid: str) -> int | None:
    """Return when a bundle was first registered; None where no version is this bundle."""
    from sqlalchemy import func, select

    from assay.ledger.tables import version

    there = (version.c.bundle == f"sha256:{oid}", version.c.deleted.is_(None))
    query = select(func.min(version.c.created)).where(*there)
    with hub.ledger.read() as connection:
        created: int | None = connection.execute(query).scalar()
        return created
