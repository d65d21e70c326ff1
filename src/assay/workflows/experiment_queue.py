"""The queue of experiments: what goes into it, and what becomes of a task when its turn comes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error
from assay.base.signals import interrupts_on_terminate
from assay.pipeline.experiments import overrides, refs
from assay.pipeline.experiments.queue import KILLED, Entry, Queue, Task
from assay.project.workspace import Project
from assay.workflows import experiments
from assay.workflows.experiments import Plan, Ran, Request

if TYPE_CHECKING:
    from assay.pipeline.repro import Events


def put(project: Project, request: Request, *, cwd: Path) -> list[Entry]:
    """Queue an experiment, or each experiment of a sweep.

    All of them are checked before the first is queued.

    Raises
    ------
    Error
        If one of them cannot begin, or its name waits already.
    """
    queue = Queue(project)
    requests = _requests(request)
    taken = [entry.name for entry in queue.list_()]
    plans: list[Plan] = []
    for one in requests:
        plan = experiments.prepare(project, one, cwd=cwd, taken=taken)
        taken.append(plan.name)
        plans.append(plan)
    at = now_ms()
    trees = [experiments.tree_of(project, plan) for plan in plans]
    return [
        queue.put(_task(project, one, plan, cwd=cwd, at=at, order=order), tree)
        for order, (one, plan, tree) in enumerate(zip(requests, plans, trees, strict=True))
    ]


def _requests(request: Request) -> list[Request]:
    """Return a request for each experiment of a sweep, named `NAME-1`, `NAME-2`, ..."""
    if not overrides.is_sweep(request.overrides):
        return [request]
    found = overrides.product(request.overrides)
    return [
        msgspec.structs.replace(
            request,
            overrides=one,
            name=None if request.name is None else f"{request.name}-{number}",
        )
        for number, one in enumerate(found, start=1)
    ]


def _task(
    project: Project, request: Request, plan: Plan, *, cwd: Path, at: int, order: int
) -> Task:
    return Task(
        name=plan.name,
        baseline=plan.baseline,
        at=at,
        order=order,
        targets=request.targets,
        cwd=os.path.relpath(cwd, project.root),
        overrides=plan.changes,
        command=plan.command,
        message=request.message,
        copy=request.copy,
        force=request.force,
        options=request.options,
    )


def run(project: Project, name: str, *, events: Events) -> Ran:
    """Run a task of the queue in this process, and write down how it ended."""
    queue = Queue(project)
    queue.begin(name)
    try:
        with interrupts_on_terminate():
            ran = _run(project, queue.get(name), events)
    except KeyboardInterrupt:
        queue.end(name, "failed", exit_code=130, reason=KILLED)
        raise
    except BaseException as error:
        reason = error.what if isinstance(error, Error) else f"{type(error).__name__}: {error}"
        exit_code = getattr(error, "exit_code", 255)
        queue.end(name, "failed", exit_code=exit_code, reason=reason)
        raise
    queue.end(name, "success", exit_code=0, run=ran.outcome.run, experiment=ran.experiment.commit)
    return ran


def _run(project: Project, entry: Entry, events: Events) -> Ran:
    task = entry.task
    replaces = refs.check_name(project.git_root, task.baseline, task.name, force=task.force)
    plan = Plan(
        name=task.name,
        baseline=task.baseline,
        replaces=replaces,
        changes=task.overrides,
        command=task.command,
    )
    request = Request(
        targets=task.targets,
        message=task.message,
        copy=task.copy,
        force=task.force,
        options=task.options,
    )
    cwd = Path(os.path.normpath(project.root / task.cwd))
    return experiments.run_tree(project, plan, entry.commit, request, cwd=cwd, events=events)
