"""A script with `assay.run()` as a part that is done again.

It runs in the work tree and records into a ledger of its own there, so that its runs stand as it
made them; the one that corresponds to the record is copied into the ledger of the project.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.errors import Error
from assay.base.progress import counted
from assay.pipeline.compare import Point
from assay.pipeline.executors import Result, Task
from assay.pipeline.previous import remove
from assay.pipeline.reproduction import data, histories, tree
from assay.pipeline.reproduction.environments import Chosen
from assay.pipeline.reproduction.part import Given, Say
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.runs import Run
    from assay.ledger.writer import Metric, Writer

_FOLDER = (0,)


class ScriptPart:
    """Runs a script as it was called.

    Parameters
    ----------
    place : int or None
        Which of the script's runs is meant, counted from 0; None finds it by its name.
    parent : str
        The run of the reproduction.
    lost : sequence of str
        Data that it may read and that could not be had.
    """

    def __init__(
        self,
        project: Project,
        there: Project,
        run: Run,
        *,
        ledger: Ledger,
        place: int | None,
        parent: str,
        say: Say,
        keep_lines: int,
        lost: Sequence[str] = (),
    ) -> None:
        self.name = run.name
        self.recorded = given(ledger, run)
        self._project, self._there, self._run, self._ledger = project, there, run, ledger
        self._place, self._parent, self._say, self._keep_lines = place, parent, say, keep_lines
        self._count, self._lost = 0, lost
        self._oids: dict[str, str] = {}
        self._arguments = arguments(project, run)
        self._before = _found(there.git_root)

    def do(self, chosen: Chosen, *, tags: Mapping[str, str]) -> Given:
        """Call it, and copy what it recorded."""
        from assay.ledger.database import open_ledger
        from assay.ledger.writer import Writer

        self._count += 1
        scratch = self._there.dvc_dir / "tmp" / f"ledger-{self._count}.db"
        scratch.parent.mkdir(parents=True, exist_ok=True)
        writer = Writer(self._ledger)
        child = self._begin(writer, tags)
        try:
            result = self._call(chosen, scratch)
            with open_ledger(scratch, create=False) as other:
                made = _counterpart(other, self._place, self._run)
                found = given(other, made)
                _copy(writer, child, made, histories.of_run(other, made.id))
        except BaseException as error:
            killed = isinstance(error, KeyboardInterrupt)
            reason = getattr(error, "what", repr(error))
            writer.finish_run(child, status="killed" if killed else "failed", reason=reason)
            raise
        writer.finish_run(
            child,
            status="finished",
            exit_status=result.exit_status,
            peak_memory=result.peak_memory,
            cpu_seconds=result.cpu_seconds,
            log_tail=result.tail,
        )
        self._oids = found.outputs
        return Given(
            outputs=found.outputs, metrics=found.metrics, seconds=result.seconds, run=child
        )

    def _begin(self, writer: Writer, tags: Mapping[str, str]) -> str:
        """Record that the script begins again, and return that run."""
        with self._ledger.together():
            child = writer.start_run(
                name=self.name,
                kind="script",
                parent=self._parent,
                command=self._run.command,
                directory=self._run.directory,
            )
            if tags:
                writer.set_tags(child, tags)
        return child

    @contextlib.contextmanager
    def keep_aside(self) -> Iterator[None]:
        """Undo what it did to its work tree: what counts of it is in the object store."""
        there, before = self._there, self._before
        after = _found(there.git_root)
        for path in sorted(after, reverse=True):  # what lies in a folder goes before it
            if after[path] != before.get(path):
                remove(Path(path))
        if any(after.get(path) != state for path, state in before.items()):
            tree.put_back(self._project, self._run, there.git_root)
            data.put(self._project, there, self._run, say=self._say.say)
            self._before = _found(there.git_root)
        yield

    def content(self, name: str) -> bytes:
        """Return the bytes of an artifact."""
        return self._project.objects.read(self._oids[name].removeprefix("sha256:"))

    def _call(self, chosen: Chosen, scratch: Path) -> Result:
        from assay.pipeline import execute

        line = shlex.join([chosen.python, *self._on_there()])
        self._say.echo(f"> {shlex.join(['python', *self._arguments])}\n".encode())
        env = {k: v for k, v in os.environ.items() if k not in {"ASSAY_RUN", "ASSAY_HUB"}}
        task = Task(
            command=line,
            cwd=self._there.root / (self._run.directory or "."),
            env=chosen.applied(
                {"PYTHONUNBUFFERED": "1", **env, "ASSAY_LEDGER": str(scratch)},
                self._project,
                self._there,
            ),
            echo=self._say.echo,
            keep_lines=self._keep_lines,
        )
        result = execute.run_here(task)
        if result.exit_status != 0 and self._run.status == "finished":
            raise Error(
                f"'{shlex.join(self._arguments)}' failed with exit status {result.exit_status}",
                where=f"script '{self.name}'",
                hint=self._without()
                + "see what it printed; '--keep' leaves its folder to look at",
            )
        if not scratch.exists():
            raise Error(
                f"'{shlex.join(self._arguments)}' recorded no run this time",
                where=f"script '{self.name}'",
                hint="see what it printed; the record has one",
            )
        return result

    def _without(self) -> str:
        """Say what data it had to go without."""
        names = ", ".join(f"'{path}'" for path in self._lost)
        return f"it went without {names}, neither here nor on a remote; " if names else ""

    def _on_there(self) -> list[str]:
        """Return the arguments with files of the project as the work tree has them."""
        root, there = str(self._project.root), str(self._there.root)
        return [
            there + one[len(root) :] if one == root or one.startswith(f"{root}/") else one
            for one in self._arguments
        ]


def arguments(project: Project, run: Run) -> list[str]:
    """Return what Python is called with to run the script of a run again.

    Raises
    ------
    Error
        If that is not on record.
    """
    from assay.ledger.sdk import calling

    called = calling.parse(run.command)
    script = "" if called is None else called.script or str(called.module)
    if called is None or script in {"-c", "-m", "-"} or "ipykernel" in script:
        raise Error(
            f"the command of the run cannot be called again: {run.command or 'none is on record'}",
            where=f"run {run.id}",
            hint="a notebook, a prompt or 'python -c' is not on record; put the code into a file "
            "of the project and run that",
        )
    if run.directory is None:
        raise Error(
            "the script ran outside the project, so its code is not on record",
            where=f"run {run.id}",
            hint="run it from a folder of the project",
        )
    path = Path(script)
    if path.is_absolute() and project.root not in path.parents:
        raise Error(
            f"the script {script} lies outside the project, so it is not on record",
            where=f"run {run.id}",
            hint="put it into the project, and commit it",
        )
    what = [called.script] if called.module is None else ["-m", called.module]
    return [*called.options, *what, *called.arguments]


def place_of(ledger: Ledger, run: Run) -> int | None:
    """Return which of the runs of its process a run is, counted from 0.

    None where its process is not on record: the run came from another clone.
    """
    from sqlalchemy import select

    from assay.ledger import tables

    table = tables.run
    with ledger.read() as connection:
        row = connection.execute(select(table).where(table.c.id == run.id)).one()
        if row.pid is None:
            return None
        query = select(table.c.id).where(
            table.c.parent_id.is_(None), table.c.kind == "script", table.c.start <= row.start,
            table.c.host == row.host, table.c.boot == row.boot, table.c.pid == row.pid,
            table.c.process_start == row.process_start,
        )  # fmt: skip
        of_process = connection.execute(query.order_by(table.c.start, table.c.id)).scalars().all()
    return of_process.index(run.id) if run.id in of_process else 0


def given(ledger: Ledger, run: Run) -> Given:
    """Return what a script's run recorded, with the runs inside it by their names."""
    outputs: dict[str, str] = {}
    metrics: dict[str, tuple[Point, ...]] = {}
    for prefix, one in _with_parts(ledger, run, ""):
        outputs |= {f"{prefix}{item.path}": item.oid for item in one.outputs}
        outputs |= {f"{prefix}{item.path}": item.oid for item in one.artifacts}
        points = histories.compared(ledger, one.id)
        metrics |= {f"{prefix}{key}": of_key for key, of_key in points.items()}
    return Given(outputs=outputs, metrics=metrics, seconds=run.seconds or 0.0, run=run.id)


