"""What lies at a path of the workspace: the hash of a file, or the files of a directory."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import overload

import msgspec

from assay.base.errors import Error, NotFound
from assay.base.files import explain
from assay.base.progress import progress
from assay.objects import tree
from assay.objects.cache import EXECUTABLE, Cache
from assay.objects.hashing import Algorithm, hash_file
from assay.objects.index import Folder, Index, Looks, Seen, looks, mark_of, seen
from assay.objects.tree import Entry

Skip = Callable[[str, bool], bool]
"""Says of an absolute path, and whether it is a directory, that it does not count."""


_KIND, _FILE, _FOLDER = 0o170000, 0o100000, 0o040000  # as `stat` has them, without its calls
_MOVE = "move it out of the folder"
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
    entries : sequence of Entry or None
        The files of a directory, sorted by path.
    n_hashed : int
        How many files had to be read.
    """

    oid: str
    size: int
    n_files: int | None = None
    is_executable: bool = False
    entries: Sequence[Entry] | None = None
    n_hashed: int = 0


class _Later(Sequence[Entry]):
    """The files of a folder that is as it was: nobody lists them before they are asked for."""

    def __init__(self, count: int, make: Callable[[], list[Entry]]) -> None:
        self._count, self._make = count, make
        self._made: list[Entry] | None = None

    def _all(self) -> list[Entry]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> list[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | list[Entry]:
        return self._all()[at]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._make() if self._made is None else self._made)  # kept by nobody


def no_skip(_path: str, _is_dir: bool) -> bool:
    """Skip nothing."""
    return False


def walk(folder: str, *, skip: Skip = no_skip) -> dict[str, Looks]:
    """Return what the files below a folder look like, by relative path.

    Links to files are followed, links to folders passed by. Where `skip` has a method `names_in`,
    it says which names alone are skipped below a folder; None where `skip` has to be asked.

    Raises
    ------
    Error
        At a FIFO, socket or device, a dangling link, a name that is not UTF-8, or a `.dvcignore`
        inside the folder.
    """
    found: dict[str, Looks] = {}
    names_in = getattr(skip, "names_in", None)
    names = names_in(folder) if names_in is not None else None  # no patterns lie further down
    todo = [(folder, "")]
    while todo:
        place, prefix = todo.pop()
        try:
            with _listed(place) as entries:
                for entry in entries:
                    name = entry.name
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if name in names if names is not None else skip(f"{place}/{name}", is_folder):
                        continue
                    if is_folder:
                        todo.append((f"{place}/{name}", f"{prefix}{name}/"))
                        continue
                    if name == ".dvcignore" or not name.isascii():
                        _refuse_name(place, name)
                    status = entry.stat() if not entry.is_symlink() else _target(entry, place)
                    if status.st_mode & _KIND == _FILE:
                        found[prefix + name] = looks(status)
                    elif status.st_mode & _KIND != _FOLDER:
                        raise Error(_NOT_DATA, where=f"{place}/{name}", hint=_MOVE)
        except OSError as error:
            raise explain(error, place) from error
    return found


