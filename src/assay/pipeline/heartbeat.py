"""While a `repro` goes on: its runs say that they live, and what its stages use is measured.

Every few seconds the runs of the pipeline and of the stages at work are marked as alive, with the
last lines that a stage printed, so that another host knows a killed one, and a killed stage has
its output. The processes of a stage are measured after a second, and then every ten.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from assay.base.clock import now_ms
from assay.project.settings import Store
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.system import Sampler

_TICK = 0.5  # seconds


class _Stage:
    """A stage at work: what it printed last, and who measures it."""

    def __init__(self, sampler: Sampler | None, *, keep_lines: int) -> None:
        self.sampler = sampler
        self.lines: deque[bytes] = deque(maxlen=keep_lines)
        self.is_told = True

    def hear(self, content: bytes) -> None:
        self.lines.append(content)
        self.is_told = not self.lines

    def news(self) -> str | None:
        """Return the last lines, where they are others than before."""
        from assay.ledger import values

        if self.is_told:
            return None
        self.is_told = True
        return values.plain(b"".join(tuple(self.lines)).decode(errors="replace"))


class Heartbeat:
    """A thread beside a `repro`; `stop` ends it."""

    def __init__(self, ledger: Ledger, run: str, *, home: Project) -> None:
        settings = Store(home)
        self._ledger, self._run, self._folder = ledger, run, home.root
        self._measures = bool(settings.value("run.system_metrics"))
        self._keep_lines = int(settings.value("run.log_tail"))
        self._stages: dict[str, _Stage] = {}
        self._beaten = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="assay-beat", daemon=True)
        self._thread.start()

    def begin(self, run: str) -> None:
        """Speak for the run of a stage, too."""
        sampler = self._sampler(run) if self._measures else None
        self._stages[run] = _Stage(sampler, keep_lines=self._keep_lines)

    def end(self, run: str) -> None:
        """Speak for it no more: it has ended."""
        self._stages.pop(run, None)

    def heard(self, run: str, echo: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """Return who is told what a stage prints, and remembers it."""
        stage = self._stages[run]

        def both(content: bytes) -> None:
            stage.hear(content)
            echo(content)

        return both

    def stop(self) -> None:
        """End the thread."""
        self._over.set()
        self._thread.join()

    def _sampler(self, run: str) -> Sampler:
        from assay.ledger.system import Sampler
        from assay.ledger.writer import Metric, Writer

        def log(found: Mapping[str, float], step: int) -> None:
            at = now_ms()
            points = [Metric(key=key, value=v, step=step, at=at) for key, v in found.items()]
            Writer(self._ledger).log_metrics(run, points)

        return Sampler(log, folder=self._folder)

    def _go_on(self) -> None:
        while not self._over.wait(_TICK):
            with contextlib.suppress(Exception):  # a ledger that is busy or gone: the next time
                self._measure()
            with contextlib.suppress(Exception):
                self._beat()

    def _measure(self) -> None:
        from assay.ledger import system

        due = {
            run: stage.sampler
            for run, stage in tuple(self._stages.items())
            if stage.sampler is not None and stage.sampler.is_due
        }
        used = system.usage_of_runs(due) if due else {}
        for run, sampler in due.items():
            if run in used:
                sampler.sample(used[run])

    def _beat(self) -> None:
        from assay.ledger import liveness

        now = time.monotonic()
        if now - self._beaten < liveness.BEAT:
            return
        self._beaten = now
        stages = tuple(self._stages.items())
        at = now_ms()
        with self._ledger.write() as connection:
            liveness.beat(connection, self._run, at=at)
            for run, stage in stages:
                if run in self._stages:
                    liveness.beat(connection, run, at=at, log_tail=stage.news())
