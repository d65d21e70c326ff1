"""One stage: set its outputs aside, run its command, check and store what it made."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.objects import scan
from assay.objects.scan import Content
from assay.pipeline import command
from assay.pipeline.changes import Inspector
from assay.pipeline.previous import Previous
from assay.project import params, tracking
from assay.project.definition import Definition, Tracked
from assay.project.lock import Entry
from assay.project.stages import Out, ParamsDep, Stage
from assay.project.workspace import Project


class StageFailed(Error):
    """A stage's command failed, or left out an output; its previous outputs are back."""

    def __init__(self, what: str, *, stage: Stage, result: command.Result | None = None) -> None:
        super().__init__(
            what,
            where=f"stage '{stage.address}'",
            hint="its outputs are as they were before; mend what it says, and run it again",
        )
        self.result = result


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage made.

    Attributes
    ----------
    entry : Entry
        Its record for the lock.
    result : command.Result
        How its commands ended, added up.
    changed_deps : list of str
        Dependencies and parameter files that were edited while it ran.
    """

    entry: Entry
    result: command.Result
    changed_deps: list[str]


def environment(project: Project, stage: Stage) -> dict[str, str]:
    """Return the environment of a stage's command."""
    return {
        "PYTHONUNBUFFERED": "1",
        **os.environ,
        "DVC_ROOT": os.environ.get("DVC_ROOT", str(project.root)),
        "DVC_STAGE": stage.address,
    }


def run_commands(
    stage: Stage, *, env: Mapping[str, str], echo: Callable[[bytes], None], keep_lines: int
) -> command.Result:
    """Run the commands of a stage one after the other; the first that fails ends it."""
    done: list[command.Result] = []
    for line in command.commands(stage.cmd or []):
        echo(f"> {line}\n".encode())
        result = command.run(line, cwd=stage.wdir, env=env, echo=echo, keep_lines=keep_lines)
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
    return f"failed with exit status {exit_status}"


def _total(done: list[command.Result], keep_lines: int) -> command.Result:
    lines = "".join(r.tail for r in done).splitlines(keepends=True)[-keep_lines:]
    return command.Result(
        exit_status=done[-1].exit_status if done else 0,
        peak_memory=max((r.peak_memory for r in done), default=0),
        cpu_seconds=sum(r.cpu_seconds for r in done),
        seconds=sum(r.seconds for r in done),
        tail="".join(lines),
    )


def execute(
    declared: Definition,
    stage: Stage,
    before: Entry,
    inspector: Inspector,
    *,
    env: Mapping[str, str],
    echo: Callable[[bytes], None],
    keep_lines: int,
) -> Made:
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
    project = declared.project
    previous = Previous(
        project.work_dir,
        [stage.path(out.path) for out in stage.outs if not out.persist],
        kept=[stage.path(out.path) for out in stage.outs if out.persist],
    )
    try:
        for out in stage.outs:
            if out.persist:
                _unprotect(stage.path(out.path))
        result = run_commands(stage, env=env, echo=echo, keep_lines=keep_lines)
        inspector.forget(stage)
        contents = {out.path: _store(project, stage, out, result) for out in stage.outs}
    except BaseException:
        previous.put_back()
        inspector.forget(stage)
        raise
    previous.drop()
    rows = tuple(tracking.row_of(path, content) for path, content in contents.items())
    return Made(
        entry=msgspec.structs.replace(before, outs=rows),
        result=result,
        changed_deps=_changed_deps(project, stage, before),
    )


def _store(project: Project, stage: Stage, out: Out, result: command.Result) -> Content:
    path = stage.path(out.path)
    if not path.exists():
        raise StageFailed(
            f"the command ended well but did not write its output '{out.path}'",
            stage=stage,
            result=result,
        )
    return store_output(project, path, out)


def store_output(project: Project, path: Path, out: Out) -> Content:
    """Put an output into the cache; one that is not cached only if it is a metric or plot.

    Those go there for the run cache, as in DVC, and stay plain files.
    """
    if out.cache:
        return tracking.store(project, path)
    if out.kind != "out":
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
    rows = {row.path: row for row in entry.outs}
    items = [
        Tracked(
            path=stage.path(out.path),
            out=msgspec.structs.replace(out, cache=True),
            stage=stage,
            row=rows.get(out.path),
        )
        for out in stage.outs
    ]
    tracking.checkout(declared.project, items, force=True)
    inspector.forget(stage)
