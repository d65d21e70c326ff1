"""One writer at a time: a lock on the clone that ends with the process that holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from assay.base.errors import Error
from assay.base.files import explain


class Held(Error):
    """Another process holds a lock that is not waited for."""


@contextlib.contextmanager
def holding(path: Path, *, wait: bool = True, shared: bool = False) -> Iterator[None]:
    """Hold the lock file `path`, waiting for another process that does; it says so to a person.

    With `shared`, others may hold it beside this process if they share it, too.

    Raises
    ------
    Held
        If another process holds it and `wait` is false.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise explain(error, path) from error
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            if not wait:
                raise Held(
                    f"another process holds it (process {owner or 'unknown'})", where=path
                ) from None
            sys.stderr.write(
                f"waiting for another assay here (process {owner or 'unknown'}) ...\n"
            )
            fcntl.flock(descriptor, how)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
