"""Whatever `fsspec` knows: HDFS, OSS, Google Drive, FTP, SMB, ... Needs `assay[fsspec]`.

And the package that brings the protocol; `fsspec` says which. The options of the remote are its
arguments, by its names where DVC's are others.
"""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from threading import RLock
from typing import Any

from assay.base.errors import Error, NotFound, did_you_mean
from assay.objects.hashing import CHUNK
from assay.objects.remotes import Entry, Inside, RemoteSettings
from assay.objects.remotes.options import EVERY, Options, missing_extra
from assay.objects.remotes.parallel import ParallelRemote, Source, Write
from assay.objects.remotes.retrying import Dropped

_NAMES = {
    "oss_key_id": "key",
    "oss_key_secret": "secret",
    "oss_endpoint": "endpoint",
    "ssl_verify": "session_verify",
}


class FsspecRemote(ParallelRemote):
    """A remote on a file system of `fsspec`."""

    def __init__(self, settings: RemoteSettings) -> None:
        options = Options(settings, known=frozenset(settings.options))
        try:
            from fsspec import get_filesystem_class
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise missing_extra(settings, extra="fsspec") from error
        try:
            kind = get_filesystem_class(settings.url.partition("://")[0])
            self._fs, self._root = url_to_fs(settings.url, **_arguments(options, kind))
        except Error:
            raise
        except ImportError as error:
            raise options.fail(f"this kind of remote needs a package: {error}") from error
        except Exception as error:
            reason = options.conceal(str(error)) or type(error).__name__
            raise options.fail(
                f"the remote cannot be opened: {reason}", hint="look at its address and options"
            ) from error
        super().__init__(options, jobs=8)
        self._gate: AbstractContextManager[Any] = contextlib.nullcontext()
        if not getattr(self._fs, "async_impl", False):
            self.jobs = 1  # its connection belongs to one thread at a time
            self._gate = RLock()

    def _path(self, key: str) -> str:
        return f"{self._root.rstrip('/')}/{key}" if key else self._root

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what a file system raises into `Dropped` or an error."""
        try:
            with self._gate:
                yield
        except (FileNotFoundError, Error):
            raise
        except (ConnectionError, TimeoutError, EOFError) as error:
            raise Dropped("the connection to the remote broke off") from error
        except (OSError, ValueError, RuntimeError) as error:
            raise Error(
                self.options.conceal(f"the remote says: {error}"), where=self.settings.where
            ) from error

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Go through the files below `prefix`, a folder."""
        top = self._path(prefix.strip("/"))
        with self._explained():
            self._fs.invalidate_cache()
            found = self._fs.find(top, detail=True)
        root = self._root.rstrip("/") + "/"
        for path, facts in found.items():
            yield _entry(path.removeprefix(root), facts)

    def inside(self, folder: str) -> Inside:
        """Return what lies in a folder."""
        root = self._root.rstrip("/") + "/"
        try:
            with self._explained():
                self._fs.invalidate_cache()
                found = self._fs.ls(self._path(folder.strip("/")), detail=True)
        except FileNotFoundError:
            return Inside([], [])
        entries = [_entry(facts["name"].rstrip("/").removeprefix(root), facts) for facts in found]
        here = folder.strip("/")
        return Inside(
            [entry.key for entry in entries if entry.is_folder and entry.key != here],
            [entry for entry in entries if not entry.is_folder],
        )

    def find(self, keys: Sequence[str]) -> set[str]:
        """Return those of `keys` that are there: by one listing where they are many."""
        wanted = set(keys)
        if len(wanted) <= 64:
            return self.ask_each(self._is_file, wanted)
        tops = {"/".join(key.split("/")[:-2]) for key in wanted}
        return wanted & {entry.key for top in tops for entry in self.entries(top)}

    def _is_file(self, key: str) -> bool:
        entry = self.stat(key)
        return entry is not None and not entry.is_folder

    def stat(self, key: str) -> Entry | None:
        """Return what the file system says of one file, or that it is a folder, or None."""
        try:
            with self._explained():
                self._fs.invalidate_cache()
                facts = self._fs.info(self._path(key))
        except FileNotFoundError:
            return None
        return _entry(key, facts)

    def send(self, key: str, source: Source) -> None:
        """Write one file under a temporary name, and move it."""
        path = self._path(key)
        folder = path.rpartition("/")[0]
        temporary = f"{folder}/.{os.urandom(11).hex()}.tmp"
        with self._explained():
            self._fs.makedirs(folder, exist_ok=True)
        try:
            with self._explained():
                with self._fs.open(temporary, "wb") as file:
                    for chunk in source:
                        file.write(chunk)
                if self._fs.exists(path):
                    self._fs.rm_file(path)
                self._fs.mv(temporary, path)
        except BaseException:
            with contextlib.suppress(Exception):
                self._fs.rm_file(temporary)
            raise

    def receive(self, key: str, write: Write) -> None:
        """Read one file."""
        try:
            with self._explained(), self._fs.open(self._path(key), "rb") as file:
                while chunk := file.read(CHUNK):
                    write(chunk)
        except FileNotFoundError as error:
            raise NotFound(
                "the file is not on the remote", where=self.address(key)
            ) from error  # fmt: skip

    def delete(self, key: str) -> None:
        """Remove one file."""
        with contextlib.suppress(FileNotFoundError), self._explained():
            self._fs.rm_file(self._path(key))


def _arguments(options: Options, kind: Any) -> dict[str, Any]:
    """Return the options as arguments; one that the class does not name would be lost in it."""
    named = {
        name
        for parent in kind.__mro__[:-1]
        for name in inspect.signature(parent.__init__).parameters
    }
    given = {}
    for name, value in options.settings.options.items():
        argument = _NAMES.get(name, name)
        if name in EVERY:
            continue
        if argument not in named:
            raise options.fail(
                f"this kind of remote has no option '{name}'",
                hint=did_you_mean(name, named) or f"'{kind.__name__}' of fsspec does not know it",
            )
        given[argument] = _value(value)
    return given


def _value(text: str) -> Any:
    """Return what an option of the configuration means: true, false, a number, or text."""
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    return int(text) if text.isdigit() else text


def _entry(key: str, facts: dict[str, Any]) -> Entry:
    if facts.get("type") == "directory":
        return Entry(key, is_folder=True)
    return Entry(key, facts.get("size"), _text(facts), _moment(facts))


def _text(facts: dict[str, Any]) -> str | None:
    etag = facts.get("ETag") or facts.get("etag") or facts.get("checksum")
    return None if etag is None else str(etag)


def _moment(facts: dict[str, Any]) -> int | None:
    at: Any = facts.get("mtime") or facts.get("modified") or facts.get("LastModified")
    seconds = at.timestamp() if hasattr(at, "timestamp") else at
    return int(seconds * 1000) if isinstance(seconds, int | float) else None
