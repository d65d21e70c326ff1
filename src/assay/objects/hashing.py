"""The hash of a file's bytes, in one read, and while it is copied in the same read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

Algorithm = Literal["md5", "sha256"]

CHUNK = 1 << 20
"""Bytes read at a time; a file up to this size is read in one call."""


def new(algorithm: Algorithm) -> Any:
    """Return a fresh hash object; MD5 names content here and guards nothing."""
    import hashlib  # OpenSSL takes 3 ms to load, and a no-op hashes nothing

    return hashlib.new(algorithm, usedforsecurity=False)


def hash_bytes(content: bytes, *, algorithm: Algorithm = "md5") -> str:
    """Return the hash of `content` as lower-case hexadecimal text.

    Examples
    --------
    >>> hash_bytes(b"[]")
    'd751713988987e9331980363e24189ce'
    """
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
        "md5" for DVC's objects, "sha256" for ours.
    into : int, optional
        An open file descriptor that gets the same bytes.
    advance : callable, optional
        Told the number of bytes after each read.
    """
    digest, size = new(algorithm), 0
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
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


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of `content`, also where the system takes it in parts."""
    written = os.write(descriptor, content)
    while written < len(content):
        written += os.write(descriptor, content[written:])
