"""Factors of what is served: drift and retraining (6), no skew (9), monitored (11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from assay.audit import skew
from assay.audit.factors import Check
from assay.audit.subject import Subject, short
from assay.audit.tested import deployed
from assay.base.clock import iso
from assay.base.progress import counted
from assay.deploy import proofs
from assay.ledger import windows
from assay.ledger.windows import Window
from assay.monitor.plan import planned
from assay.monitor.windows import DAY, survey
from assay.traffic import log as logs

_WATCH = "assay monitor"


def watched(subject: Subject) -> Iterator[Check]:
    """Look whether the last window is young enough, and a trigger can start a retraining."""
    if subject.live is None:
        yield subject.missing() or Check(
            ok=None,
            text=f"{subject.name} answers at no endpoint",
            next_step=f"assay deploy {subject.name.replace('/', '@')} --to ENDPOINT",
        )
    elif subject.declared.monitor is None:
        yield Check(
            ok=False,
            text="assay.yaml declares no monitor",
            next_step=f"write 'monitor: {{window: 7d}}' into assay.yaml, then: {_WATCH}",
        )
    else:
        yield _window(subject)
    triggers = _triggers(subject)
    if triggers:
        yield Check(ok=True, text=f"triggers: {', '.join(triggers)}")
        return
    yield Check(
        ok=False,
        text="no trigger can start a retraining",
        next_step="write 'retrain: {on: [drift], every: 28d, data: {table: NAME}}' into "
        "assay.yaml, with the table that is to grow, then: assay check",
    )


def _window(subject: Subject) -> Check:
    """Say how old the last window is: by event time, against the youngest row that was logged."""
    last = _last(subject)
    if last is None:
        return Check(
            ok=None, text=f"'{subject.endpoint}' has no window yet", next_step=_WATCH
        )  # fmt: skip
    now = _watermark(subject, after=last.end)
    if now is None:
        return Check(ok=None, text="no row with an event time was logged", next_step=_WATCH)
    age, length = now - last.end, last.end - last.start
    text = f"last window ends {iso(last.end)[:10]}, {age / DAY:.3g} days before the watermark"
    if age < 2 * length:
        return Check(ok=True, text=text)
    return Check(ok=False, text=f"{text}: it is {length / DAY:.3g} days long", next_step=_WATCH)


def _last(subject: Subject) -> Window | None:
    found = windows.list_windows(subject.ledger, subject.endpoint or "", limit=1)
    return found[-1] if found else None


def _watermark(subject: Subject, *, after: int) -> int | None:
    """Return the present of the monitor, which the rows after a moment make; None for none."""
    folder = subject.project.traffic_dir
    if not folder.is_dir():
        return None
    plan = planned(subject.project, subject.endpoint)
    with logs.read(folder, endpoint=subject.endpoint) as log:
        newest = survey(log, start=after, computed=None, seen=None).newest
        return None if newest is None else newest - plan.lateness(log)


def _triggers(subject: Subject) -> list[str]:
    """Return the declared triggers that have what they wait for."""
    declared, monitor = subject.declared.retrain, subject.declared.monitor
    if declared is None:
        return []
    can = {
        "drift": monitor is not None,
        "performance": monitor is not None and monitor.performance is not None,
        "data": declared.data is not None,
    }
    found: list[str] = [name for name in declared.on if can[name]]
    found += [f"every {declared.every}"] if declared.every else []
    return found + ([f"cron '{declared.cron}'"] if declared.cron else [])


def unskewed(subject: Subject) -> Iterator[Check]:
    """Look whether the last start was proved, and requests had the features of a later run."""
    missing = subject.missing()
    if missing is not None and subject.version is None:
        yield missing
        return
    yield _start(subject)
    yield _features(subject)


def _start(subject: Subject) -> Check:
    """Say whether the last server that began with production proved its golden examples."""
    serve = f"assay serve {subject.endpoint or 'ENDPOINT'}"
    row = deployed(subject)
    ids = [one for one in (subject.live and subject.live.deployment, row and row.id) if one]
    found = [
        proof
        for id_ in dict.fromkeys(ids)
        for proof in proofs.list_proofs(subject.ledger, id_)
        if proof.is_of_server
    ]
    last = max(found, key=lambda proof: proof.at, default=None)
    if last is None:
        return Check(ok=None, text=f"no server began with {subject.name} yet", next_step=serve)
    server = short(last.by)
    if not last.ok:
        return Check(
            ok=False,
            text=f"{server} could not prove {subject.name} at {iso(last.at)}",
            next_step=f"assay bundle verify {subject.name.replace('/', '@')}",
        )
    return Check(ok=True, text=f"golden examples proved by {server} at {iso(last.at)}")


def _features(subject: Subject) -> Check:
    """Say whether logged features equal those that a later run made of the same row."""
    found = skew.compare(subject)
    if found is None:
        return Check(
            ok=None,
            text="no logged row is in a features table of a later run",
            next_step="assay retrain",
        )
    of = f"{found.table} of run {short(found.run)}"
    rows, columns = counted(found.n_rows, "logged row"), counted(found.n_columns, "column")
    if not found.differences:
        return Check(ok=True, text=f"{rows} equal {of} in {columns}")
    one = found.differences[0]
    others = f", and {len(found.differences) - 1} more columns" if found.differences[1:] else ""
    return Check(
        ok=False,
        text=f"'{one.column}' differs from {of} in {one.n_rows:,} of {rows}{others}: "
        f"{one.logged} was logged for {one.key}, {one.made} was made",
        next_step=f"assay trace {short(found.run)}",
    )


def monitored(subject: Subject) -> Iterator[Check]:
    """Look whether all that has to be watched is in the last window."""
    last = _last(subject)
    if last is None:
        nothing = Check(ok=None, text="there is no window yet", next_step=_WATCH)
        yield (subject.missing() if subject.live is None else None) or nothing
        return
    there = _kinds(last.details)
    gone = [name for name, is_there in there.items() if not is_there]
    window = f"the window to {iso(last.end)[:10]}"
    if gone:
        yield Check(ok=False, text=f"{window} lacks {', '.join(gone)}", next_step=_WATCH)
        return
    yield Check(ok=True, text=f"{window} has {', '.join(there)}")


def _kinds(details: Mapping[str, Any]) -> dict[str, bool]:
    """Return what a window has to have, and whether it has."""
    serving = details.get("serving") or {}
    servers = serving.get("servers") or []
    latency = (serving.get("latency") or {}).values()
    return {
        "inputs": bool(details.get("columns")),
        "outputs": bool(details.get("prediction")),
        "counts": serving.get("n_requests") is not None,
        "latency": any(value is not None for value in latency),
        "CPU": any(server.get("cpu_seconds") is not None for server in servers),
        "memory": any(server.get("memory") is not None for server in servers),
    }
