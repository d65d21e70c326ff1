"""The things that can be traced, and how a person names one."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.ledger import models, runs
from assay.ledger.database import Ledger
from assay.ledger.runs import Run
from assay.objects import scan
from assay.objects.legacy import named
from assay.project import definition, git, params
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.trace.facts import RunFacts

_SHORTEST = 8  # letters of an id that a person may mean to be one

_READABLE = {".json", ".yaml", ".yml", ".toml"}

Kind = Literal[
    "run", "data", "metric", "bundle", "logged_model", "version", "deployment", "prediction",
    "alert", "decision",
]  # fmt: skip


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """A run, a content, a metric, a model in one of its forms, or what became of it.

    Attributes
    ----------
    id : str
        `run:ID`, `data:md5:…`, `metric:RUN/NAME`, `metric:md5:…/KEY`, `bundle:sha256:…`,
        `logged_model:m-…`, `version:MODEL/N`, `deployment:ID`, `prediction:ID`, `alert:ID` or
        `decision:ID`.
    path : str or None
        Where a content lies, relative to the project.
    run : str or None
        The run that a metric belongs to.
    source : str or None
        What a prediction was answered by; the content that a metric was read from.
    kept : str or None
        The other hash of a content, by which runs keep artifacts; None where none is of its size.
    truth : mapping or None
        What a prediction should have been, see `assay.trace.truth.Truth`; None until it is known.
    """

    kind: Kind
    id: str
    label: str
    path: str | None = None
    run: str | None = None
    source: str | None = None
    kept: str | None = None
    truth: dict[str, Any] | None = None


def find(project: Project, ledger: Ledger, name: str, *, cwd: Path) -> Thing:
    """Return the thing that a person names.

    `PATH` or `PATH@REVISION` is a file, and with `:KEY` after it a metric that it holds;
    `MODEL@VERSION` a version, `MODEL` the newest one unless a run or a metric is called so,
    `sha256:…` a bundle, `m-…` a model that was logged, the id that came with an answer (`ID` or
    `ID/ROW`) a prediction; `RUN:METRIC` a metric of a run, `METRIC` alone that of the latest run
    that has it; anything else is a run, an alert or a decision, by its id or the beginning of it.

    Raises
    ------
    NotFound
        If it names nothing.
    Error
        If it is the beginning of several ids.
    """
    from assay.trace import served

    if not (cwd / name).exists():
        thing = served.find(project, ledger, name) or _in_file_or_then(
            project, ledger, name, cwd=cwd
        )
        if thing is not None:
            return thing
    if (cwd / name).exists() or _is_tracked(project, name, cwd=cwd):
        return _in_workspace(project, ledger, name, cwd=cwd)
    name = _as_ours(name)
    run, _, metric = name.partition(":")
    if metric and run != "run":
        return _metric(runs.get(ledger, run), metric)
    found = _with_id(ledger, name) or _latest_with(ledger, name) or served.newest(ledger, name)
    if found is None:
        raise _nothing(project, ledger, name)
    return found


def _in_file_or_then(project: Project, ledger: Ledger, name: str, *, cwd: Path) -> Thing | None:
    """Return what `FILE:KEY` or `PATH@REVISION` is; None where a name has neither form."""
    file, _, key = name.rpartition(":")
    if key and Path(file.partition("@")[0]).suffix in _READABLE:
        return _in_file(project, find(project, ledger, file, cwd=cwd), key, file=file)
    path, _, revision = name.rpartition("@")
    if not path:
        return None
    _check_revision(project, ledger, path, revision, cwd=cwd)
    return _at_revision(project, ledger, path, revision, cwd=cwd)


def _as_ours(name: str) -> str:
    """Return the id of a run as the ledger has it; MLflow's clients show it without hyphens.

    Examples
    --------
    >>> _as_ours("01a20146514d758a8c73dd125e9ad88a")
    '01a20146-514d-758a-8c73-dd125e9ad88a'
    """
    found = re.match(r"((?:run:)?[0-9a-f]{8})([0-9a-f]{4})(7[0-9a-f]{3})([0-9a-f]{4})", name)
    rest = name[found.end() :] if found else ""
    if not found or not re.fullmatch(r"[0-9a-f]{12}(:.*)?", rest):
        return name
    return "-".join([*found.groups(), rest])


def _nothing(project: Project, ledger: Ledger, name: str) -> NotFound:
    """Return the error for a name of nothing; what was there is said to be deleted."""
    from assay.trace import served

    try:
        runs.get(ledger, name.removeprefix("run:"))
    except runs.Deleted as gone:
        return gone
    except NotFound:
        pass
    served.check_version(ledger, name)
    purged = _purged(ledger, name.removeprefix("run:"))
    if purged is not None:
        return purged
    if served.is_id(name):
        return NotFound(
            f"there is no prediction, run, alert or decision '{name}'", hint=served.NO_PREDICTION
        )
    return NotFound(
        f"'{name}' is neither a path, nor a run, nor a metric of a recorded run, nor a model, an "
        "alert or a decision",
        where=project.root,
        hint=did_you_mean(name, _names(ledger)) or "see 'assay runs list' and 'assay data status'",
    )


def _purged(ledger: Ledger, name: str) -> NotFound | None:
    from assay.ledger.tables import purged

    begins = purged.c.id.startswith(name.lower(), autoescape=True)
    with ledger.read() as connection:
        found = connection.execute(purged.select().where(begins).limit(2)).all()
    if len(found) != 1 or len(name) < _SHORTEST:
        return None
    return NotFound(
        f"the run {found[0].id} was purged, and cannot be brought back",
        hint="its record went with 'assay runs purge'; 'assay runs list' shows what is left",
    )


def _check_revision(
    project: Project, ledger: Ledger, path: str, revision: str, *, cwd: Path
) -> None:
    """Refuse what is neither a file of a revision nor a version: NAME@3 is meant for a model."""
    from assay.trace import served

    try:
        git.resolve(project.git_root, revision)
    except Error:
        if (cwd / path).exists() or _is_tracked(project, path, cwd=cwd) or "/" in path:
            raise
        served.check_version(ledger, f"{path}@{revision}")
        known = [model.name for model in models.list_models(ledger)]
        raise NotFound(
            f"there is no model '{path}', and no file of that name",
            hint=did_you_mean(path, known) or "see 'assay model list'",
        ) from None


def _with_id(ledger: Ledger, name: str) -> Thing | None:
    """Return the run, alert or decision whose id begins so; None where there is none."""
    from assay.trace import decided

    found: list[Thing] = []
    with contextlib.suppress(NotFound):
        found.append(of_run(runs.get(ledger, name.removeprefix("run:"))))
    if not name.startswith(("run:", "latest")):
        for kind in ("alert", "decision"):
            with contextlib.suppress(NotFound):
                found.append(decided.of(ledger, f"{kind}:{name}"))
    exact = [thing for thing in found if thing.id.endswith(f":{name.lower()}")]
    if len(exact or found) > 1:
        shown = "; ".join(thing.label for thing in found)
        raise Error(
            f"'{name}' is the beginning of several ids: {shown}", hint="give more of the id"
        )
    return next(iter(exact or found), None)


def of_run(run: Run | RunFacts) -> Thing:
    """Return a run as a thing."""
    what = f"stage '{run.stage}'" if run.kind == "stage" else f"{run.kind} '{run.name}'"
    status = "" if run.status == "finished" else f", {run.status}"
    if getattr(run, "deleted", None) is not None:
        status += ", deleted"
    return Thing(kind="run", id=f"run:{run.id}", label=f"run {run.id[:13]}: {what}{status}")


def of_data(oid: str, *, path: str, kept: str | None = None) -> Thing:
    """Return a content as a thing.

    Parameters
    ----------
    oid : str
        Its hash with its algorithm before it, or the digest that a client gave.
    kept : str, optional
        Its other hash, see `Thing`.
    """
    algorithm, colon, digest = oid.rpartition(":")
    short = f"{algorithm}{colon}{digest[:8]}"
    return Thing(kind="data", id=f"data:{oid}", label=f"{path}  {short}", path=path, kept=kept)


def _metric(run: Run, name: str) -> Thing:
    if name not in run.metrics:
        raise NotFound(
            f"the run {run.id[:13]} has no metric '{name}'",
            hint=did_you_mean(name, run.metrics) or f"see 'assay runs show {run.id[:13]}'",
        )
    value = run.metrics[name].value
    return Thing(
        kind="metric",
        id=f"metric:{run.id}/{name}",
        label=f"metric {name} = {value:.6g}",
        run=run.id,
    )


def _in_file(project: Project, data: Thing, key: str, *, file: str) -> Thing:
    """Return a number in a file as a metric; it came of the file's content."""
    values = params.flatten(_parsed(project, data, file.rpartition("@")[2]))
    value = values.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        numbers = [name for name, one in values.items() if isinstance(one, int | float)]
        raise NotFound(
            f"there is no number '{key}' in it",
            where=file,
            hint=did_you_mean(key, numbers) or f"it has {', '.join(numbers[:8]) or 'none'}",
        )
    oid = data.id.removeprefix("data:")
    label = f"metric {file}:{key} = {value:.6g}"
    return Thing(
        kind="metric", id=f"metric:{oid}/{key}", label=label, path=data.path, source=data.id
    )


