"""The files of a folder that a run keeps: also those of folders that links lead to."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

_SHOWN = 10  # paths that are named in a message


class Found(NamedTuple):
    """The files of a folder by their relative paths, and what cannot be kept of it."""

    files: dict[str, Path]
    left_out: list[str]  # each with the reason


def find(root: Path) -> Found:
    """Look through a folder; a link that leads back to a folder around it is not entered."""
    files: dict[str, Path] = {}
    left_out: list[str] = []
    waiting = [(root, frozenset[tuple[int, int]]())]
    while waiting:
        folder, around = waiting.pop()
        try:
            status = folder.stat()
            here = (status.st_dev, status.st_ino)
            if here in around:
                left_out.append(f"{folder} (leads back to a folder around it)")
                continue
            entries = list(folder.iterdir())
        except OSError as error:
            left_out.append(f"{folder} ({(error.strerror or str(error)).lower()})")
            continue
        for entry in entries:
            if os.path.isdir(entry):  # noqa: PTH112 -- false where it cannot be told
                waiting.append((entry, around | {here}))
            elif os.path.isfile(entry):  # noqa: PTH113
                files[entry.relative_to(root).as_posix()] = entry
            else:
                reason = "a broken link" if entry.is_symlink() else "neither file nor folder"
                left_out.append(f"{entry} ({reason})")
    return Found({name: files[name] for name in sorted(files)}, sorted(left_out))


def tell(left_out: list[str]) -> None:
    """Say on stderr, in one line, what of a folder is not kept."""
    if left_out:
        shown = ", ".join(left_out[:_SHOWN]) + (", …" if len(left_out) > _SHOWN else "")
        sys.stderr.write(f"assay: not kept with the run: {shown}\n")
