"""One stage: set its outputs aside, run its command, check and store what it made."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.objects import scan
from assay.objects.scan import Content
from assay.pipeline import command, run_cache
from assay.pipeline.changes import Inspector
from assay.pipeline.executors import Result, Task, Wrap
from assay.pipeline.previous import Previous
from assay.pipeline.tracing import Trace
from assay.project import params, tracking
from assay.project.definition import Definition, Tracked
from assay.project.lock import Entry
from assay.project.stages import Out, ParamsDep, Row, Stage
from assay.project.workspace import Project

Run = Callable[[Task], Result]
"""Runs a command to its end; raises KeyboardInterrupt where that is ended from outside."""


class StageFailed(Error):
    """A stage's command failed, or left out an output; its previous outputs are back."""

    def __init__(
        self, what: str, *, stage: Stage, result: Result | None = None, hint: str | None = None
    ) -> None:
        super().__init__(
            what,
            where=f"stage '{stage.address}'",
            hint=hint
            or "its outputs are as they were before; mend what it says, and run it again",
        )
        self.result = result


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage made.

    Attributes
    ----------
    entry : Entry
        Its record for the lock.
    result : Result
        How its commands ended, added up.
    changed_deps : list of str
        Dependencies and parameter files that were edited while it ran.
    contents : dict
        What lies at each of its outputs now.
    """

    entry: Entry
    result: Result
    changed_deps: list[str]
    contents: dict[Path, Content]


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """How the command of a stage is to run.

    Attributes
    ----------
    run : callable
        Runs one command to its end.
    env : mapping
        All of its environment.
    echo : callable
        Told what it prints, line by line.
    keep_lines : int
        How many of the last lines are recorded.
    commit : bool
        Whether its outputs go into the cache.
    check : callable
        Raises KeyboardInterrupt where the work was ended from outside.
    strict : bool
        Whether it fails for reading or writing what it does not declare.
    """

    run: Run
    env: Mapping[str, str]
    echo: Callable[[bytes], None]
    keep_lines: int
    check: Callable[[], None]
    commit: bool = True
    strict: bool = False


def environment(project: Project, stage: Stage) -> dict[str, str]:
    """Return the environment of a stage's command."""
    return {
        "PYTHONUNBUFFERED": "1",
        **os.environ,
        "DVC_ROOT": os.environ.get("DVC_ROOT", str(project.root)),
        "DVC_STAGE": stage.address,
    }


def run_here(task: Task) -> Result:
    """Run a command on this machine, by an executor of its own."""
    from assay.pipeline.executors.local import LocalExecutor

    with contextlib.closing(LocalExecutor()) as executor:
        return command.finish(executor, task)


def run_commands(
    stage: Stage,
    *,
    env: Mapping[str, str],
    echo: Callable[[bytes], None],
    keep_lines: int,
    run: Run = run_here,
    wrap: Wrap | None = None,
) -> Result:
    """Run the commands of a stage one after the other; the first that fails ends it."""
    done: list[Result] = []
    for line in command.commands(stage.cmd or []):
        echo(f"> {line}\n".encode())
        task = Task(
            command=line, cwd=stage.wdir, env=env, echo=echo, keep_lines=keep_lines, wrap=wrap
        )
        result = run(task)
        done.append(result)
        if result.exit_status != 0:
            total = _total(done, keep_lines)
            raise StageFailed(f"'{line}' {_ended(result.exit_status)}", stage=stage, result=total)
    return _total(done, keep_lines)


def _ended(exit_status: int) -> str:
    """Return how a command ended, in words.

    A shell that waits for its last command, instead of becoming it, says 128 + N for a signal N
    that ended it; which of the two happens differs from shell to shell.
    """
    number = -exit_status if exit_status < 0 else exit_status - 128
    if number in set(signal.Signals):
        return f"was ended by signal {number}"
    if exit_status == 127:
        return "failed with exit status 127: there is no such command"
    return f"failed with exit status {exit_status}"


def _total(done: list[Result], keep_lines: int) -> Result:
    lines = "".join(r.tail for r in done).splitlines(keepends=True)[-keep_lines:]
    return Result(
        exit_status=done[-1].exit_status if done else 0,
        peak_memory=max((r.peak_memory for r in done), default=0),
        cpu_seconds=sum(r.cpu_seconds for r in done),
        seconds=sum(r.seconds for r in done),
        tail="".join(lines),
    )


