"""Stages that a person declares by commands: added to `dvc.yaml`, frozen and unfrozen.

All is checked before anything is written, and no other line of the file changes.
"""

from __future__ import annotations

import os
import shlex
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error, NotFound, Usage
from assay.base.files import write_atomic
from assay.pipeline.graph import Graph, InvalidGraph
from assay.project import definition, dvcyaml, edit, gitignore
from assay.project.definition import Definition
from assay.project.grammar import Invalid, Source
from assay.project.stages import Stage
from assay.project.workspace import Project

_NOT_IN_NAMES = set(string.punctuation) - {"-", "_"}
_PARAMS = "params.yaml"


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What a command changed in the files that declare stages."""

    stages: list[str]
    files: list[Path]


class NewStage(msgspec.Struct, frozen=True, kw_only=True):
    """A stage as a person gives it on the command line.

    Attributes
    ----------
    params : sequence of str
        Keys of `params.yaml`, or `FILE:KEY,KEY`; with no key the whole file.
    outs : mapping
        Key of `dvc.yaml` ("outs", "metrics", "plots") to paths with their properties.
    """

    name: str
    cmd: str
    deps: Sequence[str] = ()
    params: Sequence[str] = ()
    outs: dict[str, list[tuple[str, dict[str, bool]]]] = {}
    wdir: str | None = None
    desc: str | None = None
    always_changed: bool = False

    def body(self) -> dict[str, Any]:
        """Return the stage as it stands in a `dvc.yaml`: DVC's order of keys, lists sorted."""
        found: dict[str, Any] = {
            "desc": self.desc,
            "cmd": self.cmd,
            "wdir": self.wdir,
            "deps": sorted(self.deps),
            "params": _params(self.params),
            **{
                key: [{path: flags} if flags else path for path, flags in sorted(self.outs[key])]
                for key in ("outs", "metrics", "plots")
                if key in self.outs
            },
            "always_changed": self.always_changed,
        }
        return {key: value for key, value in found.items() if value}


def _params(given: Sequence[str]) -> list[Any]:
    """Return parameters as they are declared: keys of `params.yaml`, then files by name."""
    files: dict[str, set[str]] = {}
    whole: set[str] = set()
    for text in given:
        file, _, names = text.rpartition(":")
        keys = [key.strip() for key in names.split(",") if key.strip()]
        files.setdefault(os.path.normpath(file) if file else _PARAMS, set()).update(keys)
        if not keys:
            whole.add(os.path.normpath(file) if file else _PARAMS)
    rows: list[Any] = [
        {file: sorted(keys) if file not in whole else None}
        for file, keys in sorted(files.items())
        if file != _PARAMS or file in whole
    ]
    return sorted(files[_PARAMS] if _PARAMS not in whole else []) + rows if files else []


def add(project: Project, new: NewStage, *, cwd: Path, force: bool = False) -> Declared:
    """Write a stage into the `dvc.yaml` in a folder, and have git ignore its outputs.

    Raises
    ------
    Error
        If its name, its folder or its paths cannot be, or contradict those of other stages;
        nothing is written then.
    """
    _check_name(new.name)
    _check_wdir(project, new, cwd=cwd)
    _check_paths(new)
    file = cwd / dvcyaml.FILE
    text = file.read_text(encoding="utf-8") if file.exists() else None
    before = definition.read(project)
    there = next((s for s in before.stages if (s.file, s.name) == (file, new.name)), None)
    if there is not None and not force:
        raise Error(
            f"there is a stage '{new.name}' already",
            where=there.place(project.root),
            hint="give '--force' to write over it, or choose another name",
        )
    if there is not None and there.group is not None:
        raise _generated(project, there)
    edited = edit.with_stage(text, new.name, new.body())
    stage = _in(before, file, edited, new.name)
    outs = [stage.path(out.path) for out in stage.outs if out.cache]
    for path in outs:
        gitignore.refuse_tracked(project, path)
    write_atomic(file, edited)
    ignored = gitignore.add(project, outs)
    return Declared(stages=[stage.address], files=[file, *ignored])


