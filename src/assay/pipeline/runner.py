"""One pass through a plan: run what changed, restore what the cache has, record all of it."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from assay.base.errors import Error
from assay.objects.scan import Content
from assay.pipeline import plan
from assay.pipeline.changes import Changes, Inspector
from assay.pipeline.options import Options
from assay.pipeline.outcome import Events, Outcome, StagesFailed
from assay.pipeline.plan import Done, Plan, State
from assay.pipeline.record import Recording
from assay.pipeline.restoring import bring, items_of, makers_of_missing, settle_data
from assay.pipeline.results import Results
from assay.pipeline.schedule import Schedule
from assay.project import tracking
from assay.project.definition import Definition
from assay.project.lock import Entry
from assay.project.settings import Store
from assay.project.stages import Stage

if TYPE_CHECKING:
    from assay.pipeline.crew import Crew, Finished
    from assay.pipeline.execute import Made, Work


class _Job(msgspec.Struct, frozen=True):
    """A stage that is at work."""

    run: str
    changes: Changes
    before: Entry


class Runner:
    """One pass through a plan. All decisions are made, and all is recorded, in one thread."""

    def __init__(
        self,
        declared: Definition,
        planned: Plan,
        targets: Sequence[str],
        *,
        events: Events,
        options: Options,
        sync: Callable[[], None],
    ) -> None:
        self._declared, self._project = declared, declared.project
        self._plan, self._events, self._options = planned, events, options
        self._inspector = Inspector(declared)
        name = options.name or " ".join(targets) or declared.project.root.name
        self._recording = Recording(
            declared.project, targets=targets, name=name, command_line=options.command,
            tags=options.tags,
        )  # fmt: skip
        self._schedule = Schedule(planned.stages, planned.upstream)
        self._results = Results(declared, planned, self._recording, sync=sync)
        self._keep_lines = int(Store(declared.project).value("run.log_tail"))
        self._crew: Crew | None = None
        self._at_work: dict[str, _Job] = {}
        self._forced: set[str] = set()
        self._failures: dict[str, BaseException] = {}
        self._done: dict[str, Done] = {}
        self._made: list[tuple[Path, Content]] = []
        self._printing = threading.Lock()

    def go(self) -> Outcome:
        """Go through the plan.

        Raises
        ------
        StageFailed
            If a stage fails; what ran before it is recorded, nothing after it runs.
        StagesFailed
            The same, of several.
        """
        try:
            with contextlib.ExitStack() as self._held:
                self._go_through()
            self._results.settle()
            self._raise_failures()
        except BaseException as error:
            self._end_what_runs(error)
            if isinstance(error, StagesFailed):
                error.outcome = self._outcome()
            raise
        self._recording.close("finished")
        return self._outcome()

    def _outcome(self) -> Outcome:
        return Outcome(
            stages=[self._done[s.address] for s in self._plan.stages if s.address in self._done],
            run=self._recording.run,
            files=self._results.files,
            n_hashed=self._inspector.n_hashed,
            killed=self._recording.killed,
            made=self._made,
        )

    def _hire(self) -> Crew:
        """Return who works on stages; mostly there is nothing to do."""
        if self._crew is None:
            from assay.pipeline.crew import Crew

            crew = Crew(jobs=self._options.jobs, executor=self._options.executor)
            self._crew = self._held.enter_context(crew)
        return self._crew

    def _go_through(self) -> None:
        while True:
            is_full = self._crew is not None and self._crew.is_full
            is_open = not (is_full or (self._failures and self._stops_at_failure))
            stage = self._schedule.next() if is_open else None
            if stage is not None:
                self._attempt(stage, functools.partial(self._begin, stage))
            elif self._at_work:
                self._take(self._hire().next())
            else:
                return

    @property
    def _stops_at_failure(self) -> bool:
        return not (self._options.keep_going or self._options.ignore_errors)

    def _attempt(self, stage: Stage, act: Callable[[], None]) -> None:
        try:
            act()
        except Error as error:
            self._failed(stage, error)

    def _failed(self, stage: Stage, error: Error) -> None:
        """Go on without a stage, as far as that was asked for."""
        self._failures[stage.address] = error
        self._note(stage, "failed", error.what)
        if self._options.keep_going:
            left_out = self._schedule.drop(stage.address)
            for address in left_out:
                why = f"'{stage.address}' failed"
                self._done[address] = Done(stage=address, state="left out", why=why)
                self._results.pass_by(address)
            self._events.say(f"error: {error}")
        elif self._options.ignore_errors:
            self._events.say(f"error (ignored): {error}")
            self._schedule.done(stage.address)

    def _raise_failures(self) -> None:
        if not self._failures or self._options.ignore_errors:
            return
        in_order = sorted(self._failures, key=self._schedule.place)
        first = self._failures[in_order[0]]
        left_out = [one for one, done in self._done.items() if done.state == "left out"]
        if self._stops_at_failure:
            for address in in_order[1:]:
                self._events.say(f"error: {self._failures[address]}")
            raise first
        raise StagesFailed(in_order, left_out=left_out) from first

    def _end_what_runs(self, error: BaseException) -> None:
        """Record what was cut off, and how all of it ended."""
        killed = isinstance(error, KeyboardInterrupt)
        reason = "interrupted" if killed else getattr(error, "what", str(error))
        for job in self._at_work.values():
            self._recording.fail(job.run, None, reason=reason, killed=killed)
        try:
            self._results.settle()
        finally:
            self._recording.close("killed" if killed else "failed", reason=reason)

    def _begin(self, stage: Stage) -> None:
        """Do what a stage needs, or put it to work."""
        options = self._options
        self._results.ignore_around(stage)
        found = self._inspector.changes(stage)
        changes = self._counting(stage, found, allow_missing=options.allow_missing)
        force = options.force or (stage.address in self._forced and not stage.frozen)
        if stage.is_data:
            self._data(stage, changes)
        elif stage.frozen and not options.force:
            self._frozen(stage, changes)
        elif not (changes or force):
            self._unchanged(stage)
        elif not force and self._is_pulled(stage, found):
            self._finished(stage, "pulled", changes.in_words())
        else:
            self._bring_deps(stage)
            self._inspect_and_run(stage, changes, force=force)

    def _counting(self, stage: Stage, changes: Changes, *, allow_missing: bool) -> Changes:
        return plan.what_counts(
            self._declared, self._plan.graph, stage, changes, allow_missing=allow_missing
        )

    def _note(self, stage: Stage, state: State, why: str = "", *, seconds: float = 0.0) -> None:
        self._done[stage.address] = Done(
            stage=stage.address, state=state, why=why, seconds=seconds
        )  # fmt: skip
        self._results.pass_by(stage.address)

    def _finished(
        self, stage: Stage, state: State, why: str = "", *, seconds: float = 0.0
    ) -> None:
        """Note what became of a stage, and let those begin that wait for it."""
        self._note(stage, state, why, seconds=seconds)
        if state in {"restored", "pulled", "committed"}:  # that took time; 'ran' is seen to
            self._inspector.end_turn()
        if self._options.force_downstream and state in {"ran", "restored", "committed"}:
            self._forced.update(self._plan.graph.downstream[stage.address])
        self._schedule.done(stage.address)

    def _unchanged(self, stage: Stage) -> None:
        entry = self._declared.entry(stage)
        if entry is not None:
            self._results.step(stage, entry, "unchanged")
        self._finished(stage, "unchanged")

    def _data(self, stage: Stage, changes: Changes) -> None:
        """Bring tracked data to its record where it is missing; record it where it was edited."""
        if not changes:
            self._finished(stage, "unchanged")
            return
        done = settle_data(self._declared, stage, changes, get=self._options.bring)
        for line in done.said:
            self._events.say(line)
        self._results.add_files(done.files)
        self._made += done.made
        self._inspector.forget(stage)
        self._finished(stage, "committed", changes.in_words())

    def _frozen(self, stage: Stage, changes: Changes) -> None:
        """Bring the outputs of a frozen stage back; it never runs by itself."""
        about = f"  warning: {plan.about_frozen(stage, changes)}"
        if changes and self._is_pulled(stage, changes):
            self._events.say(about)
            self._finished(stage, "restored", changes.in_words())
            return
        plan.refuse_frozen(self._project, stage, changes)
        self._events.say(about)
        items = items_of(self._declared, stage)
        missing = [item for item in items if changes.outs.get(item.out.path) == "deleted"]
        if missing:
            tracking.checkout(self._project, missing)
            self._inspector.forget(stage)
        entry = self._declared.entry(stage)
        if entry is not None and "modified" not in changes.outs.values():
            self._results.step(stage, entry, "unchanged")
        self._finished(stage, "restored" if missing else "frozen", changes.in_words())

    def _is_pulled(self, stage: Stage, changes: Changes) -> bool:
        """Get the outputs of a stage that lacks nothing else, where that was asked for."""
        get = self._options.bring
        if get is None or self._counting(stage, changes, allow_missing=True):
            return False
        if not bring(self._declared, stage, get):
            return False
        self._events.say(f"'{stage.address}': got its outputs")
        self._inspector.forget(stage)
        entry = self._declared.entry(stage)
        if entry is not None:
            self._results.step(stage, entry, "unchanged")
        return True

    def _bring_deps(self, stage: Stage) -> None:
        """Get what a stage reads and what is recorded, where that was asked for."""
        get = self._options.bring
        if get is None:
            return
        for maker in makers_of_missing(self._plan.graph, stage):
            if bring(self._declared, maker, get):
                self._inspector.forget(maker)

    def _inspect_and_run(self, stage: Stage, changes: Changes, *, force: bool) -> None:
        before = self._inspector.entry(stage)
        if not force and not changes.always and self._options.use_run_cache:
            known = plan.known_outputs(
                self._project, self._declared, stage, before, options=self._options
            )
            if known is not None:
                self._restore(stage, before, known, changes)
                return
        confirm = self._options.confirm
        if confirm is not None and not confirm(stage.address):
            raise plan.Declined(stage)
        if confirm is not None:  # a person may have taken long to answer
            self._inspector.end_turn()
            before = self._inspector.entry(stage)
        self._run(stage, before, changes)

    def _restore(self, stage: Stage, before: Entry, known: Entry, changes: Changes) -> None:
        self._events.say(f"Stage '{stage.address}' is cached - skipping run, checking out outputs")
        from assay.pipeline import execute

        execute.restore(self._declared, stage, known, self._inspector)
        entry = msgspec.structs.replace(before, outs=known.outs)
        self._results.record(stage, entry, can_wait=True)
        self._results.step(stage, entry, "restored")
        self._finished(stage, "restored", changes.in_words())

    def _run(self, stage: Stage, before: Entry, changes: Changes) -> None:
        run = self._recording.start(stage, before, project=self._project)
        self._at_work[stage.address] = _Job(run, changes, before)
        self._events.say(f"Running stage '{stage.address}': {changes.in_words() or 'forced'}")
        from assay.pipeline import execute

        crew = self._hire()
        work = self._work(stage, run, crew)

        crew.start(stage, lambda: execute.execute(self._project, stage, before, work))
        if self._options.jobs == 1:
            self._take(crew.next())

    def _work(self, stage: Stage, run: str, crew: Crew) -> Work:
        from assay.pipeline import execute

        env = {
            **execute.environment(self._project, stage),
            **self._options.env,
            "ASSAY_RUN": run,
            "ASSAY_LEDGER": str(self._recording.ledger_where),
        }
        self._recording.note_environment(run, stage, env)
        return execute.Work(
            run=crew.run,
            env=env,
            echo=self._recording.heard(run, self._echo(stage)),
            keep_lines=self._keep_lines,
            commit=self._options.commit,
            check=crew.check,
            strict=self._options.strict,
        )

    def _echo(self, stage: Stage) -> Callable[[bytes], None]:
        """Return who is told what a stage prints; with its name, where several may run."""
        if self._options.jobs == 1:
            return self._events.echo
        name = f"[{stage.address}] ".encode()

        def echo(content: bytes) -> None:
            with self._printing:
                self._events.echo(b"".join(name + line + b"\n" for line in content.splitlines()))

        return echo

    def _take(self, finished: Finished) -> None:
        """Record what a stage made, or why it failed."""
        stage, error = finished.stage, finished.error
        job = self._at_work.pop(stage.address)
        self._inspector.end_turn()
        self._inspector.forget(stage)
        try:
            if finished.made is not None:
                self._keep(stage, job, finished.made)
        except BaseException as refusal:  # noqa: BLE001 -- it is recorded, and raised below
            error = refusal
        if error is None:
            return
        killed = isinstance(error, KeyboardInterrupt)
        reason = "interrupted" if killed else getattr(error, "what", repr(error))
        result = finished.made.result if finished.made else getattr(error, "result", None)
        self._recording.fail(job.run, result, reason=reason, killed=killed)
        if not isinstance(error, Error):
            raise error
        self._failed(stage, error)

    def _keep(self, stage: Stage, job: _Job, made: Made) -> None:
        """Write what a stage made into lock, run cache and ledger."""
        self._inspector.learn(made.contents)
        for dep in made.changed_deps:
            self._events.say(
                f"  warning: '{dep}' was edited while '{stage.address}' ran; what it was before "
                "is recorded, so the stage runs again next time"
            )
        from assay.pipeline import run_cache

        can_wait = (
            self._options.commit
            and not made.changed_deps
            and run_cache.save(self._project, stage, made.entry)
        )
        self._results.record(stage, made.entry, can_wait=can_wait)
        self._recording.finish(job.run, stage, made.entry, made.result, project=self._project)
        self._results.step(stage, made.entry, "ran", run=job.run)
        self._made += made.contents.items()
        why = job.changes.in_words() or "forced"
        self._finished(stage, "ran", why, seconds=made.result.seconds)
