"""`reproduce`: do a recorded run again from the record alone, and say whether it is the same.

A clean, detached work tree gets the run's commit, its patch and its untracked files; the data
versions that it read come from the cache or a remote; the environment is the recorded one. Every
command of its plan really runs: there is no run cache, and outputs are removed first. The
person's own work tree is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.base.signals import interrupts_on_terminate
from assay.pipeline import compare, killed, sources
from assay.pipeline.compare import Compared, Sameness
from assay.pipeline.damage import damaged
from assay.pipeline.outcome import Events
from assay.pipeline.record import Plan, Recording
from assay.pipeline.reproduction import cause, data, environments, find, script, stage, tree
from assay.pipeline.reproduction.cause import Cause
from assay.pipeline.reproduction.environments import Choice, Chosen
from assay.pipeline.reproduction.part import Part, Say, compared, measured
from assay.project.settings import Store, ledger_where
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.ledger.runs import Run


_STATUS = {"running": "has not ended yet", "killed": "was killed"}


class StageVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one stage, or of a script.

    Attributes
    ----------
    deterministic : bool or None
        Whether it gave the same when it was run twice now; None where it was run once.
    """

    stage: str
    sameness: Sameness
    seconds: float
    outputs: list[Compared]
    metrics: list[Compared]
    deterministic: bool | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a run could be done again.

    Attributes
    ----------
    run, reproduction : str
        The run, and the one that did it again.
    kind : str
        What the run was of: then each of `stages` is one, or a script.
    named : str or None
        The version, bundle or logged model by which the run was named.
    sameness : str
        "identical" to the bit, "close" (numbers within `rtol`), or "differs".
    parted : str or None
        The first stage of that sameness; None where all are identical.
    causes : list of Cause
        Why that one may differ, or is not deterministic; the surest first.
    is_cause_sought : bool
        False where one differs and takes too long to be run again for the cause unasked.
    environment_used : str
        "current", or "recorded" where something was set or built for it.
    notes : list of str
        What was set or built for the environment, and what stands in for what.
    same_software : bool
        Whether interpreter and packages are those of the record.
    environment : list of str
        What is different about software and machine, in words.
    unrecorded : list of str
        Packages that were installed from a folder, so that their code is not on record.
    damaged : list of str
        Objects of the record whose bytes in the cache have another hash.
    lost : list of str
        Data of the commit, or logged by the run, that could not be had; whether a script opens
        it is not known.
    """

    run: str
    kind: Literal["pipeline", "script"]
    reproduction: str
    named: str | None
    sameness: Sameness
    parted: str | None
    causes: list[Cause]
    is_cause_sought: bool
    rtol: float
    environment_used: Choice
    notes: list[str]
    same_software: bool
    environment: list[str]
    unrecorded: list[str]
    damaged: list[str]
    lost: list[str]
    stages: list[StageVerdict]

    @property
    def is_match(self) -> bool:
        """Whether it is the same, and gave the same each time that it was asked to."""
        return self.sameness != "differs" and all(
            one.deterministic is not False for one in self.stages
        )


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is done again.

    Attributes
    ----------
    rtol : float
        Relative tolerance for numbers where bytes differ; 0 asks for identity.
    keep : bool
        Leave the work tree behind, to look at.
    environment : str or None
        "current" or "recorded"; by default the current one where it equals the recorded.
    twice : bool
        Run each stage twice, and say whether it is deterministic.
    why : bool
        Look for the cause of a difference also where that takes long.
    stage : str or None
        Only this stage, on what the record says that it read.
    """

    rtol: float = 0.0
    keep: bool = False
    environment: Choice | None = None
    twice: bool = False
    why: bool = False
    stage: str | None = None


