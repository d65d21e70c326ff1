"""`queue`: experiments that wait, run, or have run."""

from __future__ import annotations

import importlib
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from assay.base.errors import Error, Usage
from assay.cli.output import did, json_option, note, show
from assay.project import workspace

if TYPE_CHECKING:
    from assay.pipeline.experiments.queue import Entry, Queue
    from assay.project.workspace import Project

_POLL = 0.05  # seconds between two looks at what a task prints


@click.group("queue")
def queue_group() -> None:
    """Run experiments that wait, and look after them."""


def _open() -> Queue:
    from assay.pipeline.experiments.queue import Queue

    return Queue(workspace.find())


@queue_group.command("start")
@click.argument("names", metavar="[TASKS]...", nargs=-1)
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, metavar="N",
              help="Experiments that run at a time.")  # fmt: skip
def start_command(names: tuple[str, ...], jobs: int) -> int:
    """Run what waits, in the background.

    TASKS that failed wait again first.
    """
    from assay.pipeline.experiments import workers

    queue = _open()
    queue.again(names)
    waiting = [entry for entry in queue.list_() if entry.status == "queued"]
    if not waiting:
        did({}, as_json=False, text="Nothing waits in the queue.")
        return 0
    started = workers.start(queue, jobs)
    parts = [f"Started {_workers(started.new)}."] if started.new else []
    if started.resumed:
        go = "goes" if started.resumed == 1 else "go"
        parts.append(f"{_workers(started.resumed)} {go} on: 'queue stop' is taken back.")
    at_work = f"{_workers(len(workers.list_(queue)))} at work already."
    did({}, as_json=False, text=" ".join(parts) or at_work)
    note("See 'assay queue status', and 'assay queue logs NAME -f'.")
    return 0


def _workers(count: int) -> str:
    return f"{count} worker{'' if count == 1 else 's'}"


@queue_group.command("stop")
@click.option("--kill", is_flag=True, help="End what runs, too.")
def stop_command(kill: bool) -> int:
    """Let the workers end after what they run."""
    from assay.pipeline.experiments import workers

    queue = _open()
    count = workers.stop(queue)
    if kill:
        _kill(queue, [e for e in queue.list_() if e.status == "running"], force=False)
    did({"stopped": count}, as_json=False, text=_stopped(count, kill=kill))
    return 0


def _stopped(count: int, *, kill: bool) -> str:
    if not count:
        return "No worker is at work."
    if kill:
        return f"Ended what ran; {_workers(count)} stopped."
    return f"{_workers(count)} will end when what runs has ended."


@queue_group.command("status")
@json_option
def status_command(as_json: bool) -> int:
    """Show what waits, runs, has run or failed, and who works."""
    from assay.pipeline.experiments import workers
    from assay.render.tables import text_table

    queue = _open()
    entries = queue.list_()
    at_work = workers.list_(queue)
    active = sum(worker.task is not None for worker in at_work)
    reasons = any(entry.state.reason for entry in entries)
    rows = [
        [
            entry.commit[:7],
            entry.name,
            _moment(entry.task.at),
            entry.status.capitalize(),
            *([entry.state.reason or "-"] if reasons else []),
        ]
        for entry in entries
    ]
    header = ["Task", "Name", "Created", "Status", *(["Reason"] if reasons else [])]
    lines = [text_table(header, rows) if rows else "Nothing is in the queue.", ""]
    lines.append(f"Worker status: {active} active, {len(at_work) - active} idle")
    document = {
        "tasks": [_document(entry) for entry in entries],
        "workers": {"active": active, "idle": len(at_work) - active},
    }
    show(document, as_json=as_json, text="\n".join(lines))
    if not at_work and any(entry.status == "queued" for entry in entries):
        note("Run what waits with 'assay queue start'.")
    return 0


def _moment(at_ms: int) -> str:
    import datetime as dt

    return f"{dt.datetime.fromtimestamp(at_ms / 1000):%Y-%m-%d %H:%M:%S}"  # noqa: DTZ006 -- a person's clock


def _document(entry: Entry) -> dict[str, Any]:
    from assay.base.clock import iso

    state = entry.state
    return {
        "name": entry.name,
        "task": entry.commit,
        "status": entry.status,
        "created": iso(entry.task.at),
        "started": None if state.started is None else iso(state.started),
        "ended": None if state.ended is None else iso(state.ended),
        "params": entry.task.overrides,
        "exit_code": state.exit_code,
        "reason": state.reason,
        "run": state.run,
        "experiment": state.experiment,
    }


@queue_group.command("logs")
@click.argument("name", metavar="TASK")
@click.option("-f", "--follow", is_flag=True, help="Go on until it ends.")
@click.option("-e", "--encoding", default="utf-8", hidden=True)
def logs_command(name: str, follow: bool, encoding: str) -> int:
    """Show what a task has printed so far."""
    queue = _open()
    entry = queue.get(name)
    if entry.status == "queued" and not follow:
        note(f"'{entry.name}' waits: it has printed nothing yet")
        return 0
    _follow(queue, entry, until_end=follow, encoding=encoding)
    return 0


