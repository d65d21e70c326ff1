"""How a run of a script begins and ends: from the record of its circumstances to its status.

What is recorded without being asked for: commit, uncommitted changes and untracked files, command
line and folder, the parameters file, tracked data that is read, interpreter, packages, host and
graphics cards, seeds that are set, start, end, exit status, memory, processor time, and the last
lines of what is printed.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.clock import now_ms
from assay.base.errors import Error
from assay.base.ids import uuid7
from assay.ledger import process, values
from assay.ledger.operations import (
    AddInputs,
    FinishRun,
    ResumeRun,
    SetEnvironment,
    SetTags,
    StartRun,
)
from assay.ledger.sdk import calling, places, reads, seeds, tail, unkept
from assay.ledger.sdk.active import ActiveRun
from assay.ledger.sdk.heart import Heart
from assay.ledger.writer import DEFAULT_EXPERIMENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from assay.ledger.environment import Environment
    from assay.ledger.writer import Code, Outcome
    from assay.project.workspace import Project

_LOG_TAIL = 4000  # characters of a traceback that are kept
_MOST_SEEDS = 10  # of generators that one run makes
_joined: set[str] = set()
"""Runs that the environment names: their seeds are heard as long as this process lives."""
_open: dict[str, Callable[[Outcome, str | None], None]] = {}
"""Runs whose end is this process's to record, the innermost last, and what does that."""
_hooked = 0  # the process that has `_end_what_is_open` at its end
_FILES = frozenset({__file__, str(Path(__file__).with_name("recorder.py"))})
_FRAMES = frozenset({"_recorded", "ending", "now", "later"})
"""Functions in which the code of a block, or of a decorated function, is run."""


def start(*, name: str | None, experiment: str | None, parent: ActiveRun | None) -> ActiveRun:
    """Begin a run of this script, as a part of `parent` where there is one."""
    project = places.find_project()
    place = parent.place if parent else places.find(project)
    belongs_to = experiment or (parent.experiment if parent else DEFAULT_EXPERIMENT)
    code, environment = _circumstances(project, parent)
    begun = StartRun(
        run=uuid7(),
        name=name or calling.name() or "interactive",
        kind="script",
        experiment=belongs_to,
        parent=parent.id if parent else None,
        command=values.plain(calling.command(project)) or None,
        directory=_directory(project),
        owner=process.user(),
        code=code,
        environment=environment,
        process=process.describe(os.getpid()),
        at=now_ms(),
    )
    active = ActiveRun(
        begun.run, place=place, experiment=belongs_to, code=code, environment=environment,
        is_part=parent is not None, name=begun.name, is_new=True,
    )  # fmt: skip
    active.heart = Heart(active, project)
    active.channel.begin(begun, beat=active.heart.beat)
    if project is not None and parent is None:
        _note_params_file(active, project)
    return active


def resume(name: str) -> tuple[ActiveRun, bool]:
    """Go on with a run; tell whether its end is this process's to record.

    It is not where the run goes on in another process that lives.

    Raises
    ------
    NotFound
        If there is no such run.
    Error
        If it is deleted, or its ledger cannot be asked.
    """
    project = places.find_project()
    place = places.find(project)
    channel = place.channel()
    known = channel.find(name)
    if known.deleted:
        raise Error(
            f"the run {known.id} is deleted",
            hint=f"'assay runs restore {known.id[:13]}' brings it back",
        )
    active = ActiveRun(known.id, place=place, experiment=known.experiment, params=known.params)
    if known.is_running:
        channel.join()
        return active, False
    who = process.describe(os.getpid())
    again = ResumeRun(run=known.id, at=now_ms(), process=who)
    active.heart = Heart(active, project)
    channel.begin(again, beat=active.heart.beat)
    return active, True


