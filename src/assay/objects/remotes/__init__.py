"""Where objects are shared. A new kind of remote is one new file with one class.

A remote holds files under keys: text with `/`, such as `files/md5/ab/cdef…`. What a key means is
the business of `assay.objects.transfer`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from assay.base.errors import NotFound, did_you_mean
from assay.objects.hashing import Algorithm


class RemoteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A remote as the configuration names it: its name, its address, all other options."""

    name: str
    url: str
    options: dict[str, str] = {}


class Item(NamedTuple):
    """A file to move: its key on the remote, its path here, and what its bytes must hash to."""

    key: str
    path: Path
    oid: str
    algorithm: Algorithm


class Damage(NamedTuple):
    """A file that was not moved because its bytes do not have its hash."""

    item: Item
    where: str


class Remote(Protocol):
    """What every remote can do. All calls may be repeated: what is done stays done."""

    def list_(self, prefix: str) -> Iterable[str]:
        """Go through the keys that begin with `prefix`."""

    def find(self, keys: Sequence[str]) -> set[str]:
        """Return those of `keys` that are there, in as few questions as possible."""

    def upload(self, items: Sequence[Item], *, advance: Callable[[int], None]) -> list[Damage]:
        """Copy files to the remote, each checked by its hash, whole or not at all."""

    def download(self, items: Sequence[Item], *, advance: Callable[[int], None]) -> list[Damage]:
        """Copy files from the remote into a cache, each checked by its hash."""


_KINDS = {"local": "assay.objects.remotes.local:LocalRemote"}


def open_remote(settings: RemoteSettings) -> Remote:
    """Open a remote by the scheme of its address; a plain path is a folder.

    Raises
    ------
    NotFound
        If no kind of remote has that scheme.
    """
    make: Callable[[RemoteSettings], Remote] = kind_of(settings)
    return make(settings)


def kind_of(settings: RemoteSettings) -> Any:
    """Return the class for a remote: ours by the table, a stranger's by its entry point.

    Raises
    ------
    NotFound
        If no kind of remote has the scheme of its address.
    """
    import importlib

    scheme = settings.url.split("://", 1)[0] if "://" in settings.url else "local"
    scheme = "local" if scheme == "file" else scheme
    if scheme in _KINDS:
        module, _, name = _KINDS[scheme].partition(":")
        return getattr(importlib.import_module(module), name)
    from importlib.metadata import entry_points

    for point in entry_points(group="assay.remotes", name=scheme):
        return point.load()
    raise NotFound(
        f"no kind of remote is called '{scheme}'",
        where=f"remote '{settings.name}'",
        hint=did_you_mean(scheme, _KINDS) or "a folder on this machine works: give its path",
    )
