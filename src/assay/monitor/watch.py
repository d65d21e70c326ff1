"""Watching an endpoint: compute the windows that are due, store them, raise their alerts.

`put_window` is the moment from which a window is there; all else can be done again. A pass that
finds nothing new changes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from assay.base.errors import Error
from assay.ledger import windows as kept
from assay.ledger.alerts import Alert
from assay.ledger.windows import Window
from assay.monitor import counting, losses, windows
from assay.monitor.describing import Describing
from assay.monitor.losses import Days
from assay.monitor.plan import Plan, planned
from assay.monitor.raising import Alarms
from assay.monitor.windows import DAY, Span, Survey
from assay.project.declaration import Declaration
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.traffic.log import Log

Say = Callable[[str], object]


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What a pass found.

    Attributes
    ----------
    watermark : int or None
        The event time up to which rows have come; None where none came.
    computed, completed : list of Window
        New ones, and those whose truth is complete now.
    alerts : list of Alert
        Those that were raised.
    n_late, n_future, n_untimed : int
        Rows that came since the last pass that computed a window, and are not used: of windows
        computed before, from more than a day ahead, and without event time.
    """

    endpoint: str
    watermark: int | None
    computed: list[Window]
    completed: list[Window]
    alerts: list[Alert]
    n_late: int = 0
    n_future: int = 0
    n_untimed: int = 0


def watch(
    project: Project,
    ledger: Ledger,
    *,
    declared: Declaration | None = None,
    endpoint: str | None = None,
    now_ms: int,
    say: Say = lambda _: None,
    threads: int | None = None,
) -> Watched:
    """Compute every window that is due, and complete those whose truth has come since.

    Parameters
    ----------
    declared : Declaration, optional
        By default that of the project's work tree.
    endpoint : str, optional
        By default the declared one.
    now_ms : int
        The present, for what is written; windows go by event time.
    say : callable
        Is told what could not be done, and why.
    threads : int, optional
        How many threads may read the log; all cores where it is not given.

    Raises
    ------
    assay.Error
        If `assay.yaml` declares no monitor, or one that cannot be, or the log cannot be read.
    """
    plan = planned(project, endpoint, declared)
    alarms = Alarms(ledger, plan.endpoint, at=now_ms)
    stored = kept.list_windows(ledger, plan.endpoint)
    for window in stored:
        alarms.raise_for(window)
    one = _Pass(project, ledger, plan, stored, alarms=alarms, now_ms=now_ms, say=say)
    watched = one.run(threads)
    one.accept()
    return msgspec.structs.replace(watched, alerts=alarms.new)


