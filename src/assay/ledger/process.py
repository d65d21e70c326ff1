"""Whether a process still lives: its host, boot, id and start tell. What this one uses.

A process id alone does not: it is given again. With the start of the process and the boot of the
host beside it, it is not.
"""

from __future__ import annotations

import functools
import getpass
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """What names one process for good."""

    host: str
    boot: str
    pid: int
    start: str | None


def describe(pid: int) -> Process:
    """Return what names the process `pid` of this host; `start` is None where it is gone."""
    return Process(host=host(), boot=boot(), pid=pid, start=_start(pid))


def is_gone(process: Process) -> bool:
    """Tell whether a process of this host has ended; a zombie has."""
    if process.boot != boot():
        return True
    start = _start(process.pid)
    if start is None:
        return not _exists(process.pid)
    return start == "ended" or (process.start is not None and start != process.start)


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a process uses of its host, or several together."""

    cpu_seconds: float  # of user and system, since it began
    memory: int | None  # bytes that it holds now; on macOS the most so far

    def plus(self, other: Usage) -> Usage:
        """Return what both use."""
        held = [one.memory for one in (self, other) if one.memory is not None]
        cpu_seconds = self.cpu_seconds + other.cpu_seconds
        return Usage(cpu_seconds=cpu_seconds, memory=sum(held) if held else None)


def usage() -> Usage:
    """Return what this process uses; a number that the system does not tell is None."""
    return Usage(cpu_seconds=time.process_time(), memory=_resident())


def usage_of(pid: int) -> Usage:
    """Return what a process uses, with those that it started and that have ended.

    Raises
    ------
    OSError
        If it is gone, or the system has no `/proc`.
    """
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    ticks = [int(field) for field in stat.rpartition(")")[2].split()[11:15]]
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return Usage(
        cpu_seconds=sum(ticks) / os.sysconf("SC_CLK_TCK"),
        memory=int(pages) * os.sysconf("SC_PAGE_SIZE"),
    )


def user() -> str | None:
    """Return the name of who runs this process; a container's user may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return None


def host() -> str:
    """Return the name of this host."""
    return socket.gethostname()


@functools.cache
def boot() -> str:
    """Return what is different after each start of this host."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return _output("sysctl", "-n", "kern.boottime") or "unknown"


def _resident() -> int | None:
    try:
        with open("/proc/self/statm", encoding="ascii") as handle:  # noqa: PTH123 -- no file
            return int(handle.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        if sys.platform != "darwin":
            return None
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _start(pid: int) -> str | None:
    """Return when a process began, "ended" for a zombie, None where that cannot be seen."""
    if not Path("/proc/self/stat").exists():
        return _output("ps", "-o", "lstart=", "-p", str(pid)) or None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces
    return "ended" if fields[0] in "ZX" else fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return " ".join(done.stdout.split())
