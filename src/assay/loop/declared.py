"""Whether a declared loop can run; `assay check` asks, long before a trigger would find out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from assay.base.errors import Error
from assay.loop import growth, schedule
from assay.monitor.plan import planned
from assay.project.declaration import FILE, Declaration, Retrain
from assay.project.workspace import Project


def check(project: Project, declared: Declaration) -> list[tuple[str, str]]:
    """Return what keeps the declared monitor and retraining from running: place and sentence."""
    checks: list[tuple[str, Callable[[], object]]] = []
    if declared.monitor is not None:
        checks.append((f"{FILE}: monitor", lambda: planned(project, None, declared)))
    if declared.retrain is not None:
        checks += _of_retrain(project, declared, declared.retrain)
    found = []
    for where, look in checks:
        try:
            look()
        except Error as error:
            what = error.what if error.hint is None else f"{error.what} ({error.hint})"
            found.append((where, what))
    if declared.retrain is not None and declared.monitor is None:
        what = "nothing triggers a retraining without 'monitor', which is not declared"
        found.append((f"{FILE}: retrain", what))
    return found


def _of_retrain(
    project: Project, declared: Declaration, retrain: Retrain
) -> Iterator[tuple[str, Callable[[], object]]]:
    where, cron = f"{FILE}: retrain", retrain.cron
    if cron is not None:
        yield f"{where}.cron", lambda: schedule.parse(cron)
        yield f"{where}.time_zone", lambda: schedule.check_zone(retrain.time_zone)
    if retrain.params:
        yield f"{where}.params", lambda: growth.check_params(project, retrain.params)
    if retrain.data is not None:
        yield f"{where}.data", lambda: growth.check_table(project, declared)
