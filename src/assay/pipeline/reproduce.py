"""`reproduce`: do a recorded run again from the record alone, and say whether it is the same.

A clean, detached work tree gets the run's commit, its patch and its untracked files; the data
versions that it read come from the cache. Every command of its plan really runs: there is no run
cache, and outputs are removed first. The person's own work tree is not touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error
from assay.base.files import inside
from assay.base.signals import interrupts_on_terminate
from assay.objects import scan
from assay.objects.cache import DIR
from assay.pipeline import command, compare, execute, previous, sources
from assay.pipeline.compare import Compared, Sameness
from assay.pipeline.damage import damaged
from assay.pipeline.record import PLAN, Plan, Recording, Step, load
from assay.pipeline.repro import Events
from assay.project import git, params
from assay.project.settings import Store
from assay.project.stages import Out, OutKind, Row, Stage
from assay.project.tracking import row_of
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.environment import Environment
    from assay.ledger.runs import Run


class StageVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one stage."""

    stage: str
    sameness: Sameness
    seconds: float
    outputs: list[Compared]
    metrics: list[Compared]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a run could be done again.

    Attributes
    ----------
    run, reproduction : str
        The run, and the one that did it again.
    sameness : str
        "identical" to the bit, "close" (numbers within `rtol`), or "differs".
    parted : str or None
        The first stage that is not identical.
    same_software : bool
        Whether interpreter and packages are those of the record.
    environment : list of str
        What is different about software and machine, in words.
    damaged : list of str
        Objects of the record whose bytes in the cache have another hash.
    """

    run: str
    reproduction: str
    sameness: Sameness
    parted: str | None
    rtol: float
    same_software: bool
    environment: list[str]
    damaged: list[str]
    stages: list[StageVerdict]


def reproduce(
    project: Project, name: str, *, events: Events, rtol: float = 0.0, keep: bool = False
) -> Verdict:
    """Do a run again.

    Parameters
    ----------
    name : str
        The run's id, a unique beginning of it, or `latest`.
    rtol : float
        Relative tolerance for numbers where bytes differ; 0 asks for identity.
    keep : bool
        Leave the work tree behind, to look at.

    Raises
    ------
    Error
        If the record does not suffice: uncommitted code that was not kept, data that is gone.
    """
    from assay.ledger import runs
    from assay.ledger.database import open_ledger

    with open_ledger(project.ledger_path, create=False) as ledger:
        run = _whole(ledger, runs.get(ledger, name))
        plan = _plan(project, run)
        recorded = _recorded_metrics(ledger, plan)
    _refuse_irreproducible(run)
    if not plan.steps:
        raise Error(
            f"no stage of the run {run.id} finished, so there is nothing to do again",
            hint="choose another run; see 'assay runs list'",
        )
    _refuse_outside(project, plan)
    if run.status != "finished":
        events.say(f"note: the run {run.status}; the stages that it finished are done again")
    sources.fetch(project, plan, say=events.say)
    with (
        interrupts_on_terminate(),
        _worktree(project, run, keep=keep, events=events) as there,
    ):
        sources.put(project, there, plan, say=events.say)
        return _again(project, there, run, plan, recorded, events=events, rtol=rtol)


def _whole(ledger: Ledger, run: Run) -> Run:
    """Return the run of the whole pipeline that a stage's run or a reproduction belongs to."""
    from assay.ledger import runs

    while run.kind == "stage" and run.parent is not None:
        run = runs.get(ledger, run.parent)
    if run.kind == "reproduction" and "reproduces" in run.tags:
        return runs.get(ledger, run.tags["reproduces"])
    return run


def _plan(project: Project, run: Run) -> Plan:
    for artifact in run.artifacts:
        if artifact.path == PLAN:
            oid = artifact.oid.removeprefix("sha256:")
            return load(project.objects.read(oid), where=str(project.objects.path(oid)))
    raise Error(
        f"the run {run.id} has no record of a pipeline (it is a {run.kind} that {run.status})",
        hint="only runs that 'assay repro' recorded can be done again; see 'assay runs list'",
    )


