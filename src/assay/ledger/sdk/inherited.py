"""The run that a process was started in: told to the processes that are started, found by them.

A forked process has the run of its parent in its memory. Another one is told: a program by the
variable ASSAY_ACTIVE_RUN, a worker of `multiprocessing` by what its parent gives it as well, since
a server of forks has the environment of when it began. What was told counts where the variables
that name a run or its place are still the same: `assay repro` tells its stages another run. A
worker of a pool is told by its script again and again (`assay.ledger.sdk.pools`).
"""

from __future__ import annotations

import functools
import json
import os
import threading
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import NotFound
from assay.ledger.sdk import pools
from assay.ledger.sdk.active import ActiveRun

VARIABLE = "ASSAY_ACTIVE_RUN"
_KEY = VARIABLE.lower()  # in the configuration that a worker of multiprocessing gets
_BESIDE = ("ASSAY_RUN", "ASSAY_LEDGER", "ASSAY_HUB")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is told of the run that it is started in."""

    run: str
    experiment: str
    folder: str
    where: str | None = None  # in the environment a hub's only: it may hold a password
    beside: tuple[tuple[str, str], ...]  # the variables of a run or its place that were set
    board: str | None = None  # of a worker: where its script writes which run it is in


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a process was told when it was started."""

    pid: int
    of_parent: str | None  # by `multiprocessing`
    in_environment: str | None


def tell(active: ActiveRun | None) -> None:
    """Name a run to the processes that are started from now on; None is that of this process."""
    given = _given()  # before this process overwrites what it was told
    to_programs, to_workers = given.in_environment, given.of_parent
    if active is not None:
        place = active.place
        told = Told(
            run=active.id,
            experiment=active.experiment,
            folder=str(place.folder),
            where=place.where if place.is_hub and "@" not in place.where else None,
            beside=_beside(),
        )
        board = pools.board(place.folder)
        to_programs = _dump(msgspec.structs.replace(told, board=board))
        to_workers = _dump(msgspec.structs.replace(told, where=place.where, board=board))
        pools.write(to_workers)
    _put(os.environ, VARIABLE, to_programs)
    _put(_configuration(), _KEY, to_workers)


def find() -> ActiveRun | None:
    """Return the run that this process was started in, None where there is none.

    Nothing is asked of the ledger: it may be away, and what is logged waits then.
    """
    given = _given()
    text = given.of_parent or given.in_environment
    if text is None:
        return None
    with _lock:
        told = _parsed(text)
        if told is None or (given.of_parent is None and told.beside != _beside()):
            return None
        if told.board is not None and pools.is_worker():
            now = pools.read(told.board)
            told = (_parsed(now) if now else None) or told
        if told not in _found:
            before = list(_found)
            _found[told] = _joined(told)
            for other in before:  # a worker may see thousands of runs
                left = _found.pop(other)
                left.channel.end(left.id, None)
        return _found[told]


@functools.lru_cache(maxsize=2)
def _parsed(text: str) -> Told | None:
    try:
        return msgspec.convert(json.loads(text), Told)
    except (ValueError, msgspec.MsgspecError):
        return None


def _joined(told: Told) -> ActiveRun:
    from assay.ledger.sdk import places
    from assay.project import workspace

    folder = Path(told.folder)
    try:
        project = workspace.find(folder)
    except NotFound:
        project = None
    if told.where is None:
        place = places.find(project)
    else:
        place = places.Place(where=told.where, folder=folder, token=places.token(project))
    found = ActiveRun(told.run, place=place, experiment=told.experiment)
    found.channel.join()
    return found


def _given() -> Given:
    """Return what this process was told, as it was before it told others."""
    global _first  # noqa: PLW0603 -- one of a process
    if _first.pid != os.getpid():
        _first = _read()
    return _first


def _read() -> Given:
    return Given(
        pid=os.getpid(),
        of_parent=_configuration().get(_KEY),
        in_environment=os.environ.get(VARIABLE),
    )


def _dump(told: Told) -> str:
    """Return plain ASCII, whatever the name of the folder is."""
    return json.dumps(msgspec.to_builtins(told))


def _put(into: MutableMapping[str, str], key: str, text: str | None) -> None:
    if text is None:
        into.pop(key, None)
    else:
        into[key] = text


def _beside() -> tuple[tuple[str, str], ...]:
    return tuple((name, os.environ[name]) for name in _BESIDE if os.environ.get(name))


def _configuration() -> dict[str, Any]:
    """Return what the workers that this process starts with `multiprocessing` have a copy of."""
    from multiprocessing import process

    return vars(process.current_process()).setdefault("_config", {})  # type: ignore[no-any-return]


def _after_fork() -> None:
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()


_lock = threading.Lock()
_found: dict[Told, ActiveRun] = {}
_first = _read()
os.register_at_fork(after_in_child=_after_fork)
