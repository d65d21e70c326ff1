"""A store of objects on this machine: each file under the hash of its bytes, read-only, whole.

`.dvc/cache/files/md5` and `.assay/objects/sha256` are two of these. The layout is DVC's:
`ab/cdef…`, and `ab/cdef….dir` for the manifest of a directory.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from assay.base.errors import Error, NotFound
from assay.base.files import explain
from assay.objects import legacy
from assay.objects.hashing import Algorithm, hash_bytes, hash_file, write_all
from assay.objects.legacy import is_legacy

DIR = ".dir"
"""The suffix of the oid of a manifest."""

EXECUTABLE = 0o544
"""The mode of an object that a link in the workspace shares, where that is to be run; as DVC's."""
_READ_ONLY = 0o444
_WORTH = 8  # names in a listing cost as much as one question
_ENTRY_SIZE = 40  # bytes of a name in a folder
_SHORTEST = 3  # characters of an oid: a folder, and a name in it


class Stored(msgspec.Struct, frozen=True):
    """An object that is in a cache: its oid (hexadecimal) and its size in bytes."""

    oid: str
    size: int


class Damaged(Error):
    """An object's bytes do not have its hash."""


class Cache:
    """Objects by content in one folder.

    Parameters
    ----------
    folder : Path
        The root of the store; made with the first object.
    algorithm : str
        What names the objects: "md5", "sha256", or "md5-dos2unix" as in DVC 2.
    legacy : Path, optional
        Where objects of DVC 2 lie, beside those of this cache.
    """

    def __init__(
        self, folder: Path, *, algorithm: Algorithm = "md5", legacy: Path | None = None
    ) -> None:
        self.folder = folder
        self.algorithm: Algorithm = algorithm
        self._root = str(folder)
        self._legacy = folder if algorithm == "md5-dos2unix" else legacy or folder / "md5-dos2unix"

    def of(self, oid: str) -> Cache:
        """Return the store that an oid belongs to: this one, or that of DVC 2 beside it."""
        if not is_legacy(oid) or self.algorithm == "md5-dos2unix":
            return self
        return Cache(self._legacy, algorithm="md5-dos2unix")

    def path(self, oid: str) -> Path:
        """Return where the object lies, or would lie."""
        return Path(self.place(oid))

    def place(self, oid: str) -> str:
        """Return the same as `path`, as text: for ten thousand objects in a row.

        Raises
        ------
        NotFound
            If the oid could not be a hash: its place might be outside of the store.
        """
        if len(oid) < _SHORTEST or not oid.removesuffix(DIR).isalnum():
            return self._other_place(oid)
        return f"{self._root}/{oid[:2]}/{oid[2:]}"

    def _other_place(self, oid: str) -> str:
        plain = legacy.plain(oid)
        if is_legacy(oid) and len(plain) >= _SHORTEST and plain.removesuffix(DIR).isalnum():
            return f"{self._legacy}/{legacy.key_of(oid)}"
        raise NotFound(
            f"the object {oid[:200]!r} is not in the cache: that is no hash",
            where=self.folder,
            hint="what names it was not written by Assay or DVC, or is damaged",
        )

    def has(self, oid: str) -> bool:
        """Say whether the object is here; its bytes are not looked at."""
        try:
            return os.path.lexists(self.place(oid))
        except NotFound:
            return False

    def lacking(self, oids: Iterable[str]) -> list[str]:
        """Return those of many oids that are not here.

        A folder of which many are asked is listed once, unless it holds far more.
        """
        asked = [*oids]
        folders: dict[str, list[str]] = {}
        for oid in asked:
            folders.setdefault("" if is_legacy(oid) else oid[:2], []).append(oid)
        absent: set[str] = set()
        for shard, some in folders.items():
            at_most = _WORTH * len(some)
            names = _names(f"{self._root}/{shard}", at_most=at_most) if shard.isalnum() else None
            if names is None:
                absent.update(oid for oid in some if not self.has(oid))
            else:
                absent.update(oid for oid in some if oid[2:] not in names)
        return [oid for oid in asked if oid in absent]

    def __contains__(self, oid: str) -> bool:
        return self.has(oid)

    def __iter__(self) -> Iterator[str]:
        """Go through the oids of all objects, in no order."""
        listed = legacy.list_oids if self.algorithm == "md5-dos2unix" else list_oids
        yield from listed(self.folder)

    def read(self, oid: str) -> bytes:
        """Return the bytes of an object, checked against its oid.

        Raises
        ------
        NotFound
            If it is not here.
        Damaged
            If its bytes have another hash; it is moved aside, so that a pull brings it again.
        """
        try:
            content = self.path(oid).read_bytes()
        except FileNotFoundError:
            raise self.missing(oid) from None
        except OSError as error:
            raise explain(error, self.path(oid)) from error
        if hash_bytes(content, algorithm=self.of(oid).algorithm) != oid.removesuffix(DIR):
            raise self.damaged(oid)
        return content

    def named(self, oid: str) -> str:
        """Return an oid as a person is shown it, with its algorithm."""
        return oid if is_legacy(oid) else f"{self.algorithm}:{oid}"

    def aside(self, oid: str) -> Path:
        """Return where the bytes of a damaged object are kept."""
        return self.folder / "damaged" / legacy.plain(oid)

    def missing(self, oid: str) -> NotFound:
        """Return the error that says an object is not here."""
        return NotFound(
            f"the object {self.named(oid)} is not in the cache",
            where=self.path(oid),
            hint="get it from a remote with 'assay pull'",
        )

    def damaged(self, oid: str) -> Damaged:
        """Move an object with wrong bytes aside and return the error that says so."""
        path, aside = self.path(oid), self.aside(oid)
        kept = f"its bytes are kept in {aside}"
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            path.replace(aside)
        except OSError:
            kept = "it could not be moved aside"
        return Damaged(
            f"the object {self.named(oid)} is damaged: its bytes have another hash; {kept}",
            where=path,
            hint="get a good one with 'assay pull', or make it again with 'assay repro'",
        )

    def verify(self, oid: str) -> bool:
        """Say whether the bytes of an object have its hash. A missing object raises."""
        try:
            found, _ = hash_file(self.place(oid), algorithm=self.of(oid).algorithm)
        except FileNotFoundError:
            raise self.missing(oid) from None
        return found == oid.removesuffix(DIR)

    def add(self, content: bytes, *, suffix: str = "") -> str:
        """Store `content` and return its oid; `suffix` is ".dir" for a manifest."""
        oid = hash_bytes(content, algorithm=self.algorithm) + suffix
        if self.has(oid):
            return oid
        from assay.objects.staging import staging

        with staging(self.folder) as stage:
            name = stage.new()
            target = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _READ_ONLY)
            try:
                write_all(target, content)
            finally:
                os.close(target)
            stage.publish([(name, self.place(oid))])
        return oid

    def add_file(self, path: Path) -> Stored:
        """Store the bytes of one file and return its oid and size."""
        return self.add_files([path])[0]

    def add_files(
        self,
        paths: Iterable[Path | str],
        *,
        advance: Callable[[int], None] | None = None,
        hardlink: bool = False,
    ) -> list[Stored]:
        """Store many files, each read once, durable before it gets its name.

        Those of a few seconds get theirs together, so that a `kill -9` or Ctrl-C costs little.

        Parameters
        ----------
        paths : iterable of Path or str
            The files; symlinks are followed.
        advance : callable, optional
            Told the number of bytes as they are read.
        hardlink : bool
            Take the files in by hard link, where the file system can: no second copy is written,
            and the files in the workspace become read-only. Falls back to a copy.
        """
        if not hardlink:
            return self._copied([str(path) for path in paths], advance=advance)
        from assay.objects.copying import copy  # here and below: to look copies nothing
        from assay.objects.staging import Batches, staging

        stored: list[Stored] = []
        pending: set[str] = set()
        with staging(self.folder) as stage:
            moves: list[tuple[str, str]] = []
            batches = Batches(stage, self._root)
            for path in paths:
                if batches.is_due():
                    stage.publish(moves)
                    moves.clear()
                    batches.settle()
                name = stage.new()
                if _hardlinked(path, name):
                    oid, size = hash_file(name, algorithm=self.algorithm, advance=advance)
                else:
                    oid, size = copy(
                        str(path), name, algorithm=self.algorithm, mode=_READ_ONLY, advance=advance
                    )
                stored.append(Stored(oid, size))
                if oid in pending or self.has(oid):
                    os.unlink(name)  # noqa: PTH108 -- ten thousand times in a row
                    continue
                os.chmod(name, _READ_ONLY)  # noqa: PTH101
                pending.add(oid)
                batches.grow(size)
                moves.append((name, self.place(oid)))
            stage.publish(moves)
        return stored

    def _copied(
        self, paths: list[str], *, advance: Callable[[int], None] | None
    ) -> list[Stored]:  # fmt: skip
        from assay.objects.copying import store_all
        from assay.objects.staging import staging

        root = len(self._root)
        with (
            staging(self.folder) as stage,
            stage.filling(self._root, self._is_whole, after_error=False) as batches,
        ):
            found = store_all(
                paths,
                place=lambda oid: stage.place + self.place(oid)[root:],
                has=self.has,
                spare=f"{stage.new()}-",
                algorithm=self.algorithm,
                mode=_READ_ONLY,
                advance=advance,
                batches=batches,
            )
        return [Stored(oid, size) for oid, size in found]

    def _is_whole(self, name: str, path: str) -> bool:
        """Say whether the bytes of a staged file have the hash that its name says."""
        found, _ = hash_file(path, algorithm=self.algorithm)
        return legacy.plain(found) == name.replace("/", "")

    def remove(self, oid: str) -> None:
        """Remove an object; one that is not here is fine."""
        self.path(oid).unlink(missing_ok=True)


def _hardlinked(path: Path | str, name: str) -> bool:
    try:
        os.link(os.path.realpath(path), name)
    except OSError as error:
        if error.errno in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}:
            return False
        raise
    return True


def _names(folder: str, *, at_most: int) -> set[str] | None:
    """Return the names in a folder, or None where there are likely to be more."""
    try:
        if os.stat(folder).st_size > at_most * _ENTRY_SIZE:  # noqa: PTH116 -- 256 in a row
            return None
        return set(os.listdir(folder))  # noqa: PTH208
    except FileNotFoundError:
        return set()


def list_oids(folder: Path) -> Iterator[str]:
    """Go through the oids in a folder of DVC's layout, in no order; other files are passed by."""
    try:
        shards = [entry for entry in os.scandir(folder) if len(entry.name) == 2]
    except FileNotFoundError:
        return
    for shard in shards:
        if shard.is_dir():
            for name in os.listdir(shard.path):  # noqa: PTH208 -- names alone are four times faster
                if not name.startswith("."):
                    yield shard.name + name
