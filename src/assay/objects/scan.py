"""What lies at a path of the workspace: the hash of a file, or the files of a directory."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from assay.base.errors import Error, NotFound
from assay.base.files import explain
from assay.base.progress import progress
from assay.objects import tree
from assay.objects.cache import EXECUTABLE, Cache
from assay.objects.hashing import hash_file
from assay.objects.index import Index, Seen, same, seen
from assay.objects.tree import Entry

Skip = Callable[[str, bool], bool]
"""Says of an absolute path, and whether it is a directory, that it does not count."""


_NO_TARGET = "bring its target back, or remove the link"
_NOT_DATA = "neither a file nor a folder; only those can be tracked"


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What lies at a path.

    Attributes
    ----------
    oid : str
        Its MD5; with `.dir` for a directory.
    size : int
        Bytes; the sum of the files for a directory.
    n_files : int or None
        Number of files of a directory, None for a file.
    is_executable : bool
        Whether a file has any executable bit; False for a directory.
    entries : list of Entry or None
        The files of a directory, sorted by path.
    n_hashed : int
        How many files had to be read.
    """

    oid: str
    size: int
    n_files: int | None = None
    is_executable: bool = False
    entries: list[Entry] | None = None
    n_hashed: int = 0


class Found(msgspec.Struct, frozen=True):
    """A file below a scanned directory."""

    relpath: str
    path: str
    status: os.stat_result


def no_skip(_path: str, _is_dir: bool) -> bool:
    """Skip nothing."""
    return False


def walk(folder: Path, *, skip: Skip = no_skip) -> list[Found]:
    """List the files below a folder; links to files are followed, links to folders passed by.

    Raises
    ------
    Error
        At a FIFO, socket or device, a dangling link, a name that is not UTF-8, or a `.dvcignore`
        inside the folder.
    """
    found: list[Found] = []
    todo = [(str(folder), "")]
    while todo:
        place, prefix = todo.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    _visit(entry, prefix, found, todo, skip)
        except OSError as error:
            raise explain(error, place) from error
    return found


def _visit(
    entry: os.DirEntry[str],
    prefix: str,
    found: list[Found],
    todo: list[tuple[str, str]],
    skip: Skip,
) -> None:
    name = entry.name
    relpath = f"{prefix}{name}"
    if entry.is_dir(follow_symlinks=False):
        if not skip(entry.path, True):
            todo.append((entry.path, f"{relpath}/"))
        return
    if skip(entry.path, False):
        return
    if name == ".dvcignore":
        raise Error(
            "a '.dvcignore' lies inside a tracked folder",
            where=entry.path,
            hint="move its patterns to the .dvcignore at the project's root",
        )
    try:
        relpath.encode()
    except UnicodeEncodeError:
        raise Error(
            f"the file name {os.fsencode(name)!r} is not UTF-8",
            where=repr(prefix or "."),
            hint="rename the file; a manifest can only hold UTF-8 names",
        ) from None
    try:
        status = entry.stat()
    except FileNotFoundError:
        raise Error("the link points to nothing", where=entry.path, hint=_NO_TARGET) from None
    if stat.S_ISREG(status.st_mode):
        found.append(Found(relpath, entry.path, status))
    elif not stat.S_ISDIR(status.st_mode):
        raise Error(_NOT_DATA, where=entry.path, hint="move it out of the folder")


