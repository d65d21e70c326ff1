"""Copy files, each hashed as it is read: many small ones at once, large ones block by block.

A small file is read as a whole, so that its hash is known first: what is wrong, or there already,
is never written. Where a file system shares blocks, a large file is copied by sharing them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from assay.objects.hashing import CHUNK, Algorithm, hash_bytes, hash_file, write_all
from assay.objects.index import Looks, looks
from assay.objects.processes import spread
from assay.objects.staging import Batches

_READ = os.O_RDONLY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_BLOCK = 1 << 16  # for more the allocator asks the system for pages, file by file

_FICLONE = 0x40049409
UNSUPPORTED = frozenset(
    (
        errno.EOPNOTSUPP,
        errno.EXDEV,
        errno.EINVAL,
        errno.ENOTTY,
        errno.EPERM,
        errno.EMLINK,
        errno.ENOSYS,
    )
)
"""What a file system answers that has no such way to link or copy."""

Advance = Callable[[int], None]


class Job(NamedTuple):
    """A file to copy: from where, to which new path, and the hash that it must have."""

    source: str
    target: str
    wanted: str


def copy_all(
    count: int,
    job: Callable[[int], Job],
    *,
    algorithm: Algorithm,
    mode: int,
    advance: Advance | None = None,
    batches: Batches | None = None,
) -> list[Looks | None]:
    """Copy files to new paths, each only if it has the wanted hash; folders are made.

    Parameters
    ----------
    count : int
        How many files there are.
    job : callable
        Returns what is to be done, by number: with many files nobody keeps all their paths.
    mode : int
        The mode of a copy, less the umask.
    advance : callable, optional
        Told how many files are done.
    batches : Batches, optional
        Lets what is copied get its name before all is.

    Returns
    -------
    list of tuple or None
        What each copy looks like to an index; None for a file that has another hash.
    """

    def one(number: int) -> Looks | None:
        source, target, wanted = job(number)
        content = _whole(source)
        if content is not None:
            if hash_bytes(content, algorithm=algorithm) != wanted:
                return None
            return _write(target, content, mode=mode)
        oid, _ = copy(source, target, algorithm=algorithm, mode=mode)
        if oid != wanted:
            os.unlink(target)  # noqa: PTH108 -- here and below: ten thousand times in a row
            return None
        return looks(os.stat(target))  # noqa: PTH116

    def told(some: Sequence[Looks | None]) -> None:
        if batches is not None:
            batches.grow(sum(look[2] for look in some if look is not None))
        if advance is not None:
            advance(len(some))

    return spread(count, one, told=told, pauses=batches)


def store_all(
    sources: Sequence[str],
    *,
    place: Callable[[str], str],
    has: Callable[[str], bool],
    spare: str,
    algorithm: Algorithm,
    mode: int,
    advance: Advance | None = None,
    batches: Batches | None = None,
) -> list[tuple[str, int]]:
    """Copy files to new paths that follow from their hashes.

    Parameters
    ----------
    place : callable
        Returns the path for an oid.
    has : callable
        Says of an oid that it need not be written.
    spare : str
        The beginning of paths for what has no name yet.
    advance : callable, optional
        Told how many bytes are done.
    batches : Batches, optional
        Lets what is stored get its name before all is.

    Returns
    -------
    list of tuple
        The hash and the size in bytes of each.
    """
    us, shown = os.getpid(), [0]

    def live(size: int) -> None:
        if advance is not None and os.getpid() == us:  # a helper has no terminal
            shown[0] += size
            advance(size)

    def one(number: int) -> tuple[str, int]:
        source = sources[number]
        content = _whole(source)
        if content is not None:
            oid = hash_bytes(content, algorithm=algorithm)
            if not has(oid):
                with contextlib.suppress(FileExistsError):  # another one with the same bytes
                    _write(place(oid), content, mode=mode)
            return oid, len(content)
        name = f"{spare}{number}"
        oid, size = copy(source, name, algorithm=algorithm, mode=mode, advance=live)
        if has(oid):
            os.unlink(name)  # noqa: PTH108
        else:
            _rename(name, place(oid))
        return oid, size

    def told(some: Sequence[tuple[str, int]]) -> None:
        total = sum(size for _, size in some)
        if batches is not None:
            batches.grow(total)
        if advance is not None:
            advance(total - shown[0])
            shown[0] = 0

    return spread(len(sources), one, told=told, pauses=batches)


def copy(
    source: str,
    target: str,
    *,
    algorithm: Algorithm,
    mode: int,
    advance: Advance | None = None,
) -> tuple[str, int]:
    """Copy one file to a new path, whatever its size; return the hash of the copy and its size."""
    descriptor = _create(target, mode)
    try:
        if _cloned(source, descriptor):
            return hash_file(target, algorithm=algorithm, advance=advance)
        return hash_file(source, algorithm=algorithm, into=descriptor, advance=advance)
    except BaseException:
        os.unlink(target)  # noqa: PTH108
        raise
    finally:
        os.close(descriptor)


def _cloned(source: str, target: int) -> bool:
    """Let a new file share the blocks of another one, where the file system can."""
    descriptor = os.open(source, _READ)
    try:
        clone(descriptor, target)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return False
    finally:
        os.close(descriptor)
    return True


def clone(source: int, target: int) -> None:
    """Let the open file `target` share the blocks of the open file `source`."""
    fcntl.ioctl(target, _FICLONE, source)


def _whole(path: str) -> bytes | None:
    """Return the bytes of a file, or None where it is a large one."""
    descriptor = os.open(path, _READ)
    try:
        content = os.read(descriptor, _BLOCK)
        while more := os.read(descriptor, CHUNK):
            content += more
            if len(content) > CHUNK:
                return None
    finally:
        os.close(descriptor)
    return content


def _write(path: str, content: bytes, *, mode: int) -> Looks:
    """Write a new file, whole or not at all, and return what it looks like."""
    descriptor = _create(path, mode)
    try:
        write_all(descriptor, content)
        return looks(os.fstat(descriptor))
    except BaseException:
        os.unlink(path)  # noqa: PTH108
        raise
    finally:
        os.close(descriptor)


def _create(path: str, mode: int) -> int:
    """Open a new file, in a folder that is made if need be."""
    try:
        return os.open(path, _WRITE, mode)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        return os.open(path, _WRITE, mode)


def _rename(name: str, final: str) -> None:
    os.makedirs(os.path.dirname(final), exist_ok=True)  # noqa: PTH103, PTH120
    os.rename(name, final)  # noqa: PTH104
