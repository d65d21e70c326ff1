"""`runs purge`: the rows of deleted runs go, and the artifacts that nothing else names.

What a record names is looked up before the rows are gone; what else is named, after. Of what was
too young to go a hub's folder keeps a list, for its next purge: no other command looks there. In a
project, `gc` does.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec

from assay.base.clock import now_ms
from assay.base.files import write_atomic
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.purge import Claims, Purge
from assay.objects import garbage
from assay.objects.garbage import Unused
from assay.project import linked
from assay.project.guarding import alone
from assay.project.holding import holding
from assay.workflows import live
from assay.workflows.garbage import GRACE
from assay.workflows.record_places import Place

_LEFT = "left.json"


class Freed(msgspec.Struct, frozen=True, kw_only=True):
    """What a purge frees, or would free.

    Attributes
    ----------
    artifacts, others : int
        Objects that nothing else names: what runs and logged models keep under a path; patches
        and the like.
    size : int
        Their bytes.
    n_young : int
        Objects that nothing else names either, and that stay: they were written less than an
        hour ago, and what a client has just sent is named by no record yet.
    is_shrunk : bool
        The ledger's file has no space left over; another process may stand in the way of that.
    """

    what: Purge
    artifacts: int
    others: int
    size: int
    n_young: int = 0
    is_shrunk: bool = True

    def __bool__(self) -> bool:
        return bool(self.what or self.artifacts or self.others)


class _Found(NamedTuple):
    """Objects that nothing else names: those that can go, and those too young for that."""

    old: list[Unused]
    young: list[str]


def find(
    place: Place,
    names: Sequence[str] = (),
    *,
    before: int | None = None,
    now: float | None = None,
) -> Freed:
    """Return what a purge would free; nothing is changed.

    Parameters
    ----------
    names : sequence of str
        Deleted runs, by id or the beginning of one; all of them where none is named.
    before : int, optional
        Only what was deleted before this moment, in Unix milliseconds.
    now : float, optional
        Unix seconds; objects that were written in the hour before are left alone.
    """
    from assay.ledger import purge

    with open_ledger(place.ledger, create=False) as ledger:
        what = purge.find(ledger, names, before=before)
        claims = _claims(place, ledger, what)
        unused = _unused(place, claims.objects, without=what, now=now)
    return _freed(what, unused, claims)


def free(place: Place, agreed: Freed, *, now: float | None = None) -> Freed:
    """Purge what a person agreed to, while nobody else works on the project's objects.

    Returns
    -------
    Freed
        What went: what was restored since it was found is not among it.
    """
    from assay.ledger import purge

    with ExitStack() as stack:
        if place.project is not None:
            for path in linked.everywhere(place.project):
                stack.enter_context(holding(path))
            stack.enter_context(alone(place.project))
        with open_ledger(place.ledger, create=False) as ledger:
            claims = _claims(place, ledger, agreed.what)
            what = purge.purge(ledger, agreed.what, at=now_ms())
            unused = _unused(place, claims.objects, now=now)
            garbage.delete(place.objects, unused.old)
            if place.project is None:
                _leave(place, unused.young)
            is_shrunk = purge.shrink(ledger)
    return _freed(what, unused, claims, is_shrunk=is_shrunk)


def _freed(what: Purge, unused: _Found, claims: Claims, *, is_shrunk: bool = True) -> Freed:
    n_artifacts = sum(one.oid in claims.artifacts for one in unused.old)
    return Freed(
        what=what,
        artifacts=n_artifacts,
        others=len(unused.old) - n_artifacts,
        size=sum(one.size or 0 for one in unused.old),
        n_young=len(unused.young),
        is_shrunk=is_shrunk,
    )


def _claims(place: Place, ledger: Ledger, what: Purge) -> Claims:
    """Return the objects that the records of what goes name, with those that documents name."""
    from assay.ledger import purge

    found = purge.named(ledger, what)
    return Claims(live.with_documents(place.objects, found.objects), found.artifacts)


def _unused(
    place: Place, named: set[str], *, without: Purge | None = None, now: float | None = None
) -> _Found:
    """Return those of the objects that no ledger names, when what is to go is left out."""
    objects = place.objects
    named = named | _left(place)
    here = named - set(objects.lacking(sorted(named)))
    if not here:
        return _Found([], [])
    gone = {*(one.id for one in without.runs), *without.models} if without else set()
    unnamed = here - _kept(place, gone)
    before = (time.time() if now is None else now) - GRACE
    old: list[Unused] = []
    young: list[str] = []
    for oid in sorted(unnamed):
        with contextlib.suppress(FileNotFoundError):  # another purge was faster
            status = os.stat(objects.place(oid))  # noqa: PTH116 -- for every object
            if status.st_mtime < before:
                old.append(Unused(oid, objects.place(oid), status.st_size))
            else:
                young.append(oid)
    return _Found(old, young)


def _left(place: Place) -> set[str]:
    """Return the objects that an earlier purge of a hub's folder was too early for."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((place.folder / _LEFT).read_bytes(), type=set[str])
    return set()


def _leave(place: Place, young: Sequence[str]) -> None:
    path = place.folder / _LEFT
    if young:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, msgspec.json.encode(young))
    else:
        path.unlink(missing_ok=True)


def _kept(place: Place, gone: set[str]) -> set[str]:
    """Return the objects that ledgers name, and records of this clone that are on their way."""
    from assay.ledger.sdk import spool

    kept: set[str] = set()
    ledgers: Sequence[Path | str] = [place.ledger]
    if place.project is not None:
        ledgers = live.ledgers(place.project)
        kept |= live.with_documents(place.objects, spool.oids(place.project.assay_dir / "spool"))
    for where in ledgers:
        with open_ledger(where, create=False) as ledger:
            kept |= live.of_ledger(place.objects, ledger, gone=gone)
    return kept
