"""Files as things: a content of the workspace or of a revision, and a number that one holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from assay.base.errors import NotFound, did_you_mean
from assay.ledger.database import Ledger
from assay.objects import scan
from assay.objects.hashing import hash_bytes, hash_file
from assay.objects.legacy import named
from assay.project import definition, git, params
from assay.project.workspace import Project
from assay.trace import reading
from assay.trace.things import Thing, of_data

READABLE = frozenset({".json", ".yaml", ".yml", ".toml"})
"""The endings of files whose numbers can be traced."""


def is_tracked(project: Project, name: str, *, cwd: Path) -> bool:
    """Tell whether a name is that of an output, or of data that is tracked."""
    path = Path(os.path.normpath(cwd / name))
    return any(item.path == path for item in definition.read(project).tracked)


def in_workspace(project: Project, ledger: Ledger, name: str, *, cwd: Path) -> Thing:
    """Return a file or a folder as it is here; one that is gone, as it is recorded."""
    path = project.resolve(name, cwd=cwd)
    kept: str | None = None
    if path.exists():
        kept = _kept_as(ledger, path) if path.is_file() else None
        oid = scan.scan(path, project.index, skip=project.ignore).oid
    else:
        items = [t for t in definition.read(project).tracked if t.path == path]
        recorded = items[0].row
        if recorded is None or recorded.oid is None:
            raise NotFound(
                "nothing is recorded of this output yet",
                where=name,
                hint=f"run 'assay repro {items[0].stage.address}'",
            )
        oid = recorded.oid
    return of_data(named(oid), path=project.relative(path), kept=kept)


def at_revision(
    project: Project, ledger: Ledger, name: str, revision: str, *, cwd: Path
) -> Thing:  # fmt: skip
    """Return a file or a folder as it was at a revision."""
    commit = git.resolve(project.git_root, revision)
    path = project.resolve(name, cwd=cwd)
    relative = project.relative(path)
    for item in definition.read_at(project, commit).tracked:
        if item.path == path and item.row is not None and item.row.oid is not None:
            return of_data(named(item.row.oid), path=relative)
    content = git.read_file(
        project.git_root, commit, path.relative_to(project.git_root).as_posix()
    )  # fmt: skip
    if content is None:
        raise NotFound(f"'{name}' was neither tracked nor in git then", where=revision)
    oid = f"md5:{hash_bytes(content)}"
    return of_data(oid, path=relative, kept=_kept_as(ledger, content))


def number_in(project: Project, data: Thing, key: str, *, file: str) -> Thing:
    """Return a number in a file as a metric; it came of the file's content."""
    values = params.flatten(_parsed(project, data, file.rpartition("@")[2]))
    value = values.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        numbers = [name for name, one in values.items() if isinstance(one, int | float)]
        raise NotFound(
            f"there is no number '{key}' in it",
            where=file,
            hint=did_you_mean(key, numbers) or f"it has {', '.join(numbers[:8]) or 'none'}",
        )
    oid = data.id.removeprefix("data:")
    label = f"metric {file}:{key} = {value:.6g}"
    return Thing(
        kind="metric",
        id=f"metric:{oid}/{key}",
        label=label,
        path=data.path,
        source=data.id,
        kept=data.kept,
    )


def _parsed(project: Project, data: Thing, revision: str) -> dict[str, Any]:
    """Read the values of a file, from wherever its content is."""
    name = data.path or ""
    path, oid = project.root / name, data.id.rpartition(":")[2]
    if path.is_file() and scan.scan(path, project.index, skip=project.ignore).oid == oid:
        content: bytes | None = path.read_bytes()
    elif project.cache.has(oid):
        content = project.cache.read(oid)
    else:
        content = git.read_file(
            project.git_root, revision, path.relative_to(project.git_root).as_posix()
        )
    if content is None:
        raise NotFound(
            f"its content is not here: {data.id}", where=name, hint="bring it with 'assay pull'"
        )
    found = params.parse(content.decode(), suffix=path.suffix, where=name)
    return found if isinstance(found, dict) else {}


def _kept_as(ledger: Ledger, content: Path | bytes) -> str | None:
    """Return the hash of a content by which runs keep it; None where they have none of its size.

    Only then is a file read once more.
    """
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if not reading.has_content_of(ledger, size):
        return None
    if isinstance(content, bytes):
        return f"sha256:{hash_bytes(content, algorithm='sha256')}"
    return f"sha256:{hash_file(content, algorithm='sha256')[0]}"
