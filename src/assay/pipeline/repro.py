"""`repro`: bring stages up to date, one pass through their plan; or say what that would do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import msgspec

from assay.base.files import syncing_together
from assay.base.signals import interrupts_on_terminate
from assay.pipeline import plan
from assay.pipeline.changes import Inspector
from assay.pipeline.executors import open_executor
from assay.pipeline.killed import settle
from assay.pipeline.options import Flags, Options
from assay.pipeline.outcome import Events, Outcome, StagesFailed
from assay.project import definition, linked
from assay.project.workspace import Project

__all__ = ["Events", "Outcome", "dry", "repro"]


def repro(
    project: Project,
    targets: Sequence[str],
    *,
    cwd: Path,
    events: Events,
    **flags: Unpack[Flags],
) -> Outcome:
    """Run the stages that changed, and those that depend on them.

    Parameters
    ----------
    targets : sequence of str
        Stages to bring up to date, with all that they need; the stages of the `dvc.yaml` in
        `cwd` where none are given.
    flags
        See `assay.pipeline.options.Options`.

    Raises
    ------
    StageFailed
        If a stage fails; what ran before it is recorded, nothing after it runs.
    """
    options = Options(**flags)
    if options.strict:
        from assay.pipeline import strict

        strict.available()
    if options.executor != "local":
        open_executor(options.executor).close()  # raises where there is none of that name
    with linked.running(project), interrupts_on_terminate():
        killed = settle(project)
        _recover(project.work_dir)
        declared = definition.read(project)
        planned = plan.make(declared, targets, cwd=cwd, options=options)
        from assay.pipeline.runner import Runner

        with syncing_together() as sync:
            runner = Runner(
                declared, planned, targets, events=events, options=options, sync=sync
            )  # fmt: skip
            try:
                outcome = runner.go()
            except StagesFailed as error:
                if error.outcome is not None:
                    error.outcome = _with(killed, error.outcome)
                raise
        return _with(killed, outcome)


def _with(killed: list[str], outcome: Outcome) -> Outcome:
    return msgspec.structs.replace(outcome, killed=[*killed, *outcome.killed])


def _recover(work: Path) -> None:
    """Put back what killed processes had set aside; there is nothing in `work` otherwise."""
    if work.is_dir() and any(work.iterdir()):
        from assay.pipeline import previous

        previous.recover(work)


def dry(
    project: Project, targets: Sequence[str], *, cwd: Path, **flags: Unpack[Flags]
) -> Outcome:  # fmt: skip
    """Say what `repro` would do, without doing it.

    A stage below one that would run may turn out unchanged after all.
    """
    from assay.pipeline.foresee import Foresight

    options = Options(**flags)
    declared = definition.read(project)
    planned = plan.make(declared, targets, cwd=cwd, options=options)
    inspector = Inspector(declared)
    found = Foresight(declared, planned, inspector, options).go()
    return Outcome(stages=found, n_hashed=inspector.n_hashed)
