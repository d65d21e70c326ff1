"""How busy a run's machine is: processor, memory and disk, of the process and of the host.

Linux tells by `/proc`; what another system does not tell is left out. One sample costs a
third of a millisecond and is taken every ten seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from assay.ledger import process

EVERY = 10.0
"""Seconds between two samples."""


class Sampler:
    """Measures what has changed since the last time.

    Parameters
    ----------
    log : callable
        Takes the metrics of a sample and its number.
    folder : Path
        Whose disk is measured.
    """

    def __init__(self, log: Callable[[Mapping[str, float], int], None], *, folder: Path) -> None:
        self._log, self._folder = log, folder
        self._n_samples = 0
        self._at = time.monotonic()
        self._cpu = time.process_time()
        self._host = _host_times()

    def __call__(self) -> None:
        """Take a sample, if it is time for one."""
        now = time.monotonic()
        seconds = now - self._at
        if seconds < EVERY:
            return
        self._at = now
        found = self._of_process(seconds) | self._of_host() | _memory() | _disk(self._folder)
        self._log({f"system/{name}": value for name, value in found.items()}, self._n_samples)
        self._n_samples += 1

    def _of_process(self, seconds: float) -> dict[str, float]:
        before, self._cpu = self._cpu, time.process_time()
        found = {"process_cpu_percent": 100 * (self._cpu - before) / seconds}
        memory = process.usage().memory
        return found if memory is None else found | {"process_memory_bytes": float(memory)}

    def _of_host(self) -> dict[str, float]:
        before, self._host = self._host, _host_times()
        if before is None or self._host is None:
            return {}
        busy, total = (now - then for now, then in zip(self._host, before, strict=True))
        return {"cpu_percent": 100 * busy / total} if total > 0 else {}


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
