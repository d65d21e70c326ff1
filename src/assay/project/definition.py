"""All that a project declares: the stages of every `dvc.yaml`, every `.dvc` file, every lock.

Read from the work tree, or from a commit without checking it out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.project import dvcfile, dvcyaml, git, lock
from assay.project.config import Config
from assay.project.dvcyaml import PipelineFile
from assay.project.grammar import Source
from assay.project.interpolate import Flags
from assay.project.lock import Entry, Lock
from assay.project.stages import Out, Row, Stage
from assay.project.variables import Files
from assay.project.workspace import Project

_NEVER = frozenset({".git", ".hg", ".dvc", ".assay", "__pycache__", "node_modules"})


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """An output with what is recorded of it; `row` is None where nothing is."""

    path: Path
    out: Out
    stage: Stage
    row: Row | None


class Definition:
    """The stages of a project, and what is recorded of them."""

    def __init__(
        self,
        project: Project,
        *,
        files: tuple[PipelineFile, ...],
        data: tuple[Stage, ...],
        entries: dict[Path, dict[str, Entry]],
    ) -> None:
        self.project, self.files, self.data = project, files, data
        self._entries = entries
        self._locks: dict[Path, Lock] = {}

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The stages with a command, file by file, in file order."""
        return tuple(stage for file in self.files for stage in file.stages)

    @cached_property
    def all(self) -> tuple[Stage, ...]:
        """The stages with a command, then tracked data."""
        return self.stages + self.data

    @cached_property
    def by_address(self) -> dict[str, Stage]:
        """Every stage by its address."""
        return {stage.address: stage for stage in self.all}

    def entry(self, stage: Stage) -> Entry | None:
        """Return what the lock says of a stage, or None."""
        return self._entries.get(stage.file, {}).get(stage.name)

    def lock(self, stage: Stage) -> Lock:
        """Return the lock in which a stage of the work tree is recorded, to write to it."""
        path = stage.file.with_suffix(".lock")
        if path not in self._locks:
            self._locks[path] = Lock(path)
        return self._locks[path]

    def record(
        self, stage: Stage, entry: Entry, *, place: int | None = None, later: bool = False
    ) -> bool:
        """Write what a stage ran on to its lock; returns False where nothing changed.

        With `later`, it is written by `write_locks`; see `Lock.put`.
        """
        changed = self.lock(stage).put(stage.name, entry, place=place, later=later)
        self._entries.setdefault(stage.file, {})[stage.name] = entry
        return changed

    def write_locks(self) -> None:
        """Write the locks in which something was recorded for later."""
        for one in self._locks.values():
            one.write()

    def recorded(self, stage: Stage) -> dict[str, Row]:
        """Return what is recorded of a stage's outputs, by path as written."""
        if stage.is_data:
            return stage.recorded
        entry = self.entry(stage)
        return {row.path: row for row in entry.outs} if entry else {}

    @cached_property
    def tracked(self) -> tuple[Tracked, ...]:
        """All outputs of all stages, sorted by path."""
        found = [
            Tracked(
                path=stage.path(out.path),
                out=out,
                stage=stage,
                row=self.recorded(stage).get(out.path),
            )
            for stage in self.all
            for out in stage.outs
        ]
        return tuple(sorted(found, key=lambda t: str(t.path)))

    def find(self, target: str, *, cwd: Path) -> list[Stage]:
        """Return the stages that a person's target names.

        A target is a stage's name or address, the name of a `foreach` or `matrix` (all it makes),
        a `dvc.yaml` (all its stages), a `.dvc` file, or the path of an output or of something
        inside one.

        Raises
        ------
        NotFound
            If it names nothing; with the nearest name.
        """
        chosen = self._named(target, cwd=cwd)
        if chosen:
            return chosen
        if target in self.by_address:
            return [self.by_address[target]]
        path = Path(os.path.normpath(cwd / target))
        for stage in self.data:
            if stage.file == path:
                return [stage]
        for item in self.tracked:
            if item.path == path or item.path in path.parents:
                return [item.stage]
        elsewhere = self._elsewhere(target, path)
        names = [*self.by_address, *(self.project.relative(t.path) for t in self.tracked)]
        names += dict.fromkeys(stage.group for stage in self.stages if stage.group)
        raise NotFound(
            f"'{target}' is neither a stage nor a tracked path",
            where=self.project.root,
            hint=elsewhere
            or did_you_mean(target, names)
            or "see 'assay stage list' and 'assay data status'",
        )

    def _elsewhere(self, target: str, path: Path) -> str | None:
        """Return the hint where a name is that of a stage in another folder, or of a folder."""
        named = [s.address for s in self.stages if target in {s.name, s.group}]
        if named:
            return f"did you mean '{named[0]}'?"
        below = [stage.file for stage in self.stages if path in stage.file.parents]
        if not below:
            return None
        here = below[0] if path / dvcyaml.FILE not in below else path / dvcyaml.FILE
        return f"name its stages by '{self.project.relative(here)}', or give '-R' with the folder"

    def _named(self, target: str, *, cwd: Path) -> list[Stage]:
        """Return the stages that a name in a `dvc.yaml` means, seen from a folder."""
        file, name = _split(target)
        path = Path(os.path.normpath(cwd / file))
        there = [stage for stage in self.stages if stage.file == path]
        if name is None:
            return there
        exact = [stage for stage in there if stage.name == name]
        return exact or [stage for stage in there if stage.group == name]

    def glob(self, pattern: str, *, cwd: Path) -> list[Stage]:
        """Return the stages of one `dvc.yaml` whose names match `*`, `?` and `[...]`.

        The pattern is that of names (`train*`), or a file and that (`sub/dvc.yaml:train*`). The
        name of a `foreach` or `matrix` means all that it makes.
        """
        file, name = _split(pattern)
        path = Path(os.path.normpath(cwd / file))
        there = [stage for stage in self.stages if stage.file == path]
        grouped = [stage for stage in there if stage.group == name]
        return grouped or [s for s in there if name is None or fnmatchcase(s.name, name)]

    def select(self, targets: tuple[str, ...], *, cwd: Path) -> list[Tracked]:
        """Return the outputs that targets name; all of them without targets."""
        if not targets:
            return list(self.tracked)
        chosen: dict[Path, Tracked] = {}
        for target in targets:
            path = Path(os.path.normpath(cwd / target))
            exact = [t for t in self.tracked if t.path == path]
            below = [t for t in self.tracked if path in t.path.parents] if not exact else []
            stages = [] if exact or below else self.find(target, cwd=cwd)
            named = [t for t in self.tracked if t.stage in stages]
            chosen.update({t.path: t for t in (*exact, *below, *named)})
        return list(chosen.values())


