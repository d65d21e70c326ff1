"""A folder on another machine, through SFTP. Needs `assay[ssh]`.

A file is written under a temporary name and renamed: nobody sees a part of it. Many files are
under way at once on one connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from assay.base.errors import NotFound
from assay.objects.hashing import CHUNK
from assay.objects.remotes import Entry, Inside, RemoteSettings
from assay.objects.remotes.options import Options
from assay.objects.remotes.parallel import ParallelRemote, Source, Write
from assay.objects.remotes.ssh_session import Session, full

if TYPE_CHECKING:
    import asyncssh

KNOWN = frozenset(
    [
        "type",
        "port",
        "user",
        "password",
        "ask_password",
        "passphrase",
        "ask_passphrase",
        "keyfile",
        "timeout",
        "gss_auth",
        "allow_agent",
        "max_sessions",
    ]
)


class SSHRemote(ParallelRemote):
    """A remote in a folder of a machine that one logs into by SSH."""

    def __init__(self, settings: RemoteSettings) -> None:
        options = Options(settings, known=KNOWN)
        super().__init__(options, jobs=options.count("max_sessions") or 16)
        self._root = unquote(urlsplit(settings.url).path).rstrip("/")
        self._session = Session(options)
        self._made: set[str] = set()

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Go through the files below `prefix`, a folder: folders of one depth are read at once."""
        waiting = [prefix.strip("/")]
        while waiting:
            found = self.tried(lambda folders=waiting: self._read(folders))  # type: ignore[misc]
            waiting = []
            for folders, files in found:
                waiting += folders
                yield from files

    def inside(self, folder: str) -> Inside:
        """Return what lies in a folder."""
        [found] = self.tried(lambda: self._read([folder.strip("/")]))
        return found

    def _read(self, folders: Sequence[str]) -> list[Inside]:
        async def work(sftp: asyncssh.SFTPClient) -> list[Inside]:
            gate = asyncio.Semaphore(32)
            return await asyncio.gather(*(self._read_one(sftp, f, gate) for f in folders))

        return self._session.run(work)

    async def _read_one(
        self, sftp: asyncssh.SFTPClient, folder: str, gate: asyncio.Semaphore
    ) -> Inside:
        import asyncssh
        from asyncssh.constants import FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_SYMLINK

        folders: list[str] = []
        files: list[Entry] = []
        top = f"{folder}/" if folder else ""
        async with gate:
            try:
                names = await sftp.readdir(self._path(folder) or "/")
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                return Inside([], [])
        for one in names:
            name = str(one.filename)
            if name in {".", ".."}:
                continue
            attrs = one.attrs
            if attrs.type == FILEXFER_TYPE_SYMLINK:
                with contextlib.suppress(asyncssh.SFTPError):  # one to nothing is a file as it is
                    attrs = await sftp.stat(self._path(top + name))
                if attrs.type == FILEXFER_TYPE_DIRECTORY:
                    continue  # it may lead anywhere, back here too
            if attrs.type == FILEXFER_TYPE_DIRECTORY:
                folders.append(top + name)
            else:
                files.append(_entry(top + name, attrs))
        return Inside(folders, files)

    def find(self, keys: Sequence[str]) -> set[str]:
        """Return those of `keys` that are there: folder by folder where many share one."""
        wanted = set(keys)
        folders = {key.rpartition("/")[0] for key in wanted}
        if len(wanted) > 3 * len(folders):
            found = self.tried(lambda: self._read(sorted(folders)))
            return wanted & {entry.key for _, files in found for entry in files}
        return self.tried(lambda: self._ask(sorted(wanted)))

    def _ask(self, keys: list[str]) -> set[str]:
        async def work(sftp: asyncssh.SFTPClient) -> set[str]:
            gate = asyncio.Semaphore(64)

            async def one(key: str) -> bool:
                async with gate:
                    return await sftp.exists(self._path(key))

            answers = await asyncio.gather(*(one(key) for key in keys))
            return {key for key, there in zip(keys, answers, strict=True) if there}

        return self._session.run(work)

    def stat(self, key: str) -> Entry | None:
        """Return size and time of one file, or that it is a folder, or None."""

        async def work(sftp: asyncssh.SFTPClient) -> Entry | None:
            import asyncssh
            from asyncssh.constants import FILEXFER_TYPE_DIRECTORY

            try:
                attrs = await sftp.stat(self._path(key) or "/")
                is_folder = attrs.type == FILEXFER_TYPE_DIRECTORY
                return Entry(key, is_folder=True) if is_folder else _entry(key, attrs)
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                return None

        return self.tried(lambda: self._session.run(work))

    def send(self, key: str, source: Source) -> None:
        """Write one file under a temporary name, and rename it."""
        path = self._path(key)
        folder = path.rpartition("/")[0]
        temporary = f"{folder}/.{os.urandom(11).hex()}.tmp"

        async def work(sftp: asyncssh.SFTPClient) -> None:
            import asyncssh

            if folder not in self._made:
                await sftp.makedirs(folder or "/", exist_ok=True)
                self._made.add(folder)
            try:
                async with sftp.open(temporary, "wb") as file:
                    for chunk in source:
                        await file.write(chunk)
                await _rename(sftp, temporary, path)
            except BaseException as error:
                with contextlib.suppress(Exception):
                    await sftp.remove(temporary)
                if isinstance(error, asyncssh.SFTPFailure) and await _is_full(sftp, folder):
                    raise full(self.options) from error  # OpenSSH says 'Failure' and no more
                raise

        self._session.run(work)

    def receive(self, key: str, write: Write) -> None:
        """Read one file, several blocks on their way at once."""

        async def work(sftp: asyncssh.SFTPClient) -> bool:
            import asyncssh

            try:
                async with sftp.open(self._path(key), "rb") as file:
                    while chunk := await file.read(4 * CHUNK):
                        write(chunk)
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                return False
            return True

        if not self._session.run(work):
            raise NotFound("the file is not on the remote", where=self.address(key))

    def delete(self, key: str) -> None:
        """Remove one file."""

        async def work(sftp: asyncssh.SFTPClient) -> None:
            import asyncssh

            with contextlib.suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                await sftp.remove(self._path(key))

        self._session.run(work)


async def _rename(sftp: asyncssh.SFTPClient, source: str, target: str) -> None:
    """Rename over what is there; servers without that of OpenSSH need two steps."""
    import asyncssh

    try:
        await sftp.posix_rename(source, target)
    except asyncssh.SFTPOpUnsupported:
        with contextlib.suppress(asyncssh.SFTPNoSuchFile):
            await sftp.remove(target)
        await sftp.rename(source, target)


async def _is_full(sftp: asyncssh.SFTPClient, folder: str) -> bool:
    """Say whether the disk has less than a megabyte left, where the server tells."""
    with contextlib.suppress(Exception):
        found = await sftp.statvfs(folder)
        return found.bavail * found.frsize < CHUNK
    return False


def _entry(key: str, attrs: asyncssh.SFTPAttrs) -> Entry:
    modified = None if attrs.mtime is None else int(attrs.mtime) * 1000
    return Entry(key, attrs.size, None, modified)
