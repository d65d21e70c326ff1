"""The Python API for a training script: what it is given, what it measures, what it makes.

`with assay.run():` records a run of its own. In a stage that `assay repro` started, ASSAY_RUN
and ASSAY_LEDGER name its run: the functions write to it with or without `assay.run()`, so that
one script works alone and as a stage.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path

from assay.base.errors import Error
from assay.ledger.active import ActiveRun, join, start

_inner: ContextVar[ActiveRun | None] = ContextVar("_inner", default=None)
_open: list[tuple[int, ActiveRun]] = []  # with the thread that opened it
_of_process: dict[tuple[str, str], ActiveRun] = {}  # the run that the environment names
_lock = threading.Lock()


@contextlib.contextmanager
def run(
    name: str | None = None,
    *,
    experiment: str | None = None,
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, object] | None = None,
) -> Iterator[ActiveRun]:
    """Record a run in the project's ledger, for the time of a `with` block.

    Inside another run it becomes a part of that. In a stage of `assay repro` the outermost one
    *is* the stage's run: `name` and `experiment` are the stage's own then, and its end is
    recorded by `repro`. An exception is recorded as 'failed', Control-C as 'killed', and both
    go on.

    Parameters
    ----------
    name : str, optional
        The script's name, where it is not given.
    experiment : str, optional
        What the run belongs to; that of the outer run, or "Default", where it is not given.
    params, tags : mapping, optional
        What to log at its beginning.

    Examples
    --------
    >>> with assay.run("baseline", params={"lr": 0.1}) as run:  # doctest: +SKIP
    ...     assay.log_metric("loss", 0.5, step=1)
    """
    outer = _outer()
    joined = _named_by_environment() if outer is None else None
    active = joined or start(name=name, experiment=experiment, parent=outer)
    before = _inner.get()
    _inner.set(active)
    entry = (threading.get_ident(), active)
    _open.append(entry)
    try:
        with active.ending(is_recorded=joined is None):
            active.log_params(params or {})
            active.set_tags(tags or {})
            yield active
    finally:
        _inner.set(before)
        _open.remove(entry)


def current() -> ActiveRun:
    """Return the run that `log_metric` and its like write to.

    Raises
    ------
    assay.Error
        If there is none, or several threads have one each and this thread has not.
    """
    found = _mine() or _lone() or _named_by_environment()
    if found is None:
        raise Error(
            "no run is active",
            hint="put the call into 'with assay.run():', or run the script as a stage of dvc.yaml "
            "with 'assay repro'",
        )
    return found


def log_param(key: str, value: object) -> None:
    """Record a parameter of the active run; it cannot get another value later."""
    current().log_param(key, value)


def log_params(params: Mapping[str, object]) -> None:
    """Record parameters of the active run, all or none; nested ones get dotted names."""
    current().log_params(params)


def log_metric(key: str, value: object, *, step: int | None = None) -> None:
    """Record a number that the active run measured; it is written within half a second."""
    current().log_metric(key, value, step=step)


def log_metrics(metrics: Mapping[str, object], *, step: int | None = None) -> None:
    """Record numbers that the active run measured at one moment."""
    current().log_metrics(metrics, step=step)


def log_artifact(path: str | Path, *, to: str | None = None) -> None:
    """Keep a file with the active run, in the folder `to` of its artifacts."""
    current().log_artifact(path, to=to)


def log_artifacts(folder: str | Path, *, to: str | None = None) -> None:
    """Keep all files of a folder with the active run, in the folder `to` of its artifacts."""
    current().log_artifacts(folder, to=to)


def set_tag(key: str, value: object) -> None:
    """Set a tag of the active run, over one of the same name."""
    current().set_tag(key, value)


def set_tags(tags: Mapping[str, object]) -> None:
    """Set tags of the active run, over those of the same name."""
    current().set_tags(tags)


def _mine() -> ActiveRun | None:
    """Return the run whose block this thread or task is in."""
    active = _inner.get()
    return active if active is not None and active.is_open else None


def _outer() -> ActiveRun | None:
    """Return the run that a new one is a part of: of this thread, or else of the main one."""
    main = threading.main_thread().ident
    of_main = [active for thread, active in list(_open) if thread == main]
    return _mine() or (of_main[-1] if of_main else None)


def _lone() -> ActiveRun | None:
    """Return the innermost open run, unless several threads have one each."""
    open_ = list(_open)
    if len({thread for thread, _ in open_}) > 1:
        raise Error(
            "several threads have a run each, and this thread has none",
            hint="use what 'with assay.run() as run:' gives: run.log_metric(...)",
        )
    return open_[-1][1] if open_ else None


def _named_by_environment() -> ActiveRun | None:
    """Return the run that `assay repro` started this process for, or None."""
    named = os.environ.get("ASSAY_RUN")
    if not named:
        return None
    key = (os.environ.get("ASSAY_LEDGER", ""), named)
    with _lock:
        if key not in _of_process:
            _of_process[key] = join(named)
            atexit.register(_of_process[key].close)
        return _of_process[key]