def execute(project: Project, stage: Stage, before: Entry, work: Work) -> Made:
    """Run a stage and store what it made; the lock is not written here.

    Parameters
    ----------
    before : Entry
        Its dependencies and parameters as they are before it runs: those are recorded.

    Raises
    ------
    StageFailed
        If a command fails or an output is missing. The outputs from before are back then.
    """
    previous = Previous(
        project.work_dir,
        [stage.path(out.path) for out in stage.outs if not out.persist],
        kept=[stage.path(out.path) for out in stage.outs if out.persist],
    )
    try:
        for out in stage.outs:
            if out.persist:
                _unprotect(stage.path(out.path))
        trace = Trace(project, stage, previous.folder) if work.strict else None
        result = run_commands(
            stage,
            env=work.env,
            echo=work.echo,
            keep_lines=work.keep_lines,
            run=work.run,
            wrap=None if trace is None else trace.wrap,
        )
        if trace is not None:
            _refuse_undeclared(stage, result, trace)
        contents = {
            out.path: _store(project, stage, out, result, commit=work.commit) for out in stage.outs
        }
        work.check()
    except BaseException:
        previous.put_back()
        raise
    previous.drop()
    rows = tuple(tracking.row_of(path, content) for path, content in contents.items())
    return Made(
        entry=msgspec.structs.replace(before, outs=rows),
        result=result,
        changed_deps=_changed_deps(project, stage, before),
        contents={stage.path(path): content for path, content in contents.items()},
    )


def _refuse_undeclared(stage: Stage, result: Result, trace: Trace) -> None:
    found = trace.findings()
    if found:
        raise StageFailed(
            found.what,
            stage=stage,
            result=result,
            hint=f"{found.hint}; its outputs are as they were before",
        )


def _store(
    project: Project, stage: Stage, out: Out, result: Result, *, commit: bool
) -> Content:  # fmt: skip
    path = stage.path(out.path)
    if not path.exists():
        raise StageFailed(
            f"the command ended well but did not write its output '{out.path}'",
            stage=stage,
            result=result,
        )
    if not commit:
        return scan.scan(path, project.index, skip=project.ignore)
    return store_output(project, stage, out)


def store_output(project: Project, stage: Stage, out: Out) -> Content:
    """Put an output into the cache; one that is not cached only if the run cache keeps it.

    Metrics and plots go there for that, as in DVC, and stay plain files.
    """
    path = stage.path(out.path)
    if out.cache:
        return tracking.store(project, path)
    if out.kind != "out" and run_cache.keeps(stage):
        return scan.store(path, project.cache, project.index, skip=project.ignore)
    return scan.scan(path, project.index, skip=project.ignore)


def _changed_deps(project: Project, stage: Stage, before: Entry) -> list[str]:
    """Return what is not as it was when the command began: dependencies, parameter files."""
    changed = []
    for row in before.deps:
        path = stage.path(row.path)
        try:
            same = scan.scan(path, project.index, skip=project.ignore).oid == row.oid
        except Error:
            same = False
        if not same:
            changed.append(row.path)
    return changed + [dep.file for dep in stage.params if _params_changed(stage, dep, before)]


def _params_changed(stage: Stage, dep: ParamsDep, before: Entry) -> bool:
    try:
        now = params.select(params.read(stage.path(dep.file)), dep.keys)
    except Error:
        return True
    return json.dumps(now) != json.dumps(before.params.get(dep.file))  # NaN is itself here


def _unprotect(path: Path) -> None:
    """Make an output that is a link into the cache a file of its own, to be written to."""
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    for file in files:
        if file.exists() and (file.is_symlink() or file.stat().st_nlink > 1):
            copy = file.with_name(f".{file.name}.assay-copy")
            shutil.copyfile(file, copy)
            copy.replace(file)


def restore(declared: Definition, stage: Stage, entry: Entry, inspector: Inspector) -> None:
    """Bring a stage's outputs to a recorded state, from the cache, as if it had run."""
    tracking.checkout(declared.project, outputs_as(stage, entry.outs), force=True)
    inspector.forget(stage)


def outputs_as(stage: Stage, rows: Sequence[Row]) -> list[Tracked]:
    """Return the outputs of a stage with these records; all of them as if the cache had them."""
    by_path = {row.path: row for row in rows}
    return [
        Tracked(
            path=stage.path(out.path),
            out=msgspec.structs.replace(out, cache=True),
            stage=stage,
            row=by_path.get(out.path),
        )
        for out in stage.outs
    ]
