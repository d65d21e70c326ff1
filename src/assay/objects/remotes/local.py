"""A folder as a remote: on this machine, or on a disk that a team shares."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from assay.base.errors import Error
from assay.base.files import explain
from assay.objects.cache import DIR
from assay.objects.hashing import hash_file
from assay.objects.remotes import Damage, Item, RemoteSettings
from assay.objects.staging import staging


class LocalRemote:
    """Objects in a folder, read-only, in the layout of the cache."""

    def __init__(self, settings: RemoteSettings) -> None:
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
        return self._move(
            [(str(item.path), f"{self._root}/{item.key}", item) for item in items],
            self.folder,
            advance=advance,
        )

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
