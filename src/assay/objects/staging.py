"""Where objects are written before they get their names: a folder of one process, swept later.

A store never holds half an object: bytes go to a staging folder beside the objects, are made
durable for a whole batch in one call, and are renamed. A process that is killed leaves its
folder behind; the next one to write there sees that nobody holds it and takes it away.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from assay.base.files import explain, sync_filesystem

PREFIX = "tmp."
"""How the name of a staging folder begins."""

_LOCK = "lock"
_A_WEEK = 7 * 24 * 3600.0
_BATCH_SECONDS = 2.0
_BATCH_SIZE = 64 << 20

IsWhole = Callable[[str, str], bool]
"""Says of a file that is staged, by its path in the store and where it lies, that it is whole."""


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
        """Make all staged bytes durable; who is on another machine sees that we are alive."""
        sync_filesystem(Path(self._folder))
        with contextlib.suppress(OSError):
            os.utime(self._folder)

    @contextlib.contextmanager
    def filling(
        self, root: str, is_whole: IsWhole, *, after_error: bool = True
    ) -> Iterator[Batches]:
        """Let what lies in `place` appear in `root`: in batches, at the end, when interrupted.

        Parameters
        ----------
        is_whole : callable
            Asked when the block does not come to its end: what is not whole then is left out.
        after_error : bool
            Whether what is whole appears also where the block fails, and not only on Ctrl-C.
        """
        try:
            yield Batches(self, root)
        except BaseException as error:
            if isinstance(error, Exception) and not after_error:
                raise
            with contextlib.suppress(OSError):  # what was raised first is what a person needs
                self._leave_whole(is_whole)
                self.publish_tree(root)
            raise
        self.publish_tree(root)

    def _leave_whole(self, is_whole: IsWhole) -> None:
        """Remove the files of `place` that are not whole."""
        for folder, _, names in os.walk(self.place):
            for name in names:
                path = f"{folder}/{name}"
                if not is_whole(path[len(self.place) + 1 :], path):
                    os.unlink(path)  # noqa: PTH108


class Batches:
    """Says when the files that were staged since the last time are to get their names."""

    def __init__(self, stage: Staging, root: str) -> None:
        self._stage, self._root = stage, root
        self._size, self._began = 0, time.monotonic()

    def grow(self, size: int) -> None:
        """Count bytes that are staged."""
        self._size += size

    def is_due(self) -> bool:
        """Say whether enough is staged, or enough time has passed, for files to be named."""
        return self._size >= _BATCH_SIZE or time.monotonic() - self._began >= _BATCH_SECONDS

    def settle(self) -> None:
        """Let the files that are staged get their names; nobody writes there meanwhile."""
        self._stage.publish_tree(self._root)
        self._size, self._began = 0, time.monotonic()


def _merge(staged: str, final: str) -> None:
    """Move the files of a folder to another one: as a whole where that is empty or not there."""
    try:
        os.rename(staged, final)  # noqa: PTH104
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
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

    try:
        folder, held = _open(root)
    except OSError as error:
        raise explain(error, root) from error
    try:
        _ours.add(str(folder))
        sweep(root)
        yield Staging(folder)
    except OSError as error:
        raise explain(error, error.filename2 or error.filename or root) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)
        _ours.discard(str(folder))


_ours: set[str] = set()  # where locks are emulated, a process does not see its own


def _open(root: Path) -> tuple[Path, int]:
    """Make a folder with a lock in it that is held while we live; a sweeper takes it first."""
    while True:
        folder = root / f"{PREFIX}{_machine()}.{os.urandom(8).hex()}"
        folder.mkdir(parents=True)
        try:
            held = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # swept between the two
            continue
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX)
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(held), os.stat(folder / _LOCK)):  # noqa: PTH116
                return folder, held
        os.close(held)


@functools.cache
def _machine() -> str:
    """Return what names this machine since it was started: within it, a lock tells who lives."""
    import hashlib
    import socket

    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        name = socket.gethostname()
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def abandoned(root: Path) -> list[Path]:
    """Return the staging folders in a store whose processes are gone.

    Those of another machine, or of this one before it was started anew, count when they are a
    week old.
    """
    found = []
    for folder in _folders(root):
        held = _take(folder)
        if held is not None:
            os.close(held)
            found.append(folder)
    return found


def sweep(root: Path) -> None:
    """Remove the staging folders in a store whose processes are gone."""
    import shutil

    for folder in _folders(root):
        held = _take(folder)
        if held is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)


def _folders(root: Path) -> list[Path]:
    try:
        with os.scandir(root) as entries:
            names = [Path(entry.path) for entry in entries if entry.name.startswith(PREFIX)]
    except OSError:
        return []
    return sorted(path for path in names if str(path) not in _ours and path.is_dir())


def _take(folder: Path) -> int | None:
    """Return the lock of a folder that nobody uses any more, or None."""
    try:
        is_old = time.time() - folder.stat().st_mtime > _A_WEEK
        if not is_old and not folder.name.startswith(f"{PREFIX}{_machine()}."):
            return None
        held = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:  # gone meanwhile, or somebody else's
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError) or not is_old:
            os.close(held)
            return None
    return held
