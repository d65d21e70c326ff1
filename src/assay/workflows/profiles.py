"""Profiles of tracked tables: made once for a content, kept as our own objects."""

from __future__ import annotations
from collections.abc import Iterable
from pathlib import Path
from assay.objects.remotes import Remote
from assay.objects.transfer import Moved
from assay.project.workspace import Project


def after(project: Project, path: Path, oid: str, size: int) -> None:
    return None


def push(project: Project, oids: Iterable[str], remote: Remote) -> Moved:
    return Moved()


def pull(project: Project, oids: Iterable[str], remote: Remote) -> Moved:
    return Moved()
