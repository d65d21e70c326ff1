"""Large objects that arrive in parts, in any order, maybe over days: kept until all are there.

An upload is a folder in the store: what it will be, and its parts under their numbers and hashes.
It outlives the process that began it, so that the rest can be sent later; a week after its last
part it is taken away.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from assay.base.errors import Error, NotFound
from assay.base.files import write_atomic
from assay.objects.cache import Cache, Stored
from assay.objects.hashing import CHUNK
from assay.objects.receiving import Arriving, arriving

MOST = 10_000
"""Parts of one upload."""

_PREFIX = "upload."
_ABOUT, _DONE = "about.json", "done.json"
_A_WEEK = 7 * 24 * 3600.0
_PART = re.compile(r"(\d{5})\.([0-9a-f]{64})")


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An object that arrives in parts."""

    id: str
    what: str  # it will be, as who began it calls it
    n_parts: int


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part that is there."""

    number: int  # from 1
    sha256: str
    size: int


def begin(cache: Cache, what: str, *, n_parts: int) -> Upload:
    """Begin an upload; those that nobody goes on with are taken away."""
    if not 1 <= n_parts <= MOST:
        raise Error(f"an upload has 1 to {MOST} parts; asked for are {n_parts}")
    _sweep(cache)
    upload = Upload(id=os.urandom(16).hex(), what=what, n_parts=n_parts)
    folder = _folder(cache, upload.id)
    folder.mkdir(parents=True)
    write_atomic(folder / _ABOUT, msgspec.json.encode(upload))
    return upload


def find(cache: Cache, id_: str) -> Upload:
    """Return an upload that goes on, or has ended less than a week ago."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if re.fullmatch(r"[0-9a-f]{32}", id_):
            content = (_folder(cache, id_) / _ABOUT).read_bytes()
            return msgspec.json.decode(content, type=Upload)
    raise NotFound(
        f"there is no upload {id_[:64]!r}",
        hint="it was given up, or nothing came for a week; begin another one",
    )


def list_(cache: Cache, upload: Upload) -> list[Part]:
    """Return the parts that are there, by number."""
    found: dict[int, Part] = {}
    with os.scandir(_folder(cache, upload.id)) as entries:
        for entry in entries:
            if match := _PART.fullmatch(entry.name):
                number = int(match[1])
                found[number] = Part(number=number, sha256=match[2], size=entry.stat().st_size)
    return [found[number] for number in sorted(found)]


def keep(cache: Cache, upload: Upload, number: int, arrived: Arriving) -> str:
    """Keep a part in place of one of its number that is there; return its SHA-256."""
    check(upload, number)
    oid = arrived.hexdigest()
    folder = _folder(cache, upload.id)
    name = f"{number:05}.{oid}"
    arrived.finish_at(f"{folder}/{name}")
    for other in folder.glob(f"{number:05}.*"):
        if other.name != name:
            other.unlink(missing_ok=True)
    return oid


def check(upload: Upload, number: int) -> None:
    """Refuse a number that no part of an upload has."""
    if not 1 <= number <= upload.n_parts:
        raise Error(f"the upload has parts 1 to {upload.n_parts}; there is no part {number}")


def complete(cache: Cache, upload: Upload, hashes: Mapping[int, str]) -> Stored:
    """Make the parts one object, in the order of their numbers; again is as good as once.

    Parameters
    ----------
    hashes : mapping
        The SHA-256 that the sender knows of each part, by its number; "" where it knows none.

    Raises
    ------
    Error
        If a part is missing, or has another hash. The upload goes on.
    """
    folder = _folder(cache, upload.id)
    if (stored := _done(folder)) is not None:
        return stored
    try:
        return _join(cache, upload, hashes)
    except (FileNotFoundError, Error):
        if (stored := _done(folder)) is not None:  # by another request, which took the parts away
            return stored
        raise


def _done(folder: Path) -> Stored | None:
    """Return what the parts became; None where they have not yet."""
    with contextlib.suppress(FileNotFoundError):
        return msgspec.json.decode((folder / _DONE).read_bytes(), type=Stored)
    return None


def _join(cache: Cache, upload: Upload, hashes: Mapping[int, str]) -> Stored:
    folder = _folder(cache, upload.id)
    parts = list_(cache, upload)
    _check_all(upload, parts, hashes)
    with arriving(cache) as one:
        for part in parts:
            for piece in _pieces(folder / f"{part.number:05}.{part.sha256}"):
                one.write(piece)
        stored = one.finish()
    write_atomic(folder / _DONE, msgspec.json.encode(stored))
    for part in parts:
        (folder / f"{part.number:05}.{part.sha256}").unlink(missing_ok=True)
    return stored


def abort(cache: Cache, id_: str) -> None:
    """Give an upload up; one that is not there is fine."""
    if re.fullmatch(r"[0-9a-f]{32}", id_):
        shutil.rmtree(_folder(cache, id_), ignore_errors=True)


def _check_all(upload: Upload, parts: list[Part], hashes: Mapping[int, str]) -> None:
    there = {part.number: part.sha256 for part in parts}
    lacking = [number for number in range(1, upload.n_parts + 1) if number not in there]
    if lacking:
        shown = ", ".join(map(str, lacking[:8])) + (", …" if len(lacking) > 8 else "")
        raise Error(
            f"{len(lacking)} of {upload.n_parts} parts are not there yet: {shown}",
            hint="send them, then complete the upload",
        )
    for number, sha256 in hashes.items():
        check(upload, number)
        if sha256 and sha256 != there[number]:
            raise Error(
                f"part {number} has the SHA-256 {there[number]}, not {sha256[:64]!r}",
                hint="send it again, then complete the upload",
            )


def _pieces(path: Path) -> Iterable[bytes]:
    with path.open("rb") as handle:
        while piece := handle.read(CHUNK):
            yield piece


def _folder(cache: Cache, id_: str) -> Path:
    return cache.folder / f"{_PREFIX}{id_}"


def _sweep(cache: Cache) -> None:
    """Take away the uploads to which nothing came for a week."""
    before = time.time() - _A_WEEK
    for folder in cache.folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)