def reproduce(
    project: Project, name: str, *, events: Events, options: Options | None = None
) -> Verdict:
    """Do a run again.

    Parameters
    ----------
    name : str
        The run, or a model that came of it; see `assay.pipeline.reproduction.find`.

    Raises
    ------
    Error
        If the record does not suffice: uncommitted code that was not kept, data that is gone, an
        environment that cannot be built.
    """
    from assay.ledger.database import open_ledger

    options = options or Options()
    killed.settle(project)
    with open_ledger(ledger_where(project), create=False) as ledger:
        meant = find.find(ledger, name)
    run = meant.run
    plan = _plan(project, run, options)
    if run.status != "finished":
        again = "its stages that finished are done" if plan else "it is done"
        events.say(f"note: the run {_STATUS.get(run.status, run.status)}; {again} again")
    if plan is not None:
        sources.fetch(project, plan, say=events.say)
    chosen = environments.choose(
        project, run.environment, asked=options.environment, say=events.say
    )
    with (
        interrupts_on_terminate(),
        tree.temporary(project, run, keep=options.keep, say=events.say) as there,
    ):
        lost: list[str] = []
        if plan is not None:
            sources.put(project, there, plan, say=events.say)
        else:
            lost = data.put(project, there, run, say=events.say)
        again_ = _Again(project, there, meant, plan, chosen, events=events, options=options)
        return again_.go(lost)


def _plan(project: Project, run: Run, options: Options) -> Plan | None:
    """Return the stages to do again, None for a script; raise where the record does not do."""
    plan = find.plan_of(project, run)
    if plan is None:
        _refuse_no_record(project, run, options)
    else:
        plan = _chosen_steps(plan, options.stage)
        stage.refuse_outside(project, plan)
    _refuse_irreproducible(run, plan)
    return plan


def _refuse_no_record(project: Project, run: Run, options: Options) -> None:
    if run.kind != "script" or run.command is None:
        raise Error(
            f"the run {run.id} has no record of what was called (a {run.kind}, {run.status})",
            hint="runs of 'assay repro' and of scripts with 'assay.run()' can be done again; see "
            "'assay runs list'",
        )
    if options.stage is not None:
        raise NotFound(
            f"the run {run.id} is of a script, and has no stage '{options.stage}'",
            hint="leave '--stage' out",
        )
    script.arguments(project, run)


def _chosen_steps(plan: Plan, stage_: str | None) -> Plan:
    if stage_ is None:
        return plan
    steps = tuple(step for step in plan.steps if step.address == stage_)
    if not steps:
        known = [step.address for step in plan.steps]
        raise NotFound(
            f"the run has no stage '{stage_}'",
            hint=did_you_mean(stage_, known) or f"it has {', '.join(known)}",
        )
    return msgspec.structs.replace(plan, steps=steps)


def _refuse_irreproducible(run: Run, plan: Plan | None) -> None:
    code = run.code
    if code.commit is None or not code.reproducible:
        before = "'assay repro'" if plan is not None else "the script runs"
        raise Error(
            f"the run is not reproducible: {code.reason or 'its code is not on record'}",
            where=f"run {run.id}",
            hint=f"commit the code before {before}, then a run can be done again",
        )
    if plan is not None and not plan.steps:
        raise Error(
            f"no stage of the run {run.id} finished, so there is nothing to do again",
            hint="choose another run; see 'assay runs list'",
        )


