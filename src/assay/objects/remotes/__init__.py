"""Where objects are shared. A new kind of remote is one new file with one class.

A remote holds files under keys: text with `/`, such as `files/md5/ab/cdef…`. What a key means is
the business of `assay.objects.transfer`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.objects.hashing import Algorithm


class RemoteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A remote as the configuration names it: its name, its address, all other options."""

    name: str
    url: str
    options: dict[str, str] = {}

    @property
    def where(self) -> str:
        """How an error names this remote."""
        return f"remote '{self.name}'"

    @property
    def is_versioned(self) -> bool:
        """Whether it keeps files under their own paths, and the bucket their versions."""
        options = (self.options.get(name, "") for name in ("version_aware", "worktree"))
        return any(value.lower() == "true" for value in options)


class Item(NamedTuple):
    """A file to move: its key on the remote, its path here, and what its bytes must hash to.

    Of a remote that keeps versions, also which of them is to come; the last one without it.
    """

    key: str
    place: str | Path
    oid: str
    algorithm: Algorithm
    version: str | None = None

    @property
    def path(self) -> Path:
        """The path here; `place` is the same, as text where there are ten thousand."""
        return Path(self.place)


class Damage(NamedTuple):
    """A file that was not moved because its bytes do not have its hash."""

    item: Item
    where: str


class Entry(NamedTuple):
    """What a remote says of a file: size in bytes, ETag, time in Unix milliseconds; or None.

    Of a folder, on a remote that has such, only that it is one.
    """

    key: str
    size: int | None = None
    etag: str | None = None
    modified: int | None = None
    is_folder: bool = False
    version: str | None = None


class Inside(NamedTuple):
    """What lies in a folder: the keys of the folders in it, and the files."""

    folders: list[str]
    files: list[Entry]


class Remote(Protocol):
    """What every remote can do. All calls may be repeated: what is done stays done."""

    def list_(self, prefix: str) -> Iterable[str]:
        """Go through the keys that begin with `prefix`, a folder.

        A name that begins with a dot is that of a file on its way, and left out.
        """

    def entries(self, prefix: str) -> Iterable[Entry]:
        """Go through all files below `prefix`, with what the remote says of each."""

    def inside(self, folder: str) -> Inside:
        """Return what lies in a folder; where there is none, nothing."""

    def find(self, keys: Sequence[str]) -> set[str]:
        """Return those of `keys` that are there, in as few questions as possible."""

    def stat(self, key: str) -> Entry | None:
        """Return what the remote says of a file or folder, or None; "" is its own address."""

    def upload(self, items: Sequence[Item], *, advance: Callable[[int], None]) -> list[Damage]:
        """Copy files to the remote, each checked by its hash, whole or not at all."""

    def download(self, items: Sequence[Item], *, advance: Callable[[int], None]) -> list[Damage]:
        """Copy files from the remote into a cache, each checked by its hash."""

    def get_file(self, key: str, path: Path, *, algorithm: Algorithm = "md5") -> tuple[str, int]:
        """Write one file, whatever its hash, over `path`; return its hash and size in bytes.

        With `os.devnull` as the path it is only hashed. The key "" is the remote's own address.
        """

    def remove(self, keys: Sequence[str]) -> None:
        """Remove files; one that is not there is fine."""


_HERE = "assay.objects.remotes"
_KINDS = {
    "local": f"{_HERE}.local:LocalRemote",
    "s3": f"{_HERE}.s3:S3Remote",
    "gs": f"{_HERE}.gs:GSRemote",
    "azure": f"{_HERE}.azure:AzureRemote",
    "ssh": f"{_HERE}.ssh:SSHRemote",
    "http": f"{_HERE}.http:HTTPRemote",
    "https": f"{_HERE}.http:HTTPRemote",
    "webdav": f"{_HERE}.webdav:WebDAVRemote",
    "webdavs": f"{_HERE}.webdav:WebDAVRemote",
    # DVC's others; what else fsspec knows is asked of fsspec
    **dict.fromkeys(("hdfs", "webhdfs", "oss"), f"{_HERE}.fsspec:FsspecRemote"),
}


def open_remote(settings: RemoteSettings) -> Remote:
    """Open a remote of objects by the scheme of its address; a plain path is a folder.

    Raises
    ------
    NotFound
        If no kind of remote has that scheme.
    Error
        If it keeps files and not objects: see `assay.objects.versioned`.
    """
    if settings.is_versioned:
        raise Error(
            "this is not possible with a remote that keeps files under their own names",
            where=settings.where,
            hint="it can be pushed to, fetched and pulled from; use another remote for the rest",
        )
    make: Callable[[RemoteSettings], Remote] = kind_of(settings)
    return make(settings)


def kind_of(settings: RemoteSettings) -> Any:
    """Return the class for a remote: ours by the table, a stranger's by its entry point.

    Raises
    ------
    NotFound
        If no kind of remote has the scheme of its address.
    """
    scheme = settings.url.split("://", 1)[0] if "://" in settings.url else "local"
    scheme = "local" if scheme == "file" else scheme
    if scheme in _KINDS:
        return _load(_KINDS[scheme])
    from importlib.metadata import entry_points

    for point in entry_points(group="assay.remotes", name=scheme):
        return point.load()
    if _fsspec_knows(scheme):
        return _load(_KINDS["hdfs"])
    raise NotFound(
        f"no kind of remote is called '{scheme}'",
        where=settings.where,
        hint=did_you_mean(scheme, _KINDS)
        or "a folder on this machine works: give its path; others come with "
        "\"pip install 'assay[fsspec]'\"",
    )


def _load(address: str) -> Any:
    import importlib

    module, _, name = address.partition(":")
    return getattr(importlib.import_module(module), name)


def _fsspec_knows(scheme: str) -> bool:
    import importlib.util

    if importlib.util.find_spec("fsspec") is None:
        return False
    from fsspec import available_protocols

    return scheme in available_protocols()
