"""A folder of a WebDAV server, such as Nextcloud's. Source: RFC 4918.

A file goes under a temporary name and is moved (MOVE): nobody sees a part of it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from assay.base.errors import Error, NotFound
from assay.objects.remotes import Entry, Inside, RemoteSettings
from assay.objects.remotes.http_auth import bearer, signer
from assay.objects.remotes.http_client import CHUNK, Client, read_chunks, without_user
from assay.objects.remotes.options import Options
from assay.objects.remotes.parallel import ParallelRemote, Source, Write, each
from assay.objects.remotes.retrying import Dropped

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

KNOWN = frozenset(
    [
        "user",
        "password",
        "ask_password",
        "token",
        "bearer_token_command",
        "custom_auth_header",
        "cert_path",
        "key_path",
        "timeout",
        "ssl_verify",
    ]
)
_ASKED = (
    b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/>'
    b"<getetag/><getlastmodified/></prop></propfind>"
)


class WebDAVRemote(ParallelRemote):
    """A remote on a WebDAV server: `webdav://` over HTTP, `webdavs://` over HTTPS."""

    def __init__(self, settings: RemoteSettings) -> None:
        options = Options(settings, known=KNOWN)
        super().__init__(options, jobs=8)
        url, user, password = without_user(settings.url)
        url = "http" + url.removeprefix("webdav")
        sign = bearer(options) or signer(options, user=user, password=password)
        self._client = Client(options, url=url, sign=sign)
        self._made: set[str] = set()
        self._making = threading.Lock()

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Go through the files below `prefix`, a folder: folders of one depth are read at once."""
        waiting = [prefix.strip("/")]
        while waiting:
            found = each(self._read, waiting, jobs=self.jobs, stop=threading.Event())
            waiting = []
            for folders, files in found:
                waiting += folders
                yield from files

    def find(self, keys: Sequence[str]) -> set[str]:
        """Return those of `keys` that are there: folder by folder where many share one."""
        wanted = set(keys)
        folders = {key.rpartition("/")[0] for key in wanted}
        if len(wanted) <= 2 * len(folders):
            return self.ask_each(self._is_file, wanted)
        found = each(self._read, sorted(folders), jobs=self.jobs, stop=threading.Event())
        return wanted & {entry.key for _, files in found for entry in files}

    def stat(self, key: str) -> Entry | None:
        """Return what the server says of one file, or None."""
        return self.tried(lambda: self._look(key))

    def _is_file(self, key: str) -> bool:
        entry = self._look(key)
        return entry is not None and not entry.is_folder

    def _look(self, key: str) -> Entry | None:
        rows = self._ask(self._client.address(key), "0")
        if not rows:
            return None
        return Entry(key, is_folder=True) if rows[0][1] else rows[0][2]._replace(key=key)

    def inside(self, folder: str) -> Inside:
        """Return what lies in a folder."""
        return self._read(folder.strip("/"))

    def _read(self, folder: str) -> Inside:
        address = self._client.address(folder).rstrip("/") + "/"
        rows = self.tried(lambda: self._ask(address, "1"))
        here = unquote(urlsplit(address).path).rstrip("/")
        top = f"{folder}/" if folder else ""
        folders: list[str] = []
        files: list[Entry] = []
        for path, is_folder, entry in rows:
            name = path.rstrip("/").rpartition("/")[2]
            if path.rstrip("/") == here:
                continue  # the folder itself
            if is_folder:
                folders.append(top + name)
            else:
                files.append(entry._replace(key=top + name))
        return Inside(folders, files)

    def _ask(self, address: str, depth: str) -> list[tuple[str, bool, Entry]]:
        """Return path, whether it is a folder, and the facts, for each thing the server names."""
        headers = {"Depth": depth, "Content-Type": "application/xml"}
        with self._client.ask(
            "PROPFIND", address, headers=headers, body=[_ASKED], size=len(_ASKED)
        ) as answer:
            if answer.status in {404, 410}:
                return []
            if answer.status >= 300:
                raise self._client.refused(answer, "to list a folder")
            with self._client.talking(self.settings.name):
                text = b"".join(read_chunks(answer))
        return _rows(text, self.settings.where)

    def send(self, key: str, source: Source) -> None:
        """Send one file under a temporary name, and move it."""
        folder, _, name = key.rpartition("/")
        temporary = f"{folder}/.{os.urandom(11).hex()}.tmp".lstrip("/")
        self._make(folder)
        client = self._client
        here, there = client.address(temporary), client.address(f"{folder}/{name}".lstrip("/"))
        try:
            self._do("PUT", here, body=source, size=source.size)
            self._move(here, there)
        except BaseException:
            self._forget(temporary)
            raise

    def _move(self, here: str, there: str) -> None:
        """Give a file its name: asked again by itself, since the bytes are there already."""

        def once() -> bool:
            headers = {"Destination": there, "Overwrite": "T"}
            with self._client.ask("MOVE", here, headers=headers) as answer:
                answer.read(CHUNK)
                if answer.status >= 300 and answer.status != 404:
                    raise self._client.refused(answer, "MOVE of a file")
                return answer.status != 404

        if not self.tried(once):
            raise Dropped("the file that was sent is gone")  # it goes again, from its beginning

    def _do(self, method: str, address: str, **request: Any) -> None:
        with self._client.ask(method, address, **request) as answer:
            answer.read(CHUNK)
            if answer.status >= 300:
                raise self._client.refused(answer, f"{method} of a file")

    def _forget(self, key: str) -> None:
        with contextlib.suppress(Error, Dropped):
            self.delete(key)

    def _make(self, folder: str) -> None:
        """Make a folder and those above it, the remote's own too, where they are missing."""
        if folder in self._made:
            return
        with self._making:
            self._make_one(folder)
            self._made.add(folder)

    def _make_one(self, folder: str) -> None:
        status = self._mkcol(self._client.address(folder).rstrip("/") + "/")
        if status == 409 and folder:
            self._make_one(folder.rpartition("/")[0])
            status = self._mkcol(self._client.address(folder).rstrip("/") + "/")
        elif status == 409:
            self._make_root()

    def _make_root(self) -> None:
        parts = urlsplit(self._client.url)
        path = ""
        for name in parts.path.strip("/").split("/"):
            path += f"/{name}"
            self._mkcol(parts._replace(path=path + "/").geturl())

    def _mkcol(self, address: str) -> int:
        """Ask for a folder; 405 says that it is there."""

        def once() -> int:
            with self._client.ask("MKCOL", address) as answer:
                answer.read(CHUNK)
                if answer.status == 403:
                    raise self._client.refused(answer, "to make a folder")
                return answer.status

        return self.tried(once)

    def receive(self, key: str, write: Write) -> None:
        """Receive one file."""
        client = self._client
        with client.ask("GET", client.address(key)) as answer:
            if answer.status in {404, 410}:
                raise NotFound("the file is not on the remote", where=self.address(key))
            if answer.status >= 300:
                raise client.refused(answer, "to send a file")
            with client.talking(self.settings.name):
                for chunk in read_chunks(answer):
                    write(chunk)

    def delete(self, key: str) -> None:
        """Remove one file."""
        with self._client.ask("DELETE", self._client.address(key)) as answer:
            answer.read(CHUNK)
            if answer.status >= 300 and answer.status not in {404, 410}:
                raise self._client.refused(answer, "to remove a file")


def _rows(text: bytes, where: str) -> list[tuple[str, bool, Entry]]:
    """Read a `multistatus`; entities are refused, since they can expand for ever."""
    from xml.etree import ElementTree as ET

    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise Error("the answer to a listing is no plain XML", where=where)
    try:
        root = ET.fromstring(text)  # noqa: S314 -- without a DTD nothing can be expanded
    except ET.ParseError as error:
        raise Error(
            "the answer to a listing is no XML: this is no WebDAV server",
            where=where,
            hint="look at the address of the remote",
        ) from error
    return [_row(response) for response in root.iter("{DAV:}response")]


def _row(response: Element) -> tuple[str, bool, Entry]:
    path = unquote(urlsplit(response.findtext("{DAV:}href", "")).path)
    is_folder = response.find(".//{DAV:}collection") is not None
    size = response.findtext(".//{DAV:}getcontentlength")
    etag = response.findtext(".//{DAV:}getetag")
    stamp = response.findtext(".//{DAV:}getlastmodified")
    entry = Entry(
        path,
        int(size) if size and size.isdigit() else None,
        etag.strip('"') if etag else None,
        int(parsedate_to_datetime(stamp).timestamp() * 1000) if stamp else None,
    )
    return path, is_folder, entry
