"""A folder as a remote: on this machine, or on a disk that a team shares."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from assay.base.errors import Error, NotFound
from assay.base.files import explain
from assay.objects.cache import DIR
from assay.objects.hashing import Algorithm, hash_file
from assay.objects.remotes import Damage, Entry, Item, RemoteSettings
from assay.objects.remotes.options import Options
from assay.objects.staging import staging

KNOWN = frozenset(["shared", "type", "slow_link_warning", "protected"])
"""The last three say how DVC would link from this remote, which we do not."""
_OF_THE_GROUP = 0o2775


class LocalRemote:
    """Objects in a folder, read-only, in the layout of the cache."""

    def __init__(self, settings: RemoteSettings) -> None:
        options = Options(settings, known=KNOWN)
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

    def list_(self, prefix: str) -> Iterator[str]:
        """Go through the keys that begin with `prefix`, a folder."""
        top = os.path.join(self._root, prefix)  # noqa: PTH118
        for place, folders, names in os.walk(top):
            folders[:] = [f for f in folders if not f.startswith(("tmp.", "."))]
            below = os.path.relpath(place, self._root)
            yield from (f"{below}/{name}" for name in names if not name.startswith("."))

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Go through the same keys, with size and time of each."""
        for key in self.list_(prefix):
            if (entry := self.stat(key)) is not None:
                yield entry

    def stat(self, key: str) -> Entry | None:
        """Return size and time of one file, or None."""
        try:
            found = os.stat(f"{self._root}/{key}" if key else self._root)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return Entry(key, found.st_size, None, found.st_mtime_ns // 1_000_000)

    def find(self, keys: Sequence[str]) -> set[str]:
        """Return those of `keys` that are there.

        A folder answers one key in microseconds; where many keys share a folder, the folder is
        listed once instead.
        """
        if len(keys) < 500:
            return {key for key in keys if os.path.exists(f"{self._root}/{key}")}  # noqa: PTH110
        folders: dict[str, list[str]] = {}
        for key in keys:
            folders.setdefault(key.rpartition("/")[0], []).append(key)
        there: set[str] = set()
        for folder, asked in folders.items():
            try:
                names = set(os.listdir(f"{self._root}/{folder}"))  # noqa: PTH208
            except FileNotFoundError:
                continue
            there.update(key for key in asked if key.rpartition("/")[2] in names)
        return there

    def upload(self, items: Sequence[Item], *, advance: Callable[[int], None]) -> list[Damage]:
        """Copy files into the folder."""
        moves = [(str(item.path), f"{self._root}/{item.key}", item) for item in items]
        fresh = self._missing_folders(items) if self._is_shared else set()
        damaged = self._move(moves, self.folder, advance=advance)
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
        roots: dict[Path, list[tuple[str, str, Item]]] = {}
        for item in items:
            move = (f"{self._root}/{item.key}", str(item.path), item)
            roots.setdefault(item.path.parent.parent, []).append(move)
        for root, moves in roots.items():
            damaged += self._move(moves, root, advance=advance)
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

    @staticmethod
    def _move(
        moves: list[tuple[str, str, Item]], root: Path, *, advance: Callable[[int], None]
    ) -> list[Damage]:
        damaged: list[Damage] = []
        with staging(root) as stage:
            ready: list[tuple[str, str]] = []
            for source, final, item in moves:
                name = stage.new()
                target = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
                try:
                    found, _ = hash_file(source, algorithm=item.algorithm, into=target)
                except OSError as error:
                    raise explain(error, error.filename or root) from error
                finally:
                    os.close(target)
                if found == item.oid.removesuffix(DIR):
                    ready.append((name, final))
                else:
                    damaged.append(Damage(item, source))
                advance(1)
            stage.publish(ready)
        return damaged