def join(id_: str) -> ActiveRun:
    """Return the run `id_` of the ledger that the environment names, begun by somebody else."""
    place = places.find(places.find_project())
    channel = place.channel()
    known = channel.find(id_)
    channel.join()
    active = ActiveRun(known.id, place=place, experiment=known.experiment, params=known.params)
    _note_environment(active, known.environment)
    _joined.add(active.id)
    _hear_seeds(active)
    return active


@contextlib.contextmanager
def ending(active: ActiveRun, *, is_recorded: bool) -> Iterator[None]:
    """Write what waits at the end of a block and, if that is to be, how the run ended."""
    with _listening(active, to_all=is_recorded) as log:
        cpu = time.process_time()

        def end(status: Outcome, reason: str | None) -> None:
            _end(active, status, reason, None, cpu=cpu, log_tail=log())

        if is_recorded:
            _see_to_what_is_open()
            _open[active.id] = end
        try:
            yield
        except BaseException as error:
            try:
                if is_recorded:
                    last = log() + _traceback(error)
                    _end(active, *_outcome(error), cpu=cpu, log_tail=last)
                else:
                    active.flush()
            except Error as failure:  # what went wrong first is what the user has to see
                error.add_note(f"the end of the run was not recorded: {failure}")
            raise
        else:
            if is_recorded:
                _end(active, "finished", None, 0, cpu=cpu, log_tail=log())
            else:
                active.flush()
        finally:
            _open.pop(active.id, None)


def _see_to_what_is_open() -> None:
    global _hooked  # noqa: PLW0603 -- one end of one process
    if _hooked != os.getpid():
        _hooked = os.getpid()
        atexit.register(_end_what_is_open)  # comes before the end of the channels, which is older


def _end_what_is_open() -> None:
    """Record the end of runs whose block has not ended when the process does.

    A generator that is not at its end holds its block open, and so does a block that was entered
    by hand; the interpreter leaves such a block when threads can no longer be started.
    """
    error = getattr(sys, "last_value", None)  # what the interpreter has just printed
    status, reason, _ = _outcome(error) if error is not None else ("finished", None, 0)
    for end in reversed(list(_open.values())):
        try:
            end(status, reason)
        except Error as failure:
            sys.stderr.write(f"assay: the end of a run was not recorded: {failure}\n")


def _end(
    active: ActiveRun,
    status: Outcome,
    reason: str | None,
    exit_status: int | None,
    *,
    cpu: float,
    log_tail: str,
) -> None:
    if not active.is_open:  # ended with the process
        return
    if os.getpid() != active.pid:  # a forked process that leaves the block
        active.flush()
        return
    if active.heart is not None:
        active.heart.rest()
    active.is_open = False
    unkept.of_process.retry()
    active.channel.end(
        active.id,
        FinishRun(
            run=active.id,
            status=status,
            at=now_ms(),
            exit_status=exit_status,
            peak_memory=_peak_memory(),
            cpu_seconds=time.process_time() - cpu,
            log_tail=values.plain(log_tail) or None,
            reason=None if reason is None else values.plain(reason[:_LOG_TAIL]),
        ),
    )
    active.channel.check(active.id)


def _circumstances(
    project: Project | None, parent: ActiveRun | None
) -> tuple[Code | None, Environment]:
    from assay.ledger import environment as environments
    from assay.ledger.sdk import code

    environment = (parent.environment if parent else None) or environments.capture()
    found = parent.code if parent else None
    if found is None and project is not None:
        found = code.capture(project)
    return found, environment


def _note_params_file(active: ActiveRun, project: Project) -> None:
    from assay.ledger.sdk import inputs

    found = None
    with contextlib.suppress(Error, OSError):  # the disk is full, or the file cannot be read
        found = inputs.params_file(project)
    if found is not None:
        active.channel.put(AddInputs(run=active.id, data=(found,), at=now_ms()))


def _note_environment(active: ActiveRun, recorded: str | None) -> None:
    """Record the environment of this process, where another one is on record for the run."""
    from assay.ledger import environment

    if recorded is not None and (found := environment.capture()).oid != recorded:
        active.channel.put(SetEnvironment(run=active.id, environment=found))