def _parsed(project: Project, data: Thing, revision: str) -> dict[str, Any]:
    """Read the values of a file, from wherever its content is."""
    name = data.path or ""
    path, oid = project.root / name, data.id.rpartition(":")[2]
    if path.is_file() and scan.scan(path, project.index, skip=project.ignore).oid == oid:
        content: bytes | None = path.read_bytes()
    elif project.cache.has(oid):
        content = project.cache.read(oid)
    else:
        content = git.read_file(
            project.git_root, revision, path.relative_to(project.git_root).as_posix()
        )
    if content is None:
        raise NotFound(
            f"its content is not here: {data.id}", where=name, hint="bring it with 'assay pull'"
        )
    found = params.parse(content.decode(), suffix=path.suffix, where=name)
    return found if isinstance(found, dict) else {}


def _latest_with(ledger: Ledger, metric: str) -> Thing | None:
    """Return a metric of the latest run that has it, and is no part of another."""
    from sqlalchemy import select

    from assay.ledger.tables import latest_metric, run

    query = (
        select(run.c.id)
        .join(latest_metric, latest_metric.c.run_id == run.c.id)
        .where(latest_metric.c.key == metric, run.c.deleted.is_(None))
        .where(run.c.parent_id.is_(None), run.c.kind != "reproduction")
        .order_by(run.c.start.desc(), run.c.id.desc())
        .limit(1)
    )
    with ledger.read() as connection:
        found = connection.execute(query).scalar()
    return None if found is None else _metric(runs.get(ledger, found), metric)