@contextlib.contextmanager
def _listed(folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """List a folder by a descriptor: the way to it is not gone again for the status of a file."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with os.scandir(descriptor) as entries:
            yield entries
    finally:
        os.close(descriptor)


def _refuse_name(place: str, name: str) -> None:
    if name == ".dvcignore":
        raise Error(
            "a '.dvcignore' lies inside a tracked folder",
            where=f"{place}/{name}",
            hint="move its patterns to the .dvcignore at the project's root",
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise Error(
            f"the file name {os.fsencode(name)!r} is not UTF-8",
            where=repr(place),
            hint="rename the file; a manifest can only hold UTF-8 names",
        ) from None


def _target(entry: os.DirEntry[str], place: str) -> os.stat_result:
    """Return the status of what a link points to."""
    try:
        return entry.stat()
    except FileNotFoundError:
        raise Error(
            "the link points to nothing", where=f"{place}/{entry.name}", hint=_NO_TARGET
        ) from None


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
    place = str(path)
    if stat.S_ISDIR(status.st_mode):
        files = walk(place, skip=skip)
        known = _as_it_was(place, files, index)
        return known or _scan_folder(place, files, index, label=label, began=began)
    remembered = index.get(place, status)
    if remembered is not None:
        return file_content(remembered, status, n_hashed=0)
    oid, _ = _hash(place, index.algorithm)
    index.put({place: seen(status, oid)}, began=began)
    return file_content(oid, status, n_hashed=1)


def _as_it_was(place: str, files: dict[str, Looks], index: Index) -> Content | None:
    """Return the content of a folder in which no file has changed since it was remembered."""
    before = index.folder(place)
    if before is None or before.n_files != len(files) or before.mark != mark_of(files):
        return None
    relpaths, algorithm = sorted(files), index.algorithm

    def entries() -> list[Entry]:
        oids = index.oids_below(place)  # of these very files: they look as they did
        return [Entry(r, oids.get(r) or _hash(f"{place}/{r}", algorithm)[0]) for r in relpaths]

    return Content(
        oid=before.oid,
        size=before.size,
        n_files=before.n_files,
        entries=_Later(before.n_files, entries),
    )


def _scan_folder(
    place: str, files: dict[str, Looks], index: Index, *, label: str, began: int
) -> Content:
    oids, unknown = _known(files, index.below(place))
    rows: dict[str, Seen] = {}
    with progress(label, total=len(unknown)) as bar:
        for relpath in unknown:
            oid, _ = _hash(f"{place}/{relpath}", index.algorithm)
            oids[relpath] = oid
            rows[f"{place}/{relpath}"] = (files[relpath], oid)
            bar.advance()
    is_known = index.put(rows, began=began)
    entries = _entries(oids)
    found = _folder(files, entries, tree.oid_of(entries, algorithm=index.algorithm), len(unknown))
    if is_known:
        _remember_folder(place, files, found, index)
    return found


def _remember_folder(place: str, files: dict[str, Looks], found: Content, index: Index) -> None:
    index.put_folder(place, Folder(mark_of(files), found.oid, found.size, len(files)))


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
    if stat.S_ISDIR(status.st_mode):
        files = walk(str(path), skip=skip)
        return _store_folder(
            str(path), files, cache, index, label=label, hardlink=hardlink, began=began
        )
    known = index.get(str(path), status)
    if known is not None and cache.has(known):
        return file_content(known, status, n_hashed=0)
    with progress(label, total=status.st_size, unit="bytes") as bar:
        stored = cache.add_files([path], advance=bar.advance, hardlink=hardlink)[0]
    if hardlink:  # the link changed the file's status
        if status.st_mode & 0o111 and not path.stat().st_mode & 0o111:
            path.chmod(EXECUTABLE)
        _remember([str(path)], [stored.oid], index)
    else:
        index.put({str(path): seen(status, stored.oid)}, began=began)
    return file_content(stored.oid, status, n_hashed=1)


def _store_folder(
    place: str,
    files: dict[str, Looks],
    cache: Cache,
    index: Index,
    *,
    label: str,
    hardlink: bool,
    began: int,
) -> Content:
    oids, missing = _known(files, index.below(place))
    lost = frozenset(cache.lacking(oids.values()))
    missing += [relpath for relpath, oid in oids.items() if oid in lost]
    is_known = _store_files(
        place, files, missing, oids, cache, index, label=label, hardlink=hardlink, began=began
    )
    entries = _entries(oids)
    found = _folder(files, entries, tree.add(cache, entries), len(missing))
    if is_known:
        _remember_folder(place, files, found, index)
    return found


def _store_files(
    place: str,
    files: dict[str, Looks],
    missing: list[str],
    oids: dict[str, str],
    cache: Cache,
    index: Index,
    *,
    label: str,
    hardlink: bool,
    began: int,
) -> bool:
    """Store some files, add their hashes to `oids`, and say whether all are remembered."""
    paths = [f"{place}/{relpath}" for relpath in missing]
    total = sum(files[relpath][2] for relpath in missing)
    with progress(label, total=total, unit="bytes") as bar:
        stored = cache.add_files(paths, advance=bar.advance, hardlink=hardlink)
    oids.update(zip(missing, (one.oid for one in stored), strict=True))
    if hardlink:
        _remember(paths, [one.oid for one in stored], index)
        return False
    rows = {
        path: (files[relpath], oids[relpath]) for path, relpath in zip(paths, missing, strict=True)
    }
    return index.put(rows, began=began)


def _remember(paths: Sequence[str], oids: Sequence[str], index: Index) -> None:
    """Remember files that were taken in by link: they are read-only now."""
    rows = {path: seen(os.stat(path), oid) for path, oid in zip(paths, oids, strict=True)}  # noqa: PTH116
    index.put(rows, settled=True)


def _hash(path: str, algorithm: Algorithm) -> tuple[str, int]:
    try:
        return hash_file(path, algorithm=algorithm)
    except OSError as error:
        raise explain(error, path) from error


def _known(
    files: dict[str, Looks], rows: dict[str, Seen]
) -> tuple[dict[str, str], list[str]]:  # fmt: skip
    """Return the hashes of the files that look as they did, and the paths of the others."""
    known: dict[str, str] = {}
    unknown: list[str] = []
    for relpath, look_now in files.items():
        row = rows.get(relpath)
        if row is not None and row[0] == look_now:
            known[relpath] = row[1]
        else:
            unknown.append(relpath)
    return known, unknown


def _entries(oids: dict[str, str]) -> list[Entry]:
    return [Entry(relpath, oids[relpath]) for relpath in sorted(oids)]


def _folder(
    files: dict[str, Looks], entries: list[Entry], oid: str, n_hashed: int
) -> Content:  # fmt: skip
    return Content(
        oid=oid,
        size=sum(look_now[2] for look_now in files.values()),
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
