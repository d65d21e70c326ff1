"""`dvc.yaml`: stages, templates and what stands beside them. Source: DVC 3.67's schema and parser.

What is read is checked as it is written, then the variables are put in, then each stage is made;
an error names the line of the text that is wrong, also where a template made many stages of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from assay.base.errors import Error
from assay.project import interpolate, stage_body, templates
from assay.project.grammar import At, Invalid, Source, kind_of, mapping, typed
from assay.project.interpolate import Flags, Resolve, Unresolved
from assay.project.stage_body import FOREACH, STAGE, Place
from assay.project.stages import Stage
from assay.project.variables import DEFAULT, BadVariables, Files, Variables

FILE = "dvc.yaml"

_TOP: dict[str, Any] = {
    "vars": list,
    "stages": dict,
    "params": list,
    "metrics": list,
    "plots": (list, dict),
    "artifacts": dict,
    "datasets": list,
}
_ARTIFACT: dict[str, Any] = {"path": str, "desc": str, "type": str, "labels": list, "meta": object}


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder with a name in the registry; its path is relative to its `dvc.yaml`."""

    path: str
    desc: str | None = None
    type: str | None = None
    labels: tuple[str, ...] = ()
    meta: Any = None


class PipelineFile(msgspec.Struct, frozen=True, kw_only=True):
    """One `dvc.yaml`: its stages in file order, and what stands beside them.

    Attributes
    ----------
    params, metrics : tuple of str
        Files named at the top level, relative to the folder of the file.
    plots : tuple
        Top-level plots as written: a path, or a mapping from an id to its definition.
    artifacts : dict
        By name.
    datasets : tuple of dict
        As written.
    """

    path: Path
    stages: tuple[Stage, ...] = ()
    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    plots: tuple[Any, ...] = ()
    artifacts: dict[str, Artifact] = {}
    datasets: tuple[dict[str, Any], ...] = ()

    @property
    def used(self) -> dict[str, dict[str, Any]]:
        """The variables of files that `${}` in stages names: value by dotted name by file."""
        found: dict[str, dict[str, Any]] = {}
        for stage in self.stages:
            for file, values in stage.used.items():
                found.setdefault(file, {}).update(values)
        return found


def parse(
    source: Source,
    *,
    path: Path,
    root: Path,
    files: Files | None = None,
    flags: Flags | None = None,
) -> PipelineFile:
    """Read the text of the `dvc.yaml` at `path` in the project at `root`.

    Parameters
    ----------
    files : Files, optional
        Where `params.yaml` and the files of `vars` come from; the work tree by default.
    flags : Flags, optional
        How a mapping becomes options of a command.

    Raises
    ------
    Invalid
        With the line of what is wrong, in this file or in a file of variables.
    """
    data = _load(source)
    if data is None:
        return PipelineFile(path=path)
    top = mapping(source, data, [], _TOP, what="the file")
    files = files or Files(lambda file: read(file, root=root), root)
    parser = _Parser(Place.of(source, path=path, root=root), top, files, flags or Flags())
    if "vars" in top:
        _ = parser.variables  # complaints come first, as for every later line
    stages = parser.stages(top.get("stages", {}))
    return PipelineFile(
        path=path,
        stages=tuple(stages.values()),
        params=parser.paths("params"),
        metrics=parser.paths("metrics"),
        plots=parser.plots(),
        artifacts=parser.artifacts(),
        datasets=parser.datasets(),
    )


def _load(source: Source) -> Any:
    """Parse the YAML; a `}` that ends a `${}` may be what it stumbles over."""
    try:
        return source.load()
    except Error as error:
        line = str(error.where).rpartition(":")[2]
        lines = source.text.splitlines()
        if error.hint is None and line.isdigit() and "${" in lines[int(line) - 1]:
            error.hint = "put text with '${...}' in quotes where it stands within [ ] or { }"
        raise


def read(path: Path, *, root: Path) -> Source | None:
    """Return a file of variables in the work tree, or None where there is none."""
    shown = path.relative_to(root).as_posix() if root in path.parents else str(path)
    if path.is_dir():
        raise BadVariables(f"'{shown}' is a folder, not a file", hint="name a file in it")
    return Source.of(path, shown=shown) if path.exists() else None


