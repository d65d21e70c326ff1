"""What a `repro` leaves in the ledger: a run, a child for each stage, all it takes to redo it.

Nothing here touches the ledger before the first stage runs; a row is written before its command
starts, so that a killed command leaves a trace.
"""

from __future__ import annotations

import contextlib
import json
import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error
from assay.objects.legacy import named
from assay.pipeline.killed import Mark, end_killed
from assay.project import params
from assay.project.lock import Entry
from assay.project.settings import ledger_where
from assay.project.stages import Row, Stage
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.environment import Environment
    from assay.ledger.runs import Run
    from assay.ledger.writer import Data, Kind, Outcome, Writer
    from assay.pipeline import command

PLAN = "assay/pipeline.json"
"""The artifact of a run that says which stages it went through, on what, and what they made."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A stage of a run's plan: whether it ran, and its record afterwards."""

    address: str
    name: str
    state: str  # "ran", "restored", "unchanged"
    wdir: str  # relative to the project's root
    entry: Entry
    uncached: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    run: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The stages that a run went through, in order."""

    version: int = 1
    targets: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()


def dump(plan: Plan) -> bytes:
    """Return the plan as JSON, as Python writes it: with any number, NaN among them."""
    return json.dumps(msgspec.to_builtins(plan), ensure_ascii=False).encode()


def load(content: bytes, *, where: str) -> Plan:
    """Read a plan."""
    try:
        return msgspec.convert(json.loads(content), type=Plan)
    except (ValueError, msgspec.MsgspecError) as error:
        raise Error(f"the record of the pipeline cannot be read: {error}", where=where) from error


class Recording:
    """The run of one `repro`, begun when its first stage runs.

    Parameters
    ----------
    kind : str
        "pipeline", or "reproduction" for a run that does another one again.
    home : Project
        The project whose ledger and object store are written to.
    environment : Environment, optional
        What commands run in; that of this process, where it is not given.
    """

    def __init__(
        self,
        home: Project,
        *,
        targets: Sequence[str],
        name: str,
        kind: Kind = "pipeline",
        command_line: str | None = None,
        tags: Mapping[str, str] | None = None,
        environment: Environment | None = None,
    ) -> None:
        self._environment = environment
        self._home, self._targets, self._name, self._kind = home, tuple(targets), name, kind
        self._tags = tags or {}
        self._command = command_line or " ".join(["assay", "repro", *targets])
        self._ledger: Ledger | None = None
        self._placed: list[tuple[int, Step]] = []
        self.run: str | None = None
        self.killed: list[str] = []

    @property
    def ledger_where(self) -> Path | str:
        """What the ledger is opened by, wherever that is done."""
        return ledger_where(self._home)

    @property
    def ledger(self) -> Ledger:
        """The open ledger of a run that has begun."""
        if self._ledger is None:
            raise RuntimeError("the run has not begun")
        return self._ledger

    def _writer(self) -> Writer:
        from assay.ledger.writer import Writer

        return Writer(self.ledger)

    def begin(self) -> str:
        """Write the row of the run, unless it is there; marks those that were killed before."""
        if self.run is not None:
            return self.run
        from assay.ledger import environment
        from assay.ledger.database import open_ledger
        from assay.ledger.sdk import code
        from assay.ledger.writer import Writer
        from assay.pipeline.heartbeat import Heartbeat

        self._ledger = open_ledger(self.ledger_where)
        self._mark = Mark(self._home.work_dir)
        writer = Writer(self._ledger)
        self.killed = end_killed(self._ledger, known=[])
        of_code = code.capture(self._home) if self._kind == "pipeline" else None
        self._software = self._environment or environment.capture()
        with self._ledger.together():
            self.run = writer.start_run(
                name=self._name,
                kind=self._kind,
                command=self._command,
                code=of_code,
                environment=self._software,
            )
            if self._tags:
                writer.set_tags(self.run, self._tags)
        self._mark.name(self.run)
        self._heartbeat = Heartbeat(self._ledger, self.run, home=self._home)
        return self.run

    def start(self, stage: Stage, before: Entry, *, project: Project) -> str:
        """Write the row of a stage that is about to run, with what it runs on."""
        from assay.pipeline import command

        parent = self.begin()
        writer = self._writer()
        directory = os.path.relpath(stage.wdir, project.root)
        values = flat_params(_by_file(before.params, directory))
        tags = _seeds(values)
        with writer.ledger.together():
            run = writer.start_run(
                name=stage.address,
                kind="stage",
                parent=parent,
                stage=stage.address,
                command="\n".join(command.commands(stage.cmd or [])),
                directory=directory,
            )
            if values:
                writer.log_params(run, values)
            if tags:
                writer.set_tags(run, tags)
            writer.add_inputs(run, [_data(stage, row, "dep", project) for row in before.deps])
        self._heartbeat.begin(run)
        return run

    def note_environment(self, run: str, stage: Stage, env: Mapping[str, str]) -> None:
        """Record what a stage has whose interpreter is another one than this."""
        from assay.pipeline import command, interpreter

        found = interpreter.environment_of(
            command.commands(stage.cmd or []),
            cwd=stage.wdir,
            env=env,
            own=self._software,
        )
        if found is not None:
            self._writer().set_environment(run, found)

    def heard(self, run: str, echo: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """Return who is told what a stage prints, so that a killed one has its last lines."""
        return self._heartbeat.heard(run, echo)

    def finish(
        self, run: str, stage: Stage, entry: Entry, result: command.Result, *, project: Project
    ) -> None:
        """Write how a stage ended, what it made, and its metrics."""
        from assay.ledger.writer import Metric

        writer = self._writer()
        kinds = {out.path: out.kind for out in stage.outs}
        at = now_ms()
        found = read_metrics(stage, project)
        with writer.ledger.together():
            writer.add_outputs(run, [_data(stage, r, kinds[r.path], project) for r in entry.outs])
            if found:
                writer.log_metrics(run, [Metric(key=k, value=v, at=at) for k, v in found.items()])
            self._end(run, "finished", result)

    def fail(self, run: str, result: command.Result | None, *, reason: str, killed: bool) -> None:
        """Write that a stage failed, or was interrupted."""
        self._end(run, "killed" if killed else "failed", result, reason=reason)

    def _end(
        self,
        run: str,
        status: Outcome,
        result: command.Result | None,
        *,
        reason: str | None = None,
    ) -> None:
        self._heartbeat.end(run)
        self._writer().finish_run(
            run,
            status=status,
            exit_status=None if result is None else result.exit_status,
            peak_memory=None if result is None else result.peak_memory,
            cpu_seconds=None if result is None else result.cpu_seconds,
            log_tail=None if result is None else result.tail,
            reason=reason,
        )

    def add_step(self, step: Step, *, place: int = 0) -> None:
        """Remember a stage of the plan, and its place in it where they do not come in order."""
        self._placed.append((place, step))

    @property
    def _steps(self) -> list[Step]:
        return [step for _, step in sorted(self._placed, key=lambda pair: pair[0])]

    def close(self, status: Outcome, *, reason: str | None = None) -> None:
        """Write how the whole run ended: parameters and metrics of its stages, its plan."""
        if self._ledger is None:
            return
        try:
            if self.run is not None:
                self._heartbeat.stop()
                self._finish(self.run, status, reason)
        finally:
            self._mark.release()
            self._ledger.close()
            self._ledger = None

    def _finish(self, run: str, status: Outcome, reason: str | None) -> None:
        writer = self._writer()
        try:
            self._sum_up(writer, run)
            plan = dump(Plan(targets=self._targets, steps=tuple(self._steps)))
            oid = self._home.objects.add(plan)
            writer.add_artifact(run, PLAN, f"sha256:{oid}", len(plan))
        finally:
            writer.finish_run(run, status=status, reason=reason)

    def _sum_up(self, writer: Writer, parent: str) -> None:
        from assay.ledger import runs
        from assay.ledger.system import SYSTEM
        from assay.ledger.writer import Metric

        ledger = writer.ledger
        values: dict[str, Any] = {}
        metrics: dict[str, Metric] = {}
        steps = self._steps
        others = self._unfinished(ledger, parent)
        for part in others:
            values.update(part.params)
        for step in steps:
            values.update(flat_params(_by_file(step.entry.params, step.wdir)))
        found = runs.metrics_of_parts(ledger, parent)
        in_order = [step.run for step in steps if step.run is not None]
        for child in (*(set(found) - set(in_order)), *in_order):
            measured = found.get(child, {})
            metrics.update({k: v for k, v in measured.items() if not k.startswith(SYSTEM)})
        if values:
            writer.log_params(parent, values)
        if metrics:
            writer.log_metrics(parent, list(metrics.values()))
        made = {self._path(s, row) for s in steps for row in s.entry.outs}
        writer.add_inputs(
            parent,
            [
                self._as_data(s, row, "dep")
                for s in steps
                for row in s.entry.deps
                if self._path(s, row) not in made
            ]
            + [data for part in others for data in part.inputs if data.path not in made],
        )
        writer.add_outputs(
            parent, [self._as_data(s, row, "out") for s in steps for row in s.entry.outs]
        )

    def _unfinished(self, ledger: Ledger, parent: str) -> list[Run]:
        """Return the runs of stages that came to no end, which are no steps of the plan."""
        from assay.ledger import runs

        ended = {step.run for step in self._steps}
        rows = runs.list_(ledger, parent=parent, kind="stage", limit=10**6)
        return [runs.get(ledger, row.id) for row in reversed(rows) if row.id not in ended]

    @staticmethod
    def _path(step: Step, row: Row) -> str:
        return os.path.normpath(os.path.join(step.wdir, row.path))  # noqa: PTH118

    def _as_data(self, step: Step, row: Row, kind: str) -> Data:
        return data_of(row, path=self._path(step, row), kind=kind)


def data_of(row: Row, *, path: str, kind: str) -> Data:
    """Return a recorded content as the ledger has it."""
    from assay.ledger.writer import Data

    return Data(path=path, oid=named(row.oid or ""), size=row.size, n_files=row.n_files, kind=kind)


def _data(stage: Stage, row: Row, kind: str, project: Project) -> Data:
    path = os.path.relpath(stage.path(row.path), project.root)
    return data_of(row, path=path, kind=kind)


def flat_params(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return parameters by one name: dotted, with the file before it unless it is `params.yaml`.

    Examples
    --------
    >>> flat_params({"params.yaml": {"lr": 0.1}, "c.toml": {"opt": {"m": 2}}})
    {'lr': 0.1, 'c.toml:opt.m': 2}
    """
    found = {}
    for file, data in values.items():
        prefix = "" if file == "params.yaml" else f"{file}:"
        found.update({f"{prefix}{key}": value for key, value in params.flatten(data).items()})
    return found


