"""How busy a run's machine is: processor, memory and disk, of its processes and of the host.

Linux tells by `/proc`; what another system does not tell is left out. One sample costs a
third of a millisecond. The first is taken a second after the beginning, one every ten seconds
after that, and the last at the end.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from assay.ledger import process
from assay.ledger.process import Usage

EVERY = 10.0
"""Seconds between two samples."""

FIRST = 1.0
"""Seconds before the first sample, and at least so many before the last."""

SYSTEM = "system/"
"""What the names of these metrics begin with."""


class Sampler:
    """Measures what has changed since the last time.

    Parameters
    ----------
    log : callable
        Takes the metrics of a sample and its number.
    folder : Path
        Whose disk is measured.
    cpu_seconds : float
        What the processes of the run have used when it begins.
    """

    def __init__(
        self,
        log: Callable[[Mapping[str, float], int], None],
        *,
        folder: Path,
        cpu_seconds: float = 0.0,
    ) -> None:
        self._log, self._folder = log, folder
        self._n_samples = 0
        self._at = time.monotonic()
        self._cpu = cpu_seconds
        self._host = _host_times()

    @property
    def is_due(self) -> bool:
        """Whether it is time for a sample."""
        return self._is_after(EVERY if self._n_samples else min(FIRST, EVERY))

    @property
    def is_due_at_end(self) -> bool:
        """Whether enough has happened for a last one."""
        return self._is_after(min(FIRST, EVERY))

    def _is_after(self, seconds: float) -> bool:
        return time.monotonic() - self._at >= seconds

    def sample(self, used: Usage) -> None:
        """Log a sample; `used` is what the processes of the run use."""
        now = time.monotonic()
        seconds, self._at = now - self._at, now
        found = self._of_process(used, seconds) | self._of_host() | _memory() | _disk(self._folder)
        self._log({f"{SYSTEM}{name}": value for name, value in found.items()}, self._n_samples)
        self._n_samples += 1

    def _of_process(self, used: Usage, seconds: float) -> dict[str, float]:
        before, self._cpu = self._cpu, used.cpu_seconds
        found = {"process_cpu_percent": max(0.0, 100 * (self._cpu - before) / seconds)}
        if used.memory is not None:
            found["process_memory_bytes"] = float(used.memory)
        return found

    def _of_host(self) -> dict[str, float]:
        before, self._host = self._host, _host_times()
        if before is None or self._host is None:
            return {}
        busy, total = (now - then for now, then in zip(self._host, before, strict=True))
        return {"cpu_percent": 100 * busy / total} if total > 0 else {}


def usage_of_runs(runs: Collection[str]) -> dict[str, Usage]:
    """Return what the processes use that belong to runs, all of one together.

    They are found by the run's id in their environment, which is that of who started them; where
    the system has no `/proc`, none are found.
    """
    wanted = {f"ASSAY_RUN={run}".encode(): run for run in runs}
    found: dict[str, Usage] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            variables = (entry / "environ").read_bytes().split(b"\0")
            run = next((wanted[one] for one in variables if one in wanted), None)
            if run is not None:
                one, before = process.usage_of(int(entry.name)), found.get(run)
                found[run] = one if before is None else before.plus(one)
    return found


def _host_times() -> tuple[int, int] | None:
    """Return how long all processors were busy, and how long in all, in ticks."""
    try:
        line = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
    except OSError:
        return None
    ticks = [int(field) for field in line.split()[1:9]]  # guests count as user's already
    idle = ticks[3] + ticks[4]  # waiting for a disk is idle
    return sum(ticks) - idle, sum(ticks)


def _memory() -> dict[str, float]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    sizes = {
        name: int(rest.split()[0]) * 1024 for name, _, rest in (x.partition(":") for x in lines)
    }
    total, available = sizes.get("MemTotal"), sizes.get("MemAvailable")
    if not total or available is None:
        return {}
    used = total - available
    return {"memory_bytes": float(used), "memory_percent": 100 * used / total}


def _disk(folder: Path) -> dict[str, float]:
    try:
        found = os.statvfs(folder)
    except OSError:
        return {}
    total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    if not total:
        return {}
    return {"disk_free_bytes": float(free), "disk_percent": 100 * (total - free) / total}
