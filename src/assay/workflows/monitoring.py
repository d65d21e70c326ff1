"""What `assay monitor` and `assay alerts` do: watch an endpoint, and answer its alerts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import NotFound, did_you_mean
from assay.ledger.alerts import Alert
from assay.ledger.windows import Window
from assay.monitor.watch import Watched
from assay.project import declaration
from assay.project.settings import has_ledger
from assay.project.workspace import Project
from assay.workflows.models import open_ledger

if TYPE_CHECKING:
    from assay.ledger.database import Ledger


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a pass found, with the newest windows and the alerts that are not resolved."""

    watched: Watched
    windows: list[Window]
    alerts: list[Alert]


def monitor(
    project: Project,
    endpoint: str | None = None,
    *,
    last: int = 12,
    say: Callable[[str], object] = lambda _: None,
) -> Seen:
    """Compute what is due of an endpoint, and return its newest windows.

    Raises
    ------
    NotFound
        If nothing was ever deployed to an endpoint of this name.
    """
    from assay.ledger import alerts, windows
    from assay.monitor import watch

    with open_ledger(project, create=True) as ledger:
        if endpoint is not None:
            _check(project, ledger, endpoint)
        watched = watch.watch(project, ledger, endpoint=endpoint, now_ms=now_ms(), say=say)
        return Seen(
            watched=watched,
            windows=windows.list_windows(ledger, watched.endpoint, limit=last),
            alerts=alerts.list_alerts(ledger, watched.endpoint, states=("open", "acknowledged")),
        )


def list_alerts(project: Project, endpoint: str | None = None, *, resolved: bool) -> list[Alert]:
    """Return alerts, newest first; `resolved` takes those too that were resolved."""
    from assay.ledger import alerts

    if not has_ledger(project):
        return []
    states = None if resolved else ("open", "acknowledged")
    with open_ledger(project) as ledger:
        return alerts.list_alerts(ledger, endpoint, states=states)  # type: ignore[arg-type]


def get_alert(project: Project, ref: str) -> Alert:
    """Return an alert by its id or the beginning of it."""
    from assay.ledger import alerts

    with open_ledger(project) as ledger:
        return alerts.get(ledger, ref)


def acknowledge(project: Project, ref: str, *, note: str | None) -> Alert:
    """Record that somebody knows of an alert."""
    from assay.ledger import alerts

    with open_ledger(project) as ledger:
        return alerts.acknowledge(ledger, ref, note=note)


def resolve(project: Project, ref: str, *, note: str | None) -> Alert:
    """Record that an alert is answered."""
    from assay.ledger import alerts

    with open_ledger(project) as ledger:
        return alerts.resolve(ledger, ref, note=note)


def _check(project: Project, ledger: Ledger, endpoint: str) -> None:
    from assay.deploy import endpoints

    declared = declaration.read(project).deploy
    known = endpoints.endpoints(ledger) + ([declared.endpoint] if declared else [])
    if endpoint not in known:
        raise NotFound(
            f"nothing was ever deployed to '{endpoint}'",
            hint=did_you_mean(endpoint, known) or "'assay deployments list' shows all endpoints",
        )
