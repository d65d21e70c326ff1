"""A file of the object store as an answer: a part of it or all, checked while it is sent.

A small file is checked before its first byte is sent. Of a large one the last block is kept back
until the hash of all of it is known: what is damaged arrives cut off, and no client takes it for
whole. Memory holds one block.
"""

from __future__ import annotations

import asyncio
import logging
import mimetypes
import os
import re
import unicodedata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import Response

from assay.base.errors import NotFound
from assay.objects.hashing import CHUNK, new

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from assay.api.hub import Hub
    from assay.ledger.artifacts import Kept
    from assay.objects.cache import Cache

_TEXTS = frozenset((
    "txt", "log", "err", "cfg", "conf", "cnf", "cf", "ini", "properties", "prop", "hocon", "toml",
    "yaml", "yml", "xml", "json", "js", "py", "py3", "csv", "tsv", "md", "rst", "ipynb", "MLmodel",
    "mlproject",
))  # fmt: skip
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_TOKEN = re.compile(r"[\w!#$%&'*+\-.^`|~]+", re.ASCII)
_log = logging.getLogger("assay.hub")


def media_type(name: str) -> str:
    """Return the type by which MLflow's client and server send a file.

    Examples
    --------
    >>> media_type("a/MLmodel"), media_type("x.png"), media_type("model")
    ('text/plain', 'image/png', 'application/octet-stream')
    """
    last = PurePosixPath(name).name
    extension = os.path.splitext(last)[1].replace(".", "") or last  # noqa: PTH122 -- as there
    if extension in _TEXTS:
        return "text/plain"
    return mimetypes.guess_type(last)[0] or "application/octet-stream"


def attachment(name: str) -> str:
    """Return the header that lets a browser save a file, never show it.

    Examples
    --------
    >>> attachment("a/b.txt"), attachment("ä.txt")
    ('attachment; filename=b.txt', "attachment; filename=a.txt; filename*=UTF-8''%C3%A4.txt")
    """
    last = PurePosixPath(name).name
    plain = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode() or "download"
    plain = "".join(one for one in plain if one.isprintable())
    quoted = plain
    if not _TOKEN.fullmatch(plain):
        quoted = '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
    text = f"attachment; filename={quoted}"
    return (
        text if last == plain else f"{text}; filename*=UTF-8''{quote(last, safe='!#$&+-.^_`|~')}"
    )


class FileAnswer(Response):
    """Sends one file, or the range of it that was asked for.

    Make it with `of`, in a thread.
    """

    def __init__(self, hub: Hub, kept: Kept, name: str) -> None:
        super().__init__()
        self.hub, self.kept, self.name = hub, kept, name
        self.content = b""  # of a small file
        self.descriptor: int | None = None  # of a large one

    @classmethod
    def of(cls, hub: Hub, kept: Kept, name: str) -> FileAnswer:
        """Open a file; a small one is read and checked.

        Raises
        ------
        NotFound
            If its bytes are not in the store.
        Damaged
            If they are others.
        """
        one = cls(hub, kept, name)
        oid = _oid(kept)
        if kept.size <= CHUNK:
            one.content = hub.objects.read(oid)
        else:
            one.descriptor = _open(hub.objects, oid, size=kept.size)
        return one

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            await self._send(scope, receive, send)
        finally:
            if self.descriptor is not None:
                os.close(self.descriptor)

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = {name: value.decode("latin-1") for name, value in scope["headers"]}
        status, start, end = self._part(asked)
        headers = self._head(status, start, end)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if scope["method"] == "HEAD" or start == end:
            await send({"type": "http.response.body", "body": b""})
        elif self.descriptor is None:
            await send({"type": "http.response.body", "body": self.content[start:end]})
        else:
            gone = asyncio.create_task(_until_gone(receive))
            try:
                await self._stream(self.descriptor, send, gone, start=start, end=end)
            finally:
                gone.cancel()

    def _part(self, asked: dict[bytes, str]) -> tuple[int, int, int]:
        """Return the status, and from which byte to which one is sent."""
        size = self.kept.size
        if asked.get(b"if-none-match") in {self._tag, "*"}:
            return 304, 0, 0
        match = _RANGE.fullmatch(asked.get(b"range", "").strip())
        if match is None or match.groups() == ("", ""):
            return 200, 0, size
        if asked.get(b"if-range", self._tag) != self._tag:
            return 200, 0, size
        if match[1]:
            start, end = int(match[1]), min(int(match[2] or size - 1) + 1, size)
        else:
            start, end = max(size - int(match[2]), 0), size
        return (206, start, end) if start < end else (416, 0, 0)

    @property
    def _tag(self) -> str:
        return f'"{self.kept.oid}"'

    def _head(self, status: int, start: int, end: int) -> list[tuple[bytes, bytes]]:
        headers = {
            "content-type": media_type(self.name),
            "content-disposition": attachment(self.name),
            "x-content-type-options": "nosniff",
            "accept-ranges": "bytes",
            "cache-control": "no-cache",
            "etag": self._tag,
        }
        if status != 304:
            headers["content-length"] = str(end - start)
        if status == 206:
            headers["content-range"] = f"bytes {start}-{end - 1}/{self.kept.size}"
        if status == 416:
            headers["content-range"] = f"bytes */{self.kept.size}"
        return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]

    async def _stream(
        self, descriptor: int, send: Send, gone: asyncio.Task[None], *, start: int, end: int
    ) -> None:
        digest = new("sha256") if (start, end) == (0, self.kept.size) else None
        loop = asyncio.get_running_loop()

        def block(at: int) -> bytes:
            found = os.pread(descriptor, min(CHUNK, end - at), at)
            if digest is not None:
                digest.update(found)
                if at + len(found) == end and digest.hexdigest() != _oid(self.kept):
                    _log.error("%s", self.hub.objects.damaged(_oid(self.kept)))
                    return b""
            return found

        at = start
        while at < end and not gone.done():
            found = await loop.run_in_executor(self.hub.threads, block, at)
            if not found:  # the answer ends before its length: the connection is closed
                return
            at += len(found)
            await send({"type": "http.response.body", "body": found, "more_body": at < end})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _oid(kept: Kept) -> str:
    return kept.oid.removeprefix("sha256:")


def _open(objects: Cache, oid: str, *, size: int) -> int:
    """Open an object, never what a symlink in its place points to."""
    try:
        descriptor = os.open(objects.place(oid), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise objects.missing(oid) from None
    except OSError as error:
        raise NotFound(f"the object sha256:{oid} cannot be read: {error.strerror}") from error
    if os.fstat(descriptor).st_size != size:
        os.close(descriptor)
        raise objects.damaged(oid)
    return descriptor
