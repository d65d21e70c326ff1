"""Where objects are written before they get their names: a folder of one process, swept later.

A store never holds half an object: bytes go to a staging folder beside the objects, are made
durable for the whole batch in one call, and are renamed. A process that is killed leaves its
folder behind; the next one to write there sees that nobody holds it and takes it away.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from assay.base.files import explain, sync_filesystem

_PREFIX = "tmp."
_GRACE_SECONDS = 60.0


class Staging:
    """A folder for files that are not objects yet.

    Attributes
    ----------
    place : str
        Where files are prepared that lie in it as they will lie in the store: `ab/cdef…`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._count = 0
        self.place = f"{folder}/tree"

    def new(self) -> str:
        """Return a path that no other file has."""
        self._count += 1
        return f"{self._folder}/{self._count}"

    def publish(self, moves: Iterable[tuple[str, str]]) -> None:
        """Make all staged bytes durable, then rename each file: first path to second."""
        pairs = list(moves)
        if not pairs:
            return
        self.sync()
        made: set[str] = set()
        for staged, final in pairs:
            parent = os.path.dirname(final)  # noqa: PTH120 -- 10,000 in a row
            if parent not in made:
                os.makedirs(parent, exist_ok=True)  # noqa: PTH103
                made.add(parent)
            os.rename(staged, final)  # noqa: PTH104

    def publish_tree(self, root: str) -> None:
        """Make what lies in `place` durable, then let all of it appear in `root`.

        A folder that is not there yet is moved as one; files replace those that are there.
        """
        if os.path.isdir(self.place):  # noqa: PTH112 -- a path as text, as everywhere here
            self.sync()
            _merge(self.place, root)

    def sync(self) -> None:
        """Make all staged bytes durable."""
        sync_filesystem(Path(self._folder))


def _merge(staged: str, final: str) -> None:
    """Move the files of a folder to another one: as a whole where that is empty or not there."""
    try:
        os.rename(staged, final)  # noqa: PTH104
    except OSError:
        os.makedirs(final, exist_ok=True)  # noqa: PTH103
        with os.scandir(staged) as entries:
            inside = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in inside:
            if is_folder:
                _merge(f"{staged}/{name}", f"{final}/{name}")
            else:
                os.rename(f"{staged}/{name}", f"{final}/{name}")  # noqa: PTH104


@contextlib.contextmanager
def staging(root: Path) -> Iterator[Staging]:
    """Open a staging folder in the store at `root`, and take it away at the end."""
    import shutil

    folder = root / f"{_PREFIX}{os.urandom(8).hex()}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise explain(error, root) from error
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        _sweep(root, keep=folder)
        yield Staging(folder)
    except OSError as error:
        raise explain(error, error.filename2 or error.filename or root) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _sweep(root: Path, *, keep: Path) -> None:
    """Remove the staging folders of processes that are gone."""
    import shutil

    with os.scandir(root) as entries:
        stale = [Path(e.path) for e in entries if e.name.startswith(_PREFIX)]
    for folder in stale:
        if folder == keep:
            continue
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < _GRACE_SECONDS:
                continue
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
