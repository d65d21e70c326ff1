"""Which outputs, or parts of them, a person's targets name: paths, patterns, folders, stages."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from assay.base.errors import Error, NotFound
from assay.project import dvcfile
from assay.project.definition import Definition, Tracked

Kind = Literal["metrics", "plots"]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """An output, or a part of it.

    Attributes
    ----------
    within : tuple of str
        Paths inside a folder, relative to it; empty means all of it.
    """

    item: Tracked
    within: tuple[str, ...] = ()

    def holds(self, relpath: str) -> bool:
        """Say whether a file of the folder is meant."""
        return not self.within or is_within(relpath, self.within)


def is_within(relpath: str, parts: Sequence[str]) -> bool:
    """Say whether a path is one of `parts`, or below one of them.

    Examples
    --------
    >>> is_within("a/b", ["a"]), is_within("ab", ["a"]), is_within("a", ["a"])
    (True, False, True)
    """
    return any(relpath == part or relpath.startswith(f"{part}/") for part in parts)


def choose(
    declared: Definition, targets: Sequence[str], *, cwd: Path, recursive: bool = False
) -> list[Chosen]:
    """Return the outputs that targets name, sorted by path; all of them without targets.

    Parameters
    ----------
    recursive : bool
        A folder names the outputs of the stages in it, too.

    Raises
    ------
    NotFound
        If a target names nothing; with the nearest name.
    """
    if not targets:
        return [Chosen(item=item) for item in declared.tracked]
    whole: dict[Path, Tracked] = {}
    parts: dict[Path, tuple[Tracked, list[str]]] = {}
    for target in targets:
        path = Path(os.path.normpath(cwd / target))
        around = next((t for t in declared.tracked if t.path in path.parents), None)
        if around is not None and target not in declared.by_address:
            inside = path.relative_to(around.path).as_posix()
            parts.setdefault(around.path, (around, []))[1].append(inside)
            continue
        found: list[Tracked] = []
        if recursive:
            found = [t for t in declared.tracked if path in t.stage.file.parents]
            found += [t for t in declared.tracked if path in t.path.parents or t.path == path]
        whole.update({t.path: t for t in found or declared.select((target,), cwd=cwd)})
    chosen = [Chosen(item=item) for item in whole.values()]
    chosen += [
        Chosen(item=item, within=tuple(dict.fromkeys(names)))
        for path, (item, names) in parts.items()
        if path not in whole
    ]
    return sorted(chosen, key=lambda one: str(one.item.path))


def refuse_nested(declared: Definition) -> None:
    """Raise if an output lies inside another one: what belongs there then cannot be told.

    Raises
    ------
    Error
        It names both records.
    """
    outs = {item.path: item for item in declared.tracked}
    for path, item in outs.items():
        around = next((outs[parent] for parent in path.parents if parent in outs), None)
        if around is not None:
            shown = declared.project.relative
            raise Error(
                f"the output '{shown(path)}' of '{item.stage.address}' lies inside the output "
                f"'{shown(around.path)}' of '{around.stage.address}'",
                where=shown(item.stage.file),
                hint="move one of them out of the other, or remove one of the records",
            )


def of_kinds(
    declared: Definition, chosen: Sequence[Chosen], kinds: Sequence[Kind]
) -> list[Chosen]:  # fmt: skip
    """Return those outputs that are metrics or plots; all of them where no kind is asked for.

    An output is one, too, if a path that a `dvc.yaml` names beside its stages is in it.
    """
    if not kinds:
        return list(chosen)
    paths = [path for kind in kinds for path in _beside(declared, kind)]
    return [
        one
        for one in chosen
        if f"{one.item.out.kind}s" in kinds
        or any(
            path == one.item.path or path in one.item.path.parents or one.item.path in path.parents
            for path in paths
        )
    ]


def _beside(declared: Definition, kind: Kind) -> Iterator[Path]:
    """Go through the files that stand under `metrics` or `plots` beside the stages."""
    for file in declared.files:
        names = file.metrics if kind == "metrics" else _plotted(file.plots)
        yield from (Path(os.path.normpath(file.path.parent / name)) for name in names)


def _plotted(plots: Iterable[Any]) -> Iterator[str]:
    """Go through the files of plots: the name of one is its file, if nothing says another."""
    for plot in plots:
        for name, given in plot.items() if isinstance(plot, dict) else [(plot, None)]:
            axes = [given.get(axis) for axis in ("x", "y")] if isinstance(given, dict) else []
            files = [file for axis in axes if isinstance(axis, dict) for file in axis]
            yield from map(str, files or [name])


def expand(targets: Sequence[str], declared: Definition, *, cwd: Path) -> list[str]:
    """Return what patterns match: of what lies there, and of what is tracked.

    Raises
    ------
    NotFound
        If a pattern matches nothing.
    """
    tracked = [os.path.relpath(item.path, cwd) for item in declared.tracked]
    found: dict[str, None] = {}
    for target in targets:
        here = [*_there(target, cwd=cwd), *(name for name in tracked if matches(name, target))]
        if not here:
            raise _no_match(target, cwd)
        found.update(dict.fromkeys(here))
    return list(found)


def expand_new(targets: Sequence[str], *, cwd: Path) -> list[str]:
    """Return the files and folders that patterns match, records and git's files left out.

    Raises
    ------
    NotFound
        If a pattern matches nothing.
    """
    found: dict[str, None] = {}
    for target in targets:
        here = [name for name in _there(target, cwd=cwd) if not name.endswith(dvcfile.SUFFIX)]
        if not here:
            raise _no_match(target, cwd)
        found.update(dict.fromkeys(here))
    return list(found)


def _no_match(pattern: str, cwd: Path) -> NotFound:
    return NotFound(f"nothing matches '{pattern}'", where=cwd, hint="check the pattern")


def _there(pattern: str, *, cwd: Path) -> Iterable[str]:
    return sorted(glob.iglob(pattern, root_dir=cwd, recursive=True))  # noqa: PTH207 -- absolute patterns too


def matches(path: str, pattern: str) -> bool:
    """Say whether a path matches a shell pattern, `**` standing for any folders.

    Examples
    --------
    >>> matches("a/b/c.csv", "a/**/*.csv"), matches("a/b", "*"), matches("a", "[ab]")
    (True, False, True)
    """
    return _matches(path.split("/"), os.path.normpath(pattern).split("/"))


def _matches(parts: list[str], patterns: list[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_matches(parts[n:], patterns[1:]) for n in range(len(parts) + 1))
    if not parts or not fnmatch.fnmatchcase(parts[0], patterns[0]):
        return False
    return _matches(parts[1:], patterns[1:])