class _Again:
    """One reproduction, from its row in the ledger to its verdict."""

    def __init__(
        self,
        project: Project,
        there: Project,
        meant: find.Recorded,
        plan: Plan | None,
        chosen: Chosen,
        *,
        events: Events,
        options: Options,
    ) -> None:
        self._project, self._there, self._run = project, there, meant.run
        self._named, self._plan, self._chosen = meant.named, plan, chosen
        self._events, self._options = events, options
        self._is_cause_sought = True
        self._recording = Recording(
            project,
            targets=plan.targets if plan else (),
            name=f"reproduce {meant.run.id[:13]}",
            kind="reproduction",
            command_line=f"assay reproduce {meant.run.id}",
            environment=chosen.environment,
        )

    def go(self, lost: list[str]) -> Verdict:
        """Do all parts again, and record what was found."""
        from assay.ledger.writer import Writer

        recording = self._recording
        reproduction = recording.begin()
        try:
            found: list[tuple[StageVerdict, list[Cause]]] = []
            for part in self._parts(reproduction, lost):
                is_first = all(one.sameness != "differs" for one, _ in found)
                verdict, causes = self._part_again(part, is_first=is_first)
                if causes and is_first and verdict.sameness == "differs":
                    close = [one.stage for one, _ in found if one.sameness == "close"]
                    causes = cause.with_inputs(causes, close)
                found.append((verdict, causes))
        except BaseException as error:
            status = "killed" if isinstance(error, KeyboardInterrupt) else "failed"
            reason = getattr(error, "what", str(error))
            recording.close(status, reason=reason)  # type: ignore[arg-type]
            raise
        whole = self._verdict(reproduction, found, lost)
        tags = {"reproduces": self._run.id, "verdict": whole.sameness}
        Writer(recording.ledger).set_tags(reproduction, tags)
        recording.close("finished")
        return whole

    def _parts(self, reproduction: str, lost: Sequence[str]) -> Sequence[Part]:
        ledger = self._recording.ledger
        keep_lines = int(Store(self._project).value("run.log_tail"))
        say = Say(self._events.say, self._events.echo)
        if self._plan is None:
            place = script.place_of(ledger, self._run)
            return [
                script.ScriptPart(
                    self._project, self._there, self._run,
                    ledger=ledger, place=place, parent=reproduction, say=say,
                    keep_lines=keep_lines, lost=lost,
                )
            ]  # fmt: skip
        return [
            stage.StagePart(
                self._project, self._there, step, self._recording,
                recorded=stage.recorded(ledger, step), say=say, keep_lines=keep_lines,
            )
            for step in self._plan.steps
        ]  # fmt: skip

    def _part_again(self, part: Part, *, is_first: bool) -> tuple[StageVerdict, list[Cause]]:
        """Do a part again; where it is the first to differ, look for the cause."""
        what = "script" if self._plan is None else "stage"
        say, options = self._events.say, self._options
        say(f"Running {what} '{part.name}' again")
        first = part.do(self._chosen, tags={})
        outputs = compared(self._project, part, first, rtol=options.rtol)
        metrics = measured(part, first, rtol=options.rtol)
        sameness = compare.worst([*outputs, *metrics])
        causes: list[Cause] = []
        is_deterministic = None
        is_parting = is_first and sameness == "differs"
        may_try = options.why or not cause.is_long(part, first)
        if options.twice or (is_parting and may_try):
            second = cause.second(part, self._chosen, may_try=may_try, what=what, say=say)
            is_deterministic = not cause.different(first, second.given)
            if is_parting or not is_deterministic:
                causes = cause.of_part(
                    part, first, second, unlike=cause.not_as_recorded(outputs, metrics),
                    chosen=self._chosen, recorded=self._run.environment, may_try=may_try, say=say,
                )  # fmt: skip
        elif is_parting:
            self._is_cause_sought = False
            causes = cause.untried(self._chosen, self._run.environment)
        verdict = StageVerdict(
            stage=part.name,
            sameness=sameness,
            seconds=first.seconds,
            outputs=outputs,
            metrics=metrics,
            deterministic=is_deterministic,
        )
        return verdict, causes

    def _verdict(
        self, reproduction: str, found: list[tuple[StageVerdict, list[Cause]]], lost: list[str]
    ) -> Verdict:
        from assay.ledger import environment

        verdicts = [one for one, _ in found]
        now, then = self._chosen.environment, self._run.environment
        same = then is not None and not environment.software_differences(
            now.software, then.software
        )
        differences = (
            environment.differences(now, then) if then else ["unknown: none was recorded"]
        )
        sameness = compare.worst([c for v in verdicts for c in (*v.outputs, *v.metrics)])
        of_parted = [causes for v, causes in found if v.sameness == "differs"]
        return Verdict(
            run=self._run.id,
            kind="script" if self._plan is None else "pipeline",
            reproduction=reproduction,
            named=self._named,
            sameness=sameness,
            parted=_parted(verdicts, sameness),
            causes=next((some for some in [*of_parted, *(c for _, c in found)] if some), []),
            is_cause_sought=self._is_cause_sought,
            rtol=self._options.rtol,
            environment_used=self._chosen.kind,
            notes=list(self._chosen.notes),
            same_software=same,
            environment=differences,
            unrecorded=environments.unrecorded(self._project, then),
            damaged=damaged(self._project.cache, self._plan) if self._plan else [],
            lost=lost,
            stages=verdicts,
        )


def _parted(verdicts: Sequence[StageVerdict], sameness: Sameness) -> str | None:
    if sameness == "identical":
        return None
    return next(one.stage for one in verdicts if one.sameness == sameness)
