"""`repro`: go through the plan, run what changed, restore what the cache has, record all of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from assay.base.signals import interrupts_on_terminate
from assay.objects.scan import Content
from assay.pipeline import plan, record
from assay.pipeline.changes import Changes, Inspector
from assay.pipeline.plan import Done
from assay.pipeline.record import Recording, Step
from assay.project import definition, gitignore, tracking
from assay.project.definition import Definition
from assay.project.holding import holding
from assay.project.lock import Entry
from assay.project.settings import Store
from assay.project.stages import Stage
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.pipeline.execute import Made


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a `repro` did.

    Attributes
    ----------
    stages : list of Done
        In the order of the plan.
    run : str or None
        The id of the run in the ledger; None where no stage ran.
    files : list of Path
        Files that git should get.
    """

    stages: list[Done]
    run: str | None = None
    files: list[Path] = []
    n_hashed: int = 0
    killed: list[str] = []
    made: list[tuple[Path, Content]] = []


class Events(msgspec.Struct, frozen=True):
    """Where a `repro` says what it does: a line for people, and what commands print."""

    say: Callable[[str], None]
    echo: Callable[[bytes], None]


def repro(
    project: Project,
    targets: Sequence[str],
    *,
    cwd: Path,
    events: Events,
    force: bool = False,
    single: bool = False,
    use_run_cache: bool = True,
) -> Outcome:
    """Run the stages that changed, and those that depend on them.

    Parameters
    ----------
    targets : sequence of str
        Stages to bring up to date, with all that they need; the stages of the `dvc.yaml` in
        `cwd` where none are given.
    force : bool
        Run every stage of the plan, whatever changed.
    single : bool
        Only the targets, not what they need.

    Raises
    ------
    StageFailed
        If a stage fails; what ran before it is recorded, nothing after it runs.
    """
    with holding(project.assay_dir / "lock"), interrupts_on_terminate():
        killed = record.settle(project)
        _recover(project.work_dir)
        declared = definition.read(project)
        chosen = plan.make(declared, targets, cwd=cwd, single=single)
        runner = _Runner(declared, targets, events, force=force, use_run_cache=use_run_cache)
        outcome = runner.go(chosen)
        return msgspec.structs.replace(outcome, killed=[*killed, *outcome.killed])


def _recover(work: Path) -> None:
    """Put back what killed processes had set aside; there is nothing in `work` otherwise."""
    if work.is_dir() and any(work.iterdir()):
        from assay.pipeline import previous

        previous.recover(work)


def dry(
    project: Project,
    targets: Sequence[str],
    *,
    cwd: Path,
    force: bool = False,
    single: bool = False,
    use_run_cache: bool = True,
) -> Outcome:
    """Say what `repro` would do, without doing it.

    A stage below one that would run may turn out unchanged after all.
    """
    declared = definition.read(project)
    chosen = plan.make(declared, targets, cwd=cwd, single=single)
    inspector = Inspector(declared)
    found = plan.foresee(
        declared, chosen, inspector, force=force, use_run_cache=use_run_cache
    )  # fmt: skip
    return Outcome(stages=found, n_hashed=inspector.n_hashed)


