"""Records in a spool file: a head that finds them again, a checksum that proves them.

A head has 16 bytes: `ASP1`, the size of the record, its CRC-32, and the CRC-32 of these twelve
bytes. The last one starts from the CRC-32 of the file's id: a client that puts heads into its
values cannot make a reader take them for records.
"""

from __future__ import annotations

import struct
from zlib import crc32

import msgspec

MAGIC = b"ASP1"
_HEAD = struct.Struct("<4sII")
_CHECK = struct.Struct("<I")
HEAD_SIZE = _HEAD.size + _CHECK.size


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a spool file.

    Attributes
    ----------
    payloads : list of memoryview
        The records that are whole, in order.
    n_torn : int
        1 where the file ends in the midst of a record.
    n_corrupt : int
        Damaged stretches before the end, each of one record or more.
    """

    payloads: list[memoryview]
    n_torn: int
    n_corrupt: int


def seed_of(file_id: str) -> int:
    """Return what the checksums of heads in a file start from."""
    return crc32(file_id.encode())


def pack(payload: bytes, seed: int) -> bytes:
    """Return a record with its head."""
    head = _HEAD.pack(MAGIC, len(payload), crc32(payload))
    return head + _CHECK.pack(crc32(head, seed)) + payload


def scan(data: bytes, seed: int) -> Scan:
    """Return the whole records of a file and count what is damaged.

    Examples
    --------
    >>> data = pack(b"one", 7) + pack(b"two", 7)
    >>> [bytes(payload) for payload in scan(data[:-1], 7).payloads]
    [b'one']
    """
    view, end = memoryview(data), len(data)
    payloads: list[memoryview] = []
    at = n_corrupt = 0
    while at < end:
        head = _head_at(data, at, seed)
        if head is None:
            found = _next_head(data, at + 1, seed)
            if found is None:
                return Scan(payloads=payloads, n_torn=1, n_corrupt=n_corrupt)
            at = found
            n_corrupt += 1
            continue
        size, checksum = head
        start, stop = at + HEAD_SIZE, at + HEAD_SIZE + size
        if stop > end:  # a head is whole and its record is not: torn, unless others follow
            found = _next_head(data, start, seed)
            if found is None:
                return Scan(payloads=payloads, n_torn=1, n_corrupt=n_corrupt)
            at = found
            n_corrupt += 1
            continue
        if crc32(view[start:stop]) == checksum:
            payloads.append(view[start:stop])
        else:
            n_corrupt += 1
        at = stop
    return Scan(payloads=payloads, n_torn=0, n_corrupt=n_corrupt)


def _head_at(data: bytes, at: int, seed: int) -> tuple[int, int] | None:
    """Return the size and the checksum that a sound head at `at` states."""
    if len(data) - at < HEAD_SIZE:
        return None
    magic, size, checksum = _HEAD.unpack_from(data, at)
    (check,) = _CHECK.unpack_from(data, at + _HEAD.size)
    if magic != MAGIC or check != crc32(data[at : at + _HEAD.size], seed):
        return None
    return size, checksum


def _next_head(data: bytes, at: int, seed: int) -> int | None:
    while (at := data.find(MAGIC, at)) >= 0:
        if _head_at(data, at, seed) is not None:
            return at
        at += 1
    return None
