"""Metrics and parameters: what the files of a project say, now or at a commit, and what changed.

The JSON is DVC's. Plots are drawn by `assay.workflows.plots`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.project import params as files
from assay.workflows.views import Missing, View, beside

_PARAMS = "params.yaml"


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """What one file says, or why it could not be read."""

    path: Path
    data: Any = None
    error: Error | None = None


def metrics(view: View, targets: Sequence[Path] = ()) -> list[Values]:
    """Return the metrics of a project: outputs under `metrics`, then those beside the stages.

    Parameters
    ----------
    targets : sequence of Path
        Only these: files, declared or not; or folders, for the metrics declared in them, or for
        all their files where none is.
    """
    declared = list(_metric_paths(view))
    chosen = [path for target in targets for path in _below(declared, target) or [target]]
    found = dict.fromkeys(
        file for path in (chosen if targets else declared) for file in view.list_files(path)
    )
    return [_values(view, path) for path in found]


def metric_targets(views: Sequence[View], targets: Sequence[str]) -> list[Path]:
    """Return the paths of targets, each a metric or a file in one of the views at least.

    Raises
    ------
    NotFound
        If a target is not there; with the nearest name.
    """
    return [
        _target(views, target, list(_metric_paths(views[-1])), "metrics") for target in targets
    ]


def param_targets(views: Sequence[View], targets: Sequence[str]) -> list[Path]:
    """Return the paths of targets, each a parameters file in one of the views at least.

    Raises
    ------
    NotFound
        If a target is not there; with the nearest name.
    """
    declared = list(_wanted(views[-1]))
    return [_target(views, target, declared, "params") for target in targets]


def _metric_paths(view: View) -> Iterator[Path]:
    for stage in view.declared.stages:
        yield from (stage.path(out.path) for out in stage.outs if out.kind == "metric")
    for file in view.declared.files:
        yield from (beside(file.path, name) for name in file.metrics)


def _below(declared: Sequence[Path], target: Path) -> list[Path]:
    return [one for one in declared if one == target or target in one.parents]


def _target(views: Sequence[View], target: str, declared: Sequence[Path], kind: str) -> Path:
    last = views[-1]
    path = Path(os.path.normpath(last.cwd / target))
    last.check_inside(path)
    if _below(declared, path) or any(view.has(path) for view in views):
        return path
    names = [last.project.shown(one, cwd=last.cwd) for one in declared]
    raise NotFound(
        f"'{target}' is neither a declared {kind} file nor any other file",
        hint=did_you_mean(target, names)
        or (f"declared are: {', '.join(names)}" if names else f"see '{kind}:' in dvc.yaml"),
    )


def _values(view: View, path: Path) -> Values:
    try:
        return Values(path=path, data=_only_metrics(_load(view, path)))
    except Error as error:
        return Values(path=path, error=error)


def _load(view: View, path: Path) -> Any:
    where = view.shown(path)
    try:
        text = view.read(path).decode("utf-8-sig")
        return files.parse(text, suffix=path.suffix, where=where)
    except UnicodeDecodeError as error:
        raise Error("the file is not UTF-8 text", where=where) from error
    except RecursionError as error:
        raise Error("the file is nested too deeply", where=where) from error


def _only_metrics(data: Any) -> Any:
    """Keep numbers, booleans and text, as DVC does; what holds none of them is dropped."""
    if isinstance(data, int | float | str):
        return data
    if not isinstance(data, dict):
        return {}
    kept = {str(key): _only_metrics(value) for key, value in data.items()}
    return {key: value for key, value in kept.items() if value != {}}


def params(
    view: View, targets: Sequence[Path] = (), *, only_of_stages: bool = False
) -> list[Values]:
    """Return the parameters of a project: keys that stages ask for, and whole files.

    Whole are the files under `params` beside the stages, and the `params.yaml` of the root. Of
    other files, the variables that a `${}` names count.

    Parameters
    ----------
    targets : sequence of Path
        Only these files, whole.
    only_of_stages : bool
        Only what a stage depends on.
    """
    if targets:
        files = dict.fromkeys(file for path in targets for file in view.list_files(path))
        return [_params(view, path, []) for path in files]
    wanted = _wanted(view, only_of_stages=only_of_stages)
    found = [_params(view, path, keys) for path, keys in wanted.items()]
    used: dict[Path, dict[str, Any]] = {}
    for stage in view.declared.stages:
        for name, values in stage.used.items():
            path = view.project.root / name
            if path not in wanted:
                used.setdefault(path, {}).update(values)
    return found + [Values(path=path, data=data) for path, data in used.items()]


def _wanted(view: View, *, only_of_stages: bool = False) -> dict[Path, list[str]]:
    """Return which keys of which files count; none for a whole file."""
    wanted: dict[Path, list[str]] = {}
    whole = []
    if not only_of_stages:
        for file in view.declared.files:
            whole += [f for name in file.params for f in view.list_files(beside(file.path, name))]
        if view.has(view.project.root / _PARAMS):
            whole.append(view.project.root / _PARAMS)
    for stage in view.declared.stages:
        for dep in stage.params:
            path = stage.path(dep.file)
            wanted.setdefault(path, []).extend(dep.keys)
            if not dep.keys:
                whole.append(path)
    wanted.update({path: [] for path in whole})
    return wanted


def _params(view: View, path: Path, keys: list[str]) -> Values:
    try:
        return Values(path=path, data=files.select(_load(view, path), keys))
    except Error as error:
        return Values(path=path, error=error)


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """One value on the two sides of a comparison; None where it is absent."""

    path: Path
    key: str
    old: Any
    new: Any

    @property
    def difference(self) -> int | float | None:
        """New less old, where both are numbers."""
        if isinstance(self.old, int | float) and isinstance(self.new, int | float):
            return self.new - self.old
        return None


def compare(
    old: Sequence[Values], new: Sequence[Values], *, unchanged: bool = False
) -> list[Changed]:
    """Return the values that differ, sorted by path and key; a file with an error has none.

    Parameters
    ----------
    unchanged : bool
        Return the values that do not differ, too.
    """
    before, after = _flat(old), _flat(new)
    sides = [
        Changed(path=at[0], key=at[1], old=before.get(at), new=after.get(at))
        for at in sorted({*before, *after})
    ]
    return [side for side in sides if unchanged or side.old != side.new]


def _flat(values: Iterable[Values]) -> dict[tuple[Path, str], Any]:
    """Return values by file and dotted key; lists are text, as DVC compares them."""
    found: dict[tuple[Path, str], Any] = {}
    for one in values:
        if one.error is None:
            flat = files.flatten(one.data) if isinstance(one.data, dict) else {"": one.data}
            for key, value in flat.items():
                found[one.path, key] = str(value) if isinstance(value, list) else value
    return found


def show_document(view: View, values: Iterable[Values]) -> dict[str, Any]:
    """Return metrics in the form that one revision has in `metrics show --json`."""
    shown = {
        view.project.shown(one.path, cwd=view.cwd): (
            {"data": one.data} if one.error is None else {"error": describe(one.error, one.path)}
        )
        for one in values
    }
    return {"data": shown}


def failed_document(error: Error) -> dict[str, Any]:
    """Return the form that a revision has there whose definitions cannot be read."""
    kind = "YAMLSyntaxError" if "not valid YAML" in error.what else "YAMLValidationError"
    return {"error": {"type": kind, "msg": str(error).partition("\n")[0]}}


def diff_document(view: View, changes: Iterable[Changed]) -> dict[str, dict[str, Any]]:
    """Return changes in the form of `metrics diff --json` and `params diff --json`."""
    document: dict[str, dict[str, Any]] = {}
    for one in changes:
        entry = {"old": one.old, "new": one.new}
        if one.difference is not None:
            entry["diff"] = one.difference
        document.setdefault(view.project.shown(one.path, cwd=view.cwd), {})[one.key] = entry
    return document


_CORRUPTED = {".json": "JSON", ".toml": "TOML", ".py": "Python", ".csv": "CSV", ".tsv": "TSV"}


def describe(error: Error, path: Path) -> dict[str, str]:
    """Return why a file could not be read, with the name that DVC has for such an error."""
    if isinstance(error, Missing):
        kind = "FileNotFoundError"
    else:
        kind = f"{_CORRUPTED.get(path.suffix, 'YAML')}FileCorruptedError"
    return {"type": kind, "msg": f"{error.where}: {error.what}" if error.where else error.what}
