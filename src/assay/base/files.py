"""The one way to write a file: a temporary file in the same folder, fsync, rename.

A reader sees the old bytes or the new ones, never a part. Paths that come out of data (a
manifest, a lock file, an archive) go through `inside` before they touch the disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from assay.base.errors import Error


def temporary_beside(path: Path) -> Path:
    """Return a name for a temporary file in the folder of `path`; DVC's form, `.RANDOM.tmp`."""
    return path.parent / f".{os.urandom(11).hex()}.tmp"


def write_atomic(path: Path, content: bytes | str, *, mode: int | None = None) -> None:
    """Write `content` to `path` so that it is there as a whole or not at all.

    An existing file keeps its permissions unless `mode` is given. A symlink is followed: what it
    points to is replaced, the link stays.
    """
    data = content.encode() if isinstance(content, str) else content
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    with writing(target, mode=mode) as handle:
        handle.write(data)


@contextlib.contextmanager
def writing(path: Path, *, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a temporary file that becomes `path` when the block ends well, and else is gone."""
    if mode is None:
        with contextlib.suppress(OSError):
            mode = path.stat().st_mode & 0o7777
    temporary = temporary_beside(path)
    try:
        with temporary.open("xb") as handle:
            yield handle
            handle.flush()
            is_later = _waiting is not None
            if not is_later:
                os.fsync(handle.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(path)
        if is_later:
            sync_filesystem(path.parent)
        else:
            sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise explain(error, path) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; file systems that cannot do so are left alone."""
    if _waits(folder):
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_filesystem(folder: Path) -> None:
    """Make everything written so far to the file system of `folder` durable, in one call.

    For a batch of files this costs a tenth of an fsync each. Where `syncfs` is missing (it is
    Linux's), `sync` does the same for all file systems.
    """
    if _waits(folder):
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _sync_filesystem_of(descriptor)
    finally:
        os.close(descriptor)


def _sync_filesystem_of(descriptor: int) -> None:
    import ctypes

    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None or syncfs(descriptor) != 0:
        os.sync()


_waiting: set[Path] | None = None  # folders with files that are not durable yet


def _waits(folder: Path) -> bool:
    """Let a folder wait for the end of a block; False where there is none, or it ends just now."""
    waiting = _waiting
    if waiting is None:
        return False
    waiting.add(folder)
    return waiting is _waiting


@contextlib.contextmanager
def syncing_together() -> Iterator[Callable[[], None]]:
    """Make what the block writes durable all at once: at its end, or when the result is called.

    A thousand small files then cost one wait for the disk. Each is still there as a whole or not
    at all for whoever looks, also after a `kill -9`; what a power failure takes is what was
    written since the last call.
    """
    global _waiting  # noqa: PLW0603 -- one disk for all that a process writes
    if _waiting is not None:
        yield _sync_waiting
        return
    waiting: set[Path] = set()
    _waiting = waiting
    try:
        yield _sync_waiting
    finally:
        _waiting = None  # who writes from now on waits for the disk alone
        _sync(waiting)


def _sync_waiting() -> None:
    waiting = _waiting
    if waiting is not None:
        _sync(waiting)


def _sync(waiting: set[Path]) -> None:
    """Make all durable that was written to the file systems of the folders that wait."""
    folders = waiting.copy()  # in one step, whatever other threads add
    waiting.difference_update(folders)  # what they add from now on waits for the next time
    devices: dict[int, int] = {}  # a descriptor of each
    try:
        for folder in folders:
            descriptor = _open_nearest(folder)
            if devices.setdefault(os.fstat(descriptor).st_dev, descriptor) != descriptor:
                os.close(descriptor)
        for descriptor in devices.values():
            _sync_filesystem_of(descriptor)
    finally:
        for descriptor in devices.values():
            os.close(descriptor)


def _open_nearest(folder: Path) -> int:
    """Open a folder, or the nearest one around it where another thread took it away."""
    for place in (folder, *folder.parents):
        with contextlib.suppress(FileNotFoundError):
            return os.open(place, os.O_RDONLY)
    return os.open(os.sep, os.O_RDONLY)


def explain(error: OSError, path: str | Path) -> Error:
    """Turn what the operating system says into an error with the next step."""
    where = str(path)
    hints = {
        errno.EACCES: "check the permissions of the folder, or run as its owner",
        errno.EPERM: "check the permissions of the folder, or run as its owner",
        errno.EROFS: "the file system is read-only; remount it, or work in another folder",
        errno.ENOSPC: "free some space, then run the command again: what is done stays done",
        errno.EDQUOT: "free some space, then run the command again: what is done stays done",
        errno.EFBIG: "a file size limit stops it (see 'ulimit -f'); raise it and run again",
    }
    what = (error.strerror or str(error)).lower()
    return Error(what, where=where, hint=hints.get(error.errno or 0))


def inside(folder: Path, relative: str, *, where: str | Path | None = None) -> Path:
    """Return `folder / relative`, or raise if that is not strictly inside `folder`.

    Refused are the empty path, absolute paths, the parts `.` and `..`, and a path that leaves
    the folder through a symlink that is already there.
    """
    parts = relative.split("/")
    if not relative or relative.startswith("/") or "\0" in relative:
        raise _leaves(relative, where)
    if any(part in {"", ".", ".."} for part in parts):
        raise _leaves(relative, where)
    current = folder
    for part in parts[:-1]:
        current = current / part
        if current.is_symlink():
            raise _leaves(relative, where)
    return folder.joinpath(*parts)


def _leaves(relative: str, where: str | Path | None) -> Error:
    return Error(
        f"the path {relative!r} leaves its folder",
        where=where,
        hint="nothing was written; the file that names this path was not made by a tool you trust",
    )
