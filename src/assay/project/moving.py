"""Give tracked data another place: the data, their `.dvc` file and their line in `.gitignore`.

Nothing is hashed and the record stays as it is: data with changes has them afterwards too.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error, Negative, NotFound, Usage, did_you_mean
from assay.base.files import explain, write_atomic
from assay.project import definition, dvcfile, edit, git, gitignore, versions
from assay.project.definition import Definition, Tracked
from assay.project.grammar import Source
from assay.project.workspace import Project


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What was moved.

    Attributes
    ----------
    files : list of Path
        Files that git should look at: changed, new or gone.
    """

    source: Path
    target: Path
    record: Path
    files: list[Path]


def move(project: Project, source: str, target: str, *, cwd: Path) -> Moved:
    """Move the output of a `.dvc` file; into `target` where that is a folder.

    Raises
    ------
    NotFound
        If `source` is not tracked by a `.dvc` file.
    Negative
        If something is there already, or the place is not one for data.
    """
    declared = definition.read(project)
    item = _find(declared, project.resolve(source, cwd=cwd), shown=source)
    place = project.resolve(target, cwd=cwd)
    if place.is_dir() and place != item.path:
        place = place / item.path.name
    _check(declared, item, place)
    old = item.stage.file
    named = old.name == item.path.name + dvcfile.SUFFIX
    new = place.with_name(place.name + dvcfile.SUFFIX) if named else old
    if new != old:
        _check_record(project, new)
    text = _record(old, new, item, place)
    ignored = gitignore.add(project, [place]) if item.out.cache else []
    try:
        _rename(item.path, place)
        write_atomic(new, text)
    except BaseException:
        if os.path.lexists(place) and not os.path.lexists(item.path):
            _rename(place, item.path)
        gitignore.remove(project, [place] if ignored else [])
        raise
    if new != old:
        old.unlink()
    ignored += gitignore.remove(project, [item.path]) if item.out.cache else []
    files = list(dict.fromkeys([old, new, *ignored]))
    return Moved(source=item.path, target=place, record=new, files=files)


def _find(declared: Definition, path: Path, *, shown: str) -> Tracked:
    data = [item for item in declared.tracked if item.stage.is_data]
    for item in data:
        if item.path == path:
            if len(item.stage.outs) != 1:
                raise Usage("its record has several outputs", where=item.stage.address)
            return item
    for item in declared.tracked:
        if item.path == path:
            raise Usage(
                f"this is an output of stage '{item.stage.address}'",
                where=shown,
                hint="change its path in dvc.yaml, then run 'assay repro'",
            )
        if item.path in path.parents:
            raise Usage(
                f"this is a part of '{declared.project.shown(item.path)}', which is tracked",
                where=shown,
                hint="move it with 'mv', then run 'assay commit'",
            )
    names = [declared.project.shown(item.path) for item in data]
    raise NotFound(
        "this is not tracked by a '.dvc' file",
        where=shown,
        hint=did_you_mean(shown, names) or "see 'assay data status --unchanged'",
    )


def _check(declared: Definition, item: Tracked, place: Path) -> None:
    """Raise where the data cannot go to a place."""
    project = declared.project
    shown = project.shown(place)
    if place == item.path or item.path in place.parents:
        raise Usage("this is the data itself, or lies in it", where=shown)
    if not place.parent.is_dir():
        raise NotFound(
            "there is no such folder",
            where=project.shown(place.parent),
            hint=f"make it first: mkdir -p '{project.shown(place.parent)}'",
        )
    if os.path.lexists(place):
        raise Negative("something is there already", where=shown, hint="choose another name")
    for other in declared.tracked:
        if other != item and (other.path == place or other.path in place.parents):
            raise Negative(
                f"'{project.shown(other.path)}' is tracked and would hold it",
                where=shown,
                hint="choose a place outside of it",
            )
    if project.ignore.covers(str(place), is_dir=item.path.is_dir()):
        raise Negative(".dvcignore says not to look there", where=shown)
    gitignore.refuse_tracked(project, place)


def _check_record(project: Project, path: Path) -> None:
    if path.exists():
        raise Negative("there is a record already", where=project.shown(path))
    name = path.relative_to(project.git_root).as_posix()
    if project.uses_git and git.ignored(project.git_root, [name]):
        raise Negative(
            "git ignores this file, so that the record would be lost",
            where=project.shown(path),
            hint="choose another place, or change .gitignore",
        )


def _record(old: Path, new: Path, item: Tracked, place: Path) -> str:
    """Return the text of the record at its new place."""
    text = Source.of(old).text
    data: dict[str, Any] = Source.of(old).load()
    before = item.stage.wdir
    wdir = before if new == old else new.parent
    if new != old:
        data.pop("wdir", None)
    data["outs"][0] = versions.unpushed(data["outs"][0])  # they are those of the old path
    data["outs"][0]["path"] = Path(os.path.relpath(place, wdir)).as_posix()
    for dep in data.get("deps", ()):
        written = dep.get("path", "")
        if "repo" not in dep and "db" not in dep and _is_relative(written):
            dep["path"] = Path(os.path.relpath(before / written, wdir)).as_posix()
    if data.get("deps") and "md5" in data:
        data["md5"] = dvcfile.stage_md5(data)
    return edit.updated(text, data)


def _is_relative(path: str) -> bool:
    return bool(path) and "://" not in path and not path.startswith(("/", "~"))


def _rename(source: Path, target: Path) -> None:
    """Move data on one file system, or from one to another; data that is not here is fine."""
    if not os.path.lexists(source):
        return
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            leaves = os.access(source.parent, os.W_OK)
            raise explain(error, target if leaves else source) from error
        try:
            shutil.move(source, target)
        except (OSError, shutil.Error) as failure:
            raise Error(f"cannot be moved: {failure}", where=source) from failure
