"""What is declared of a monitor, all of it there and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from assay.base.errors import Usage
from assay.monitor import losses, performance, windows
from assay.monitor.performance import Rule
from assay.project import declaration
from assay.project.declaration import Baseline, Declaration, Monitor, Table
from assay.project.workspace import Project
from assay.traffic.parts import INPUT

if TYPE_CHECKING:
    from assay.evaluate.metrics import Metric
    from assay.traffic.log import Log


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a pass is to do.

    Attributes
    ----------
    size : int
        The length of a window in milliseconds.
    metric : Metric or None
        None where performance is not declared.
    folder : Path
        The log.
    """

    endpoint: str
    declared: Declaration
    monitor: Monitor
    size: int
    metric: Metric | None
    rule: Rule
    folder: Path

    @property
    def drift_alerts(self) -> float:
        """The false alerts a year that drift may raise: half, where performance has the other."""
        share = 1.0 if self.monitor.performance is None else 0.5
        return self.monitor.false_alerts_a_year * share

    @property
    def baselines(self) -> dict[str, Baseline]:
        """The declared baselines by name."""
        return {} if self.declared.evaluation is None else self.declared.evaluation.baselines

    @property
    def longest_season(self) -> int:
        """The longest season of a baseline in milliseconds; 0 without any."""
        seasons = [one.season for one in self.baselines.values() if one.season is not None]
        return max((windows.milliseconds(one) for one in seasons), default=0)

    def tables(self, log: Log) -> dict[str, Table]:
        """Return the declared tables whose time column was logged; all timed ones, if none was."""
        timed = {name: one for name, one in self.declared.data.tables.items() if one.time}
        logged = {column.name for column in log.columns}
        found = {name: one for name, one in timed.items() if f"{INPUT}{one.time}" in logged}
        return found or timed

    def lateness(self, log: Log) -> int:
        """Return how late rows may come, in milliseconds."""
        late = [windows.milliseconds(one.lateness) for one in self.tables(log).values()]
        return max(late, default=0)

    def is_over(self, end: int, watermark: int) -> bool:
        """Say whether a window waits for truth no longer."""
        performance = self.monitor.performance
        return performance is None or watermark >= end + windows.milliseconds(performance.delay)

    def is_covered(self, n_truths: int, n_answered: int) -> bool:
        """Say whether enough truth has come for the answers of a window."""
        performance = self.monitor.performance
        return performance is None or n_truths >= performance.coverage * n_answered


def planned(project: Project, endpoint: str | None, declared: Declaration | None = None) -> Plan:
    """Return what is declared.

    Raises
    ------
    assay.Usage
        If no monitor is declared, or it is not said of which endpoint.
    """
    declared = declaration.read(project) if declared is None else declared
    if declared.monitor is None:
        raise Usage(
            "no monitor is declared",
            where=declaration.FILE,
            hint="add 'monitor: {window: 7d}' to it; 'assay config schema' says what goes in",
        )
    name = endpoint or (declared.deploy.endpoint if declared.deploy else None)
    if name is None:
        raise Usage(
            "it is not said which endpoint is meant",
            hint="name it, or write 'deploy: {endpoint: NAME}' into assay.yaml",
        )
    size = windows.length(declared.monitor)
    watched = declared.monitor.performance
    if watched is not None and declared.model is None:
        raise Usage(
            "performance is watched, and no model is declared",
            where=f"{declaration.FILE}: monitor.performance",
            hint="add 'model: {name: ..., task: ..., target: ...}'",
        )
    metric = None
    if watched is not None and declared.model is not None:
        metric = losses.metric(declared.model, watched.metric)
    return Plan(
        endpoint=name,
        declared=declared,
        monitor=declared.monitor,
        size=size,
        metric=metric,
        rule=performance.rule(declared.monitor, size=size),
        folder=project.traffic_dir,
    )
