"""A stage of a recorded pipeline as a part that is done again."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error, NotFound
from assay.objects import scan
from assay.pipeline import command, execute, previous
from assay.pipeline.previous import Previous
from assay.pipeline.record import Plan, Recording, Step
from assay.pipeline.reproduction import histories
from assay.pipeline.reproduction.environments import Chosen
from assay.pipeline.reproduction.part import Given, Say
from assay.project import params
from assay.project.stages import Out, OutKind, Row, Stage
from assay.project.tracking import row_of
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.ledger.database import Ledger

BUNDLE = "bundle"
"""What a bundle that a stage made is called among its outputs; a second one is 'bundle 2'."""


class StagePart:
    """Runs the recorded command of a stage on what the work tree has.

    Parameters
    ----------
    there : Project
        The project in the work tree.
    """

    def __init__(
        self,
        project: Project,
        there: Project,
        step: Step,
        recording: Recording,
        *,
        recorded: Given,
        say: Say,
        keep_lines: int,
    ) -> None:
        self.name, self.recorded = step.address, recorded
        self._project, self._there, self._step, self._recording = project, there, step, recording
        self._say, self._keep_lines = say, keep_lines
        self._stage = _stage(step, there)

    def do(self, chosen: Chosen, *, tags: Mapping[str, str]) -> Given:
        """Remove its outputs, run its commands, and record what they made."""
        from assay.ledger.writer import Writer

        stage, step, recording = self._stage, self._step, self._recording
        _check_params(stage, step, self._there)
        for out in stage.outs:
            previous.remove(stage.path(out.path))
        child = recording.start(stage, step.entry, project=self._there)
        if tags:
            Writer(recording.ledger).set_tags(child, tags)
        env = chosen.applied(
            execute.environment(self._there, stage), self._project, self._there
        ) | {
            "DVC_ROOT": str(self._there.root),
            "ASSAY_RUN": child,
            "ASSAY_LEDGER": str(recording.ledger_where),
        }
        recording.note_environment(child, stage, env)
        try:
            result = execute.run_commands(
                stage, env=env, echo=self._say.echo, keep_lines=self._keep_lines
            )
            rows = [self._made(row, result) for row in step.entry.outs]
        except BaseException as error:
            killed = isinstance(error, KeyboardInterrupt)
            reason = getattr(error, "what", repr(error))
            recording.fail(child, getattr(error, "result", None), reason=reason, killed=killed)
            raise
        entry = msgspec.structs.replace(step.entry, outs=tuple(rows))
        recording.finish(child, stage, entry, result, project=self._there)
        if not tags:
            again = msgspec.structs.replace(step, entry=entry, state="ran", run=child)
            recording.add_step(again)
        made = {row.path: f"md5:{row.oid}" for row in rows}
        return given(recording.ledger, child, made, seconds=result.seconds)

    @contextlib.contextmanager
    def keep_aside(self) -> Iterator[None]:
        """Set its outputs aside, and put them back."""
        paths = [self._stage.path(out.path) for out in self._stage.outs]
        first = Previous(self._there.dvc_dir / "tmp" / "first", paths)
        try:
            yield
        finally:
            first.put_back()

    def content(self, name: str) -> bytes:
        """Return the bytes of an output."""
        return self._stage.path(name).read_bytes()

    def _made(self, row: Row, result: command.Result) -> Row:
        path = self._stage.path(row.path)
        if not path.exists():
            raise execute.StageFailed(
                f"the output '{row.path}' was not written this time",
                stage=self._stage,
                result=result,
            )
        return row_of(row.path, scan.scan(path, self._there.index, skip=self._there.ignore))


def refuse_outside(project: Project, plan: Plan) -> None:
    """Raise where a stage writes outside its work tree: it would write over a person's files."""
    for step in plan.steps:
        for row in step.entry.outs:
            place = Path(os.path.normpath(project.root / step.wdir / row.path))
            is_absolute = Path(step.wdir, row.path).is_absolute()
            if is_absolute or project.git_root not in place.parents:
                raise Error(
                    f"the output '{row.path}' of stage '{step.address}' lies outside the "
                    "repository: doing it again would write over it",
                    hint="write it into the project, then a run can be done again",
                )


def recorded(ledger: Ledger, step: Step) -> Given:
    """Return what a stage gave when its run was recorded."""
    from assay.ledger import runs

    outputs = {row.path: f"md5:{row.oid}" for row in step.entry.outs}
    took = None
    with contextlib.suppress(NotFound):  # it is deleted, and what it made is still used
        took = None if step.run is None else runs.get(ledger, step.run).seconds
    return given(ledger, step.run, outputs, seconds=took or 0.0)


def given(
    ledger: Ledger, run: str | None, outputs: Mapping[str, str], *, seconds: float = 0.0
) -> Given:
    """Return what a run gave: these outputs, its bundles, and its metrics."""
    from assay.ledger import lineage

    if run is None:
        return Given(outputs=dict(outputs), metrics={})
    edges = lineage.edges_from(ledger, f"run:{run}")
    made = sorted(e.target.removeprefix("bundle:") for e in edges if e.relation == "made")
    bundles = {f"{BUNDLE} {n}" if n > 1 else BUNDLE: oid for n, oid in enumerate(made, 1)}
    return Given(
        outputs={**outputs, **bundles},
        metrics=histories.compared(ledger, run),
        seconds=seconds,
        run=run,
    )


def _stage(step: Step, there: Project) -> Stage:
    def kind(path: str) -> OutKind:
        return "metric" if path in step.metrics else "out"

    return Stage(
        name=step.name,
        address=step.address,
        file=there.root / "dvc.yaml",
        wdir=Path(os.path.normpath(there.root / step.wdir)),
        cmd=step.entry.cmd,
        deps=tuple(row.path for row in step.entry.deps),
        outs=tuple(
            Out(path=row.path, kind=kind(row.path), cache=row.path not in step.uncached)
            for row in step.entry.outs
        ),
    )


def _check_params(stage: Stage, step: Step, there: Project) -> None:
    for file, values in step.entry.params.items():
        path = stage.path(file)
        if not path.exists() and path.suffix in {".json", ".yaml", ".yml"}:
            _write_params(path, values)  # git ignores it, so the record is all there is
        data = params.read(path, shown=file) if path.exists() else {}
        if json.dumps(_present(data, values)) != json.dumps(values):
            raise Error(
                f"the parameters in '{file}' are not those that stage '{stage.address}' ran with",
                where=f"the code of the run, {there.root.name}",
                hint="the file is not in git and was not kept with the run",
            )


def _write_params(path: Path, values: Mapping[str, Any]) -> None:
    """Write recorded parameters into a file of their own; JSON is YAML, too."""
    nested: dict[str, Any] = {}
    for key, value in values.items():
        *above, last = key.split(".")
        place = nested
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(nested), encoding="utf-8")


def _present(data: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of recorded keys: of a whole file's as they are, else by dotted key."""
    whole = {str(key): value for key, value in data.items()} if isinstance(data, dict) else {}
    asked = params.select(data, [key for key in values if key not in whole])
    return {key: whole.get(key, asked.get(key)) for key in values}
