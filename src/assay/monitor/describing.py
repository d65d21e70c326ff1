"""What is said of a window, put together from counts, detectors, losses and serving."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error
from assay.ledger.windows import Window
from assay.monitor import counting, drift, losses, performance, quality
from assay.monitor.counting import Counts, Watcher
from assay.monitor.drift import PREDICTION, Drift
from assay.monitor.losses import Days, Job
from assay.monitor.performance import Gate
from assay.monitor.plan import Plan
from assay.monitor.raising import Alarms
from assay.monitor.windows import Serving, Span
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.bundle.reference import Reference
    from assay.data.read import Table
    from assay.ledger.database import Ledger
    from assay.traffic.log import Log

Say = Callable[[str], object]


class Describing:
    """Makes windows out of what a pass reads.

    What is known of a bundle or of a version's gate is looked up once.
    """

    def __init__(
        self,
        project: Project,
        ledger: Ledger,
        plan: Plan,
        *,
        alarms: Alarms,
        now_ms: int,
        say: Say,
    ) -> None:
        self._project, self._ledger, self._plan = project, ledger, plan
        self._alarms, self._now_ms, self._say = alarms, now_ms, say
        self._watchers: dict[str, Watcher | None] = {}
        self._gates: dict[str, Gate] = {}
        self._serving: dict[int, Serving] = {}
        self._counts: dict[int, Counts] = {}
        self._present: str | None = None  # the bundle whose detectors are up to date
        self._job: Job | None = None
        self._tables: tuple[str, ...] = ()

    def prepare(self, log: Log, serving: Mapping[int, Serving]) -> None:
        """Take what was answered in the windows that are due."""
        self._serving = dict(serving)
        self._tables = tuple(self._plan.tables(log))

    def job(self, log: Log) -> Job:
        """Return what is measured of rows with truth."""
        plan, metric = self._plan, self._plan.metric
        if metric is None or plan.declared.model is None:
            raise AssertionError(plan.endpoint)
        tables = plan.tables(log).values()
        keys = [name for table in tables for name in table.key if name != table.time]
        bundles = dict(
            log.rows('SELECT version, arg_max(bundle, "at") FROM predictions GROUP BY version'
                     ' ORDER BY max("at")')
        )  # fmt: skip
        found = {version: self._read(bundle) for version, bundle in bundles.items()}
        known = {version: one for version, one in found.items() if one is not None}
        newest = next(reversed(known.values()), None)
        shares = None
        if newest is not None and plan.declared.model.task != "regression":
            shares = losses.majority(newest.reference, plan.declared.model.classes)
        gate = plan.declared.gate
        self._job = Job(
            model=plan.declared.model,
            metric=metric,
            baselines=plan.baselines,
            classes={
                version: one.index.signature.output.classes or () for version, one in known.items()
            },
            shares=shares,
            series=tuple(dict.fromkeys(keys)),
            first=None if gate is None else gate.baseline,
        )
        return self._job

    def count(self, table: Table) -> None:
        """Add the rows of `t` to the counts of the windows that are due."""
        watchers = {start: self._read(one.bundle) for start, one in self._serving.items()}
        counting.count(table, watchers, size=self._plan.size, into=self._counts)

    def accept(self, span: Span) -> None:
        """Resolve what was said of another bundle than the one that answered in a window."""
        here = self._serving[span.start]
        if here.bundle is not None and here.version is not None:
            self._alarms.accept(here.bundle, here.version)

    def describe(
        self,
        span: Span,
        days: Days,
        *,
        stored: Sequence[Window],
        watermark: int,
        extra: Mapping[str, Any],
    ) -> Window:
        """Return a new window."""
        here = self._serving[span.start]
        n_truths = performance.count(days, span)
        is_complete = self._is_complete(span, n_truths, here.n_answered, watermark)
        details: dict[str, Any] = {
            "n_answered": here.n_answered,
            "deployment": here.deployment,
            "versions": here.versions,
            **self._columns(span, here, stored),
            "serving": self._served(here),
            **extra,
        }
        measured = self._performance(span, days, here.version, is_complete=is_complete)
        if measured is not None:
            details["performance"] = measured
        return Window(
            endpoint=self._plan.endpoint,
            start=span.start,
            end=span.end,
            bundle=here.bundle,
            version=here.version,
            state="complete" if is_complete else "partial",
            n_rows=here.n_rows,
            n_truths=n_truths,
            details=_stored(details),
            computed=self._now_ms,
        )

    def completed(self, window: Window, days: Days, *, watermark: int) -> Window | None:
        """Return a partial window with the truth that came since; None where nothing changed."""
        span = Span(window.start, window.end)
        n_truths = max(performance.count(days, span), window.n_truths)
        n_answered = window.details.get("n_answered", window.n_rows)
        is_complete = self._is_complete(span, n_truths, n_answered, watermark)
        if n_truths == window.n_truths and not is_complete:
            return None
        measured = self._performance(span, days, window.version, is_complete=is_complete)
        details = window.details | ({"performance": _stored(measured)} if measured else {})
        return msgspec.structs.replace(
            window,
            state="complete" if is_complete else "partial",
            n_truths=n_truths,
            details=details,
        )

    def _is_complete(self, span: Span, n_truths: int, n_answered: int, watermark: int) -> bool:
        plan = self._plan
        return plan.is_covered(n_truths, n_answered) or plan.is_over(span.end, watermark)

    def _columns(self, span: Span, here: Serving, stored: Sequence[Window]) -> dict[str, Any]:
        """Return drift and quality of the columns."""
        watcher, counts = self._read(here.bundle), self._counts.get(span.start)
        if watcher is None or counts is None:
            return {"columns": {}, "quality": []}
        if self._present != here.bundle:
            watcher.drift.remember(drift.since(stored, bundle=here.bundle, size=self._plan.size))
            self._present = here.bundle
        cells = {name: one.tolist() for name, one in counts.cells.items()}
        found = watcher.drift.step(cells, span, n_days=here.n_days)
        prediction = found.pop(PREDICTION, None)
        limits = msgspec.structs.asdict(watcher.drift.limits)
        return {
            "columns": found,
            **({} if prediction is None else {"prediction": prediction}),
            "limits": limits | {"min_effect": watcher.drift.min_effect},
            "quality": self._quality(watcher, counts),
        }

    def _quality(self, watcher: Watcher, counts: Counts) -> list[dict[str, Any]]:
        """Return what is wrong with columns; what was said already and is open does not alert."""
        found = []
        for name, expected in watcher.expected.items():
            for fault in quality.faults(name, counts.tallies[name], expected):
                is_new = not self._alarms.is_open("quality", column=name, type_=fault.type)
                found.append(msgspec.structs.asdict(fault) | {"alert": is_new})
        return found

    def _performance(
        self, span: Span, days: Days, version: str | None, *, is_complete: bool
    ) -> dict[str, Any] | None:
        """Return the losses of a window; only a complete one alerts, and only once."""
        if self._job is None:
            return None
        found = performance.describe(
            days,
            span,
            version=version,
            job=self._job,
            rule=self._plan.rule,
            gate=self._gate(version),
        )
        if found is not None:
            is_open = self._alarms.is_open("performance")
            found["alert"] = bool(found["is_worse"] and is_complete and not is_open)
        return found

    def _gate(self, version: str | None) -> Gate:
        name, metric = version or "", self._plan.metric
        if name not in self._gates and metric is not None:
            found = performance.at_gate(self._project, self._ledger, name, metric=metric)
            self._gates[name] = found
            if found.why:
                self._say(f"performance is shown and never alerts: {found.why}")
        return self._gates.get(name, Gate())

    def _served(self, here: Serving) -> dict[str, Any]:
        """Return counts and latency, with the servers that answer now."""
        from assay.deploy import servers

        names = ("p50", "p95", "p99")
        alive = servers.alive(self._ledger, self._plan.endpoint, at=self._now_ms)
        return {
            "n_requests": here.n_requests,
            "n_errors": here.n_errors,
            "latency": {
                name: round(seconds * 1000, 3)
                for name, seconds in zip(names, here.latency, strict=False)
            },
            "servers": [
                {"url": one.url, "cpu_seconds": one.cpu_seconds, "memory": one.memory}
                for one in alive
            ],
        }

    def _read(self, bundle: str | None) -> Watcher | None:
        """Return what the columns of a bundle are held against; None where it is not here."""
        if bundle is None:
            return None
        if bundle not in self._watchers:
            try:
                self._watchers[bundle] = self._watcher(bundle)
            except Error as error:
                self._say(f"no drift of {bundle[:19]}: {error}")
                self._watchers[bundle] = None
        return self._watchers[bundle]

    def _watcher(self, bundle: str) -> Watcher:
        plan = self._plan
        index, reference = counting.read_reference(self._project.objects, bundle)
        made = Drift(
            reference,
            endpoint=plan.endpoint,
            size=plan.size,
            asked=plan.monitor.columns,
            false_alerts=plan.drift_alerts,
            min_effect=plan.monitor.min_effect,
        )
        if made.unknown:
            names = ", ".join(f"'{name}'" for name in made.unknown)
            self._say(f"the model does not take {names}, which monitor.columns names")
        return Watcher(
            index=index,
            reference=reference,
            drift=made,
            expected=self._expected(index.signature, reference),
        )

    def _expected(self, signature: Any, reference: Reference) -> dict[str, quality.Expected]:
        declared = self._plan.declared
        return quality.expectations(declared, signature, reference, tables=self._tables)


def _stored(details: dict[str, Any]) -> dict[str, Any]:
    """Return details as they come back from the ledger."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(details))
    return found
