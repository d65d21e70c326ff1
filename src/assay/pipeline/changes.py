"""What changed since a stage last ran: its command, its dependencies, its outputs."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from assay.base.errors import NotFound, with_article
from assay.objects import scan, tree
from assay.objects.cache import DIR
from assay.objects.index import Looks
from assay.objects.legacy import is_legacy
from assay.objects.scan import Content
from assay.pipeline.glances import Glances, glance
from assay.project import params, tracking
from assay.project.definition import Definition, Tracked
from assay.project.grammar import Invalid
from assay.project.lock import Entry
from assay.project.stages import Row, Stage
from assay.project.tracking import row_of

State = Literal["modified", "deleted", "new", "not in cache"]


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """How a stage differs from what is recorded of it.

    Attributes
    ----------
    deps : dict
        State by path; a parameter file has the states of its keys, or one state for all of it.
    outs : dict
        State by path.
    command : bool
        Whether the command is another one.
    always : bool
        Whether it runs whatever has changed.
    unrecorded : bool
        Whether nothing is recorded of it: it has not run yet.
    """

    deps: dict[str, State | dict[str, State]] = {}
    outs: dict[str, State] = {}
    command: bool = False
    always: bool = False
    unrecorded: bool = False

    def __bool__(self) -> bool:
        return bool(self.deps or self.outs or self.command or self.always)

    def without_missing(self, replaced: Collection[str]) -> Changes:
        """Return the changes but for what is only missing here; nothing is known of `replaced`.

        A stage that never ran keeps all of them.
        """
        if self.unrecorded:
            return self
        deps = {p: s for p, s in self.deps.items() if s != "deleted" or p in replaced}
        outs = {p: s for p, s in self.outs.items() if s not in {"deleted", "not in cache"}}
        return msgspec.structs.replace(self, deps=deps, outs=outs)

    def in_words(self) -> str:
        """Return why the stage has to run, on one line."""
        if self.unrecorded:
            return "it has not run yet"
        parts = ["it always does"] if self.always else []
        parts += ["its command changed"] if self.command else []
        for path, state in self.deps.items():
            if isinstance(state, dict):
                parts += [f"{path}:{key} is {value}" for key, value in state.items()]
            else:
                parts.append(f"{path} is {state}")
        parts += [f"output {path} is {state}" for path, state in self.outs.items()]
        return "; ".join(parts)


class Inspector:
    """Looks at the workspace for the stages of a definition; every path is looked at once.

    After `end_turn` a path is looked at again, as far as its status does not tell that it is as
    it was: commands run meanwhile, and people edit.
    """

    def __init__(self, declared: Definition) -> None:
        self._declared = declared
        self._project = declared.project
        self._contents: dict[Path, Content | None] = {}
        self._params: dict[Path, Any] = {}
        self._glances, self._params_glances = Glances(), Glances()
        self._assumed: set[Path] = set()
        self._below: dict[str, set[Path]] = {}
        self.n_hashed = 0

    def content(self, path: Path, *, like: str | None = None) -> Content | None:
        """Return what lies at a path, or None where nothing does.

        Parameters
        ----------
        like : str, optional
            What it is compared with: beside an oid of DVC 2, by its hash.
        """
        if like is not None and is_legacy(like) and path not in self._assumed:
            try:
                return scan.scan(path, self._project.index.like(like), skip=self._project.ignore)
            except NotFound:
                return None
        if not (path in self._contents and self._glances.is_as_seen(path)):
            seen = glance(path)
            try:
                found = scan.scan(
                    path,
                    self._project.index,
                    skip=self._project.ignore,
                    label=f"checking {path.name}",
                )
                self.n_hashed += found.n_hashed
                self._keep(path, found, seen)
            except NotFound:
                self._keep(path, None)
        return self._contents[path]

    def learn(self, contents: Mapping[Path, Content]) -> None:
        """Take what was looked at elsewhere for what lies there."""
        for path, content in contents.items():
            seen = glance(path)
            self._keep(path, content, seen if seen and seen[2] == content.size else None)

    def end_turn(self) -> None:
        """Have everything looked at again, when it is needed: a command ran, and time passed."""
        self._glances.end_turn()
        self._params_glances.end_turn()

    def _keep(self, path: Path, content: Content | None, seen: Looks | None = None) -> None:
        self._contents[path] = content
        self._glances.note(path, seen)
        self._note(path)

    def _note(self, path: Path) -> None:
        """Remember below which folders a path lies, to find it again when they change."""
        parent = str(path).rpartition("/")[0]
        while parent and path not in self._below.setdefault(parent, set()):
            self._below[parent].add(path)
            parent = parent.rpartition("/")[0]

    def forget(self, stage: Stage) -> None:
        """Look again at what a stage wrote: at it, inside it and at the folders around it."""
        for out in stage.outs:
            path = stage.path(out.path)
            inside = self._below.get(str(path), set())
            for gone in (path, *inside, *path.parents):
                self._contents.pop(gone, None)
                self._params.pop(gone, None)

    def params(self, stage: Stage) -> dict[str, dict[str, Any]]:
        """Return the parameters of a stage as they are now, by file; missing ones are left out.

        Raises
        ------
        Invalid
            If a parameter file does not parse.
        """
        found: dict[str, dict[str, Any]] = {}
        for dep in stage.params:
            path = stage.path(dep.file)
            if not (path in self._params and self._params_glances.is_as_seen(path)):
                self._note(path)
                self._params_glances.note(path, glance(path))
                shown = os.path.relpath(path, self._project.root)
                self._params[path] = params.read(path, shown=shown) if path.exists() else None
            if self._params[path] is not None:
                found[dep.file] = params.select(self._params[path], dep.keys)
                _refuse_unstorable(found[dep.file], where=dep.file)
        return copy.deepcopy(found)  # the lock has an alias where one stage names a value twice

    def assume(self, stage: Stage, rows: Iterable[Row]) -> None:
        """Take the outputs of a stage for what they will be once they are restored."""
        self.forget(stage)
        for row in rows:
            if row.oid is not None:
                path = stage.path(row.path)
                self._assumed.add(path)
                self._keep(path, Content(oid=row.oid, size=row.size or 0))
                if row.oid.endswith(DIR) and self._project.cache.has(row.oid):
                    self._assume_below(path, tree.read(self._project.cache, row.oid))

    def _assume_below(self, folder: Path, entries: list[tree.Entry]) -> None:
        below: dict[Path, list[tree.Entry]] = {}
        for entry in entries:
            path = folder / entry.relpath
            self._keep(path, Content(oid=entry.oid, size=0))
            for parent in list(path.relative_to(folder).parents)[:-1]:
                name = path.relative_to(folder / parent).as_posix()
                below.setdefault(folder / parent, []).append(tree.Entry(name, entry.oid))
        for path, inside in below.items():
            self._keep(path, Content(oid=tree.oid_of(sorted(inside)), size=0))

    def is_uncertain(self, stage: Stage) -> bool:
        """Say whether a stage reads what `assume` cannot tell: parameters, a folder around."""
        deps = {stage.path(dep) for dep in stage.deps}
        files = {stage.path(dep.file) for dep in stage.params}
        return not files.isdisjoint(self._assumed) or any(
            not deps.isdisjoint(path.parents) for path in self._assumed
        )

    def changes(self, stage: Stage) -> Changes:
        """Compare a stage with its record."""
        if stage.is_data:
            return Changes(outs=self._outs(stage))
        entry = self._declared.entry(stage)
        is_callback = not (stage.deps or stage.params or stage.outs)
        deps: dict[str, State | dict[str, State]] = {}
        if not stage.frozen:
            deps = {**self._deps(stage, entry), **self._param_changes(stage, entry)}
        return Changes(
            deps=deps,
            outs=self._outs(stage),
            command=entry is not None and entry.cmd != stage.cmd,
            unrecorded=entry is None,
            always=(stage.always_changed or is_callback) and not stage.frozen,
        )

    def _deps(self, stage: Stage, entry: Entry | None) -> dict[str, State]:
        recorded = {row.path: row.oid for row in entry.deps} if entry else {}
        found: dict[str, State] = {}
        for dep in stage.deps:
            now = self.content(stage.path(dep), like=recorded.get(dep))
            if now is None:
                found[dep] = "deleted"
            elif recorded.get(dep) != now.oid:
                found[dep] = "modified"
        return found

    def _param_changes(
        self, stage: Stage, entry: Entry | None
    ) -> dict[str, State | dict[str, State]]:
        now = self.params(stage)
        found: dict[str, State | dict[str, State]] = {}
        for dep in stage.params:
            if dep.file not in now:
                found[dep.file] = "deleted"
                continue
            if entry is None:
                found[dep.file] = "new"
                continue
            recorded = entry.params.get(dep.file, {})
            states = _param_states(now[dep.file], recorded, dep.keys)
            if states:
                found[dep.file] = states
        return found

    def _outs(self, stage: Stage) -> dict[str, State]:
        recorded = self._declared.recorded(stage)
        found: dict[str, State] = {}
        for out in stage.outs:
            item = Tracked(
                path=stage.path(out.path), out=out, stage=stage, row=recorded.get(out.path)
            )
            state = self._out_state(item)
            if state is not None:
                found[out.path] = state
        return found

    def _out_state(self, item: Tracked) -> State | None:
        oid = item.row.oid if item.row is not None else None
        if oid is not None and item.out.cache and not tracking.in_cache(self._project, oid):
            return "not in cache"
        now = self.content(item.path, like=oid)
        if now is None:
            return "deleted"
        return None if now.oid == oid else "modified"

    def entry(self, stage: Stage) -> Entry:
        """Return the record of a stage's dependencies and parameters as they are now.

        Raises
        ------
        NotFound
            If a dependency or a parameter is missing.
        """
        self.refuse_missing(stage, coming=lambda path: self._contents.get(path) is not None)
        found = [(dep, self.content(stage.path(dep))) for dep in stage.deps]
        rows = [row_of(dep, content) for dep, content in found if content is not None]
        return Entry(cmd=stage.cmd, deps=tuple(rows), params=self.params(stage))

    def refuse_missing(self, stage: Stage, *, coming: Callable[[Path], bool]) -> None:
        """Raise if something that a stage reads is missing; what is `coming` need not be there."""
        for number, dep in enumerate(stage.deps):
            path = stage.path(dep)
            if not coming(path) and not path.exists():
                raise NotFound(
                    f"the dependency '{dep}' of stage '{stage.address}' does not exist",
                    where=stage.place(self._project.root, "deps", number),
                    hint="get it with 'assay checkout' or 'assay pull', or correct the path",
                )
        values = self.params(stage)
        for asked in stage.params:
            absent = [k for k in asked.keys if k not in values.get(asked.file, {})]
            there = asked.file in values and not absent
            if not there and not coming(stage.path(asked.file)):
                names = ", ".join(f"'{key}'" for key in absent) or "the file"
                raise NotFound(
                    f"stage '{stage.address}' needs {names} of '{asked.file}', "
                    f"which {'are' if len(absent) > 1 else 'is'} not there",
                    where=stage.place(self._project.root, "params"),
                    hint=f"add it to '{asked.file}', or take it from the stage's 'params'",
                )


def _refuse_unstorable(value: Any, *, where: str) -> None:
    """Raise at a value of a Python file that neither a lock nor JSON can hold."""
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_unstorable(item, where=f"{where}: {key}")
            _refuse_unstorable(key, where=where)
    elif isinstance(value, list):
        for item in value:
            _refuse_unstorable(item, where=where)
    elif value is not None and not isinstance(value, (str, int, float)):
        raise Invalid(
            f"a value is {with_article(type(value).__name__)}, which a lock cannot hold",
            where=where,
            hint="make it a number, text, list or mapping, or ask for other parameters only",
        )


def _param_states(
    now: dict[str, Any], recorded: dict[str, Any], keys: tuple[str, ...]
) -> dict[str, State]:
    states: dict[str, State] = {}
    for key in keys or sorted({*now, *recorded}, key=str):
        if key not in now:
            states[key] = "deleted"
        elif key not in recorded:
            states[key] = "new"
        elif now[key] != recorded[key]:
            states[key] = "modified"
    return states