def _recorded_metrics(ledger: Ledger, plan: Plan) -> dict[str, dict[str, float]]:
    from assay.ledger import runs

    return {
        step.address: {k: m.value for k, m in runs.get(ledger, step.run).metrics.items()}
        for step in plan.steps
        if step.run is not None
    }


def _refuse_irreproducible(run: Run) -> None:
    code = run.code
    if code.commit is None or not code.reproducible:
        raise Error(
            f"the run is not reproducible: {code.reason or 'its code is not on record'}",
            where=f"run {run.id}",
            hint="commit the code before 'assay repro', then a run can be done again",
        )


def _refuse_outside(project: Project, plan: Plan) -> None:
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


@contextlib.contextmanager
def _worktree(project: Project, run: Run, *, keep: bool, events: Events) -> Iterator[Project]:
    """Check out the code of a run beside everything else, and take it away afterwards."""
    folder = project.assay_dir / "worktrees" / f"reproduce-{run.id[:13]}-{os.getpid()}"
    _sweep(project)
    git.add_worktree(project.git_root, folder, run.code.commit or "")
    try:
        _apply(project, run, folder)
        yield Project(folder / (run.code.directory or "."))
    finally:
        if keep:
            events.say(f"the work tree is kept in {folder}")
        else:
            git.remove_worktree(project.git_root, folder)


def _sweep(project: Project) -> None:
    """Remove work trees that killed processes left behind."""
    for folder in (project.assay_dir / "worktrees").glob("reproduce-*"):
        pid = folder.name.rpartition("-")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
    git.unattended("worktree", "prune", cwd=project.git_root)