def _with_parts(ledger: Ledger, run: Run, prefix: str) -> Iterator[tuple[str, Run]]:
    from assay.ledger import runs

    yield prefix, run
    counts: dict[str, int] = {}
    for child in run.children:
        part = runs.get(ledger, child)
        counts[part.name] = number = counts.get(part.name, 0) + 1
        name = part.name if number == 1 else f"{part.name} #{number}"
        yield from _with_parts(ledger, part, f"{prefix}{name}/")


def _counterpart(ledger: Ledger, place: int | None, run: Run) -> Run:
    """Return the run that corresponds to the recorded one: by its place, else by what it is."""
    from assay.ledger import runs

    found = runs.list_(ledger, kind="script", limit=1_000_000)[::-1]
    if place is not None and place < len(found):
        return runs.get(ledger, found[place].id)
    named = [runs.get(ledger, row.id) for row in found if row.name == run.name]
    if place is not None or not named:
        which = "" if place is None else f", number {place + 1}"
        raise Error(
            f"the script began {counted(len(found), 'run')} this time, and none is that of the "
            f"record: '{run.name}'{which}",
            hint="see what it printed: it took another way this time",
        )
    return next((one for one in named if one.params == run.params), named[0])


def _copy(writer: Writer, child: str, made: Run, points: Sequence[Metric]) -> None:
    """Copy what a run recorded to its counterpart in another ledger."""
    with writer.ledger.together():
        if made.params:
            writer.log_params(child, made.params)
        writer.log_metrics(child, points)
        if made.tags:
            writer.set_tags(child, made.tags)
        writer.add_artifacts(child, made.artifacts)
        writer.add_inputs(child, made.inputs)
        writer.add_outputs(child, made.outputs)


def _found(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return what lies in a work tree, and how a change of it is seen.

    What the tools keep in their folders is left out.
    """
    found: dict[str, tuple[int, ...]] = {}
    waiting = [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.name in {".git", ".dvc"}:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    found[entry.path] = _FOLDER
                else:
                    it = entry.stat(follow_symlinks=False)
                    found[entry.path] = (
                        it.st_mode, it.st_ino, it.st_size, it.st_mtime_ns, it.st_ctime_ns
                    )  # fmt: skip
    return found
