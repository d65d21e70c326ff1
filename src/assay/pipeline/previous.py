"""The outputs a stage made before: set aside while it runs, put back if it fails or is killed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from assay.base.files import write_atomic

_PREFIX = "previous."
_LIST = "paths.json"


class Previous:
    """Outputs set aside in a folder that is locked as long as this process lives."""

    def __init__(self, work: Path, paths: Sequence[Path], *, kept: Sequence[Path] = ()) -> None:
        """Set `paths` aside; of those in `kept` a copy, as the stage goes on with them."""
        work.mkdir(parents=True, exist_ok=True)
        self._folder = work / f"{_PREFIX}{os.urandom(8).hex()}"
        with _gate(work):  # nobody takes it for one that was left behind
            self._folder.mkdir()
            self._held = os.open(self._folder, os.O_RDONLY)
            fcntl.flock(self._held, fcntl.LOCK_EX)
        places = [(path, os.path.lexists(path)) for path in (*paths, *kept)]
        write_atomic(self._folder / _LIST, json.dumps([(str(p), there) for p, there in places]))
        for number, (path, there) in enumerate(places):
            if there and path in kept:
                self._copy(path, str(number))
            elif there:
                shutil.move(path, self._folder / str(number))

    @property
    def folder(self) -> Path:
        """A place for what is needed as long as the stage runs; it is gone afterwards."""
        return self._folder

    def _copy(self, path: Path, name: str) -> None:
        unfinished = self._folder / f"{name}.copy"
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, unfinished, symlinks=True)
        else:
            shutil.copy2(path, unfinished, follow_symlinks=False)
        unfinished.rename(self._folder / name)

    def put_back(self) -> None:
        """Undo what the stage did to its outputs."""
        _put_back(self._folder)
        self.drop()

    def drop(self) -> None:
        """Forget the outputs from before: the stage made new ones."""
        _forget(self._folder)
        os.close(self._held)


def _put_back(folder: Path) -> None:
    try:
        places = json.loads((folder / _LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # killed before anything was set aside
    for number, (name, there) in enumerate(places):
        kept = folder / str(number)
        if os.path.lexists(kept):
            remove(Path(name))
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(kept, name)
        elif not there:
            remove(Path(name))


def _forget(folder: Path) -> None:
    """Remove a folder, its list first: what is half removed must not be put back."""
    (folder / _LIST).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a file, link or folder; one that is not there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def recover(work: Path) -> int:
    """Put back what killed processes had set aside; returns for how many stages."""
    if not work.is_dir():
        return 0
    with _gate(work):
        left = {
            folder: held for folder in sorted(work.glob(f"{_PREFIX}*")) if (held := _take(folder))
        }
    for folder, held in left.items():
        try:
            _put_back(folder)
            _forget(folder)
        finally:
            os.close(held)
    return len(left)


@contextlib.contextmanager
def _gate(work: Path) -> Iterator[None]:
    """Let nobody else make or look for folders in `work`."""
    descriptor = os.open(work, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _take(folder: Path) -> int | None:
    """Lock a folder that nobody holds, and return the descriptor.

    A child of a killed process may hold it for the moment until it is another program.
    """
    try:
        held = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    for _ in range(10):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held
        time.sleep(0.005)
    os.close(held)
    return None