def _follow(queue: Queue, entry: Entry, *, until_end: bool, encoding: str = "utf-8") -> None:
    """Print the log of a task; until it has ended, if asked."""
    from assay.pipeline.experiments import workers

    path = queue.log(entry.name)
    while until_end and not path.exists():
        if queue.get(entry.name).status not in {"queued", "running"}:
            return
        time.sleep(_POLL)
    for piece in workers.follow(path) if path.exists() else ():
        if piece:
            sys.stdout.write(piece.decode(encoding, errors="replace"))
            sys.stdout.flush()
            continue
        if not until_end:
            return
        if queue.get(entry.name).status != "running":
            until_end = False  # once more: it may have printed in between
        time.sleep(_POLL)


def run_all(project: Project, jobs: int) -> int:
    """Run all that waits in the background, and show what it prints; for `exp run --run-all`."""
    from assay.pipeline.experiments import workers
    from assay.pipeline.experiments.queue import Queue

    queue = Queue(project)
    entries = [entry for entry in queue.list_() if entry.status in {"queued", "running"}]
    if not entries:
        did({}, as_json=False, text="Nothing waits in the queue.")
        return 0
    workers.start(queue, jobs)
    try:
        for entry in entries:
            _follow(queue, entry, until_end=True)
    except KeyboardInterrupt:
        note("They go on in the background; to end them: assay queue stop --kill")
        raise
    failed = [one.name for one in entries if queue.get(one.name).status == "failed"]
    if failed:
        raise Error(
            f"{len(failed)} of {len(entries)} experiments failed: {', '.join(failed)}",
            where="the queue",
            hint=f"see 'assay queue logs {failed[0]}'; again: assay queue start {failed[0]}",
        )
    return 0


@queue_group.command("kill")
@click.argument("names", metavar="TASKS...", nargs=-1, required=True)
@click.option("-f", "--force", is_flag=True, help="At once, without letting it clean up.")
def kill_command(names: tuple[str, ...], force: bool) -> int:
    """End tasks that run.

    All processes that they started end, too.
    """
    queue = _open()
    entries = [queue.get(name) for name in names]
    for entry in entries:
        if entry.status != "running":
            raise Error(
                f"'{entry.name}' does not run: it is {entry.status}",
                where="the queue",
                hint=f"take it out: assay queue remove {entry.name}",
            )
    _kill(queue, entries, force=force)
    did({}, as_json=False, text=f"Ended {', '.join(entry.name for entry in entries)}.")
    return 0


def _kill(queue: Queue, entries: list[Entry], *, force: bool) -> None:
    """End tasks, and wait until they have ended."""
    for entry in entries:
        queue.kill(entry, force=force)
    while any(queue.get(entry.name).status == "running" for entry in entries):
        time.sleep(_POLL)


@queue_group.command("remove")
@click.argument("names", metavar="[TASKS]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that does not run.")
@click.option("--queued", is_flag=True, help="What waits.")
@click.option("--success", is_flag=True, help="What has run; the experiments stay.")
@click.option("--failed", is_flag=True, help="What failed.")
@json_option
def remove_command(
    names: tuple[str, ...], every: bool, queued: bool, success: bool, failed: bool, as_json: bool
) -> int:
    """Take tasks out of the queue.

    Their logs go with them; experiments that they made stay.
    """
    wanted = {
        status
        for status, given in (("queued", queued), ("success", success), ("failed", failed))
        if given or every
    }
    if bool(wanted) == bool(names):
        raise Usage(
            "name tasks, or say which: one of the two",
            hint="'--all', '--queued', '--success' or '--failed', or names",
        )
    queue = _open()
    entries = [queue.get(name) for name in names] or [
        entry for entry in queue.list_() if entry.status in wanted
    ]
    queue.remove(entries)
    removed = [entry.name for entry in entries]
    text = f"Removed {', '.join(removed)}." if removed else "There is nothing to remove."
    did({"removed": removed}, as_json=as_json, text=text)
    return 0


@queue_group.command("work", hidden=True)
@click.argument("held", type=int)
def work_command(held: int) -> int:
    """Run task after task: what 'queue start' starts."""
    from assay import cli
    from assay.pipeline.experiments import workers

    for module in _OF_TASKS:  # once, and not again for each task
        importlib.import_module(module)
    workers.work(_open(), held, run=lambda name: cli.run(["queue", "task", name]))
    return 0


_OF_TASKS = (
    "assay.cli.exp",
    "assay.workflows.experiment_queue",
    "assay.workflows.pipeline",
    "assay.workflows.profiles",
    "assay.pipeline.execute",
    "assay.pipeline.executors.local",
    "assay.pipeline.run_cache",
    "assay.ledger.database",
    "assay.ledger.environment",
    "assay.ledger.sdk.code",
    "assay.ledger.runs",
    "assay.ledger.writer",
    "sqlalchemy.dialects.sqlite",
    "yaml",
)


@queue_group.command("task", hidden=True)
@click.argument("name")
def task_command(name: str) -> int:
    """Run one task: what a worker's process does."""
    from assay.cli.exp import ran_lines, show_notes
    from assay.cli.repro import make_events
    from assay.workflows import experiment_queue

    ran = experiment_queue.run(workspace.find(), name, events=make_events(as_json=False))
    did({}, as_json=False, text=ran_lines(ran, in_workspace=False))
    show_notes(ran)
    return 0