@contextlib.contextmanager
def _listening(active: ActiveRun, *, to_all: bool) -> Iterator[Callable[[], str]]:
    """Note the seeds that are set in a block; give what returns the last lines it printed."""
    heart = active.heart if to_all else None
    n_lines = int(places.setting("run.log_tail")) if heart else 0
    if heart is not None and n_lines:
        heart.listen(tail.of_process.begin(), n_lines=n_lines)

    def log() -> str:
        if project is not None:
            _note_reads(active, project, reads.of_process.end())
        return heart.log() if heart is not None else ""

    project = places.find_project() if to_all and not active.is_part else None
    if project is not None:
        reads.of_process.begin(project.root)
    heard = None if active.id in _joined else _hear_seeds(active)
    try:
        yield log
    finally:
        if heard is not None:
            seeds.forget(heard)
        if n_lines:
            tail.of_process.end()


def _hear_seeds(active: ActiveRun) -> Callable[[str, str], None]:
    """Record the seeds that were set in this process, and those that are from now on."""
    found: dict[str, str] = {}

    def heard(library: str, seed: str) -> None:
        if library == seeds.GENERATORS:
            seed = _added(found.get(library), seed)
        if found.get(library) != seed:
            found[library] = seed
            active.channel.add(SetTags(run=active.id, tags={f"seed.{library}": seed}))

    for library, seed in {} if active.is_part else seeds.known().items():
        heard(library, values.plain(seed))
    seeds.listen(heard)
    return heard


def _added(before: str | None, seed: str) -> str:
    """Return the seeds of generators, the first ten of them, each once."""
    parts = before.split(", ") if before else []
    return ", ".join(dict.fromkeys([*parts, seed][:_MOST_SEEDS]))


def _note_reads(active: ActiveRun, project: Project, paths: set[str]) -> None:
    with contextlib.suppress(Error, OSError):  # a file that is gone by now
        found = reads.tracked(project, paths)
        if found and os.getpid() == active.pid:
            active.channel.add(AddInputs(run=active.id, data=found, at=now_ms()))


def _directory(project: Project | None) -> str | None:
    here = Path(os.path.realpath(Path.cwd()))
    if project is None or not here.is_relative_to(project.root):
        return None
    return values.plain(here.relative_to(project.root).as_posix())


def _outcome(error: BaseException) -> tuple[Outcome, str | None, int | None]:
    """Return status, reason, and the exit status that a shell would see."""
    if isinstance(error, SystemExit):
        if error.code in {None, 0}:
            return "finished", None, 0
        status = error.code if isinstance(error.code, int) else 1
        return "failed", f"{type(error).__name__}: {error}", status
    if isinstance(error, KeyboardInterrupt):
        return "killed", "interrupted", 130
    return "failed", f"{type(error).__name__}: {error}", 1


def _traceback(error: BaseException) -> str:
    """Return the end of a traceback without the frames that lead from a block into it."""
    if isinstance(error, (SystemExit, KeyboardInterrupt)):
        return ""
    found = traceback.TracebackException.from_exception(error)
    _leave_out_ours(found)
    text = "".join(found.format())
    if len(text) <= _LOG_TAIL:
        return text
    return text[-_LOG_TAIL:].partition("\n")[2] or text[-_LOG_TAIL:]


def _leave_out_ours(found: traceback.TracebackException) -> None:
    waiting, seen = [found], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        stack = [frame for frame in one.stack if not _is_of_a_block(frame)]
        one.stack = traceback.StackSummary.from_list(stack)
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None]
        waiting += one.exceptions or ()


def _is_of_a_block(frame: traceback.FrameSummary) -> bool:
    return frame.filename in _FILES and frame.name in _FRAMES


def _peak_memory() -> int:
    """Return the most memory that this process had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
