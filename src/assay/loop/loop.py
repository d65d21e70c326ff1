"""The loop of an endpoint: windows, alerts, triggers, retrainings; once, or for good.

One process runs it for an endpoint of a project. It does what the ledger says is due and writes
there what it did, so that it can be ended at any moment and started again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.clock import iso, now_ms
from assay.base.errors import Error, Negative, NotFound, Usage
from assay.ledger import alerts, decisions, deployments, windows
from assay.loop import growth, retrain, triggers
from assay.loop.retrain import Job
from assay.loop.triggers import Due, Situation, Waiting
from assay.monitor import watch
from assay.project import declaration, git
from assay.project.declaration import FILE, Declaration, Retrain
from assay.project.holding import Held, holding
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.decisions import Decision
    from assay.monitor.watch import Watched

Tell = Callable[[Mapping[str, Any]], object]
"""Is told what happens: a mapping with `event` and what belongs to it."""
POLL = 5.0
_ERROR_PAUSE = 6  # times the poll, after a pass that an error ended


class Loop(msgspec.Struct, frozen=True, kw_only=True):
    """What a loop works on.

    Attributes
    ----------
    branch : str
        Where code and declaration come from.
    """

    project: Project
    ledger: Ledger
    endpoint: str
    branch: str
    tell: Tell


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """What one pass did.

    Attributes
    ----------
    watermark : int or None
        The event time up to which all was seen, in Unix milliseconds.
    waiting : str or None
        What has to wait, and why.
    """

    endpoint: str
    watermark: int | None
    n_windows: int
    n_alerts: int
    decisions: tuple[Decision, ...]
    waiting: str | None


@contextmanager
def only_loop(project: Project, endpoint: str) -> Iterator[None]:
    """Be the only loop of an endpoint.

    Raises
    ------
    Negative
        If another process is.
    """
    project.work_dir.mkdir(exist_ok=True)
    path = project.work_dir / f"loop-{endpoint}.lock"
    try:
        with holding(path, wait=False):
            yield
    except Held as error:
        raise Negative(
            f"a loop of '{endpoint}' runs here already: {error.what}",
            where=path,
            hint="let that one go on, or end it first",
        ) from error


def source_branch(project: Project, given: str | None, declared: Declaration) -> str:
    """Return the branch that code and declaration come from.

    Raises
    ------
    Usage
        If none is named and none is checked out.
    """
    named = declared.retrain.branch if declared.retrain else None
    found = given or named or git.branch(project.git_root)
    if found is None:
        raise Usage(
            "no branch is checked out, so it is not known where the code comes from",
            where=project.git_root,
            hint="check one out, or name it: 'retrain: {branch: main}' in assay.yaml",
        )
    return found


def uncommitted(project: Project, branch: str) -> str | None:
    """Say that the declaration in the work tree is not the one that the loop reads, if so."""
    path = project.root / FILE
    name = path.relative_to(project.git_root).as_posix()
    there = path.read_bytes() if path.is_file() else None
    if git.read_file(project.git_root, branch, name) == there:
        return None
    return f"{FILE} here is not the one on '{branch}': the loop reads what is committed there"


def one_pass(loop: Loop, *, on_windows: bool = True) -> Passed:
    """Do all that is due: go on with what was cut off, watch, retrain."""
    commit, declared = _declared(loop)
    made: list[Decision] = []
    for decision in decisions.unfinished(loop.ledger, loop.endpoint):
        if decisions.take(loop.ledger, decision.id):
            why = decision.details.get("why")
            loop.tell({"event": "resumed", "why": why, **_about(decision)})
            made.append(_retrain(loop, commit, declared, decision))
    watched = _watch(loop, declared) if on_windows else None
    waiting: str | None = None
    if declared.retrain is None:
        waiting = f"no 'retrain' in {FILE} on '{loop.branch}': this loop only watches"
    while declared.retrain is not None:
        found = triggers.due(declared.retrain, _situation(loop, commit, declared))
        if not isinstance(found, Due):
            waiting = found.reason if isinstance(found, Waiting) else None
            break
        begun = _start(loop, found, source=commit)
        if begun is None:
            break
        made.append(_retrain(loop, commit, declared, begun))
    return Passed(
        endpoint=loop.endpoint,
        watermark=None if watched is None else watched.watermark,
        n_windows=0 if watched is None else len(watched.computed),
        n_alerts=0 if watched is None else len(watched.alerts),
        decisions=tuple(made),
        waiting=waiting,
    )


def run(loop: Loop, *, poll: float = POLL, stop: Callable[[], bool] = lambda: False) -> None:
    """Make passes until told to stop; an error ends a pass, and is told, and not the loop."""
    seen: int | None = None
    told: str | None = None
    while not stop():
        pause = poll
        try:
            passed = one_pass(loop)
        except Error as error:
            if str(error) != told:
                loop.tell({"event": "error", "message": error.what, "hint": error.hint})
            told, pause = str(error), poll * _ERROR_PAUSE
        else:
            told = None
            if passed.watermark is not None and passed.watermark != seen:
                seen = passed.watermark
                loop.tell(
                    {"event": "idle", "watermark": iso(seen), "waiting": passed.waiting}
                )  # fmt: skip
        _sleep(pause, stop)


def by_hand(loop: Loop, *, reason: str | None) -> Decision:
    """Start a retraining by hand; the caller goes on with it, or leaves it to the loop that runs.

    One by hand that was cut off is taken up again. For the same rows there is another one only
    where the one before failed, or the code is another.

    Raises
    ------
    Negative
        If there is one by hand already for the newest rows.
    NotFound
        If nothing was logged for the endpoint yet.
    """
    commit, declared = _declared(loop)
    for decision in decisions.unfinished(loop.ledger, loop.endpoint):
        if decision.trigger == "hand" and decisions.take(loop.ledger, decision.id):
            return decision
    watched = _watch(loop, declared)
    if watched.watermark is None:
        raise NotFound(
            f"no request of '{loop.endpoint}' with an event time was logged yet",
            hint="a retraining learns from new rows: see 'assay monitor'",
        )
    end = watched.watermark + 1  # the newest row is in it
    known = {
        one.window_end: one
        for one in decisions.list_decisions(loop.ledger, loop.endpoint)
        if one.trigger == "hand"
    }
    while end in known and _may_be_tried_again(known[end], commit):
        end += 1
    due = Due(trigger="hand", window_end=end, reason=reason or "by hand")
    begun = _start(loop, due, source=commit)
    if begun is None:
        raise Negative(
            f"there was a retraining by hand up to {iso(watched.watermark)}, and nothing new came",
            hint="see 'assay decisions list'",
        )
    return begun


def _may_be_tried_again(decision: Decision, source: str) -> bool:
    """Say whether the same rows may bring another end: it failed, or the code has changed."""
    other = decision.details.get("source", source) != source
    return decision.state == "finished" and (decision.outcome == "failed" or other)


def go_on(loop: Loop, decision: Decision) -> Decision:
    """Do what a decision is about."""
    commit, declared = _declared(loop)
    return _retrain(loop, commit, declared, decision)


def _declared(loop: Loop) -> tuple[str, Declaration]:
    """Return the tip of the source branch, and what it declares: a person may be editing."""
    commit = git.resolve(loop.project.git_root, loop.branch)
    declared = declaration.read_at(loop.project, commit)
    if declared.monitor is None:
        raise Usage(
            f"'monitor' is not declared on the branch '{loop.branch}'",
            where=FILE,
            hint="add 'monitor:' to it, and commit: the loop reads what is committed",
        )
    return commit, declared


def _watch(loop: Loop, declared: Declaration) -> Watched:
    watched = watch.watch(
        loop.project,
        loop.ledger,
        declared=declared,
        endpoint=loop.endpoint,
        now_ms=now_ms(),
        say=lambda text: loop.tell({"event": "note", "message": text}),
    )
    for window in watched.computed:
        loop.tell(
            {
                "event": "window",
                "start": iso(window.start),
                "end": iso(window.end),
                "version": window.version,
                "n_rows": window.n_rows,
            }
        )
    for alert in watched.alerts:
        loop.tell(
            {
                "event": "alert",
                "id": alert.id,
                "monitor": alert.monitor,
                "column": alert.column,
                "message": alert.message,
            }
        )
    return watched


def _situation(loop: Loop, source: str, declared: Declaration) -> Situation:
    retraining = declared.retrain or Retrain()
    known = windows.list_windows(loop.ledger, loop.endpoint)
    history = deployments.list_deployments(loop.ledger, loop.endpoint)
    window = declaration.seconds(declared.monitor.window if declared.monitor else "7d")
    n_new = 0
    if "data" in retraining.on:
        n_new = growth.count_new(
            loop.project,
            declared,
            traffic_dir=loop.project.traffic_dir,
            endpoint=loop.endpoint,
            until_ms=known[-1].end if known else 0,
        )
    return Situation(
        alerts=alerts.list_alerts(loop.ledger, loop.endpoint, states={"open", "acknowledged"}),
        decisions=decisions.list_decisions(loop.ledger, loop.endpoint),
        window_end=known[-1].end if known else None,
        since=known[0].start if known else 0,
        n_new_rows=n_new,
        now_ms=now_ms(),
        window_ms=round(window * 1000),
        deployed_ms=history[-1].start if history else None,
        source=source,
    )


def _start(loop: Loop, due: Due, *, source: str) -> Decision | None:
    """Begin a decision; None where it was begun before."""
    begun = decisions.start(
        loop.ledger,
        loop.endpoint,
        trigger=due.trigger,
        window_end=due.window_end,
        alert=due.alert,
        reason=due.reason,
        details={"why": due.reason, "source": source},
    )
    if begun is not None:
        loop.tell({"event": "retraining", "why": due.reason, **_about(begun)})
    return begun


def _retrain(
    loop: Loop, commit: str, declared: Declaration, decision: Decision
) -> Decision:  # fmt: skip
    began = time.monotonic()
    job = Job(
        project=loop.project,
        ledger=loop.ledger,
        endpoint=loop.endpoint,
        branch=loop.branch,
        source=commit,
        declared=declared,
        say=lambda text: loop.tell({"event": "note", "message": text}),
    )
    done = retrain.retrain(job, decision)
    loop.tell(
        {
            "event": "decision",
            **_about(done),
            "outcome": done.outcome,
            "verdict": done.verdict,
            "reason": done.reason,
            "version": done.version,
            "seconds": round(time.monotonic() - began, 1),
        }
    )
    known = decisions.list_decisions(loop.ledger, loop.endpoint)
    if triggers.should_alert(known):
        n = triggers.refusals(known)
        alerts.raise_alert(
            loop.ledger,
            loop.endpoint,
            monitor="retraining",
            message=f"{n} retrainings in a row put nothing into production; the last: "
            f"{done.reason}",
            window_end=done.window_end,
            column="refusals",
            details={"decision": done.id},
        )
    return done


def _about(decision: Decision) -> dict[str, Any]:
    return {
        "id": decision.id,
        "trigger": decision.trigger,
        "until": iso(decision.window_end),
    }


def _sleep(seconds: float, stop: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stop():
        time.sleep(min(0.2, max(end - time.monotonic(), 0)))
