"""`dvc.yaml`: stages in DVC's grammar, without templates yet. Source: DVC 3.67's schema.

Templates (`vars`, `foreach`, `matrix`, `${}`) are refused with a clear word instead of being run
as if they were plain text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from assay.project.grammar import Source, kind_of, mapping, typed
from assay.project.stages import Out, OutKind, ParamsDep, Stage

FILE = "dvc.yaml"

_TOP: dict[str, Any] = {
    "vars": list,
    "stages": dict,
    "params": list,
    "metrics": list,
    "plots": (list, dict),
    "artifacts": dict,
    "datasets": object,
}
_STAGE: dict[str, Any] = {
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
    "foreach": object,
    "do": dict,
}
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
_TEMPLATES = ("vars", "foreach", "do", "matrix")
_EXPRESSION = re.compile(r"(?<!\\)\$\{")


class PipelineFile(msgspec.Struct, frozen=True, kw_only=True):
    """One `dvc.yaml`: its stages in file order, and what stands beside them.

    Attributes
    ----------
    params, metrics : tuple of str
        Files named at the top level, relative to the folder of the file.
    plots : list
        Top-level plots as written: a path, or a mapping from an id to its definition.
    """

    path: Path
    stages: tuple[Stage, ...] = ()
    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    plots: tuple[Any, ...] = ()


def parse(source: Source, *, path: Path, root: Path) -> PipelineFile:
    """Read the text of the `dvc.yaml` at `path` in the project at `root`."""
    data = source.load()
    if data is None:
        return PipelineFile(path=path)
    top = mapping(source, data, [], _TOP, what="the file")
    if "vars" in top:
        raise _no_template(source, ["vars"], "vars")
    names = top.get("stages", {})
    stages = tuple(_stage(source, name, names[name], path=path, root=root) for name in names)
    for key in ("params", "metrics"):
        for number, item in enumerate(top.get(key, [])):
            typed(source, item, [key, number], str, what=f"an item of '{key}'")
    plots = top.get("plots", [])
    return PipelineFile(
        path=path,
        stages=stages,
        params=tuple(top.get("params", ())),
        metrics=tuple(top.get("metrics", ())),
        plots=tuple(plots if isinstance(plots, list) else [{k: v} for k, v in plots.items()]),
    )


def _stage(source: Source, name: Any, value: Any, *, path: Path, root: Path) -> Stage:
    at = ["stages", name]
    typed(source, name, at, str, what="the name of a stage")
    what = f"stage '{name}'"
    body = mapping(source, value, at, _STAGE, what=what)
    for key in _TEMPLATES:
        if key in body:
            raise _no_template(source, [*at, key], key)
    mapping(source, value, at, _STAGE, what=what, required=["cmd"])
    _refuse_expressions(source, body, at)
    _check_cmd(source, body["cmd"], [*at, "cmd"], what)
    folder = path.parent
    relative = path.relative_to(root).as_posix()
    outs = [
        out
        for key, kind in (("outs", "out"), ("metrics", "metric"), ("plots", "plot"))
        for out in _outs(source, body.get(key, []), [*at, key], kind, what)  # type: ignore[arg-type]
    ]
    for number, dep in enumerate(body.get("deps", [])):
        typed(source, dep, [*at, "deps", number], str, what=f"a dependency of {what}")
    return Stage(
        name=name,
        address=name if relative == FILE else f"{relative}:{name}",
        file=path,
        wdir=Path(os.path.normpath(folder / body.get("wdir", "."))),
        cmd=body["cmd"],
        deps=tuple(body.get("deps", ())),
        params=_params(source, body.get("params", []), [*at, "params"], what),
        outs=tuple(outs),
        frozen=body.get("frozen", False),
        always_changed=body.get("always_changed", False),
        desc=body.get("desc"),
        meta=body.get("meta"),
    )


def _check_cmd(source: Source, cmd: Any, at: list[Any], what: str) -> None:
    for number, part in enumerate(cmd if isinstance(cmd, list) else [cmd]):
        here = [*at, number] if isinstance(cmd, list) else at
        typed(source, part, here, str, what=f"'cmd' of {what}")
        if not part.strip():
            raise source.fail(here, f"'cmd' of {what} is empty", hint="give it a shell command")


def _outs(source: Source, items: Any, at: list[Any], kind: OutKind, what: str) -> Iterator[Out]:
    for number, item in enumerate(items):
        here = [*at, number]
        if isinstance(item, str):
            path, properties = item, {}
        elif isinstance(item, dict) and len(item) == 1:
            path, given = next(iter(item.items()))
            known = _PLOT if kind == "plot" else _OUT
            if isinstance(given, list) and kind == "plot":
                given = given[0] if given else {}
            properties = mapping(
                source, given or {}, [*here, path], known, what=f"output '{path}' of {what}"
            )
        else:
            raise source.fail(
                here,
                f"an output of {what} is {kind_of(item)}, not a path or 'path: {{properties}}'",
                hint="write '- path' or '- path: {cache: false}'",
            )
        typed(source, path, here, str, what=f"the path of an output of {what}")
        yield Out(
            path=path,
            kind=kind,
            cache=properties.get("cache", True),
            persist=properties.get("persist", False),
            push=properties.get("push", True),
            remote=properties.get("remote"),
            properties={k: v for k, v in properties.items() if k not in Out.__struct_fields__},
        )


def _params(source: Source, items: Any, at: list[Any], what: str) -> tuple[ParamsDep, ...]:
    files: dict[str, dict[str, None] | None] = {}
    for number, item in enumerate(items):
        here = [*at, number]
        if isinstance(item, str):
            asked: dict[Any, Any] = {"params.yaml": [item]}
        elif isinstance(item, dict):
            asked = item
        else:
            raise source.fail(here, f"a parameter of {what} is {kind_of(item)}, not a key or file")
        for file, keys in asked.items():
            typed(source, keys if keys is not None else [], [*here, file], list,
                  what=f"the keys of '{file}' in {what}")  # fmt: skip
            known = files.setdefault(file, {})
            if not keys:
                files[file] = None
            elif known is not None:
                known.update(dict.fromkeys(str(key) for key in keys))
    return tuple(ParamsDep(file=f, keys=tuple(keys or ())) for f, keys in files.items())


def _refuse_expressions(source: Source, value: Any, at: list[Any]) -> None:
    if isinstance(value, str) and _EXPRESSION.search(value):
        raise _no_template(source, at, "${}")
    if isinstance(value, dict):
        for key, content in value.items():
            _refuse_expressions(source, key, [*at, key])
            _refuse_expressions(source, content, [*at, key])
    if isinstance(value, list):
        for number, content in enumerate(value):
            _refuse_expressions(source, content, [*at, number])


def _no_template(source: Source, at: list[Any], what: str) -> Exception:
    return source.fail(
        at,
        f"'{what}' is DVC's templating, which this version of Assay does not resolve yet",
        hint="write the stages out, or run this file with dvc",
    )
