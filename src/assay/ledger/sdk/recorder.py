"""The Python API for a training script: what it is given, what it measures, what it makes.

`with assay.run():` records a run of its own, `@assay.run()` one for each call. In a stage that
`assay repro` started, ASSAY_RUN and ASSAY_LEDGER name its run: the functions write to it with or
without `assay.run()`, so that one script works alone and as a stage. A process that was started
inside a run writes to that (`assay.ledger.sdk.inherited`).
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, overload

from assay.base.errors import Error, Usage
from assay.ledger import values
from assay.ledger.sdk import block, inherited, pools
from assay.ledger.sdk.active import ActiveRun

F = TypeVar("F", bound=Callable[..., Any])

_inner: ContextVar[ActiveRun | None] = ContextVar("_inner", default=None)
_open: list[tuple[int, ActiveRun]] = []  # with the thread that opened it
_of_process: dict[tuple[str, str], ActiveRun] = {}  # the run that the environment names
_lock = threading.Lock()


class Recording:
    """What `assay.run()` returns: a `with` block that is a run, or a decorator."""

    def __init__(self, **given: Any) -> None:
        self._given = given
        self._entered: list[contextlib.AbstractContextManager[ActiveRun]] = []

    def __enter__(self) -> ActiveRun:
        entered = _recorded(**self._given)
        found = entered.__enter__()
        self._entered.append(entered)
        return found

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._entered.pop().__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        """Return a function of which each call is a run, by default of its own name."""
        given = self._given | {"name": self._given["name"] or function.__name__}

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def later(*arguments: Any, **named: Any) -> Any:
                with _recorded(**given):
                    return await function(*arguments, **named)

            return later  # type: ignore[return-value] # a coroutine function, as it was
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise Usage(
                f"{function.__name__!r} is a generator; a run cannot follow its steps",
                hint="put 'with assay.run():' around the loop that uses it",
            )

        @functools.wraps(function)
        def now(*arguments: Any, **named: Any) -> Any:
            with _recorded(**given):
                return function(*arguments, **named)

        return now  # type: ignore[return-value] # a function of the same parameters


@overload
def run(name: F) -> F: ...


@overload
def run(
    name: str | None = None,
    *,
    experiment: str | None = None,
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, object] | None = None,
    resume: str | None = None,
) -> Recording: ...


def run(
    name: Any = None,
    *,
    experiment: str | None = None,
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, object] | None = None,
    resume: str | None = None,
) -> Any:
    """Record a run in the project's ledger, for the time of a `with` block or of a function.

    Inside another run it becomes a part of that. In a stage of `assay repro` the outermost one
    *is* the stage's run: `name` and `experiment` are the stage's own then, and its end is
    recorded by `repro`. An exception is recorded as 'failed', Control-C as 'killed', and both
    go on. As a decorator, `@assay.run(experiment="churn")`, of an `async` function too, each call
    is a run.

    A ledger that is locked, full or gone, and a hub that is away, are not noticed: what is
    recorded waits in a file and is sent later, in order. At the end of the block all is written,
    or there. Where the disk is full for that file, too, it waits in memory.

    Workers and programs that are started inside the block log to its run, and a run of theirs is
    a part of it.

    Parameters
    ----------
    name : str, optional
        The script's or the function's name, where it is not given.
    experiment : str, optional
        What the run belongs to; that of the outer run, or "Default", where it is not given.
    params, tags : mapping, optional
        What to log at its beginning.
    resume : str, optional
        The id of a run that goes on with this block, instead of a new one. Where it goes on in
        another process, this one only adds to it.

    Examples
    --------
    >>> with assay.run("baseline", params={"lr": 0.1}) as run:  # doctest: +SKIP
    ...     assay.log_metric("loss", 0.5, step=1)
    """
    if callable(name):  # `@assay.run` without parentheses
        return run()(name)
    if resume is not None and (name is not None or experiment is not None):
        raise Usage(
            "a run that goes on has its name and experiment already",
            hint=f"assay.run(resume={resume!r}) alone, with 'params' and 'tags' where needed",
        )
    for call, given in (("assay.run(params=...)", params), ("assay.run(tags=...)", tags)):
        if given is not None:
            values.check_mapping(call, given)
    for kind, named in (("run", name), ("experiment", experiment), ("run", resume)):
        if named is not None and not isinstance(named, str):
            values.key_text(kind, named)  # which says what is expected
    return Recording(
        name=name, experiment=experiment, params=params, tags=tags, resume=resume
    )  # fmt: skip


@contextlib.contextmanager
def _recorded(
    *,
    name: str | None,
    experiment: str | None,
    params: Mapping[str, object] | None,
    tags: Mapping[str, object] | None,
    resume: str | None,
) -> Iterator[ActiveRun]:
    outer = _outer() or (inherited.find() if resume is None else None)
    joined = _named_by_environment() if outer is None and resume is None else None
    is_recorded = joined is None
    if resume is not None:
        active, is_recorded = block.resume(resume)
    else:
        active = joined or block.start(name=name, experiment=experiment, parent=outer)
    before = _inner.get()
    _inner.set(active)
    entry = (threading.get_ident(), active)
    _open.append(entry)
    _tell_children()
    try:
        with block.ending(active, is_recorded=is_recorded):
            active.log_params(params or {})
            active.set_tags(tags or {})
            yield active
    finally:
        _inner.set(before)
        _open.remove(entry)
        _tell_children()
        if not is_recorded and joined is None:
            active.close()


def current() -> ActiveRun:
    """Return the run that `log_metric` and its like write to.

    Raises
    ------
    assay.Error
        If there is none, or several threads have one each and this thread has not.
    """
    found = _found()
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


def log_metric(key: str, value: object, step: int | None = None, *, at: int | None = None) -> None:
    """Record a number that the active run measured; it is written in the background.

    Parameters
    ----------
    step : int, optional
        Which epoch or batch it is of; 0, where it is not given.
    at : int, optional
        When it was measured, in Unix milliseconds; now, where it is not given.
    """
    current().log_metric(key, value, step=step, at=at)


def log_metrics(
    metrics: Mapping[str, object], step: int | None = None, *, at: int | None = None
) -> None:
    """Record numbers that the active run measured at one moment, all or none."""
    current().log_metrics(metrics, step=step, at=at)


def log_artifact(path: str | Path, to: str | None = None) -> None:
    """Keep a file with the active run, in the folder `to` of its artifacts."""
    current().log_artifact(path, to=to)


def log_artifacts(folder: str | Path, to: str | None = None) -> None:
    """Keep all files of a folder with the active run, in the folder `to` of its artifacts."""
    current().log_artifacts(folder, to=to)


def log_text(text: str, path: str) -> None:
    """Keep a text with the active run, as the file `path` of its artifacts."""
    current().log_text(text, path)


def log_dict(mapping: Mapping[str, object] | Sequence[object], path: str) -> None:
    """Keep a mapping or list with the active run, as JSON, or YAML where the path ends so."""
    current().log_dict(mapping, path)


def log_table(data: Any, path: str) -> None:
    """Keep a table with the active run, as `.csv`, `.json` (as MLflow reads it) or `.parquet`.

    Rows come after those of a table that the run has at the path; each call writes all of it.

    Parameters
    ----------
    data : mapping of columns, sequence of mappings, or data frame
        Parquet is written by the data frame itself.
    """
    current().log_table(data, path)


def log_figure(figure: Any, path: str) -> None:
    """Keep a figure with the active run, in the form of the path's ending.

    Parameters
    ----------
    figure : figure of Matplotlib, Plotly, Altair, or image of Pillow
        It is drawn by its own library, which Assay does not import.
    """
    current().log_figure(figure, path)


def log_dataset(
    data: Any,
    *,
    name: str | None = None,
    source: str | None = None,
    schema: Mapping[str, Any] | None = None,
    context: str | None = None,
) -> None:
    """Record what the active run reads, by the hash of its content; the data is not kept.

    Parameters
    ----------
    data : str, Path, data frame, array, mapping of columns, or sequence of mappings
        A path is hashed as a file or folder, anything else by its values.
    name : str, optional
        The path, where it is not given; needed for data in memory.
    source : str, optional
        Where it is from, such as a URL or a query.
    schema : mapping, optional
        Its columns; those of a table in memory are found.
    context : str, optional
        What it is for: "train", "eval", …
    """
    current().log_dataset(data, name=name, source=source, schema=schema, context=context)


def seed(number: int) -> None:
    """Seed Python's generator, NumPy's and PyTorch's where imported; record it where a run is.

    The seeds that a script sets itself inside a run (`random.seed`, `numpy.random.seed`,
    `torch.manual_seed`) are recorded, too.
    """
    from assay.ledger.sdk import seeds

    active = _found()
    if active is None:
        seeds.set_all(number)
    else:
        active.seed(number)


def set_tag(key: str, value: object) -> None:
    """Set a tag of the active run, over one of the same name."""
    current().set_tag(key, value)


def set_tags(tags: Mapping[str, object]) -> None:
    """Set tags of the active run, over those of the same name."""
    current().set_tags(tags)


def _found() -> ActiveRun | None:
    """Return the run that a call is meant for: the innermost one that is known here."""
    return _mine() or _lone() or inherited.find() or _named_by_environment()


def _tell_children() -> None:
    """Name the innermost run of the main thread, or of the only one, to processes started now."""
    if sys.is_finalizing():  # nothing can be imported, or started
        return
    open_ = list(_open)
    threads = {thread for thread, _ in open_}
    main = threading.main_thread().ident
    of_one = [active for thread, active in open_ if thread == main or len(threads) == 1]
    inherited.tell(of_one[-1] if of_one else None)


def _mine() -> ActiveRun | None:
    """Return the run whose block this thread or task is in."""
    active = _inner.get()
    return active if active is not None and active.is_open and _is_ours(active) else None


def _is_ours(active: ActiveRun) -> bool:
    """Tell whether a run counts here: a forked worker of a pool has those of its script, too."""
    return active.pid == os.getpid() or not pools.is_worker()


def _outer() -> ActiveRun | None:
    """Return the run that a new one is a part of: of this thread, or else of the main one.

    In the main thread a run that is not this task's is another task's.
    """
    main = threading.main_thread().ident
    found = _mine()
    if found is not None or threading.get_ident() == main:
        return found
    of_main = [one for thread, one in list(_open) if thread == main and _is_ours(one)]
    return of_main[-1] if of_main else None


def _lone() -> ActiveRun | None:
    """Return the innermost open run, unless several threads have one each."""
    open_ = [entry for entry in list(_open) if _is_ours(entry[1])]
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
    found = _of_process.get(key)
    if found is None:
        with _lock:
            found = _of_process.get(key)
            if found is None:
                found = _of_process[key] = block.join(named)
    return found


os.register_at_fork(after_in_child=lambda: globals().update(_lock=threading.Lock()))