class _Pass:
    """One pass over the log."""

    def __init__(
        self,
        project: Project,
        ledger: Ledger,
        plan: Plan,
        stored: Sequence[Window],
        *,
        alarms: Alarms,
        now_ms: int,
        say: Say,
    ) -> None:
        self.ledger, self.plan, self.stored = ledger, plan, list(stored)
        self.alarms, self.now_ms = alarms, now_ms
        self._said: set[str] = set()
        self._say = say
        self.describing = Describing(
            project, ledger, plan, alarms=alarms, now_ms=now_ms, say=self.say
        )

    def say(self, text: str) -> None:
        """Say something, once."""
        if text not in self._said:
            self._said.add(text)
            self._say(text)

    def run(self, threads: int | None) -> Watched:
        """Do what is due, and return it without the alerts."""
        plan, size = self.plan, self.plan.size
        newest = max((one.end for one in self.stored), default=None)
        waiting = [one for one in self.stored if one.state == "partial"]
        seen = max((one.details.get("seen", 0) for one in self.stored), default=None)
        start = None
        if newest is not None:
            first = min([newest, *(one.start for one in waiting)])
            start = first + size - plan.rule.n_days * DAY
        with _open(plan, self.say, start=start, threads=threads) as (log, has_truth):
            found = windows.survey(log, start=start, computed=newest, seen=seen)
            watermark = None if found.newest is None else found.newest - plan.lateness(log)
            watched = Watched(
                endpoint=plan.endpoint, watermark=watermark, computed=[], completed=[], alerts=[],
                n_late=found.n_late, n_future=found.n_future, n_untimed=found.n_untimed,
            )  # fmt: skip
            if watermark is None:
                return watched
            spans = windows.due(found, size=size, watermark=watermark, computed=newest)
            if not spans and not (waiting and has_truth):
                waiting = [one for one in waiting if plan.is_over(one.end, watermark)]
                if not waiting:
                    return watched
            return self._work(log, found, watched, spans=spans, waiting=waiting, start=start,
                              has_truth=has_truth, watermark=watermark)  # fmt: skip

    def _work(
        self,
        log: Log,
        found: Survey,
        watched: Watched,
        *,
        spans: list[Span],
        waiting: list[Window],
        start: int | None,
        has_truth: bool,
        watermark: int,
    ) -> Watched:
        """Complete the windows that wait for truth, and compute the new ones."""
        describing, size = self.describing, self.plan.size
        wanted = [*spans, *(Span(one.start, one.end) for one in waiting)]
        first = min(one.start for one in wanted) if start is None else start
        within = Span(first, max(one.end for one in wanted))
        if spans:
            due = Span(spans[0].start, spans[-1].end)
            describing.prepare(log, windows.serving(log, within=due, size=size))
        days = self._read(log, found, within, spans=spans, has_truth=has_truth)
        completed = [
            done
            for one in waiting
            if (done := self._complete(one, days, watermark)) is not None
        ]  # fmt: skip
        computed = []
        missed = {"n_late": found.n_late, "n_future": found.n_future, "n_untimed": found.n_untimed}
        for span in spans:
            describing.accept(span)
            window = describing.describe(
                span, days, stored=self.stored, watermark=watermark,
                extra={**missed, "seen": found.seen},
            )  # fmt: skip
            missed = dict.fromkeys(missed, 0)
            if kept.put_window(self.ledger, window):
                computed.append(window)
            else:  # another process was faster
                window = self._stored(span) or window
            self.stored.append(window)
            self.alarms.raise_for(window)
        return msgspec.structs.replace(watched, computed=computed, completed=completed)

    def _read(
        self, log: Log, found: Survey, within: Span, *, spans: Sequence[Span], has_truth: bool
    ) -> Days:
        """Read the rows once, part by part, and return the sums of losses by version and day."""
        days: Days = {}
        extra, joins, job = counting.answer(log), "", None
        if has_truth and self.plan.metric is not None:
            try:
                job = self.describing.job(log)
                terms, joins = losses.prepare(log, job, within=within)
                extra |= terms
            except Error as error:
                self.say(f"no performance: {error.what}")
                job, joins = None, ""
        first = spans[0].start if spans else within.end
        for part in windows.batches(found, within=within):
            if job is None and part.end <= first:
                continue
            where = f" AND (l.target IS NOT NULL OR p.event_time >= {first})" if job else ""
            table = windows.load(log, part, extra=extra, joins=joins, where=where)
            if part.end > first:
                self.describing.count(table)
            if job is not None:
                try:
                    for key, one in losses.measure(table, job, say=self.say).items():
                        days[key] = days[key] + one if key in days else one
                except Error as error:
                    self.say(f"no performance: {error.what}")
                    job, joins, days = None, "", {}
                    extra = counting.answer(log)
        return days

    def _complete(self, window: Window, days: Days, watermark: int) -> Window | None:
        """Write what came of the truth of a window; return it where it is complete now."""
        changed = self.describing.completed(window, days, watermark=watermark)
        if changed is None or not kept.update_window(self.ledger, changed):
            return None
        self.stored = [changed if one.start == window.start else one for one in self.stored]
        self.alarms.raise_for(changed)
        return changed if changed.state == "complete" else None

    def _stored(self, span: Span) -> Window | None:
        found = kept.list_windows(self.ledger, self.plan.endpoint, since=span.start)
        return next((one for one in found if (one.start, one.end) == (span.start, span.end)), None)

    def accept(self) -> None:
        """Resolve what was said of a bundle that answers no more."""
        from assay.deploy.endpoints import live

        here = live(self.ledger, self.plan.endpoint)
        if here is not None:
            self.alarms.accept(here.bundle, here.name)
        elif self.stored and self.stored[-1].bundle and self.stored[-1].version:
            self.alarms.accept(self.stored[-1].bundle, self.stored[-1].version)


@contextlib.contextmanager
def _open(
    plan: Plan, say: Say, *, start: int | None, threads: int | None
) -> Iterator[tuple[Log, bool]]:
    """Open the log, with truth where performance is watched; say whether truth is there.

    Parameters
    ----------
    start : int, optional
        The first event time that is needed. A row that is used came at most a day before it.
    """
    from assay.traffic import feedback, log

    came = None if start is None else start - plan.longest_season - DAY
    opened, has_truth = None, plan.metric is not None
    if has_truth:
        try:
            opened = feedback.joined(
                plan.folder, endpoint=plan.endpoint, start=came, threads=threads
            )
        except Error as error:
            say(f"no performance: {error.what}")
            has_truth = False
    if opened is None:
        opened = log.read(plan.folder, endpoint=plan.endpoint, start=came, threads=threads)
    with opened:
        yield opened, has_truth
