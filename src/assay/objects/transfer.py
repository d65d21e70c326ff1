"""Move objects between a cache and a remote: ask once, move what is missing, files before trees.

A manifest on a remote says that its files are there, so it goes last, and only when all of its
files arrived. Each object is checked by its hash on the way; a damaged one stays where it is and
is named.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from assay.base.errors import Error
from assay.base.progress import counted, progress
from assay.objects import tree
from assay.objects.cache import DIR, Cache
from assay.objects.remotes import Damage, Item, Remote

MD5_PREFIX = "files/md5"
"""Where DVC's objects lie on a remote."""
SHA256_PREFIX = "assay/sha256"
"""Where ours lie."""


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


def key_of(oid: str, prefix: str = MD5_PREFIX) -> str:
    """Return the key of an object on a remote.

    Examples
    --------
    >>> key_of("d751713988987e9331980363e24189ce.dir")
    'files/md5/d7/51713988987e9331980363e24189ce.dir'
    """
    return f"{prefix}/{oid[:2]}/{oid[2:]}"


def push(oids: Iterable[str], cache: Cache, remote: Remote, *, prefix: str = MD5_PREFIX) -> Moved:
    """Copy objects, and the files that their manifests name, to a remote.

    Unlike DVC's, a manifest that is on the remote proves nothing: its files are asked for too, so
    that pushing again repairs a remote that lost some.
    """
    trees, files, missing = _expand(oids, cache)
    there = remote.find([key_of(oid, prefix) for oid in (*files, *trees)])
    to_send = [oid for oid in files if key_of(oid, prefix) not in there]
    absent = [oid for oid in to_send if not cache.has(oid)]
    held_back = {o for o, names in trees.items() if not names.isdisjoint(absent)}
    missing += absent
    sending = [_item(oid, cache, prefix) for oid in to_send if oid not in set(absent)]
    manifests = [oid for oid in trees if key_of(oid, prefix) not in there and oid not in held_back]
    total = len(sending) + len(manifests)
    damaged: list[Damage] = []
    with progress("pushing", total=total) as bar:
        if sending:
            damaged = remote.upload(sending, advance=bar.advance)
        bad = {damage.item.oid for damage in damaged}
        last = [o for o in manifests if trees[o].isdisjoint(bad)]
        if last:
            damaged += remote.upload([_item(o, cache, prefix) for o in last], advance=bar.advance)
    for damage in damaged:
        cache.damaged(damage.item.oid)  # aside, so that a pull brings a good one
    return Moved(
        moved=len(sending) + len(last) - len(damaged),
        present=len(there),
        missing=sorted(missing),
        damaged=[d.where for d in damaged],
    )


def pull(oids: Iterable[str], cache: Cache, remote: Remote, *, prefix: str = MD5_PREFIX) -> Moved:
    """Copy objects, and the files that their manifests name, from a remote into a cache."""
    asked = list(dict.fromkeys(oids))
    trees = [oid for oid in asked if oid.endswith(DIR)]
    first = _fetch(trees, cache, remote, prefix=prefix)
    names = [oid for oid in asked if not oid.endswith(DIR)]
    for oid in trees:
        if cache.has(oid):
            names += [entry.oid for entry in tree.read(cache, oid)]
    second = _fetch(list(dict.fromkeys(names)), cache, remote, prefix=prefix)
    return Moved(
        moved=first.moved + second.moved,
        present=first.present + second.present,
        missing=first.missing + second.missing,
        damaged=first.damaged + second.damaged,
    )


def _fetch(oids: list[str], cache: Cache, remote: Remote, *, prefix: str) -> Moved:
    wanted = [oid for oid in oids if not cache.has(oid)]
    if not wanted:
        return Moved(present=len(oids))
    there = remote.find([key_of(oid, prefix) for oid in wanted])
    items = [_item(oid, cache, prefix) for oid in wanted if key_of(oid, prefix) in there]
    damaged: list[Damage] = []
    if items:
        with progress("fetching", total=len(items)) as bar:
            damaged = remote.download(items, advance=bar.advance)
    return Moved(
        moved=len(items) - len(damaged),
        present=len(oids) - len(wanted),
        missing=[oid for oid in wanted if key_of(oid, prefix) not in there],
        damaged=[d.where for d in damaged],
    )


def _expand(
    oids: Iterable[str], cache: Cache
) -> tuple[dict[str, frozenset[str]], list[str], list[str]]:
    """Split oids into manifests with their files, files, and manifests that are not here."""
    trees: dict[str, frozenset[str]] = {}
    files: dict[str, None] = {}
    missing: list[str] = []
    for oid in dict.fromkeys(oids):
        if not oid.endswith(DIR):
            files[oid] = None
        elif cache.has(oid):
            names = [entry.oid for entry in tree.read(cache, oid)]
            trees[oid] = frozenset(names)
            files.update(dict.fromkeys(names))
        else:
            missing.append(oid)
    return trees, list(files), missing


def _item(oid: str, cache: Cache, prefix: str) -> Item:
    return Item(key_of(oid, prefix), cache.path(oid), oid, cache.algorithm)


def raise_incomplete(moved: Moved, *, remote: str, verb: str) -> None:
    """Raise if a transfer left something out, naming what and what to do."""
    if moved.complete:
        return
    what = []
    if moved.missing:
        names = ", ".join(f"md5:{oid}" for oid in moved.missing[:5])
        what.append(f"{counted(len(moved.missing), 'object')} neither here nor there: {names}")
    if moved.damaged:
        names = ", ".join(moved.damaged[:5])
        what.append(f"{counted(len(moved.damaged), 'object')} damaged: {names}")
    hint = "'assay push' from a clone that has the data repairs a remote"
    if moved.damaged and verb == "pushed":
        hint = "they were moved aside; get good ones with 'assay pull', then push again"
    elif moved.damaged:
        hint = "remove the damaged files there; " + hint
    raise Error(
        f"only {counted(moved.moved, 'object')} {verb}; " + "; ".join(what),
        where=f"remote '{remote}'",
        hint=f"{hint}; 'assay repro' makes outputs again",
    )
