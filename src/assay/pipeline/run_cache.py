"""DVC's run cache: what a command made of the same dependencies; going back runs nothing.

Source: DVC 3.67, `stage/cache.py`. An entry is a file `runs/KEY[:2]/KEY/VALUE` beside the objects,
with the stage's lock entry in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay.base.errors import Error
from assay.base.files import write_atomic
from assay.project import lock, tracking
from assay.project.grammar import Source
from assay.project.lock import Entry
from assay.project.stages import Stage
from assay.project.workspace import Project


def is_cachable(stage: Stage) -> bool:
    """Say whether what a stage makes depends on what it declares, and on nothing else."""
    return bool(
        not stage.always_changed
        and stage.cmd
        and (stage.deps or stage.params)
        and stage.outs
        and not any(out.persist for out in stage.outs)
    )


def keeps(stage: Stage) -> bool:
    """Say whether the run cache may keep what a stage makes: all of it has to be in the cache."""
    is_left_out = any(out.kind == "out" and not out.cache for out in stage.outs)
    return is_cachable(stage) and not is_left_out


def find(
    project: Project,
    stage: Stage,
    now: Entry,
    *,
    bring: Callable[[Entry], None] | None = None,
) -> Entry | None:
    """Return what the stage made of the same command, dependencies and parameters, or None.

    The newest entry counts whose outputs are all still in the cache; where there is none, the
    newest whose outputs `bring` gets there.
    """
    if not is_cachable(stage):
        return None
    folder = _folder(project, _key(now, [out.path for out in stage.outs]))
    try:
        files = sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime_ns, reverse=True)
    except FileNotFoundError:
        return None
    entries = [entry for file in files if (entry := _read(file)) is not None]
    for entry in entries:
        if _is_here(project, entry):
            return entry
    for entry in entries:
        if bring is None:
            break
        bring(entry)
        if _is_here(project, entry):
            return entry
    return None


def _is_here(project: Project, entry: Entry) -> bool:
    return all(row.oid is not None and tracking.in_cache(project, row.oid) for row in entry.outs)


def save(project: Project, stage: Stage, entry: Entry) -> bool:
    """Remember what a stage made; says whether that can be, so that it comes back from there."""
    if not keeps(stage):
        return False
    data = lock.to_data(entry)
    path = _folder(project, _key(entry, [row.path for row in entry.outs])) / _hash(data)
    if not path.exists():
        from assay.project import emit

        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, emit.dump(data))
    return True


def is_entry(file: Path, *, name: str) -> bool:
    """Say whether a file holds an entry of this name; one from elsewhere may hold anything."""
    try:
        data = Source.of(file).load()
        lock.parse_entry(Source.of(file))
    except Error:
        return False
    return isinstance(data, dict) and _hash(data) == name


def _folder(project: Project, key: str) -> Path:
    return project.cache.folder.parent.parent / "runs" / key[:2] / key


def _key(entry: Entry, outs: list[str]) -> str:
    return _hash(lock.to_data(entry) | {"outs": sorted(outs)})


def _hash(data: dict[str, Any]) -> str:
    text = json.dumps(_without_sizes(data), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _without_sizes(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: _without_sizes(v) for k, v in value.items() if k not in {"size", "nfiles"}}
        alike = len({type(key) for key in kept}) < 2
        return kept if alike else {str(key): item for key, item in kept.items()}
    if isinstance(value, list):
        return [_without_sizes(item) for item in value]
    return value


def _read(file: Path) -> Entry | None:
    """Return an entry; one that cannot be read is removed, as a damaged cache entry is no loss."""
    try:
        return lock.parse_entry(Source.of(file))
    except Error:
        file.unlink(missing_ok=True)
        return None
