"""Make files that share their bytes with the cache a person's own again, to be written to."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from assay.base.errors import NotFound
from assay.base.files import explain, temporary_beside
from assay.base.progress import progress
from assay.objects.index import seen
from assay.objects.legacy import PREFIX
from assay.project.workspace import Project


def unprotect(project: Project, paths: Sequence[Path]) -> int:
    """Replace links to objects by copies that may be written; returns how many there were.

    A link that a person made stays one.

    Raises
    ------
    NotFound
        If a path is not there; then nothing is changed.
    """
    for path in paths:
        if not os.path.lexists(path):
            raise NotFound(
                "there is no such file or folder",
                where=project.shown(path),
                hint="get it with 'assay checkout'",
            )
    cache, mask = os.path.realpath(project.cache.folder.parent.parent), _umask()  # of DVC 2 too
    count = 0
    with progress("unprotecting") as bar:
        for path in (file for given in paths for file in _files(given)):
            count += _free(project, path, cache=cache, mode=0o666 & ~mask)
            bar.advance()
    return count


def _files(path: Path) -> Iterator[Path]:
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names)


def _free(project: Project, path: Path, *, cache: str, mode: int) -> bool:
    """Make one file writable; returns whether anything had to be done."""
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            real = os.path.realpath(path)
            if not real.startswith(f"{cache}{os.sep}") or not Path(real).is_file():
                return False
            shared, executable = True, os.stat(real).st_mode & 0o100  # noqa: PTH116
        elif stat.S_ISREG(status.st_mode):
            shared, executable = status.st_nlink > 1, status.st_mode & 0o111
        else:
            return False
        if not shared and status.st_mode & stat.S_IWUSR:
            return False
        indexes = (project.index, project.index.like(PREFIX))
        known = [(index, index.get(str(path), path.stat())) for index in indexes]
        if shared:
            _copy(path, mode | executable)
        else:
            path.chmod(mode | executable)
        for index, oid in known:
            if oid is not None:
                index.put({str(path): seen(path.stat(), oid)}, settled=True)
    except OSError as error:
        raise explain(error, path) from error
    return True


def _copy(path: Path, mode: int) -> None:
    temporary = temporary_beside(path)
    try:
        shutil.copyfile(path, temporary)
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
