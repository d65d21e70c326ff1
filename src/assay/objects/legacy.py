r"""Objects of DVC 2: named by the MD5 of their text with `\r\n` read as `\n`.

Their oids have the algorithm before them, `md5-dos2unix:ab…`, wherever they go in here; in files
and in keys of remotes they stand without it, as `ab/cdef…`, beside `files/md5`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

PREFIX = "md5-dos2unix:"
"""What stands before the oid of an object of DVC 2."""

_BLOCK = 1 << 20
_HEAD = 512
_TEXT = frozenset(range(0x20, 0x7F)) | frozenset(b"\n\r\t\f\b")
_NOT_TEXT = bytes(set(range(256)) - _TEXT)
_SHARD = re.compile(r"[0-9a-f]{2}")
_NAME = re.compile(r"[0-9a-f]{30}(\.dir)?")
_KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{30}(\.dir)?")


def is_legacy(oid: str) -> bool:
    """Say whether an oid is one of DVC 2.

    Examples
    --------
    >>> is_legacy("md5-dos2unix:d3b07384d113edec49eaa6238ad5ff00"), is_legacy("d3b07384d113")
    (True, False)
    """
    return oid.startswith(PREFIX)


def plain(oid: str) -> str:
    """Return an oid as it stands in files, without its algorithm."""
    return oid.removeprefix(PREFIX)


def named(oid: str) -> str:
    """Return an oid of data with its algorithm before it, as people and the ledger have it.

    Examples
    --------
    >>> named("d3b07384d113edec49eaa6238ad5ff00")
    'md5:d3b07384d113edec49eaa6238ad5ff00'
    """
    return oid if is_legacy(oid) else f"md5:{oid}"


def key_of(oid: str) -> str:
    """Return where an object of DVC 2 lies, below a cache or on a remote.

    Examples
    --------
    >>> key_of("md5-dos2unix:d751713988987e9331980363e24189ce.dir")
    'd7/51713988987e9331980363e24189ce.dir'
    """
    name = plain(oid)
    return f"{name[:2]}/{name[2:]}"


def oid_of(key: str) -> str | None:
    """Return the oid of the object of DVC 2 at a key, or None where there is none.

    Examples
    --------
    >>> oid_of("files/md5/d7/51713988987e9331980363e24189ce")
    >>> oid_of("d7/51713988987e9331980363e24189ce")
    'md5-dos2unix:d751713988987e9331980363e24189ce'
    """
    return PREFIX + key.replace("/", "") if _KEY.fullmatch(key) else None


def list_oids(folder: Path) -> Iterator[str]:
    """Go through the oids of DVC 2 in a cache's folder, sorted."""
    try:
        shards = sorted(path for path in folder.iterdir() if _SHARD.fullmatch(path.name))
    except FileNotFoundError:
        return
    for shard in shards:
        names = sorted(path.name for path in shard.iterdir() if _NAME.fullmatch(path.name))
        yield from (f"{PREFIX}{shard.name}{name}" for name in names)


class Digest:
    r"""The hash of DVC 2, fed like one of `hashlib`.

    Each block of 1 MiB is judged by its first 512 bytes: in text, `\r\n` counts as `\n`; a pair
    that two blocks share does not.
    """

    def __init__(self) -> None:
        import hashlib  # as in assay.objects.hashing: a no-op hashes nothing

        self._md5 = hashlib.md5(usedforsecurity=False)
        self._rest = bytearray()

    def update(self, content: bytes) -> None:
        """Take bytes in."""
        self._rest += content
        while len(self._rest) >= _BLOCK:
            self._take(bytes(self._rest[:_BLOCK]))
            del self._rest[:_BLOCK]

    def hexdigest(self) -> str:
        """Return the oid of all bytes so far; no more can follow."""
        self._take(bytes(self._rest))
        self._rest.clear()
        return PREFIX + self._md5.hexdigest()

    def _take(self, block: bytes) -> None:
        self._md5.update(block.replace(b"\r\n", b"\n") if _is_text(block[:_HEAD]) else block)


def _is_text(head: bytes) -> bool:
    if not head or b"\0" in head:
        return not head
    strange = len(head) - len(head.translate(None, _NOT_TEXT))
    return strange / len(head) <= 0.30
