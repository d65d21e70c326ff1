"""How a run of a script begins and ends: from the record of its circumstances to its status.

What is recorded without being asked for: commit, uncommitted changes and untracked files, command
line and folder, the parameters file, tracked data that is read, interpreter, packages, host and
graphics cards, seeds that are set, start, end, exit status, memory, processor time, and the last
lines of what is printed.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shlex
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.clock import now_ms
from assay.base.errors import Error
from assay.base.ids import uuid7
from assay.ledger import places, process, reads, seeds, tail, values
from assay.ledger.active import ActiveRun
from assay.ledger.operations import AddInputs, FinishRun, ResumeRun, SetTags, StartRun
from assay.ledger.writer import DEFAULT_EXPERIMENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from assay.ledger.environment import Environment
    from assay.ledger.writer import Code, Outcome
    from assay.project.workspace import Project

_LOG_TAIL = 4000  # characters of a traceback that are kept


def start(*, name: str | None, experiment: str | None, parent: ActiveRun | None) -> ActiveRun:
    """Begin a run of this script, as a part of `parent` where there is one."""
    project = places.find_project()
    place = parent.place if parent else places.find(project)
    belongs_to = experiment or (parent.experiment if parent else DEFAULT_EXPERIMENT)
    code, environment = _circumstances(project, parent)
    script = Path(sys.argv[0]).stem if sys.argv and sys.argv[0] else ""
    begun = StartRun(
        run=uuid7(),
        name=name or script.strip("-") or "interactive",
        kind="script",
        experiment=belongs_to,
        parent=parent.id if parent else None,
        command=values.plain(shlex.join(sys.argv)) or None,
        directory=_directory(project),
        owner=process.user(),
        code=code,
        environment=environment,
        process=process.describe(os.getpid()),
        at=now_ms(),
    )
    active = ActiveRun(
        begun.run, place=place, experiment=belongs_to, code=code, environment=environment,
        is_part=parent is not None,
    )  # fmt: skip
    active.channel.begin(begun, beat=_sampler(active, project))
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
        raise Error(f"the run {known.id} is deleted", hint=f"assay runs restore {known.id}")
    active = ActiveRun(known.id, place=place, experiment=known.experiment, params=known.params)
    if known.is_running:
        channel.join()
        return active, False
    who = process.describe(os.getpid())
    again = ResumeRun(run=known.id, at=now_ms(), process=who)
    channel.begin(again, beat=_sampler(active, project))
    return active, True


def join(id_: str) -> ActiveRun:
    """Return the run `id_` of the ledger that the environment names, begun by somebody else."""
    place = places.find(places.find_project())
    channel = place.channel()
    known = channel.find(id_)
    channel.join()
    return ActiveRun(known.id, place=place, experiment=known.experiment, params=known.params)


@contextlib.contextmanager
def ending(active: ActiveRun, *, is_recorded: bool) -> Iterator[None]:
    """Write what waits at the end of a block and, if that is to be, how the run ended."""
    with _listening(active, to_all=is_recorded) as log:
        cpu = time.process_time()
        try:
            yield
        except BaseException as error:
            try:
                if is_recorded:
                    _end(active, *_outcome(error), cpu=cpu, log_tail=log() + _traceback())
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


def _end(
    active: ActiveRun,
    status: Outcome,
    reason: str | None,
    exit_status: int | None,
    *,
    cpu: float,
    log_tail: str,
) -> None:
    if os.getpid() != active.pid:  # a forked process that leaves the block
        active.flush()
        return
    active.is_open = False
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
    from assay.ledger import code
    from assay.ledger import environment as environments

    environment = (parent.environment if parent else None) or environments.capture()
    found = parent.code if parent else None
    if found is None and project is not None:
        found = code.capture(project)
    return found, environment


def _note_params_file(active: ActiveRun, project: Project) -> None:
    from assay.ledger import inputs

    found = inputs.params_file(project)
    if found is not None:
        active.channel.put(AddInputs(run=active.id, data=(found,), at=now_ms()))


@contextlib.contextmanager
def _listening(active: ActiveRun, *, to_all: bool) -> Iterator[Callable[[], str]]:
    """Note the seeds that are set in a block; give what returns the last lines it printed."""
    n_lines = int(places.setting("run.log_tail")) if to_all else 0
    place = tail.of_process.begin() if n_lines else 0

    def heard(library: str, seed: object) -> None:
        if seed is not None:  # else it was drawn from the system
            active.channel.put(
                SetTags(run=active.id, tags={f"seed.{library}": values.plain(str(seed)[:100])})
            )

    def log() -> str:
        if project is not None:
            _note_reads(active, project, reads.of_process.end())
        return tail.of_process.since(place, n_lines=n_lines) if n_lines else ""

    project = places.find_project() if to_all and not active.is_part else None
    if project is not None:
        reads.of_process.begin(project.root)
    seeds.listen(heard)
    try:
        yield log
    finally:
        seeds.forget(heard)
        if n_lines:
            tail.of_process.end()


def _note_reads(active: ActiveRun, project: Project, paths: set[str]) -> None:
    with contextlib.suppress(Error, OSError):  # a file that is gone by now
        found = reads.tracked(project, paths)
        if found and os.getpid() == active.pid:
            active.channel.put(AddInputs(run=active.id, data=found, at=now_ms()))


def _sampler(active: ActiveRun, project: Project | None) -> Callable[[], None] | None:
    from assay.ledger.system import Sampler

    if not places.setting("run.system_metrics", project):
        return None

    def log(found: object, step: int) -> None:
        active.log_metrics(found, step=step)  # type: ignore[arg-type]

    return Sampler(log, folder=active.place.folder)


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


def _traceback() -> str:
    if isinstance(sys.exception(), (SystemExit, KeyboardInterrupt)):
        return ""
    return traceback.format_exc()[-_LOG_TAIL:]


def _peak_memory() -> int:
    """Return the most memory that this process had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
