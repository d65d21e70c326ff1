"""Move objects between a cache and a remote: ask once, move what is missing, files before trees.

A manifest on a remote says that its files are there, so it goes last, and only when all of its
files arrived. Each object is checked by its hash on the way; a damaged one stays where it is and
is named. Objects move in batches, so that what arrived stays when a process or a network dies; a
connection that drops is the business of the remote, which tries again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from assay.base.errors import Error
from assay.base.progress import counted, progress
from assay.objects import legacy, tree
from assay.objects.cache import DIR, Cache, Damaged
from assay.objects.legacy import is_legacy
from assay.objects.remotes import Damage, Item, Remote

MD5_PREFIX = "files/md5"
"""Where DVC's objects lie on a remote."""
SHA256_PREFIX = "assay/sha256"
"""Where ours lie."""

_BATCH_FILES = 20_000
_BATCH_SIZE = 1 << 30


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What a transfer did.

    Attributes
    ----------
    moved : int
        Objects that were copied; a manifest counts as one.
    present : int
        Objects that were there before.
    missing : list of str
        Oids found on neither side.
    damaged : list of str
        Where the objects lie whose bytes have another hash.
    """

    moved: int = 0
    present: int = 0
    missing: list[str] = []
    damaged: list[str] = []

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for is there now."""
        return not self.missing and not self.damaged


class Wanted(msgspec.Struct, frozen=True):
    """An object that is to be moved; of a manifest's files those that `holds` says yes to."""

    oid: str
    holds: Callable[[str], bool] | None = None


def key_of(oid: str, prefix: str = MD5_PREFIX) -> str:
    """Return the key of an object on a remote.

    Examples
    --------
    >>> key_of("d751713988987e9331980363e24189ce.dir")
    'files/md5/d7/51713988987e9331980363e24189ce.dir'
    """
    return legacy.key_of(oid) if is_legacy(oid) else f"{prefix}/{oid[:2]}/{oid[2:]}"


def push(
    oids: Iterable[str | Wanted], cache: Cache, remote: Remote, *, prefix: str = MD5_PREFIX
) -> Moved:
    """Copy objects, and the files that their manifests name, to a remote.

    Unlike DVC's, a manifest that is on the remote proves nothing: its files are asked for too, so
    that pushing again repairs a remote that lost some. A manifest of which only a part is asked
    for goes along where all its other files are there.
    """
    trees, chosen, lost, spoilt = _expand(oids, cache)
    files = chosen | dict.fromkeys(oid for names in trees.values() for oid in names)
    keys = {oid: key_of(oid, prefix) for oid in (*files, *trees, *lost)}
    there = remote.find(list(keys.values()))
    lacking = [oid for oid in files if keys[oid] not in there]
    sizes = {oid: size for oid in lacking if oid in chosen and (size := _size(oid, cache)) >= 0}
    absent = {oid for oid in lacking if oid not in sizes}
    missing = [oid for oid in lost if keys[oid] not in there]
    missing += [oid for oid in absent if oid in chosen]
    sending = [(item_of(oid, cache, prefix), size) for oid, size in sizes.items()]
    last = [o for o in trees if keys[o] not in there and trees[o].isdisjoint(absent)]
    with progress("pushing", total=len(sending) + len(last)) as bar:
        damaged: list[Damage] = []
        for batch in _batches(sending):
            damaged += remote.upload(batch, advance=bar.advance)
        bad = {damage.item.oid for damage in damaged}
        last = [oid for oid in last if trees[oid].isdisjoint(bad)]
        for batch in _batches([(item_of(oid, cache, prefix), 0) for oid in last]):
            damaged += remote.upload(batch, advance=bar.advance)
    for damage in damaged:
        cache.damaged(damage.item.oid)  # aside, so that a pull brings a good one
    asked = {keys[oid] for oid in (*chosen, *trees, *lost)}
    return Moved(
        moved=len(sending) + len(last) - len(damaged),
        present=len(there & asked),
        missing=sorted(missing),
        damaged=[*spoilt, *(d.where for d in damaged)],
    )


def pull(
    oids: Iterable[str | Wanted], cache: Cache, remote: Remote, *, prefix: str = MD5_PREFIX
) -> Moved:
    """Copy objects, and the files that their manifests name, from a remote into a cache.

    A damaged manifest of the cache is put aside and comes again.
    """
    asked = [Wanted(one) if isinstance(one, str) else one for one in oids]
    trees = list(dict.fromkeys(one.oid for one in asked if one.oid.endswith(DIR)))
    listed = {oid: _entries(oid, cache) for oid in trees}
    first = fetch(trees, cache, remote, prefix=prefix)
    names: dict[str, None] = {}
    for one in asked:
        if not one.oid.endswith(DIR):
            names[one.oid] = None
            continue
        entries = listed[one.oid]
        if entries is None and cache.has(one.oid):
            entries = listed[one.oid] = tree.read(cache, one.oid)
        holds = one.holds
        names.update({e.oid: None for e in entries or () if holds is None or holds(e.relpath)})
    second = fetch(list(names), cache, remote, prefix=prefix)
    return Moved(
        moved=first.moved + second.moved,
        present=first.present + second.present,
        missing=first.missing + second.missing,
        damaged=first.damaged + second.damaged,
    )


