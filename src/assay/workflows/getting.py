"""Get data from another repository or an address, without tracking them; no project is needed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from assay.base.errors import Error, Negative, Usage
from assay.base.files import explain, inside
from assay.objects.cache import Cache
from assay.objects.index import Index
from assay.project.address import open_address
from assay.project.external import Node, Repository
from assay.project.supply import Overrides
from assay.workflows.browsing import around, opened


class Got(NamedTuple):
    """What was gotten: where it lies, how many files, how many bytes."""

    path: Path
    n_files: int
    size: int


class _File(NamedTuple):
    relpath: str  # empty for a single file
    oid: str
    is_executable: bool


def get(
    url: str,
    path: str,
    *,
    cwd: Path,
    out: str | None = None,
    rev: str | None = None,
    force: bool = False,
    overrides: Overrides | None = None,
) -> Got:
    """Copy a file or folder of another repository, tracked as data or by git.

    Nothing is put in place before all of it has arrived and been checked.

    Raises
    ------
    Negative
        If something is there already, and `force` is not given.
    """
    target = _destination(path, out, cwd=cwd, force=force)
    with opened(url, cwd=cwd, rev=rev, overrides=overrides) as source:
        node = source.find(path)
        nodes = list(source.files(node))
        passing = _passing(target)
        try:
            cache = Cache(passing / "files" / "md5")
            oids = source.store(nodes, cache)
            files = [_file(n, node, oids[n.path]) for n in nodes]
            return _placed(target, files, cache, where=source.shown, is_dir=node.is_dir)
        finally:
            shutil.rmtree(passing, ignore_errors=True)


def get_url(
    url: str,
    *,
    cwd: Path,
    out: str | None = None,
    force: bool = False,
    options: dict[str, str] | None = None,
    jobs: int | None = None,
) -> Got:
    """Copy a file or folder from a path or URL."""
    target = _destination(url, out, cwd=cwd, force=force)
    project = around(cwd)
    config = project.config if project is not None else None
    extra = (options or {}) | ({} if jobs is None else {"jobs": str(jobs)})
    address = open_address(url, cwd=cwd, config=config, options=extra)
    passing = _passing(target)
    try:
        cache = Cache(passing / "files" / "md5")
        content = address.store(cache, Index(Path(":memory:")))
        files = [_File(e.relpath, e.oid, is_executable=False) for e in content.entries or []]
        is_dir = content.entries is not None
        if not is_dir:
            files = [_File("", content.oid, is_executable=content.is_executable)]
        return _placed(target, files, cache, where=address.shown, is_dir=is_dir)
    finally:
        shutil.rmtree(passing, ignore_errors=True)


def address_of(source: Repository, path: str) -> str:
    """Return where the object of a tracked file or folder is shared.

    Raises
    ------
    Error
        If it is not tracked as data: then it is in git only.
    """
    node = source.find(path)
    if node.oid is None or node.supply is None:
        raise Error(
            f"'{path}' is not tracked as data, so it has no address on a remote",
            where=source.shown,
            hint="it is in git there; 'assay get' copies it",
        )
    return node.supply.address(node.oid, remote=node.remote)


def _file(node: Node, root: Node, oid: str) -> _File:
    prefix = len(root.path) + 1 if root.path else 0
    relpath = node.path[prefix:] if root.is_dir else ""
    return _File(relpath, oid, is_executable=node.is_executable)


def _destination(source: str, out: str | None, *, cwd: Path, force: bool) -> Path:
    name = os.path.basename(os.path.normpath(urlsplit(source).path))  # noqa: PTH119
    place = out or name
    if out is not None and (cwd / out).is_dir():
        place = os.path.join(out, name)  # noqa: PTH118
    if not place or os.path.basename(os.path.normpath(place)) in {"", ".", ".."}:  # noqa: PTH119
        raise Usage("this has no name of its own", where=source, hint="give one with '--out'")
    target = Path(os.path.normpath(cwd / place))
    if target.suffix == ".dvc":
        raise Usage(
            "a '.dvc' file is a record, not data", where=source, hint="name the data themselves"
        )
    if os.path.lexists(target) and not force:
        raise Negative(
            "there is something here already", where=place,
            hint="give another name with '--out', or overwrite it with '--force'",
        )  # fmt: skip
    return target


def _passing(target: Path) -> Path:
    """Make a folder on the file system of the target for what is on its way."""
    folder = target.parent
    while not folder.is_dir():
        folder = folder.parent
    try:
        return Path(tempfile.mkdtemp(prefix=".assay-get-", dir=folder))
    except OSError as error:
        raise explain(error, folder) from error


def _placed(
    target: Path, files: Sequence[_File], cache: Cache, *, where: str, is_dir: bool
) -> Got:
    """Move files from a cache that goes away to where they belong."""
    umask = os.umask(0)
    os.umask(umask)
    left: dict[str, int] = {}
    for file in files:
        left[file.oid] = left.get(file.oid, 0) + 1
    places = [inside(target, f.relpath, where=where) if f.relpath else target for f in files]
    size = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if is_dir:
            target.mkdir(exist_ok=True)
        for file, place in zip(files, places, strict=True):
            place.parent.mkdir(parents=True, exist_ok=True)
            stored = cache.path(file.oid)
            left[file.oid] -= 1
            if left[file.oid]:  # another file has the same bytes
                copy = cache.folder / "copy"
                shutil.copyfile(stored, copy)
                stored = copy
            size += stored.stat().st_size
            stored.chmod((0o777 if file.is_executable else 0o666) & ~umask)
            stored.replace(place)
    except OSError as error:
        raise explain(error, error.filename or target) from error
    return Got(target, len(files), size)
