"""A folder as a remote: on this machine, or on a disk that a team shares."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from assay.base.errors import Error, NotFound
from assay.base.files import explain
from assay.objects.cache import DIR
from assay.objects.copying import Job, copy_all
from assay.objects.hashing import Algorithm, hash_file
from assay.objects.remotes import Damage, Entry, Inside, Item, RemoteSettings
from assay.objects.remotes.options import Options
from assay.objects.staging import PREFIX, IsWhole, staging

KNOWN = frozenset(["shared", "type", "slow_link_warning", "protected"])
"""The last three say how DVC would link from this remote, which we do not."""
_OF_THE_GROUP = 0o2775
_READ_ONLY = 0o444

_Move = tuple[str, str, Item]  # the file, its path below the folder, and what it should be


class LocalRemote:
    """Objects in a folder, read-only, in the layout of the cache."""

    def __init__(self, settings: RemoteSettings) -> None:
        options = Options(settings, known=KNOWN)
        self._name = settings.name
        self._is_shared = options.text("shared") is not None
        if options.text("shared") not in {None, "group"}:
            raise options.fail(f"'shared' is {options.text('shared')!r}, not 'group'")
        self.folder = Path(settings.url.removeprefix("file://")).expanduser()
        self._root = str(self.folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise Error(
                "the remote is a file, not a folder",
                where=self.folder,
                hint=f"give remote '{settings.name}' the path of a folder",
            )

    def absence(self) -> Error | None:
        """Return the error that says that the folder is not there, or None where it is."""
        if self.folder.is_dir():
            return None
        return NotFound(
            f"the folder of remote '{self._name}' is not there",
            where=self.folder,
            hint="mount the disk that it lies on, or correct the address: "
            f"'assay remote modify {self._name} url PATH'; 'assay push' makes the folder",
        )

    def list_(self, prefix: str) -> Iterator[str]:
        """Go through the keys that begin with `prefix`, without those of files on their way."""
        yield from self._walk(prefix, lambda name: name.startswith((PREFIX, ".")))

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Go through all files below `prefix`, with size and time of each."""
        for key in self._walk(prefix, lambda _: False):
            if (entry := self.stat(key)) is not None:
                yield entry

    def _walk(self, prefix: str, hidden: Callable[[str], bool]) -> Iterator[str]:
        top = os.path.join(self._root, prefix)  # noqa: PTH118
        for place, folders, names in os.walk(top, onerror=_raise_unreadable):
            folders[:] = [name for name in folders if not hidden(name)]
            below = os.path.relpath(place, self._root)
            before = "" if below == "." else f"{below}/"
            yield from (f"{before}{name}" for name in names if not hidden(name))

    def inside(self, folder: str) -> Inside:
        """Return what lies in a folder."""
        here = folder.strip("/")
        top = f"{here}/" if here else ""
        try:
            names = os.listdir(f"{self._root}/{here}")  # noqa: PTH208
        except (FileNotFoundError, NotADirectoryError):
            return Inside([], [])
        except OSError as error:
            raise explain(error, f"{self._root}/{here}") from error
        found = [entry for name in names if (entry := self.stat(top + name)) is not None]
        return Inside(
            [entry.key for entry in found if entry.is_folder],
            [entry for entry in found if not entry.is_folder],
        )

    def stat(self, key: str) -> Entry | None:
        """Return size and time of one file, or that it is a folder, or None."""
        try:
            found = os.stat(f"{self._root}/{key}" if key else self._root)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise explain(error, f"{self._root}/{key}") from error
        if stat.S_ISDIR(found.st_mode):
            return Entry(key, is_folder=True)
        if not stat.S_ISREG(found.st_mode):
            return None
        return Entry(key, found.st_size, None, found.st_mtime_ns // 1_000_000)

    def find(self, keys: Sequence[str]) -> set[str]:
        """Return those of `keys` that are there.

        A folder answers one key in microseconds; where many keys share a folder, the folder is
        listed once instead.
        """
        if len(keys) < 500:
            return {key for key in keys if self.stat(key) is not None}
        folders: dict[str, list[str]] = {}
        for key in keys:
            folders.setdefault(key.rpartition("/")[0], []).append(key)
        there: set[str] = set()
        for folder, asked in folders.items():
            try:
                names = set(os.listdir(f"{self._root}/{folder}"))  # noqa: PTH208
            except FileNotFoundError:
                continue
            except PermissionError:  # which forbids to list it, or also to ask for one file
                there.update(key for key in asked if self.stat(key) is not None)
                continue
            there.update(key for key in asked if key.rpartition("/")[2] in names)
        return there

    def upload(self, items: Sequence[Item], *, advance: Callable[[int], None]) -> list[Damage]:
        """Copy files into the folder."""
        fresh = self._missing_folders(items) if self._is_shared else set()
        moves = [(str(item.place), item.key, item) for item in items]
        damaged = _move(moves, self._root, advance=advance)
        for folder in fresh:
            if os.path.isdir(folder):  # noqa: PTH112
                os.chmod(folder, _OF_THE_GROUP)  # noqa: PTH101
        return damaged

    def _missing_folders(self, items: Sequence[Item]) -> set[str]:
        """Return the folders that an upload will make, which the group is to write to."""
        found = {self._root}
        for item in items:
            parts = item.key.split("/")[:-1]
            found.update("/".join([self._root, *parts[: n + 1]]) for n in range(len(parts)))
        return {folder for folder in found if not os.path.exists(folder)}  # noqa: PTH110

    def download(self, items: Sequence[Item], *, advance: Callable[[int], None]) -> list[Damage]:
        """Copy files from the folder into the cache that each item's path lies in."""
        damaged: list[Damage] = []
        roots: dict[str, list[_Move]] = {}
        for item in items:
            root, shard, name = str(item.place).rsplit("/", 2)
            move = (f"{self._root}/{item.key}", f"{shard}/{name}", item)
            roots.setdefault(root, []).append(move)
        for root, moves in roots.items():
            damaged += _move(moves, root, advance=advance)
        return damaged

    def get_file(self, key: str, path: Path, *, algorithm: Algorithm = "md5") -> tuple[str, int]:
        """Write one file over `path`; return its hash and size."""
        source = f"{self._root}/{key}" if key else self._root
        try:
            target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            try:
                return hash_file(source, algorithm=algorithm, into=target)
            finally:
                os.close(target)
        except FileNotFoundError as error:
            raise NotFound("the file is not on the remote", where=source) from error
        except OSError as error:
            raise explain(error, error.filename or path) from error

    def remove(self, keys: Sequence[str]) -> None:
        """Remove files; one that is not there is fine."""
        for key in keys:
            try:
                os.unlink(f"{self._root}/{key}")  # noqa: PTH108
            except FileNotFoundError:
                continue
            except OSError as error:
                raise explain(error, f"{self._root}/{key}") from error


def _raise_unreadable(error: OSError) -> None:
    """Raise what `os.walk` met, but for a folder that is not there, or gone meanwhile."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise explain(error, error.filename) from error


def _move(
    moves: Sequence[_Move], root: str, *, advance: Callable[[int], None]
) -> list[Damage]:  # fmt: skip
    """Copy files into a folder, those that have their hash; what was copied stays."""
    by_algorithm: dict[Algorithm, list[_Move]] = {}
    for move in moves:
        by_algorithm.setdefault(move[2].algorithm, []).append(move)
    damaged: list[Damage] = []
    with staging(Path(root)) as stage, stage.filling(root, _wholeness(moves)) as batches:
        for algorithm, some in by_algorithm.items():

            def job(number: int, some: list[_Move] = some) -> Job:
                source, key, item = some[number]
                return Job(source, f"{stage.place}/{key}", item.oid.removesuffix(DIR))

            found = copy_all(
                len(some),
                job,
                algorithm=algorithm,
                mode=_READ_ONLY,
                advance=advance,
                batches=batches,
            )
            damaged += [
                Damage(item, source)
                for (source, _, item), copied in zip(some, found, strict=True)
                if copied is None
            ]
    return damaged


def _wholeness(moves: Sequence[_Move]) -> IsWhole:
    """Return what says whether a copy is complete, when copying was broken off."""
    by_key = functools.cache(lambda: {key: (source, item) for source, key, item in moves})

    def is_whole(key: str, path: str) -> bool:
        source, item = by_key()[key]
        if os.stat(path).st_size != os.stat(source).st_size:  # noqa: PTH116
            return False
        return hash_file(path, algorithm=item.algorithm)[0] == item.oid.removesuffix(DIR)

    return is_whole