def fetch(
    oids: Sequence[str], cache: Cache, remote: Remote, *, prefix: str = MD5_PREFIX
) -> Moved:  # fmt: skip
    """Copy just these objects from a remote into a cache: of a folder its list, not its files."""
    wanted = cache.lacking(oids)
    if not wanted:
        return Moved(present=len(oids))
    keys = {oid: key_of(oid, prefix) for oid in wanted}
    there = remote.find(list(keys.values()))
    items = [(item_of(oid, cache, prefix), 0) for oid, key in keys.items() if key in there]
    damaged: list[Damage] = []
    with progress("fetching", total=len(items)) as bar:
        for batch in _batches(items):
            damaged += remote.download(batch, advance=bar.advance)
    return Moved(
        moved=len(items) - len(damaged),
        present=len(oids) - len(wanted),
        missing=[oid for oid in wanted if keys[oid] not in there],
        damaged=[d.where for d in damaged],
    )


def _size(oid: str, cache: Cache) -> int:
    """Return the size of an object in bytes, or -1 where it is not here."""
    try:
        return os.stat(cache.place(oid)).st_size  # noqa: PTH116 -- for every object
    except FileNotFoundError:
        return -1


def _batches(items: Sequence[tuple[Item, int]]) -> Iterator[list[Item]]:
    """Split items into batches of not too many files, nor, as far as sizes are known, bytes."""
    batch: list[Item] = []
    total = 0
    for item, size in items:
        batch.append(item)
        total += size
        if len(batch) >= _BATCH_FILES or total >= _BATCH_SIZE:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


class _Expanded(NamedTuple):
    trees: dict[str, frozenset[str]]  # manifests with all their files
    chosen: dict[str, None]  # the files that are asked for
    lost: list[str]  # manifests that are not here
    spoilt: list[str]  # where damaged manifests lay


def _expand(oids: Iterable[str | Wanted], cache: Cache) -> _Expanded:
    found = _Expanded({}, {}, [], [])
    for one in oids:
        oid, holds = (one, None) if isinstance(one, str) else (one.oid, one.holds)
        if not oid.endswith(DIR):
            found.chosen[oid] = None
            continue
        was_here = cache.has(oid)
        entries = _entries(oid, cache)
        if entries is not None:
            found.trees[oid] = frozenset(entry.oid for entry in entries)
            asked = {e.oid: None for e in entries if holds is None or holds(e.relpath)}
            found.chosen.update(asked)
        elif was_here:
            found.spoilt.append(cache.place(oid))
        elif oid not in found.lost:
            found.lost.append(oid)
    return found


def _entries(oid: str, cache: Cache) -> list[tree.Entry] | None:
    """Return what a manifest lists, or None where it is not here; a damaged one goes aside."""
    if not cache.has(oid):
        return None
    try:
        return tree.read(cache, oid)
    except Damaged:
        return None


def item_of(oid: str, cache: Cache, prefix: str = MD5_PREFIX) -> Item:
    """Return what a remote needs to know to move an object."""
    algorithm = cache.of(oid).algorithm if is_legacy(oid) else cache.algorithm
    return Item(key_of(oid, prefix), cache.place(oid), oid, algorithm)


def raise_incomplete(
    moved: Moved, *, remote: str, verb: str, names: Mapping[str, str] | None = None
) -> None:
    """Raise if a transfer left something out, naming what and what to do.

    Parameters
    ----------
    names : mapping, optional
        What a person calls an object, by oid.
    """
    if not moved.complete:
        raise incomplete(moved, remote=remote, verb=verb, names=names)


def incomplete(
    moved: Moved,
    *,
    remote: str,
    verb: str,
    names: Mapping[str, str] | None = None,
    hint: str | None = None,
) -> Error:
    """Return the error that says what a transfer left out, and what to do.

    Parameters
    ----------
    names : mapping, optional
        What a person calls an object, by oid.
    hint : str, optional
        What to do, where that is known better than by default.
    """
    what = []
    if moved.missing:
        shown = ", ".join(_shown(oid, names or {}) for oid in moved.missing[:5])
        more = f" and {len(moved.missing) - 5:,} more" if len(moved.missing) > 5 else ""
        lacking = counted(len(moved.missing), "object")
        what.append(f"{lacking} neither here nor there: {shown}{more}")
    if moved.damaged:
        shown = ", ".join(moved.damaged[:5])
        what.append(f"{counted(len(moved.damaged), 'object')} damaged: {shown}")
    repair = "'assay push' from a clone that has the data repairs a remote"
    if moved.damaged and verb == "pushed":
        repair = "they were moved aside; get good ones with 'assay pull', then push again"
    elif moved.damaged:
        repair = "remove the damaged files there; " + repair
    return Error(
        f"only {counted(moved.moved, 'object')} {verb}; " + "; ".join(what),
        where=f"remote '{remote}'",
        hint=hint or f"{repair}; 'assay repro' makes outputs again",
    )


def _shown(oid: str, names: Mapping[str, str]) -> str:
    return f"{legacy.named(oid)} ({names[oid]})" if oid in names else legacy.named(oid)
