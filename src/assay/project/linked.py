"""Linked work trees: who runs stages in one, and how real DVC finds the clone's cache there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from assay.base.files import write_atomic
from assay.project.config import Config
from assay.project.holding import holding
from assay.project.workspace import Project

_TREES = "trees.lock"


@contextlib.contextmanager
def running(project: Project) -> Iterator[None]:
    """Let nobody else run stages in this work tree; in others they may at the same time."""
    if project.root == project.home:
        with holding(project.assay_dir / "lock"):
            yield
        return
    folder = project.dvc_dir / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    with holding(project.assay_dir / _TREES, shared=True), holding(folder / "assay.lock"):
        yield


def everywhere(project: Project) -> list[Path]:
    """Return the locks to hold so that stages run in no work tree of the clone."""
    return [project.assay_dir / "lock", project.assay_dir / _TREES]


def configure(project: Project, tree: Project) -> None:
    """Write `.dvc/config.local` of a work tree: the clone's, and an absolute `cache.dir`.

    A work tree without `.dvc` is left as it is.
    """
    if not tree.dvc_dir.is_dir():
        return
    local = project.home / ".dvc" / "config.local"
    text = local.read_text(encoding="utf-8") if local.exists() else ""
    write_atomic(tree.dvc_dir / "config.local", text)
    config = Config.of(tree.dvc_dir)
    config.set("cache", "dir", str(project.cache.folder.parent.parent), level="local")
    for remote in project.config.remotes().values():
        if "://" not in remote.url:  # a relative one belongs to the folder of the clone's file
            config.set(f'remote "{remote.name}"', "url", remote.url, level="local")
