"""`gc --cloud`: objects below `assay/sha256` that no record of a run names any more.

The packs of a remote say what all clones named; a purge takes records out of them with the next
push. What looks like a SHA-256 in a pack counts as named, and so does what this clone's ledgers
name. Where it cannot be told what is named, nothing goes.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from assay.base.progress import counted, progress
from assay.ledger.database import open_ledger
from assay.ledger.sdk import spool
from assay.objects.garbage import Unused
from assay.objects.remotes import Entry, Item, Remote
from assay.objects.transfer import SHA256_PREFIX
from assay.project.workspace import Project
from assay.workflows import live, records, remote_names
from assay.workflows.record_places import of_project, temporary

_PACK = re.compile(rf"{records.PREFIX}/[0-9a-f]{{64}}")
_KEY = re.compile(rf"{SHA256_PREFIX}/([0-9a-f]{{2}})/([0-9a-f]{{62}})")
_SHA256 = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What no record names, or why that cannot be told."""

    unused: list[Unused] = []
    left: list[str] = []


class _Unreadable(Exception):
    """A pack whose content is not known."""


def find(project: Project, remote: Remote, *, before: float) -> Found:
    """Return the objects of runs on a remote that nobody names; nothing is deleted.

    Parameters
    ----------
    before : float
        Unix seconds; what came later, or nobody knows when, is left alone: it is sent before the
        record that names it.
    """
    there = _entries(remote)
    packs = [key for key in remote.list_(records.PREFIX) if _PACK.fullmatch(key)]
    if not there or not packs:
        return Found()
    try:
        named = _of_packs(project, remote, packs)
    except _Unreadable as error:
        return _left(there, f"{error} is damaged: what it names is not known", "")
    named |= _of_this_clone(project)
    known = remote_names.read(project, remote)
    named, unknown = _with_documents(project, named, known)
    if lacking := unknown & there.keys():
        what = counted(len(lacking), "object")
        why = f"what {what} may name is not known"
        return _left(there, why, "; bring them: 'assay fetch --artifacts'")
    return Found(
        unused=[
            Unused(oid, entry.key, entry.size)
            for oid, entry in sorted(there.items())
            if oid not in named and entry.modified is not None and entry.modified < before * 1000
        ]
    )


def _left(there: dict[str, Entry], why: str, what_next: str) -> Found:
    count = counted(len(there), "object")
    return Found(left=[f"{count} of runs on the remote stay: {why}{what_next}"])


def _entries(remote: Remote) -> dict[str, Entry]:
    found = ((_KEY.fullmatch(entry.key), entry) for entry in remote.entries(SHA256_PREFIX))
    return {match[1] + match[2]: entry for match, entry in found if match is not None}


def _of_packs(project: Project, remote: Remote, keys: Iterable[str]) -> set[str]:
    """Return all that packs name, also what a newer form than ours says."""
    named: set[str] = set()
    with temporary(of_project(project)) as folder:
        (Path(folder) / records.PREFIX).mkdir(parents=True)
        items = [Item(key, f"{folder}/{key}", Path(key).name, "sha256") for key in keys]
        with progress("reading runs", total=len(items)) as bar:
            for damage in remote.download(items, advance=bar.advance):
                raise _Unreadable(damage.where)
        for item in items:
            for line in _lines(item):
                named.update(oid.decode() for oid in _SHA256.findall(line))
    return named


def _lines(item: Item) -> Iterator[bytes]:
    try:
        with gzip.open(item.path, "rb") as packed:
            yield from packed
    except (OSError, EOFError, zlib.error) as error:
        raise _Unreadable(item.key) from error


def _of_this_clone(project: Project) -> set[str]:
    named = set(spool.oids(project.assay_dir / "spool"))
    for place in live.ledgers(project):
        with open_ledger(place, create=False) as ledger:
            named |= live.of_ledger(project.objects, ledger)
    return named


def _with_documents(
    project: Project, named: Iterable[str], known: dict[str, set[str]]
) -> tuple[set[str], set[str]]:
    """Return oids with those that documents among them name, and of which nobody knows that."""
    found: set[str] = set()
    unknown: set[str] = set()
    todo = list(named)
    while todo:
        oid = todo.pop()
        if oid in found:
            continue
        found.add(oid)
        is_here = project.objects.has(oid)
        if not is_here and oid not in known:
            unknown.add(oid)
        todo += known.get(oid, ())
        todo += live.named_in(project.objects, oid) if is_here else ()
    return found, unknown