class _Parser:
    """One `dvc.yaml` that is being read."""

    def __init__(self, place: Place, top: dict[str, Any], files: Files, flags: Flags) -> None:
        self.place, self.top, self.files, self.flags = place, top, files, flags
        self.source = place.source
        # a text that has none of these holds no '${', however it is quoted
        self.may_have_templates = "${" in self.source.text or "\\" in self.source.text

    @cached_property
    def variables(self) -> Variables:
        """The variables that all stages can name; read when the first is needed."""
        variables = Variables()
        folder = self.place.folder
        try:
            if self.files.data(folder / DEFAULT) is not None:
                variables = variables.load(DEFAULT, folder=folder, files=self.files)
        except BadVariables as error:
            where = self.files.shown(folder / DEFAULT)
            raise Invalid(error.problem, where=where, hint=error.hint) from error
        return self.load(variables, self.top.get("vars", []), folder=folder, at=["vars"])

    def load(
        self,
        variables: Variables,
        items: list[Any],
        *,
        folder: Path,
        at: At,
        what: str = "",
    ) -> Variables:
        """Return variables with those of a list of `vars`, which stands `at` a place."""
        for number, item in enumerate(items):
            here = [*at, number]
            inner = interpolate.find(item, here)
            if inner is not None:
                raise self.source.fail(
                    inner,
                    "'${}' cannot be used in 'vars'",
                    hint="write the value, or name the variable where it is needed",
                )
            self.check_variables(item, here)
            try:
                if isinstance(item, str):
                    variables = variables.load(item, folder=folder, files=self.files)
                else:
                    label = f"{what}vars[{number}]"
                    variables = variables.add(item, label=label, is_file=False)
            except BadVariables as error:
                raise self.source.fail(here, error.problem, hint=error.hint) from error
        return variables

    def check_variables(self, item: Any, at: At) -> None:
        """Refuse an entry of `vars` that can be none."""
        if not isinstance(item, (str, dict)):
            raise self.source.fail(
                at,
                f"an entry of 'vars' is {kind_of(item)}, not a file or a mapping",
                hint="write '- FILE', '- FILE:KEY' or '- name: value'",
            )

    def stages(self, written: Mapping[Any, Any]) -> dict[str, Stage]:
        """Return the stages by name, those of templates in their place."""
        found: dict[str, Stage] = {}
        for name, value in written.items():
            at = ("stages", name)
            if not isinstance(name, str):
                typed(self.source, name, at, str, what="the name of a stage")
            is_foreach = isinstance(value, dict) and not FOREACH.keys().isdisjoint(value)
            if is_foreach or (isinstance(value, dict) and "matrix" in value):
                made = self.generated(name, value, at, is_foreach=is_foreach)
            else:
                body = self.checked(value, at, what=f"stage '{name}'")
                made = [self.one(name, body, at)]
            for stage in {stage.name: stage for stage in made}.values():
                if stage.name in found:
                    raise self.source.fail(
                        stage.at,
                        f"there are two stages '{stage.name}': a template makes one of them",
                        hint="give one of them another name",
                    )
                found[stage.name] = stage
        return found

    def checked(self, value: Any, at: At, *, what: str) -> dict[str, Any]:
        """Return the body of a stage if its keys are those of a stage, as they are written."""
        body = mapping(self.source, value, at, STAGE, what=what, required=["cmd"])
        for number, item in enumerate(body.get("vars", ())):
            self.check_variables(item, [*at, "vars", number])
        return body

    def one(self, name: str, body: dict[str, Any], at: tuple[str, ...]) -> Stage:
        """Return a stage that no template made."""
        what = f"stage '{name}'"
        compiled = self.compiled(body, at, what=what) if self.may_have_templates else {}
        if compiled or "vars" in body:
            return self.resolved(name, body, compiled, self.variables, at=at)
        return stage_body.make(self.place, name, body, at=at)

    def generated(
        self, name: str, value: Any, at: tuple[str, ...], *, is_foreach: bool
    ) -> list[Stage]:
        """Return the stages of a template."""
        what = f"stage '{name}'"
        if is_foreach:
            for extra in (key for key in value if key in STAGE):
                raise self.source.fail(
                    (*at, extra),
                    f"{what} has '{extra}' beside its 'foreach'",
                    hint="put it under 'do:'",
                )
            mapping(self.source, value, at, FOREACH, what=what, required=list(FOREACH))
            inner, data, key = (*at, "do"), value["foreach"], "foreach"
            if "matrix" in value["do"]:
                raise self.source.fail(
                    (*inner, "matrix"),
                    f"'do' of {what} has a 'matrix'",
                    hint="make what 'foreach' lists one more name in 'matrix'",
                )
            body = self.checked(value["do"], inner, what=f"'do' of {what}")
        else:
            body = {k: v for k, v in self.checked(value, at, what=what).items() if k != "matrix"}
            inner, data, key = at, self.matrix(value["matrix"], at, what), "matrix"
        compiled = self.compiled(body, inner, what=what)
        expand = templates.foreach if is_foreach else templates.matrix
        try:
            return [
                self.resolved(f"{name}@{m.key}", body, compiled, m.variables, at=inner, group=name)
                for m in expand(data, self.variables, at=(*at, key))
            ]
        except Unresolved as error:
            self.fail(error, what)

    def matrix(self, data: dict[Any, Any], at: tuple[str, ...], what: str) -> dict[Any, Any]:
        for key, values in data.items():
            here = (*at, "matrix", key)
            typed(self.source, key, here, str, what=f"a name in 'matrix' of {what}")
            if not isinstance(values, list) and not interpolate.is_template(values):
                typed(self.source, values, here, list, what=f"'{key}' in 'matrix' of {what}")
        return data

    def compiled(self, body: dict[str, Any], at: At, *, what: str) -> dict[str, Resolve]:
        """Return how the keys of a body are resolved that have something to resolve in them."""
        try:
            found = {
                key: interpolate.compile_key(key, value, at=(*at, key), flags=self.flags)
                for key, value in body.items()
                if key != "vars"
            }
        except Unresolved as error:
            self.fail(error, what)
        return {key: resolve for key, resolve in found.items() if resolve is not None}

    def resolved(
        self,
        name: str,
        body: dict[str, Any],
        compiled: dict[str, Resolve],
        variables: Variables,
        *,
        at: tuple[str, ...],
        group: str | None = None,
    ) -> Stage:
        """Return the stage that a body declares with these variables."""
        try:
            if "vars" in body:
                wdir = body.get("wdir") or "."
                if "wdir" in compiled:  # which does not see the variables of the stage itself
                    wdir = compiled["wdir"](variables)
                variables = self.load(
                    variables,
                    body["vars"],
                    folder=self.place.folder / wdir,
                    at=[*at, "vars"],
                    what=f"{name}.",
                )
            variables = variables.fresh()
            values = {
                key: compiled[key](variables) if key in compiled else value
                for key, value in body.items()
            }
        except Unresolved as error:
            self.fail(error, f"stage '{name}'")
        return stage_body.make(
            self.place, name, values, at=at, group=group, used=variables.used
        )  # fmt: skip

    def fail(self, error: Unresolved, what: str) -> NoReturn:
        raise self.source.fail(
            error.at, f"in {what}, {error.problem}", hint=error.hint
        ) from error  # fmt: skip

    def put_in(self, value: Any, at: At) -> Any:
        """Return something beside the stages with its variables put in."""
        if not self.may_have_templates:
            return value
        try:
            resolve = interpolate.compile_any(value, at=at)
            return value if resolve is None else resolve(self.variables)
        except Unresolved as error:
            self.fail(error, f"'{at[0]}'")

    def paths(self, key: str) -> tuple[str, ...]:
        """Return the files listed under a key."""
        found = []
        for number, item in enumerate(self.top.get(key, [])):
            path = self.put_in(item, [key, number])
            typed(self.source, path, [key, number], str, what=f"an item of '{key}'")
            found.append(path)
        return tuple(found)

    def plots(self) -> tuple[Any, ...]:
        """Return the plots as they are written."""
        written = self.top.get("plots", [])
        items = written if isinstance(written, list) else [{k: v} for k, v in written.items()]
        return tuple(self.put_in(item, ["plots", number]) for number, item in enumerate(items))

    def artifacts(self) -> dict[str, Artifact]:
        """Return the artifacts by name."""
        found: dict[str, Artifact] = {}
        for key, value in self.top.get("artifacts", {}).items():
            at = ["artifacts", key]
            name = self.put_in(key, at)
            typed(self.source, name, at, str, what="the name of an artifact")
            what = f"artifact '{name}'"
            given = mapping(
                self.source, self.put_in(value, at), at, _ARTIFACT, what=what, required=["path"]
            )
            for number, label in enumerate(given.get("labels", ())):
                typed(self.source, label, [*at, "labels", number], str, what=f"a label of {what}")
            found[name] = Artifact(**given | {"labels": tuple(given.get("labels", ()))})
        return found

    def datasets(self) -> tuple[dict[str, Any], ...]:
        """Return the data sets as they are written."""
        found = []
        for number, item in enumerate(self.top.get("datasets", [])):
            at = ["datasets", number]
            value = self.put_in(item, at)
            typed(self.source, value, at, dict, what="a data set")
            for key in ("name", "type"):
                what = f"'{key}' of a data set"
                typed(self.source, value.get(key), [*at, key], str, what=what)
            found.append(value)
        return tuple(found)
