"""The hash of a file's bytes, in one read, and while it is copied in the same read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from assay.objects import legacy

Algorithm = Literal["md5", "sha256", "md5-dos2unix"]

CHUNK = 1 << 20
"""Bytes read at a time; a file up to this size is read in one call."""

_LARGE = 8 << 20  # from here on a thread is worth its while
_N_BLOCKS = 8  # that may wait to be hashed
_FLUSH = 32 << 20
_WRITE_NOW = 2  # SYNC_FILE_RANGE_WRITE


def new(algorithm: Algorithm) -> Any:
    """Return a fresh hash object; MD5 names content here and guards nothing."""
    if algorithm == "md5-dos2unix":
        return legacy.Digest()
    import hashlib  # OpenSSL takes 3 ms to load, and a no-op hashes nothing

    return hashlib.new(algorithm, usedforsecurity=False)


def hash_bytes(content: bytes, *, algorithm: Algorithm = "md5") -> str:
    """Return the hash of `content` as lower-case hexadecimal text.

    Examples
    --------
    >>> hash_bytes(b"[]")
    'd751713988987e9331980363e24189ce'
    """
    if algorithm == "md5":
        import hashlib

        return hashlib.md5(content, usedforsecurity=False).hexdigest()
    digest = new(algorithm)
    digest.update(content)
    return str(digest.hexdigest())


def hash_file(
    path: Path | str,
    *,
    algorithm: Algorithm = "md5",
    into: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> tuple[str, int]:
    """Return the hash and the size in bytes of a file, read once.

    Parameters
    ----------
    path : Path or str
        The file; a symlink is followed.
    algorithm : str
        "md5" for DVC's objects, "sha256" for ours, "md5-dos2unix" for those of DVC 2.
    into : int, optional
        An open file descriptor that gets the same bytes.
    advance : callable, optional
        Told the number of bytes after each read.
    """
    digest, size = new(algorithm), 0
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if into is not None and os.fstat(source).st_size >= _LARGE:
            size = _copy_beside(source, into, digest.update, advance=advance)
        while chunk := os.read(source, CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if into is not None:
                write_all(into, chunk)
            if advance is not None:
                advance(len(chunk))
    finally:
        os.close(source)
    return str(digest.hexdigest()), size


def _copy_beside(
    source: int,
    into: int,
    update: Callable[[bytes], object],
    *,
    advance: Callable[[int], None] | None,
) -> int:
    """Copy a large file while a thread hashes the same blocks; return its size in bytes.

    The disk begins to write while the rest is read, so that nobody waits for all of it at the end.
    """
    import queue
    import threading

    blocks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    room = threading.Semaphore(_N_BLOCKS)

    def take() -> None:
        while block := blocks.get():
            update(block)
            room.release()

    beside = threading.Thread(target=take, name="hashing")
    beside.start()
    size = 0
    try:
        while chunk := os.read(source, CHUNK):
            room.acquire()
            blocks.put(chunk)
            write_all(into, chunk)
            size += len(chunk)
            if size % _FLUSH == 0:
                begin_writing(into)
            if advance is not None:
                advance(len(chunk))
    finally:
        blocks.put(b"")
        beside.join()
    return size


def begin_writing(descriptor: int) -> None:
    """Let the system begin to write a file to the disk; where it has no such call, it will."""
    import ctypes

    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is not None:
        call(descriptor, ctypes.c_int64(0), ctypes.c_int64(0), ctypes.c_uint(_WRITE_NOW))


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of `content`, also where the system takes it in parts."""
    written = os.write(descriptor, content)
    while written < len(content):
        written += os.write(descriptor, content[written:])
