"""The run that a process was started in: told to the processes that are started, found by them.

A forked process has the run of its parent in its memory. Another one is told: a program by the
variable ASSAY_ACTIVE_RUN, a worker of `multiprocessing` by what its parent gives it as well, since
a server of forks has the environment of when it began. What was told counts where the variables
that name a run or its place are still the same: `assay repro` tells its stages another run.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import NotFound
from assay.ledger.active import ActiveRun

VARIABLE = "ASSAY_ACTIVE_RUN"
_KEY = VARIABLE.lower()  # in the configuration that a worker of multiprocessing gets
_BESIDE = ("ASSAY_RUN", "ASSAY_LEDGER", "ASSAY_HUB")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is told of the run that it is started in."""

    run: str
    experiment: str
    where: str
    folder: str
    beside: tuple[tuple[str, str], ...]  # the variables of a run or its place that were set


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a process was told when it was started."""

    pid: int
    text: str | None
    is_of_parent: bool  # by `multiprocessing`, and not by the environment


def tell(active: ActiveRun | None) -> None:
    """Name a run to the processes that are started from now on; None is that of this process."""
    text = _given().text  # before this process overwrites what it was told
    if active is not None:
        told = Told(
            run=active.id,
            experiment=active.experiment,
            where=active.place.where,
            folder=str(active.place.folder),
            beside=_beside(),
        )
        text = msgspec.json.encode(told).decode()
    if text is None:
        os.environ.pop(VARIABLE, None)
        _configuration().pop(_KEY, None)
    else:
        os.environ[VARIABLE] = _configuration()[_KEY] = text


def find() -> ActiveRun | None:
    """Return the run that this process was started in, None where there is none.

    Nothing is asked of the ledger: it may be away, and what is logged waits then.
    """
    given = _given()
    if given.text is None:
        return None
    with _lock:
        try:
            told = msgspec.json.decode(given.text, type=Told)
        except (msgspec.MsgspecError, UnicodeEncodeError):
            return None
        if not given.is_of_parent and told.beside != _beside():
            return None
        if told not in _found:
            _found[told] = _joined(told)
        return _found[told]


def _joined(told: Told) -> ActiveRun:
    from assay.ledger import places
    from assay.project import workspace

    folder = Path(told.folder)
    try:
        project = workspace.find(folder)
    except NotFound:
        project = None
    token = os.environ.get("ASSAY_TOKEN") or places.setting("hub.token", project) or None
    place = places.Place(where=told.where, folder=folder, token=token)
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
    text = _configuration().get(_KEY)
    if text is not None:
        return Given(pid=os.getpid(), text=str(text), is_of_parent=True)
    return Given(pid=os.getpid(), text=os.environ.get(VARIABLE), is_of_parent=False)


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
