"""Stop tracking: take away a `.dvc` file or a stage, its lock and its lines in `.gitignore`.

A stage is cut out of `dvc.yaml` as text, so that all other lines stay as a person wrote them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Negative, NotFound, Usage
from assay.base.files import explain, write_atomic
from assay.project import definition, dvcfile, dvcyaml, edit, gitignore, tracking, yaml12
from assay.project.definition import Definition, Tracked
from assay.project.grammar import Source
from assay.project.stages import Out, Stage
from assay.project.workspace import Project


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken away.

    Attributes
    ----------
    targets : list of str
        `.dvc` files and stages.
    outs : list of Path
        Data that was deleted.
    files : list of Path
        Files that git should look at: changed or gone.
    """

    targets: list[str]
    outs: list[Path]
    files: list[Path]


def remove(project: Project, targets: Sequence[str], *, cwd: Path, outs: bool) -> Removed:
    """Remove `.dvc` files and stages, with `outs` their data too; all of them or none.

    Raises
    ------
    NotFound
        If a target is neither.
    Negative
        If data would be deleted that is not in the cache as it is.
    """
    chosen = list(dict.fromkeys(one for t in targets for one in _find(project, t, cwd=cwd)))
    items = [item for one in chosen for item in one.items]
    if outs:
        _refuse_unsaved(project, items)
    files: list[Path] = []
    for one in chosen:
        files += _drop_record(one)
        files += gitignore.remove(project, [i.path for i in one.items if i.out.cache])
    gone = [item.path for item in items if outs and os.path.lexists(item.path)]
    for path in gone:
        _delete(path)
    return Removed(
        targets=[one.shown for one in chosen], outs=gone, files=list(dict.fromkeys(files))
    )


class _Chosen(msgspec.Struct, frozen=True):
    shown: str
    file: Path
    stage: str | None
    """The name of a stage of a `dvc.yaml`; None for a `.dvc` file."""
    declared_as: str | None
    """What it is called in the file: the name of the template, where one makes it."""
    items: tuple[Tracked, ...]

    def __hash__(self) -> int:
        return hash((self.file, self.stage))


def _find(project: Project, target: str, *, cwd: Path) -> list[_Chosen]:
    path = Path(os.path.normpath(cwd / target))
    if path.suffix == dvcfile.SUFFIX and path.name != dvcfile.SUFFIX:
        if not path.is_file():
            raise NotFound("there is no such '.dvc' file", where=target)
        return [_of_file(project, path)]
    record = path.with_name(path.name + dvcfile.SUFFIX)
    if record.is_file():
        raise Usage(
            "this is the data, and what is removed is its record",
            where=target,
            hint=f"run 'assay remove {project.shown(record, cwd=cwd)}'",
        )
    declared = definition.read(project)
    found = [stage for stage in declared.find(target, cwd=cwd) if not stage.is_data]
    whole = path.name == dvcyaml.FILE
    stages = [s for s in found if whole or target in {s.name, s.address, s.group} or ":" in target]
    if not stages:
        raise Usage(
            "what is removed is a '.dvc' file or a stage, by its name",
            where=target,
            hint="see 'assay stage list'",
        )
    _refuse_parts(declared, stages, target)
    return [_of_stage(declared, stage) for stage in stages]


def _refuse_parts(declared: Definition, stages: Sequence[Stage], target: str) -> None:
    """Raise at a stage that a template makes, unless all that it makes go."""
    for stage in stages:
        made = [s for s in declared.stages if s.file == stage.file and s.group == stage.group]
        if stage.group is not None and not all(one in stages for one in made):
            raise Usage(
                f"the template '{stage.group}' makes this stage, and others",
                where=target,
                hint=f"take it out of what '{stage.group}' lists in {stage.file.name}, or remove "
                f"them all: 'assay remove {stage.group}'",
            )


def _of_file(project: Project, path: Path) -> _Chosen:
    """Read as little as is needed: a record that is not understood can be removed too."""
    data = Source.of(path, shown=project.shown(path)).load()
    wdir = path.parent / (data.get("wdir", ".") if isinstance(data, dict) else ".")
    rows = data.get("outs") if isinstance(data, dict) else None
    stage = Stage(name=path.name, address=path.name, file=path, wdir=wdir)
    items = [
        Tracked(
            path=stage.path(row["path"]),
            out=Out(path=row["path"], cache=row.get("cache", True) is not False),
            stage=stage,
            row=None,
        )
        for row in rows or ()
        if isinstance(row, dict) and isinstance(row.get("path"), str)
    ]
    return _Chosen(project.shown(path), path, None, None, tuple(items))


