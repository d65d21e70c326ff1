"""What is done with each heartbeat of a script's run, and with its last: samples, last lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from assay.base.clock import now_ms
from assay.ledger import process, values
from assay.ledger.operations import LogMetrics, point
from assay.ledger.sdk import places, tail, unkept
from assay.ledger.system import Sampler

if TYPE_CHECKING:
    from assay.ledger.sdk.active import ActiveRun
    from assay.project.workspace import Project


class Heart:
    """Measures the machine, and tells the last lines, of one run."""

    def __init__(self, active: ActiveRun, project: Project | None) -> None:
        self._active = active
        self._sampler: Sampler | None = None
        self._place = self._n_lines = 0
        self._told = 0
        if places.setting("run.system_metrics", project):
            self._sampler = Sampler(
                self._log, folder=active.place.folder, cpu_seconds=process.usage().cpu_seconds
            )

    def beat(self, is_heard: bool) -> str | None:
        """Log a sample where it is time; return the last lines where new ones can be written."""
        unkept.of_process.retry()
        if self._sampler is not None and self._sampler.is_due:
            self._sampler.sample(process.usage())
        if not (is_heard and self._n_lines) or tail.of_process.n_seen == self._told:
            return None
        self._told = tail.of_process.n_seen
        return values.plain(self.log()) or None

    def listen(self, place: int, *, n_lines: int) -> None:
        """Tell of what is printed from a place on."""
        self._place = self._told = place
        self._n_lines = n_lines

    def log(self) -> str:
        """Return the last lines that were printed in the run."""
        return tail.of_process.since(self._place, n_lines=self._n_lines) if self._n_lines else ""

    def rest(self) -> None:
        """Take the last sample."""
        if self._sampler is not None and self._sampler.is_due_at_end:
            self._sampler.sample(process.usage())

    def _log(self, found: Mapping[str, float], step: int) -> None:
        at = now_ms()
        points = tuple(point(key, value, step=step, at=at) for key, value in found.items())
        found_all = LogMetrics(run=self._active.id, points=points)
        self._active.channel.add(found_all)  # what was refused is the script's to raise