def _in(before: Definition, file: Path, text: str, name: str) -> Stage:
    """Return a stage of a `dvc.yaml` that is not written yet, when it fits in with all others."""
    project = before.project
    source = Source(project.relative(file), text)
    others = tuple(one for one in before.files if one.path != file)
    try:
        parsed = dvcyaml.parse(
            source, path=file, root=project.root, flags=definition.flags(project.config)
        )
    except Invalid as error:  # its line is one of a file that is not written
        raise Invalid(error.what, where=f"stage '{name}'", hint=error.hint) from error
    whole = Definition(project, files=(*others, parsed), data=before.data, entries={})
    try:
        Graph(whole.all, project)
    except InvalidGraph as error:  # its line is one of a file that is not written
        raise InvalidGraph(error.what, where=f"stage '{name}'", hint=error.hint) from error
    stage = next(s for s in whole.stages if s.file == file and s.name == name)
    for out in stage.outs:
        if out.cache and project.root not in stage.path(out.path).parents:
            raise Error(
                f"the output '{out.path}' lies outside the project",
                where=f"stage '{name}'",
                hint="write it into the project, or declare it without cache (-O, -M)",
            )
    return stage


def _check_name(name: str) -> None:
    wrong = sorted(set(name) & _NOT_IN_NAMES)
    if wrong or not name.strip():
        raise Usage(
            f"'{name}' cannot be the name of a stage"
            + (f": it has '{''.join(wrong)}'" if wrong else ""),
            hint="letters, digits, '-' and '_' can be in it",
        )


def _check_wdir(project: Project, new: NewStage, *, cwd: Path) -> None:
    if new.wdir is None:
        return
    folder = Path(os.path.normpath(cwd / new.wdir))
    if not folder.is_dir():
        raise NotFound(
            "the folder for the command does not exist",
            where=new.wdir,
            hint=f"make it first: mkdir -p {shlex.quote(new.wdir)}",
        )
    if folder != project.root and project.root not in folder.parents:
        raise Usage("the folder for the command lies outside the project", where=new.wdir)


def _check_paths(new: NewStage) -> None:
    """Refuse a path that is named twice, or as a dependency and as an output."""
    outs = [os.path.normpath(path) for rows in new.outs.values() for path, _ in rows]
    deps = [os.path.normpath(path) for path in new.deps]
    for paths, what in ((outs, "output"), (deps, "dependency")):
        twice = next((path for path in paths if paths.count(path) > 1), None)
        if twice is not None:
            raise Usage(f"the {what} '{twice}' is given twice", hint="name it once")
    both = sorted(set(outs) & set(deps))
    if both:
        raise Usage(
            f"'{both[0]}' is given as a dependency and as an output",
            hint="a stage cannot wait for what it makes itself",
        )


def freeze(
    project: Project, targets: Sequence[str], *, cwd: Path, frozen: bool = True
) -> Declared:  # fmt: skip
    """Let stages and `.dvc` files be as they are, whatever their dependencies do; or not.

    Raises
    ------
    Usage
        If a template makes the stage.
    """
    declared = definition.read(project)
    chosen = [stage for target in targets for stage in declared.find(target, cwd=cwd)]
    for stage in chosen:
        if stage.group is not None:
            raise _generated(project, stage)
    files: dict[Path, str] = {}
    for one in {stage.address: stage for stage in chosen}.values():
        text = files.get(one.file, one.file.read_text(encoding="utf-8"))
        at = [] if one.is_data else ["stages", one.name]
        files[one.file] = edit.with_flag(text, at, "frozen", is_set=frozen)
    changed = [file for file, text in files.items() if file.read_text(encoding="utf-8") != text]
    for file in changed:
        write_atomic(file, files[file])
    return Declared(stages=list(dict.fromkeys(s.address for s in chosen)), files=changed)


def _generated(project: Project, stage: Stage) -> Usage:
    return Usage(
        f"the template '{stage.group}' makes the stage '{stage.name}'",
        where=stage.place(project.root),
        hint="edit the template by hand: what is written there holds for all that it makes",
    )
