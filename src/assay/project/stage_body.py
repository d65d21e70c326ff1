"""One stage of a `dvc.yaml`: which keys it may have, and the `Stage` that it declares.

Source: DVC 3.67's `dvc.schema`. Templates are resolved before: `assay.project.dvcyaml` does it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from assay.project.grammar import Invalid, Source, kind_of, mapping, typed
from assay.project.interpolate import to_text
from assay.project.stages import Out, OutKind, ParamsDep, Stage
from assay.project.variables import DEFAULT

STAGE: dict[str, Any] = {
    "cmd": (str, list),
    "wdir": str,
    "deps": list,
    "params": list,
    "outs": list,
    "metrics": list,
    "plots": list,
    "vars": list,
    "frozen": bool,
    "always_changed": bool,
    "desc": str,
    "meta": object,
    "matrix": dict,
}
FOREACH: dict[str, Any] = {"foreach": (str, list, dict), "do": dict}
_OUT: dict[str, Any] = {
    "cache": bool,
    "persist": bool,
    "checkpoint": bool,
    "remote": str,
    "push": bool,
    "desc": str,
    "type": str,
    "labels": list,
    "meta": object,
}
_PLOT: dict[str, Any] = _OUT | {
    "template": str,
    "x": str,
    "y": str,
    "x_label": str,
    "y_label": str,
    "title": str,
    "header": bool,
}
_KINDS: tuple[tuple[str, OutKind], ...] = (
    ("outs", "out"),
    ("metrics", "metric"),
    ("plots", "plot"),
)
_OWN = frozenset(Out.__struct_fields__)


class Place(NamedTuple):
    """A `dvc.yaml` that is being read: its text, and how its stages are addressed."""

    source: Source
    path: Path
    folder: Path
    prefix: str

    @classmethod
    def of(cls, source: Source, *, path: Path, root: Path) -> Place:
        """Return the place for the file at `path` in the project at `root`."""
        relative = path.relative_to(root).as_posix()
        return cls(source, path, path.parent, "" if relative == "dvc.yaml" else f"{relative}:")


def make(
    place: Place,
    name: str,
    body: dict[str, Any],
    *,
    at: tuple[str, ...],
    group: str | None = None,
    used: dict[str, dict[str, Any]] | None = None,
) -> Stage:
    """Return the stage that a body declares in which nothing is left to be resolved.

    Raises
    ------
    Invalid
        With the line of what is wrong.
    """
    body_of = _Body(place.source, at, f"stage '{name}'")
    body_of.check_cmd(body["cmd"])
    desc = body.get("desc")
    wdir = body.get("wdir")
    return Stage(
        name=name,
        address=f"{place.prefix}{name}",
        file=place.path,
        wdir=Path(os.path.normpath(place.folder / wdir)) if wdir else place.folder,
        cmd=body["cmd"],
        deps=body_of.deps(body.get("deps", [])),
        params=body_of.params(body["params"]) if "params" in body else (),
        outs=tuple(
            out
            for key, kind in _KINDS
            if key in body
            for out in body_of.outs(body[key], key, kind)
        ),
        frozen=body.get("frozen", False),
        always_changed=body.get("always_changed", False),
        desc=desc if desc is None or isinstance(desc, str) else to_text(desc),
        meta=body.get("meta"),
        group=group,
        at=at,
        used=used or {},
    )


class _Body(NamedTuple):
    """The body of a stage, for messages: where it stands and what it is called."""

    source: Source
    at: tuple[str, ...]
    what: str

    def fail(self, *below: Any, what: str, hint: str | None = None) -> Invalid:
        return self.source.fail([*self.at, *below], what, hint=hint)

    def check_cmd(self, cmd: Any) -> None:
        for number, part in enumerate(cmd if isinstance(cmd, list) else [cmd]):
            if isinstance(part, str) and part.strip():
                continue
            below = ("cmd", number) if isinstance(cmd, list) else ("cmd",)
            typed(self.source, part, [*self.at, *below], str, what=f"'cmd' of {self.what}")
            raise self.fail(
                *below, what=f"'cmd' of {self.what} is empty", hint="give it a shell command"
            )

    def deps(self, items: list[Any]) -> tuple[str, ...]:
        for number, dep in enumerate(items):
            if not isinstance(dep, str):
                at = [*self.at, "deps", number]
                typed(self.source, dep, at, str, what=f"a dependency of {self.what}")
        return tuple(items)

    def outs(self, items: list[Any], key: str, kind: OutKind) -> list[Out]:
        """Return the outputs under one key; a path that stands twice is one output."""
        found: dict[str, dict[str, Any]] = {}
        for number, item in enumerate(items):
            if isinstance(item, str):
                found.setdefault(item, {})
            elif isinstance(item, dict):
                for path, given in item.items():
                    at = (key, number, path)
                    properties = self.properties(path, given, at, kind)
                    found[path] = found.get(path, {}) | properties
            else:
                raise self.fail(
                    key,
                    number,
                    what=f"an output of {self.what} is {kind_of(item)}, not a path or "
                    "'path: {properties}'",
                    hint="write '- path' or '- path: {cache: false}'",
                )
        return [_out(path, properties, kind) for path, properties in found.items()]

    def properties(
        self, path: Any, given: Any, at: tuple[Any, ...], kind: OutKind
    ) -> dict[str, Any]:
        here = [*self.at, *at]
        typed(self.source, path, here, str, what=f"the path of an output of {self.what}")
        if isinstance(given, list) and kind == "plot":
            given = given[0] if given else {}
        if given is None:
            raise self.fail(
                *at,
                what=f"output '{path}' of {self.what} has no properties after its ':'",
                hint=f"write '- {path}', or indent the properties under it",
            )
        known = _PLOT if kind == "plot" else _OUT
        what = f"output '{path}' of {self.what}"
        found = mapping(self.source, given, here, known, what=what)
        for number, label in enumerate(found.get("labels", ())):
            typed(self.source, label, [*here, "labels", number], str, what=f"a label of {what}")
        return found

    def params(self, items: list[Any]) -> tuple[ParamsDep, ...]:
        """Return the parameters by file; a file that is asked for as a whole stays whole."""
        whole = {
            file
            for item in items
            if isinstance(item, dict)
            for file, keys in item.items()
            if not keys
        }
        files: dict[str, dict[str, None]] = {}
        for number, item in enumerate(items):
            if isinstance(item, str):
                if DEFAULT not in whole:
                    files.setdefault(DEFAULT, {})[item] = None
                continue
            if not isinstance(item, dict):
                raise self.fail(
                    "params",
                    number,
                    what=f"a parameter of {self.what} is {kind_of(item)}, not a key or file",
                )
            for file, keys in item.items():
                self.check_keys(file, keys, number)
                asked = dict.fromkeys(str(key) for key in keys or ())
                files.setdefault(file, {}).update({} if file in whole else asked)
        return tuple(ParamsDep(file=file, keys=tuple(keys)) for file, keys in files.items())

    def check_keys(self, file: Any, keys: Any, number: int) -> None:
        at = [*self.at, "params", number, file]
        typed(self.source, file, at, str, what=f"a parameter file of {self.what}")
        if keys is not None:
            typed(self.source, keys, at, list, what=f"the keys of '{file}' in {self.what}")


def _out(path: str, properties: dict[str, Any], kind: OutKind) -> Out:
    if not properties:
        return Out(path=path, kind=kind)
    return Out(
        path=path,
        kind=kind,
        cache=properties.get("cache", True),
        persist=properties.get("persist", False),
        push=properties.get("push", True),
        remote=properties.get("remote"),
        properties={k: v for k, v in properties.items() if k not in _OWN},
    )