def _of_stage(declared: Definition, stage: Stage) -> _Chosen:
    items = tuple(item for item in declared.tracked if item.stage == stage)
    return _Chosen(stage.address, stage.file, stage.name, stage.group or stage.name, items)


def _refuse_unsaved(project: Project, items: Sequence[Tracked]) -> None:
    """Raise if what would be deleted is not in the cache as it is now."""
    declared = definition.read(project)
    for item in items:
        if project.root not in item.path.parents:
            raise Negative(
                "this lies outside of the project and is not deleted",
                where=item.path,
                hint="remove the record without '--outs'",
            )
        known = next((t for t in declared.tracked if t.path == item.path), item)
        if not os.path.lexists(item.path) or not known.out.cache:
            continue
        if tracking.state_of(project, known) not in {None, "deleted"}:
            raise Negative(
                "what lies here is not in the cache, so that it could not be had again",
                where=project.shown(item.path),
                hint="record it with 'assay commit' first, or delete it yourself",
            )


def _drop_record(chosen: _Chosen) -> list[Path]:
    """Take a `.dvc` file, or a stage with its lock, away; returns the files that changed."""
    if chosen.stage is None:
        try:
            chosen.file.unlink()
        except OSError as error:
            raise explain(error, chosen.file) from error
        return [chosen.file]
    files = [chosen.file]
    lock = chosen.file.with_suffix(".lock")
    if lock.exists() and _drop_entry(lock, chosen.stage):
        files.append(lock)
    if not chosen.file.exists():
        return files  # the last template, which made others before this one
    text = chosen.file.read_text(encoding="utf-8")
    kept = without_stage(text, str(chosen.declared_as))
    if kept is None:
        chosen.file.unlink()
    elif kept != text:
        write_atomic(chosen.file, kept)
    return files


def _drop_entry(path: Path, name: str) -> bool:
    text = path.read_text(encoding="utf-8")
    data = yaml12.load(text, where=path) or {}
    if name not in (data.get("stages") or {}):
        return False
    del data["stages"][name]
    if data["stages"] or data.get("datasets"):
        write_atomic(path, edit.updated(text, data, keep_order=False))
    else:
        path.unlink()
    return True


def without_stage(text: str, name: str) -> str | None:
    r"""Return the text of a `dvc.yaml` without one stage; None where no declaration is left.

    The comments right above a stage go with it, all others stay.

    Examples
    --------
    >>> print(without_stage("stages:\n  a:  # first\n    cmd: x\n  b:\n    cmd: y\n", "a"), end="")
    stages:
      b:
        cmd: y
    """
    data = yaml12.load(text, where=dvcyaml.FILE)
    if name not in data.get("stages", {}):
        return text
    rest = {key: value for key, value in data["stages"].items() if key != name}
    wanted: dict[str, Any] = dict(data) | {"stages": rest}
    at = ["stages", name]
    if not rest:
        del wanted["stages"]
        at = ["stages"]
    if not wanted:
        return None
    cut = _without_lines(text, at)
    try:
        fits = cut is not None and yaml12.load(cut, where=dvcyaml.FILE) == wanted
    except Exception:  # noqa: BLE001 -- a file in an odd form is edited in the other way
        fits = False
    return cut if cut is not None and fits else edit.updated(text, wanted)


def _without_lines(text: str, at: list[str]) -> str | None:
    """Return the text without the lines of a key in block style, and of the comments above it."""
    first = yaml12.line_of(text, at)
    if first is None:
        return None
    lines = text.splitlines(keepends=True)
    start = first - 1
    indent = _indent(lines[start])
    end = start + 1
    for number in range(start + 1, len(lines)):
        line = lines[number]
        if not line.strip():
            continue
        if line.lstrip().startswith("#") and _indent(line) <= indent:
            continue
        if _indent(line) <= indent and not (len(at) == 1 and line.startswith("- ")):
            break
        end = number + 1
    while start and lines[start - 1].lstrip().startswith("#") and _is_at(lines[start - 1], indent):
        start -= 1
    if len(at) == 1:  # the comments above 'stages:' may be those of the whole file
        start = first - 1
    return "".join(lines[:start] + lines[end:])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _is_at(line: str, indent: int) -> bool:
    return _indent(line) == indent


def _delete(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise explain(error, path) from error
