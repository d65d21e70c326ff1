"""Which run a worker of a pool logs to: the one that its script is in when the task is done.

A pool may live longer than the run that it was begun in. So a script writes the run that it is in
now on a board, a small file, and a worker of a pool looks there with each call. Other processes
that were started in a run belong to that run, whatever the script does meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

_WORKS = frozenset(
    [("pool", "worker"), ("process", "_process_worker"), ("process_executor", "_process_worker")]
)
"""What workers run: those of `multiprocessing.Pool`, of `concurrent.futures`, and joblib's."""


class Seen(NamedTuple):
    """What was read from a board, and how the file looked then."""

    board: str
    state: tuple[int, int, int]
    text: str


_written: tuple[int, Path, str] | None = None  # by this process: its id, where, what
_seen: Seen | None = None
_is_worker: tuple[int, bool] = (0, False)


def is_worker() -> bool:
    """Tell whether this process is a worker of a pool, which does tasks of its script."""
    global _is_worker  # noqa: PLW0603 -- one of a process
    pid = os.getpid()
    if _is_worker[0] != pid:
        from multiprocessing import process

        work = getattr(process.current_process(), "_target", None)
        module = str(getattr(work, "__module__", "")).rpartition(".")[2]
        _is_worker = pid, (module, getattr(work, "__name__", "")) in _WORKS
    return _is_worker[1]


def board(folder: Path) -> str | None:
    """Return where this process writes which run it is in; None where it cannot.

    Parameters
    ----------
    folder : Path
        What lies beside the project of its first run.
    """
    global _written  # noqa: PLW0603
    pid = os.getpid()
    if _written is None or _written[0] != pid:
        path = folder / "active" / str(pid)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _clear(path.parent)
        except OSError:
            return None
        _written = pid, path, ""
    return str(_written[1])


def write(text: str) -> None:
    """Write on the board of this process which run it is in now."""
    global _written  # noqa: PLW0603
    if _written is None or _written[0] != os.getpid() or _written[2] == text:
        return
    pid, path, _ = _written
    temporary = path.with_name(f".{path.name}")
    with contextlib.suppress(OSError):  # a full disk: workers keep the run that they know
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        temporary.replace(path)  # whole, though not durable: it lives as long as the process
        _written = pid, path, text


def read(where: str) -> str | None:
    """Return what stands on a board, None where there is none."""
    global _seen  # noqa: PLW0603
    try:
        status = os.stat(where)  # noqa: PTH116 -- with each call of a worker
        state = status.st_ino, status.st_mtime_ns, status.st_size
        seen = _seen
        if seen is None or (seen.board, seen.state) != (where, state):
            seen = _seen = Seen(where, state, Path(where).read_text())
    except OSError:
        return None
    return seen.text


def take_down() -> None:
    """Take away the board of this process, which ends."""
    if _written is not None and _written[0] == os.getpid():
        with contextlib.suppress(OSError):
            _written[1].unlink()


def _clear(folder: Path) -> None:
    """Take away what processes left that were killed."""
    for path in folder.iterdir():
        with contextlib.suppress(ValueError, PermissionError):  # not ours
            try:
                os.kill(int(path.name.lstrip(".")), 0)
            except ProcessLookupError:
                path.unlink(missing_ok=True)
