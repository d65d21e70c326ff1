"""Get data from another repository or an address, without tracking them; no project is needed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
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

_PASSING = ".assay-get-"
_GRACE_SECONDS = 60.0


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
        with _passing(target) as cache:
            oids = source.store(nodes, cache)
            files = [_file(n, node, oids[n.path]) for n in nodes]
            return _placed(target, files, cache, where=source.shown, is_dir=node.is_dir)


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
    with _passing(target) as cache:
        content = address.store(cache, Index(Path(":memory:")))
        files = [_File(e.relpath, e.oid, is_executable=False) for e in content.entries or []]
        is_dir = content.entries is not None
        if not is_dir:
            files = [_File("", content.oid, is_executable=content.is_executable)]
        return _placed(target, files, cache, where=address.shown, is_dir=is_dir)


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


@contextlib.contextmanager
def _passing(target: Path) -> Iterator[Cache]:
    """Make a cache on the file system of the target for what is on its way, and take it away.

    Those that killed processes left there go, too: nobody holds them.
    """
    folder = target.parent
    while not folder.is_dir():
        folder = folder.parent
    try:
        passing = Path(tempfile.mkdtemp(prefix=_PASSING, dir=folder))
        held = os.open(passing, os.O_RDONLY)
    except OSError as error:
        raise explain(error, folder) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        _sweep(folder, keep=passing)
        yield Cache(passing / "files" / "md5")
    finally:
        shutil.rmtree(passing, ignore_errors=True)
        os.close(held)


def _sweep(folder: Path, *, keep: Path) -> None:
    for left in folder.glob(f"{_PASSING}*"):
        with contextlib.suppress(OSError):
            is_fresh = time.time() - left.stat().st_mtime < _GRACE_SECONDS
            if left == keep or (is_fresh and not any(left.iterdir())):
                continue  # another process may be about to hold it
            descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(descriptor)


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