def _split(target: str) -> tuple[str, str | None]:
    """Return the `dvc.yaml` that a target names, and the stage in it; None for all of them."""
    head, colon, name = target.partition(f"{dvcyaml.FILE}:")
    if colon and (not head or head.endswith(("/", os.sep))):
        return f"{head}{dvcyaml.FILE}", name
    if Path(target).name == dvcyaml.FILE:
        return target, None
    return dvcyaml.FILE, target


def flags(config: Config) -> Flags:
    """Return how a mapping becomes options of a command, as DVC's configuration says.

    Raises
    ------
    Error
        If `parsing.bool` or `parsing.list` is none of what it can be.
    """
    found = []
    for key, default, other in (
        ("bool", "store_true", "boolean_optional"),
        ("list", "nargs", "append"),
    ):
        value = config.get("parsing", key) or default
        if value not in {default, other}:
            raise Error(
                f"'parsing.{key}' is '{value}', expected '{default}' or '{other}'",
                hint=f"set it: assay config parsing.{key} {default}",
            )
        found.append(value == other)
    return Flags(*found)


def read(project: Project) -> Definition:
    """Read the work tree."""
    files, data, entries = [], [], {}
    variables = Files(lambda path: dvcyaml.read(path, root=project.root), project.root)
    options = flags(project.config)
    for path in find_files(project):
        shown = project.relative(path)
        source = Source.of(path, shown=shown)
        if path.name == dvcyaml.FILE:
            files.append(
                dvcyaml.parse(source, path=path, root=project.root, files=variables, flags=options)
            )
            locked = path.with_suffix(".lock")
            if locked.exists():
                entries[path] = lock.parse(Source.of(locked, shown=project.relative(locked)))
        else:
            data.append(dvcfile.parse(source, path=path, root=project.root))
    return Definition(project, files=tuple(files), data=tuple(data), entries=entries)


def read_at(project: Project, revision: str) -> Definition:
    """Read a commit, and the files of variables from the same commit."""
    prefix = project.root.relative_to(project.git_root).as_posix()
    prefix = "" if prefix == "." else f"{prefix}/"
    files, data, entries = [], [], {}
    names = git.list_files(project.git_root, revision)
    projects = {f"{n.partition('/.dvc/')[0]}/" for n in names if "/.dvc/" in n}
    others = tuple(p for p in projects if p.startswith(prefix) and p != prefix)
    variables = Files(lambda path: _source_at(project, revision, path), project.root)
    options = flags(project.config)
    for name in names:
        if not name.startswith(prefix) or name.startswith(others):
            continue
        if not _is_ours(name.rpartition("/")[2]):
            continue
        path = project.git_root / name
        content = git.read_file(project.git_root, revision, name)
        source = Source(f"{revision}:{name}", (content or b"").decode(errors="replace"))
        if path.name == dvcyaml.FILE:
            files.append(
                dvcyaml.parse(source, path=path, root=project.root, files=variables, flags=options)
            )
        elif path.name == "dvc.lock":
            entries[path.with_suffix(".yaml")] = lock.parse(source)
        else:
            data.append(dvcfile.parse(source, path=path, root=project.root))
    return Definition(project, files=tuple(files), data=tuple(data), entries=entries)


def _source_at(project: Project, revision: str, path: Path) -> Source | None:
    if project.git_root not in path.parents:
        return dvcyaml.read(path, root=project.root)  # no commit has it
    name = path.relative_to(project.git_root).as_posix()
    content = git.read_file(project.git_root, revision, name)
    if content is None:
        return None
    return Source(f"{revision}:{name}", content.decode("utf-8-sig", errors="replace"))


def _is_ours(name: str) -> bool:
    return name in {dvcyaml.FILE, "dvc.lock"} or (
        name.endswith(dvcfile.SUFFIX) and name != dvcfile.SUFFIX
    )


def find_files(project: Project) -> Iterator[Path]:
    """Go through the `dvc.yaml` and `.dvc` files, folder by folder, names sorted.

    Tracked folders are not entered: their files may be many, and none of ours is in there.
    Neither are ignored folders and virtual environments.
    """
    todo = [str(project.root)]
    while todo:
        folder = todo.pop()
        names, folders = [], []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    else:
                        names.append(entry.name)
        except PermissionError:
            continue
        if "pyvenv.cfg" in names or (".dvc" in folders and folder != str(project.root)):
            continue  # an environment, or a project of its own
        tracked = {name.removesuffix(dvcfile.SUFFIX) for name in names}
        for name in sorted(names):
            path = f"{folder}/{name}"
            if _is_ours(name) and name != "dvc.lock" and not project.ignore(path, False):
                yield Path(path)
        for name in sorted(folders, reverse=True):
            path = f"{folder}/{name}"
            if name not in _NEVER and name not in tracked and not project.ignore(path, True):
                todo.append(path)