def _names(ledger: Ledger) -> list[str]:
    rows = runs.list_(ledger, limit=1)
    metrics = list(runs.get(ledger, rows[0].id).metrics) if rows else []
    return metrics + [model.name for model in models.list_models(ledger)]


def _is_tracked(project: Project, name: str, *, cwd: Path) -> bool:
    path = Path(os.path.normpath(cwd / name))
    return any(item.path == path for item in definition.read(project).tracked)


def _in_workspace(project: Project, ledger: Ledger, name: str, *, cwd: Path) -> Thing:
    path = project.resolve(name, cwd=cwd)
    kept: str | None = None
    if path.exists():
        kept = _kept_as(ledger, path) if path.is_file() else None
        oid = scan.scan(path, project.index, skip=project.ignore).oid
    else:
        items = [t for t in definition.read(project).tracked if t.path == path]
        recorded = items[0].row
        if recorded is None or recorded.oid is None:
            raise NotFound(
                "nothing is recorded of this output yet",
                where=name,
                hint=f"run 'assay repro {items[0].stage.address}'",
            )
        oid = recorded.oid
    return of_data(named(oid), path=project.relative(path), kept=kept)


def _kept_as(ledger: Ledger, content: Path | bytes) -> str | None:
    """Return the hash of a content by which runs keep it; None where they have none of its size.

    Only then is a file read once more.
    """
    from sqlalchemy import select

    from assay.ledger.tables import artifact, run_data
    from assay.objects.hashing import hash_bytes, hash_file

    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    is_read = run_data.c.oid.startswith("sha256:") & (run_data.c.size == size)
    with ledger.read() as connection:
        found = connection.execute(select(artifact.c.oid).where(artifact.c.size == size).limit(1))
        if found.first() is None:
            found = connection.execute(select(run_data.c.oid).where(is_read).limit(1))
            if found.first() is None:
                return None
    if isinstance(content, bytes):
        return f"sha256:{hash_bytes(content, algorithm='sha256')}"
    return f"sha256:{hash_file(content, algorithm='sha256')[0]}"


def _at_revision(
    project: Project, ledger: Ledger, name: str, revision: str, *, cwd: Path
) -> Thing:  # fmt: skip
    commit = git.resolve(project.git_root, revision)
    path = project.resolve(name, cwd=cwd)
    relative = project.relative(path)
    for item in definition.read_at(project, commit).tracked:
        if item.path == path and item.row is not None and item.row.oid is not None:
            return of_data(named(item.row.oid), path=relative)
    content = git.read_file(
        project.git_root, commit, path.relative_to(project.git_root).as_posix()
    )  # fmt: skip
    if content is None:
        raise NotFound(f"'{name}' was neither tracked nor in git then", where=revision)
    from assay.objects.hashing import hash_bytes

    oid = f"md5:{hash_bytes(content)}"
    return of_data(oid, path=relative, kept=_kept_as(ledger, content))


def run_id(thing: Thing) -> str:
    """Return the id of the run that a thing is or belongs to."""
    if thing.kind == "run":
        return thing.id.removeprefix("run:")
    if thing.run is None:
        raise Error(f"'{thing.label}' belongs to no run")
    return thing.run
