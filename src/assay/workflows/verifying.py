"""`cache verify`: every object by its hash, here or on a remote, and repaired where that works.

A damaged object of a cache is moved aside and brought again from the default remote, if that has
a good one. A damaged object of a remote is replaced by the one in the cache; where the cache has
none it stays, named: a pull never hands it out, since every object is checked on arrival.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

import msgspec

from assay.base.errors import Error
from assay.base.files import explain
from assay.base.progress import progress
from assay.objects import garbage, transfer
from assay.objects.cache import DIR, Cache
from assay.objects.hashing import hash_file
from assay.objects.legacy import PREFIX, named
from assay.objects.remotes import Remote, open_remote
from assay.objects.remotes.local import LocalRemote
from assay.objects.remotes.parallel import each
from assay.objects.staging import sweep
from assay.objects.transfer import key_of
from assay.pipeline import kept
from assay.project.guarding import using
from assay.project.workspace import Project

_JOBS = 16


class Damaged(msgspec.Struct, frozen=True, kw_only=True):
    """An object whose bytes have another hash, or cannot be read.

    Attributes
    ----------
    oid : str
        With its algorithm.
    where : str
        Where it lay.
    aside : str or None
        Where its bytes are kept now.
    repaired_from : str or None
        Where a good one came from.
    """

    oid: str
    where: str
    aside: str | None = None
    repaired_from: str | None = None


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at.

    Attributes
    ----------
    places : list of str
        The folders, or the remote.
    n_objects, size : int
        How many objects were read, and their bytes.
    note : str or None
        Why nothing could be repaired from a remote.
    """

    places: list[str]
    n_objects: int
    size: int
    damaged: list[Damaged]
    note: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all objects are good now."""
        return all(one.repaired_from is not None for one in self.damaged)


def cache(project: Project) -> Verified:
    """Read every object on this machine: of DVC's cache, and of our own two stores."""
    stores = [project.cache, project.objects, kept.store(project)]
    old = project.cache.of(PREFIX)
    if next(iter(old), None) is not None:
        stores.append(old)
    with using(project):
        damaged, places, n_objects, total = [], [], 0, 0
        for store in stores:
            if store.folder.is_dir():
                sweep(store.folder)
                places.append(str(store.folder))
                bad, n, size = _read(store)
                n_objects, total = n_objects + n, total + size
                damaged += [(store, oid) for oid in bad]
        found = [_aside(store, oid) for store, oid in damaged]
        found, note = _repair(project, stores, damaged, found)
    return Verified(places=places, n_objects=n_objects, size=total, damaged=found, note=note)


def _read(store: Cache) -> tuple[list[str], int, int]:
    """Return the oids of damaged objects, and how many objects and bytes there are."""
    sizes = {oid: _size(store.place(oid)) for oid in store}
    total = sum(sizes.values())
    with progress(f"reading {store.folder}", total=total, unit="bytes") as bar:
        damaged = [o for o in sorted(sizes) if not _is_whole(store, o, advance=bar.advance)]
    return damaged, len(sizes), total


def _size(place: str) -> int:
    try:
        return os.stat(place).st_size  # noqa: PTH116 -- for every object
    except OSError:
        return 0


def _is_whole(store: Cache, oid: str, *, advance: Callable[[int], None]) -> bool:
    try:
        found, _ = hash_file(store.place(oid), algorithm=store.algorithm, advance=advance)
    except FileNotFoundError:  # collected, or moved aside by another process
        return True
    except PermissionError as error:
        raise explain(error, store.place(oid)) from error
    except OSError:  # a bad sector, a folder in its place
        return False
    return found == oid.removesuffix(DIR)


def _aside(store: Cache, oid: str) -> Damaged:
    where = store.place(oid)
    store.damaged(oid)
    aside = store.aside(oid)
    return Damaged(
        oid=store.named(oid),
        where=where,
        aside=str(aside) if aside.exists() else None,
    )


def _repair(
    project: Project,
    stores: Sequence[Cache],
    damaged: Sequence[tuple[Cache, str]],
    found: list[Damaged],
) -> tuple[list[Damaged], str | None]:
    """Bring good objects: by the other store of this machine, else from the default remote."""
    if not damaged:
        return found, None
    note = None
    lacking = [oid for store, oid in damaged if store.algorithm != "sha256"]
    source = dict.fromkeys(_exchange(stores, damaged), "the store beside it")
    wanted = [oid for oid in lacking if oid not in source]
    if wanted and project.config.get("core", "remote") is None:
        note = "no default remote is set"
    elif wanted:
        try:
            settings = project.config.remote()
            transfer.fetch(wanted, project.cache, open_remote(settings))
            source |= {
                oid: f"remote '{settings.name}'" for oid in wanted if project.cache.has(oid)
            }
        except (Error, OSError) as error:
            note = error.what if isinstance(error, Error) else str(error)
        _exchange(stores, damaged)
    return [
        msgspec.structs.replace(one, repaired_from=source.get(oid) if store.has(oid) else None)
        for one, (store, oid) in zip(found, damaged, strict=True)
    ], note


def _exchange(stores: Sequence[Cache], damaged: Sequence[tuple[Cache, str]]) -> list[str]:
    """Copy damaged objects from another store that has them whole; return which."""
    done = []
    for store, oid in damaged:
        for other in stores:
            is_alike = other is not store and other.algorithm == store.algorithm
            if is_alike and not store.has(oid) and other.has(oid) and other.verify(oid):
                store.add(other.path(oid).read_bytes(), suffix=DIR if oid.endswith(DIR) else "")
                done.append(oid)
    return done


def remote(project: Project, name: str | None) -> Verified:
    """Read every object of a remote.

    Raises
    ------
    NotFound
        If there is no such remote.
    """
    settings = project.config.remote(name)
    store = open_remote(settings)
    if isinstance(store, LocalRemote):
        sweep(store.folder)
    entries = {garbage.data_of(entry.key): entry for entry in store.entries("")}
    oids = sorted(oid for oid in entries if oid is not None)

    def read(oid: str) -> str | None:
        algorithm = project.cache.of(oid).algorithm
        found, _ = store.get_file(key_of(oid), Path(os.devnull), algorithm=algorithm)
        return None if found == oid.removesuffix(DIR) else oid

    bad: list[str] = []
    with progress(f"reading remote '{settings.name}'", total=len(oids)) as bar:
        for oid in each(read, oids, jobs=_JOBS, stop=Event()):
            bad += [oid] if oid is not None else []
            bar.advance()
    damaged = [
        Damaged(oid=named(oid), where=f"{settings.url}/{key_of(oid)}") for oid in sorted(bad)
    ]
    return Verified(
        places=[f"remote '{settings.name}'"],
        n_objects=len(oids),
        size=sum(entry.size or 0 for oid, entry in entries.items() if oid is not None),
        damaged=[_replaced(project, store, one) for one in damaged],
    )


def _replaced(project: Project, store: Remote, one: Damaged) -> Damaged:
    """Put the good object of the cache in the place of a damaged one of a remote."""
    oid = one.oid.removeprefix("md5:")
    if not project.cache.has(oid):
        return one
    if store.upload([transfer.item_of(oid, project.cache)], advance=lambda _count: None):
        project.cache.damaged(oid)
        return one
    return msgspec.structs.replace(one, repaired_from="the cache")
