"""What there is to see of experiments: parameters, metrics and data of each, in DVC's JSON.

A commit never changes, so what was read of one is kept in `.assay/experiments`, by its id.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error
from assay.base.files import write_atomic
from assay.pipeline.experiments import refs
from assay.pipeline.experiments.queue import Entry, Queue
from assay.pipeline.experiments.refs import Experiment
from assay.project import git, revisions
from assay.project.revisions import Scope
from assay.project.workspace import Project
from assay.workflows import results
from assay.workflows.views import WORKSPACE, View

_FORM = 1  # of what is kept; another number throws the old ones away

Document = dict[str, Any]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """Which experiments are asked for.

    Attributes
    ----------
    scope : Scope
        The baselines; HEAD where it is empty.
    param_deps : bool
        Only parameters that a stage depends on.
    """

    scope: Scope = Scope()
    hide_workspace: bool = False
    hide_queued: bool = False
    hide_failed: bool = False
    sha: bool = False
    param_deps: bool = False
    again: bool = False


def collect(project: Project, shown: Shown) -> list[Document]:
    """Return the workspace and the baselines, each with its experiments, newest first.

    The form is that of `dvc exp show --json`.
    """
    if git.head(project.git_root) is None:
        return []
    with git.reading(project.git_root):
        return _collect(project, shown)


def _collect(project: Project, shown: Shown) -> list[Document]:
    root = project.git_root
    rows = _references(root)
    baselines = list(dict.fromkeys(_baselines(root, shown.scope)))
    reader = _Reader(project, param_deps=shown.param_deps, again=shown.again)
    reader.times = {commit: at for commit, at, _ in rows}
    names = {} if shown.sha else _names(root, rows)
    found = [] if shown.hide_workspace else [reader.state(WORKSPACE)]
    tried = [one for commit, at, ref in rows if (one := refs.parse(ref, commit, at=at))]
    waiting = Queue(project).list_()
    for commit in baselines:
        experiments = [
            *_ordered(reader, [e for e in waiting if e.status == "running"], commit),
            *_successful(reader, tried, waiting, commit),
            *([] if shown.hide_queued else _ordered(
                reader, [e for e in waiting if e.status == "queued"], commit
            )),
            *([] if shown.hide_failed else _ordered(
                reader, [e for e in waiting if e.status == "failed"], commit
            )),
        ]  # fmt: skip
        state = reader.state(commit, name=names.get(commit))
        found.append(state | {"experiments": experiments or None})
    return found


def one(project: Project, commit: str, *, param_deps: bool = False) -> Document:
    """Return what there is to see of a commit, or of the workspace."""
    return _Reader(project, param_deps=param_deps, again=False).state(commit)


def forget(project: Project) -> int:
    """Throw away what was kept of commits; return how many there were."""
    files = list(_folder(project).glob("*.json"))
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)


def _folder(project: Project) -> Path:
    return project.assay_dir / "experiments"


def _references(root: Path) -> list[tuple[str, int, str]]:
    """Return commit, time in Unix seconds and name of all branches, tags and experiments."""
    form = (
        "--format=%(if)%(*objectname)%(then)%(*objectname) %(*committerdate:unix)%(else)"
        "%(objectname) %(committerdate:unix)%(end) %(refname)"
    )
    out = git.git("for-each-ref", form, "refs/heads/", "refs/tags/", "refs/exps/", cwd=root)
    rows = (line.split(" ", 2) for line in out.decode(errors="surrogateescape").splitlines())
    return [(commit, int(at or 0), ref) for commit, at, ref in rows]


def _baselines(root: Path, scope: Scope) -> list[str]:
    if scope.commits:
        return revisions.all_commits(root)
    if not scope:
        scope = msgspec.structs.replace(scope, revisions=("HEAD",))
    return revisions.commits(root, scope)


def _names(root: Path, rows: Iterable[tuple[str, int, str]]) -> dict[str, str]:
    """Return what commits are called: the branch that is checked out, a tag, a branch."""
    found: dict[str, str] = {}
    for commit, _, ref in rows:
        if ref.startswith("refs/heads/"):
            found.setdefault(commit, ref.removeprefix("refs/heads/"))
    tags: dict[str, str] = {}
    for commit, _, ref in rows:
        if ref.startswith("refs/tags/"):
            tags.setdefault(commit, ref.removeprefix("refs/tags/"))
    found |= tags
    current, head = git.branch(root), git.head(root)
    return found | ({head: current} if current and head else {})


def _successful(
    reader: _Reader, tried: Sequence[Experiment], waiting: Sequence[Entry], baseline: str
) -> list[Document]:
    by_commit = {e.state.experiment: e for e in waiting if e.status == "success"}
    mine = sorted(
        (one for one in tried if one.baseline == baseline),
        key=lambda one: (one.at, one.commit),
        reverse=True,
    )
    return [
        {
            "revs": [reader.state(one.commit, name=one.name)],
            "executor": _executor(reader.project, by_commit[one.commit])
            if one.commit in by_commit
            else None,
            "name": one.name,
        }
        for one in mine
    ]


def _ordered(reader: _Reader, entries: Iterable[Entry], baseline: str) -> list[Document]:
    mine = [entry for entry in entries if entry.task.baseline == baseline]
    found = []
    for entry in sorted(mine, key=lambda e: (e.task.at, e.task.order), reverse=True):
        reader.times[entry.commit] = entry.task.at // 1000
        state = reader.state(entry.commit, name=entry.name)
        if state["data"] is not None:
            state["data"] = state["data"] | {"metrics": {}}  # those would be the baseline's
        found.append(
            {"revs": [state], "executor": _executor(reader.project, entry), "name": entry.name}
        )
    return found


def _executor(project: Project, entry: Entry) -> Document:
    log = Queue(project).log(entry.name)
    return {
        "state": entry.status,
        "name": None if entry.status == "queued" else "dvc-task",
        "local": {
            "root": None,
            "log": str(log) if log.exists() else None,
            "pid": entry.state.process,
            "returncode": entry.state.exit_code,
            "task_id": entry.commit,
        },
    }


class _Reader:
    """Reads commits, each once, and keeps what it read."""

    def __init__(self, project: Project, *, param_deps: bool, again: bool) -> None:
        self.project, self._param_deps, self._again = project, param_deps, again
        self._folder = _folder(project)
        self.times: dict[str, int] = {}

    def state(self, commit: str, *, name: str | None = None) -> Document:
        data, error = self._data(commit)
        return {"rev": commit, "name": name, "data": data, "error": error, "experiments": None}

    def _data(self, commit: str) -> tuple[Document | None, Document | None]:
        kept = self._folder / f"{commit}.json"
        is_kept = commit != WORKSPACE and not self._param_deps
        if is_kept and not self._again:
            try:
                found: Document = msgspec.json.decode(kept.read_bytes())
                if found.pop("form", None) == _FORM:
                    return found, None
            except (OSError, msgspec.DecodeError):
                pass
        try:
            view = View(self.project, commit, cwd=self.project.root)
            data = self._read(view, commit)
        except Error as error:
            return None, {"msg": str(error), "type": type(error).__name__}
        if is_kept and not _may_come(view, data):
            self._folder.mkdir(exist_ok=True)
            write_atomic(kept, msgspec.json.encode(data | {"form": _FORM}, enc_hook=str))
        return data, None

    def _read(self, view: View, commit: str) -> Document:
        values = results.params(view, only_of_stages=self._param_deps)
        params = results.show_document(view, values)["data"]
        metrics = results.show_document(view, results.metrics(view))["data"]
        data = {
            "rev": commit,
            "timestamp": self._time(commit),
            "params": params,
            "metrics": metrics,
            "deps": _deps(view),
            "outs": _outs(view),
            "meta": {},
        }
        return data if commit == WORKSPACE else _as_json(data)

    def _time(self, commit: str) -> str | None:
        if commit == WORKSPACE:
            return None
        if commit not in self.times:
            out = git.git("log", "-1", "--format=%ct", commit, "--", cwd=self.project.git_root)
            self.times[commit] = int(out)
        return dt.datetime.fromtimestamp(self.times[commit]).isoformat()  # noqa: DTZ006 -- as DVC: local time


def _as_json(data: Document) -> Document:
    """Return data as it is when it comes from the file that keeps it."""
    found: Document = msgspec.json.decode(msgspec.json.encode(data, enc_hook=str))
    return found


def _may_come(view: View, data: Document) -> bool:
    """Say whether a file that cannot be read is data that a pull may bring."""
    failed = {
        view.project.root / name
        for part in ("params", "metrics")
        for name, one in data[part].items()
        if "error" in one
    }
    data_paths = {item.path for item in view.declared.tracked if item.row and item.out.cache}
    return any(not data_paths.isdisjoint((path, *path.parents)) for path in failed)


def _deps(view: View) -> Document:
    found: Document = {}
    for stage in view.declared.stages:
        entry = view.declared.entry(stage)
        rows = {row.path: row for row in entry.deps} if entry else {}
        for dep in stage.deps:
            row = rows.get(dep)
            found[os.path.relpath(stage.path(dep), view.project.root)] = {
                "hash": row.oid if row else None,
                "size": row.size if row else None,
                "nfiles": row.n_files if row else None,
            }
    return found


def _outs(view: View) -> Document:
    return {
        os.path.relpath(item.path, view.project.root): {
            "hash": item.row.oid if item.row else None,
            "size": item.row.size if item.row else None,
            "nfiles": item.row.n_files if item.row else None,
            "use_cache": item.out.cache,
            "is_data_source": item.stage.is_data,
        }
        for item in view.declared.tracked
        if item.out.kind not in {"metric", "plot"}
    }