class _Runner:
    """One pass through a plan."""

    def __init__(
        self,
        declared: Definition,
        targets: Sequence[str],
        events: Events,
        *,
        force: bool,
        use_run_cache: bool,
    ) -> None:
        self._declared, self._project = declared, declared.project
        self._events, self._force, self._use_run_cache = events, force, use_run_cache
        self._inspector = Inspector(declared)
        self._recording = Recording(
            declared.project, targets=targets, name=" ".join(targets) or declared.project.root.name
        )
        self._keep_lines = int(Store(declared.project).value("run.log_tail"))
        self._done: list[Done] = []
        self._files: dict[Path, None] = {}
        self._made: list[tuple[Path, Content]] = []

    def go(self, chosen: list[Stage]) -> Outcome:
        try:
            for stage in chosen:
                self._one(stage)
        except KeyboardInterrupt:
            self._recording.close("killed", reason="interrupted")
            raise
        except BaseException as error:
            self._recording.close("failed", reason=getattr(error, "what", str(error)))
            raise
        self._recording.close("finished")
        return Outcome(
            stages=self._done,
            run=self._recording.run,
            files=list(self._files),
            n_hashed=self._inspector.n_hashed,
            killed=self._recording.killed,
            made=self._made,
        )

    def _one(self, stage: Stage) -> None:
        changes = self._inspector.changes(stage)
        if stage.is_data:
            self._data(stage, changes)
            return
        if not changes and not self._force:
            self._unchanged(stage)
            return
        if stage.frozen and not self._force:
            self._frozen(stage)
            return
        before = self._inspector.entry(stage)
        if not self._force and not changes.always:
            known = (
                plan.known_outputs(self._project, self._declared, stage, before)
                if self._use_run_cache
                else None
            )
            if known is not None:
                self._restore(stage, before, known, changes)
                return
        self._run(stage, before, changes)

    def _unchanged(self, stage: Stage) -> None:
        self._done.append(Done(stage=stage.address, state="unchanged"))
        entry = self._declared.entry(stage)
        if entry is not None:
            self._step(stage, entry, "unchanged")

    def _data(self, stage: Stage, changes: Changes) -> None:
        """Bring tracked data to its record where it is missing; record it where it was edited."""
        if not changes:
            self._done.append(Done(stage=stage.address, state="unchanged"))
            return
        rows = {t.out.path: t for t in self._declared.tracked if t.stage.address == stage.address}
        for path, state in changes.outs.items():
            item = rows[path]
            if not os.path.lexists(item.path):
                tracking.checkout(self._project, [item])
                self._events.say(f"'{stage.address}': checked out '{path}'")
            elif not stage.frozen:
                added = tracking.commit(self._declared, item)
                self._files.update(dict.fromkeys(added.files))
                self._made.append((item.path, added.content))
                self._events.say(f"'{stage.address}': recorded '{path}', which is {state}")
        self._inspector.forget(stage)
        self._done.append(
            Done(stage=stage.address, state="committed", why=changes.in_words())
        )  # fmt: skip

    def _frozen(self, stage: Stage) -> None:
        """Bring the outputs of a frozen stage back; it never runs by itself."""
        changed = self._inspector.changes(stage)
        plan.refuse_frozen(self._project, stage, changed)
        items = [t for t in self._declared.tracked if t.stage.address == stage.address]
        tracking.checkout(self._project, items)
        self._inspector.forget(stage)
        self._done.append(
            Done(stage=stage.address, state="restored", why=changed.in_words())
        )  # fmt: skip

    def _restore(self, stage: Stage, before: Entry, known: Entry, changes: Changes) -> None:
        self._events.say(f"Stage '{stage.address}' is cached - skipping run, checking out outputs")
        from assay.pipeline import execute

        execute.restore(self._declared, stage, known, self._inspector)
        entry = msgspec.structs.replace(before, outs=known.outs)
        self._write_lock(stage, entry)
        self._step(stage, entry, "restored")
        self._done.append(
            Done(stage=stage.address, state="restored", why=changes.in_words())
        )  # fmt: skip

    def _run(self, stage: Stage, before: Entry, changes: Changes) -> None:
        why = changes.in_words() or "forced"
        run = self._recording.start(stage, before, project=self._project)
        self._events.say(f"Running stage '{stage.address}': {why}")
        from assay.pipeline import execute

        env = execute.environment(self._project, stage) | {
            "ASSAY_RUN": run,
            "ASSAY_LEDGER": str(self._recording.ledger_path),
        }
        try:
            made = execute.execute(
                self._declared,
                stage,
                before,
                self._inspector,
                env=env,
                echo=self._events.echo,
                keep_lines=self._keep_lines,
            )
            self._keep(run, stage, made)
        except BaseException as error:
            killed = isinstance(error, KeyboardInterrupt)
            result = getattr(error, "result", None)
            reason = "interrupted" if killed else getattr(error, "what", repr(error))
            self._recording.fail(run, result, reason=reason, killed=killed)
            raise
        self._step(stage, made.entry, "ran", run=run)
        self._note_made(stage)
        self._done.append(
            Done(stage=stage.address, state="ran", why=why, seconds=made.result.seconds)
        )

    def _keep(self, run: str, stage: Stage, made: Made) -> None:
        """Write what a stage made into lock, run cache and ledger."""
        from assay.pipeline import run_cache

        for dep in made.changed_deps:
            self._events.say(
                f"  warning: '{dep}' was edited while '{stage.address}' ran; what it was before "
                "is recorded, so the stage runs again next time"
            )
        self._write_lock(stage, made.entry)
        if not made.changed_deps:
            run_cache.save(self._project, stage, made.entry)
        self._recording.finish(run, stage, made.entry, made.result, project=self._project)

    def _note_made(self, stage: Stage) -> None:
        for out in stage.outs:
            content = self._inspector.content(stage.path(out.path))
            if content is not None:
                self._made.append((stage.path(out.path), content))

    def _write_lock(self, stage: Stage, entry: Entry) -> None:
        """Record a stage, and note the files that git should get for it."""
        written = gitignore.add(
            self._project, [stage.path(out.path) for out in stage.outs if out.cache]
        )
        if self._declared.record(stage, entry):
            written += [stage.file.with_suffix(".lock")]
            written += [stage.path(out.path) for out in stage.outs if not out.cache]
        self._files.update(dict.fromkeys(written))

    def _step(self, stage: Stage, entry: Entry, state: str, *, run: str | None = None) -> None:
        self._recording.add_step(
            Step(
                address=stage.address,
                name=stage.name,
                state=state,
                wdir=os.path.relpath(stage.wdir, self._project.root),
                entry=entry,
                uncached=tuple(out.path for out in stage.outs if not out.cache),
                metrics=tuple(out.path for out in stage.outs if out.kind == "metric"),
                run=run,
            )
        )