def look(path: Path) -> os.stat_result:
    """Return the status of a file or directory, or say what is wrong with the path."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        raise Error(
            f"the path {os.fsencode(path)!r} is not UTF-8",
            hint="rename it; the record of data can only hold UTF-8 names",
        ) from None
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise NotFound("the link points to nothing", where=path, hint=_NO_TARGET) from None
        raise NotFound("does not exist", where=path, hint="check the spelling") from None
    except OSError as error:
        raise explain(error, path) from error
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise Error(_NOT_DATA, where=path, hint="write what it gives to a file, and track that")
    return status


def scan(path: Path, index: Index, *, skip: Skip = no_skip, label: str = "hashing") -> Content:
    """Return the content of a file or directory, reading only what the index does not know."""
    began = time.time_ns()
    status = look(path)
    if stat.S_ISDIR(status.st_mode):
        files = walk(path, skip=skip)
        known, missing = _known(files, index.below(str(path)))
        with progress(label, total=len(missing)) as bar:
            rows = {}
            for file in missing:
                oid, _ = _hash(file.path)
                known[file.relpath] = oid
                rows[file.path] = seen(file.status, oid)
                bar.advance()
        if rows:
            index.put(rows, began=began)
        return directory(files, known, n_hashed=len(missing))
    remembered = index.get(str(path), status)
    if remembered is not None:
        return file_content(remembered, status, n_hashed=0)
    oid, _ = _hash(str(path))
    index.put({str(path): seen(status, oid)}, began=began)
    return file_content(oid, status, n_hashed=1)


def store(
    path: Path,
    cache: Cache,
    index: Index,
    *,
    skip: Skip = no_skip,
    label: str = "adding",
    hardlink: bool = False,
) -> Content:
    """Put a file or directory into the cache and return its content; what is there is not read."""
    began = time.time_ns()
    status = look(path)
    if not stat.S_ISDIR(status.st_mode):
        known = index.get(str(path), status)
        if known is not None and cache.has(known):
            return file_content(known, status, n_hashed=0)
        with progress(label, total=status.st_size, unit="bytes") as bar:
            stored = cache.add_files([path], advance=bar.advance, hardlink=hardlink)[0]
        if hardlink:  # the link changed the file's status
            if status.st_mode & 0o111 and not path.stat().st_mode & 0o111:
                path.chmod(EXECUTABLE)
            _remember({str(path): stored.oid}, index)
        else:
            index.put({str(path): seen(status, stored.oid)}, began=began)
        return file_content(stored.oid, status, n_hashed=1)
    files = walk(path, skip=skip)
    oids, unknown = _known(files, index.below(str(path)))
    here = set(cache) if len(oids) > 100 else None
    has = cache.has if here is None else here.__contains__
    missing = unknown + [f for f in files if f.relpath in oids and not has(oids[f.relpath])]
    with progress(label, total=sum(f.status.st_size for f in missing), unit="bytes") as bar:
        stored_files = cache.add_files(
            (f.path for f in missing), advance=bar.advance, hardlink=hardlink
        )
    rows = {}
    for file, stored in zip(missing, stored_files, strict=True):
        oids[file.relpath] = stored.oid
        rows[file.path] = seen(file.status, stored.oid)
    if hardlink:
        _remember({p: r.oid for p, r in rows.items()}, index)
    else:
        index.put(rows, began=began)
    content = directory(files, oids, n_hashed=len(missing))
    tree.add(cache, content.entries or [])
    return content


def _remember(oids: dict[str, str], index: Index) -> None:
    """Remember files that were taken in by link: they are read-only now."""
    index.put({p: seen(Path(p).stat(), oid) for p, oid in oids.items()}, settled=True)


def _hash(path: str) -> tuple[str, int]:
    try:
        return hash_file(path)
    except OSError as error:
        raise explain(error, path) from error


def _known(files: list[Found], rows: dict[str, Seen]) -> tuple[dict[str, str], list[Found]]:
    """Split files into those whose hash is known (by relative path) and those to read."""
    known: dict[str, str] = {}
    missing: list[Found] = []
    for file in files:
        row = rows.get(file.path)
        if row is not None and same(row, file.status):
            known[file.relpath] = row.oid
        else:
            missing.append(file)
    return known, missing


def directory(files: list[Found], oids: dict[str, str], *, n_hashed: int) -> Content:
    """Make the content of a directory from its files and their hashes."""
    entries = sorted(Entry(f.relpath, oids[f.relpath]) for f in files)
    return Content(
        oid=tree.oid_of(entries),
        size=sum(f.status.st_size for f in files),
        n_files=len(files),
        entries=entries,
        n_hashed=n_hashed,
    )


def file_content(oid: str, status: os.stat_result, *, n_hashed: int) -> Content:
    """Make the content of a file from its hash and status."""
    return Content(
        oid=oid,
        size=status.st_size,
        is_executable=bool(status.st_mode & 0o111),
        n_hashed=n_hashed,
    )


def iter_oids(content: Content) -> Iterator[str]:
    """Go through the oids that a content is made of: files first, then the manifest."""
    for entry in content.entries or []:
        yield entry.oid
    yield content.oid
