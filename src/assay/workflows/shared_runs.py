"""The run cache on a remote: what commands made of what, under `runs/` as DVC has it.

An entry's name is the hash of what is in it, sizes left out; one that does not fit its name is
not taken in.
"""

from __future__ import annotations

import re
from pathlib import Path

from assay.base.progress import progress
from assay.objects.hashing import hash_file
from assay.objects.remotes import Item, Remote
from assay.objects.staging import staging
from assay.pipeline import run_cache
from assay.project.workspace import Project

PREFIX = "runs"
_KEY = re.compile(r"runs/([0-9a-f]{2})/(\1[0-9a-f]{62})/([0-9a-f]{64})")


def push(project: Project, remote: Remote) -> int:
    """Copy entries that the remote lacks to it; return how many."""
    folder = _folder(project)
    here = [f"{PREFIX}/{p.relative_to(folder).as_posix()}" for p in folder.glob("*/*/*")]
    keys = [key for key in here if _KEY.fullmatch(key)]
    there = remote.find(keys) if keys else set()
    items = []
    for key in sorted(set(keys) - there):
        path = folder.parent / key
        items.append(Item(key, path, hash_file(path)[0], "md5"))
    if items:
        with progress("pushing runs", total=len(items)) as bar:
            remote.upload(items, advance=bar.advance)
    return len(items)


def fetch(project: Project, remote: Remote) -> int:
    """Copy entries that are not here from a remote; return how many."""
    folder = _folder(project)
    wanted = [
        key
        for key in sorted(remote.list_(PREFIX))
        if _KEY.fullmatch(key) and not (folder.parent / key).exists()
    ]
    if not wanted:
        return 0
    ready: list[tuple[str, str]] = []
    bars, stages = progress("fetching runs", total=len(wanted)), staging(project.cache.folder)
    with bars as bar, stages as stage:
        for key in wanted:
            place = stage.new()
            remote.get_file(key, Path(place))
            if run_cache.is_entry(Path(place), name=key.rpartition("/")[2]):
                ready.append((place, str(folder.parent / key)))
            bar.advance()
        stage.publish(ready)
    return len(ready)


def _folder(project: Project) -> Path:
    return project.cache.folder.parent.parent / PREFIX