def _by_file(values: Mapping[str, Any], wdir: str) -> dict[str, Any]:
    """Return parameters by the path of their file relative to the project."""
    return {os.path.normpath(os.path.join(wdir, f)): v for f, v in values.items()}  # noqa: PTH118


def _seeds(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of seeds: parameters whose name says that they are, and Python's own."""
    found = [
        f"{key}={value}"
        for key, value in values.items()
        if "seed" in key.rpartition(".")[2].lower()
    ]
    tags = {"seed.params": ", ".join(found)} if found else {}
    if "PYTHONHASHSEED" in os.environ:
        tags["seed.hash"] = os.environ["PYTHONHASHSEED"]
    return tags


def read_metrics(stage: Stage, project: Project) -> dict[str, float]:
    """Return the numbers in a stage's metric files, by dotted name; the file's name on a clash."""
    found: dict[str, float] = {}
    for out in stage.outs:
        if out.kind != "metric":
            continue
        path = stage.path(out.path)
        try:
            data = params.read(path, shown=project.relative(path))
        except Error:
            continue  # a metric file that does not parse is the business of `metrics show`
        for key, value in params.flatten(data if isinstance(data, dict) else {}).items():
            if isinstance(value, numbers.Real) and key.strip():
                name = key if key not in found else f"{out.path}:{key}"
                with contextlib.suppress(OverflowError):
                    found[name] = float(value)
    return found
