"""Objects that are in use are not collected: who stores or sends them shares a lock with others.

`assay gc` takes the lock for itself alone and waits for all of them. The lock is two: DVC's own
(`.dvc/tmp/lock`), so that a real `dvc` waits for us and we for it, and one on the folder of the
cache, which several clones may share. Both end with the process that holds them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from assay.base.files import explain
from assay.project.workspace import Project


@contextlib.contextmanager
def using(project: Project) -> Iterator[None]:
    """Let no object of the project's cache be collected while the block runs."""
    with contextlib.ExitStack() as stack:
        for path in _places(project):
            with contextlib.suppress(OSError):  # where nothing can be written, nobody collects
                stack.enter_context(_locked(path, fcntl.LOCK_SH))
        yield


@contextlib.contextmanager
def alone(project: Project) -> Iterator[None]:
    """Wait until nobody uses the objects of the project's cache, and let nobody begin to."""
    with contextlib.ExitStack() as stack:
        for path in _places(project):
            try:
                stack.enter_context(_locked(path, fcntl.LOCK_EX))
            except OSError as error:
                raise explain(error, path) from error
        yield


def _places(project: Project) -> list[Path]:
    """Return what is locked, in the order in which everybody locks it."""
    clones = dict.fromkeys([project.home, project.root])
    return [*(root / ".dvc" / "tmp" / "lock" for root in clones), project.cache.folder]


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    if path.name == "lock":
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    else:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write("waiting for another process that works on the cache ...\n")
            fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