def _apply(project: Project, run: Run, folder: Path) -> None:
    if run.code.diff is not None:
        git.apply(folder, project.objects.read(run.code.diff.removeprefix("sha256:")))
    for file in run.code.untracked:
        path = inside(folder, file.path, where=f"run {run.id}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(project.objects.read(file.oid.removeprefix("sha256:")))
        if file.is_executable:
            path.chmod(0o755)
    local = project.home / ".dvc" / "config.local"
    target = folder / (run.code.directory or ".") / ".dvc" / "config.local"
    if target.parent.is_dir():
        # real dvc in a stage finds the cache of the clone; a second [cache] adds to the first
        text = local.read_text(encoding="utf-8") if local.exists() else ""
        target.write_text(text, encoding="utf-8")
        from assay.project.config import Config

        cache = project.cache.folder.parent.parent
        Config.of(target.parent).set("cache", "dir", str(cache), level="local")


def _again(
    project: Project,
    there: Project,
    run: Run,
    plan: Plan,
    recorded: dict[str, dict[str, float]],
    *,
    events: Events,
    rtol: float,
) -> Verdict:
    from assay.ledger import environment

    recording = Recording(
        project,
        targets=plan.targets,
        name=f"reproduce {run.id[:13]}",
        kind="reproduction",
        command_line=f"assay reproduce {run.id}",
    )
    reproduction = recording.begin()
    keep_lines = int(Store(project).value("run.log_tail"))
    try:
        verdicts = [
            _stage_again(
                project, there, step, recording, recorded.get(step.address, {}),
                events=events, rtol=rtol, keep_lines=keep_lines,
            )
            for step in plan.steps
        ]  # fmt: skip
    except BaseException as error:
        status = "killed" if isinstance(error, KeyboardInterrupt) else "failed"
        recording.close(status, reason=getattr(error, "what", str(error)))  # type: ignore[arg-type]
        raise
    now = environment.capture()
    then = run.environment
    verdict = Verdict(
        run=run.id,
        reproduction=reproduction,
        sameness=compare.worst([c for v in verdicts for c in (*v.outputs, *v.metrics)]),
        parted=next((v.stage for v in verdicts if v.sameness != "identical"), None),
        rtol=rtol,
        same_software=then is not None
        and not environment.software_differences(now.software, then.software),
        environment=_differences(now, run),
        damaged=damaged(project.cache, plan),
        stages=verdicts,
    )
    recording.set_tags({"reproduces": run.id, "verdict": verdict.sameness})
    recording.close("finished")
    return verdict


def _stage_again(
    project: Project,
    there: Project,
    step: Step,
    recording: Recording,
    recorded: dict[str, float],
    *,
    events: Events,
    rtol: float,
    keep_lines: int,
) -> StageVerdict:
    stage = _stage(step, there)
    _check_params(stage, step, there)
    for out in stage.outs:
        previous.remove(stage.path(out.path))
    events.say(f"Running stage '{stage.address}' again")
    child = recording.start(stage, step.entry, project=there)
    env = execute.environment(there, stage) | {
        "DVC_ROOT": str(there.root),
        "ASSAY_RUN": child,
        "ASSAY_LEDGER": str(recording.ledger_path),
    }
    try:
        result = execute.run_commands(stage, env=env, echo=events.echo, keep_lines=keep_lines)
        found = [_made(stage, row, there, result) for row in step.entry.outs]
    except BaseException as error:
        killed = isinstance(error, KeyboardInterrupt)
        reason = getattr(error, "what", repr(error))
        recording.fail(child, getattr(error, "result", None), reason=reason, killed=killed)
        raise
    pairs = zip(step.entry.outs, found, strict=True)
    outs = [_compare_output(project, r, now, stage.path(r.path), rtol=rtol) for r, now in pairs]
    entry = msgspec.structs.replace(step.entry, outs=tuple(found))
    recording.finish(child, stage, entry, result, project=there)
    recording.add_step(msgspec.structs.replace(step, entry=entry, state="ran", run=child))
    metrics = compare.metrics(recorded, recording.metrics(child), rtol=rtol) if recorded else []
    return StageVerdict(
        stage=stage.address,
        sameness=compare.worst([*outs, *metrics]),
        seconds=result.seconds,
        outputs=outs,
        metrics=metrics,
    )


def _made(stage: Stage, row: Row, there: Project, result: command.Result) -> Row:
    path = stage.path(row.path)
    if not path.exists():
        raise execute.StageFailed(
            f"the output '{row.path}' was not written this time", stage=stage, result=result
        )
    return row_of(row.path, scan.scan(path, there.index, skip=there.ignore))


def _differences(now: Environment, run: Run) -> list[str]:
    from assay.ledger import environment

    if run.environment is None:
        return ["unknown: none was recorded"]
    return environment.differences(now, run.environment)


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
        data = params.read(path, shown=file) if path.exists() else {}
        if json.dumps(_present(data, values)) != json.dumps(values):
            raise Error(
                f"the parameters in '{file}' are not those that stage '{stage.address}' ran with",
                where=f"the code of the run, {there.root.name}",
                hint="the file is not in git and was not kept with the run",
            )


def _present(data: Any, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of recorded keys: of a whole file's as they are, else by dotted key."""
    whole = {str(key): value for key, value in data.items()} if isinstance(data, dict) else {}
    asked = params.select(data, [key for key in recorded if key not in whole])
    return {key: whole.get(key, asked.get(key)) for key in recorded}


def _compare_output(project: Project, row: Row, now: Row, path: Path, *, rtol: float) -> Compared:
    recorded, found = f"md5:{row.oid}", f"md5:{now.oid}"
    if row.oid == now.oid:
        return Compared(name=row.path, sameness="identical", recorded=recorded, found=found)
    sameness: Sameness = "differs"
    if rtol > 0 and row.oid and not row.oid.endswith(DIR) and project.cache.has(row.oid):
        with contextlib.suppress(Error):
            before = project.cache.read(row.oid)
            sameness = compare.contents(row.path, before, path.read_bytes(), rtol=rtol)
    return Compared(name=row.path, sameness=sameness, recorded=recorded, found=found)
