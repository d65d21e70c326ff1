"""What `dag` shows: the stages of a project, or its outputs; all, or those about targets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from assay.base.errors import NotFound
from assay.pipeline import diagram
from assay.pipeline.diagram import Diagram
from assay.pipeline.graph import Graph
from assay.project import definition
from assay.project.definition import Definition
from assay.project.stages import Stage
from assay.project.workspace import Project


def stages(
    project: Project,
    targets: Sequence[str] = (),
    *,
    cwd: Path,
    full: bool = False,
    collapse: bool = False,
    shown_from: Path | None = None,
) -> Diagram:
    """Return the stages with what they need.

    Parameters
    ----------
    targets : sequence of str
        Only these, and what they need: stages, or paths of outputs.
    full : bool
        With all that hangs together with the targets.
    collapse : bool
        The stages of one `foreach` or `matrix` as one.
    shown_from : Path, optional
        The folder that names are relative to; without it, names are addresses.

    Raises
    ------
    NotFound
        If there is no stage, or a target names none.
    """
    declared = _read(project)
    graph = Graph(declared.all, project)

    def name(stage: Stage) -> str:
        return _shown(stage, shown_from) if shown_from else stage.address

    found = diagram.of_stages(graph, name)
    if targets:
        wanted = [name(stage) for target in targets for stage in declared.find(target, cwd=cwd)]
        found = found.around(wanted, full=full)
    if not collapse:
        return found
    groups = {
        name(stage): name(stage).removesuffix(stage.name) + stage.group
        for stage in declared.stages
        if stage.group is not None
    }
    return found.collapsed(groups)


def outs(
    project: Project,
    targets: Sequence[str] = (),
    *,
    cwd: Path,
    full: bool = False,
    shown_from: Path | None = None,
) -> Diagram:
    """Return the outputs with what they are made of; a target that is a stage means its outputs.

    The parameters are those of `stages`.
    """
    declared = _read(project)
    base = shown_from or project.root

    def name(path: Path) -> str:
        return os.path.relpath(path, base) if project.root in path.parents else str(path)

    found = diagram.of_outs(Graph(declared.all, project), name)
    if not targets:
        return found
    wanted = [name(path) for target in targets for path in _outs_of(declared, target, cwd=cwd)]
    return found.around(wanted, full=full)


def _outs_of(declared: Definition, target: str, *, cwd: Path) -> list[Path]:
    path = Path(os.path.normpath(cwd / target))
    exact = [item.path for item in declared.tracked if item.path in {path, *path.parents}]
    if exact:
        return exact
    chosen = declared.find(target, cwd=cwd)
    return [stage.path(out.path) for stage in chosen for out in stage.outs]


def _read(project: Project) -> Definition:
    declared = definition.read(project)
    if not declared.all:
        raise NotFound(
            "there is no stage yet", where=project.root, hint="write one into dvc.yaml"
        )  # fmt: skip
    return declared


def _shown(stage: Stage, cwd: Path) -> str:
    """Return an address relative to where a person is, as DVC prints it."""
    file = os.path.relpath(stage.file, cwd)
    if stage.is_data:
        return file
    return stage.name if file == "dvc.yaml" else f"{file}:{stage.name}"
