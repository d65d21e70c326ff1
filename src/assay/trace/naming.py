"""How a person names a thing that is traced."""

from __future__ import annotations

import contextlib
from pathlib import Path

from assay.base.errors import Error, NotFound, did_you_mean
from assay.ledger import listing, models, runs
from assay.ledger.database import Ledger
from assay.ledger.runs import Run
from assay.project import git
from assay.project.workspace import Project
from assay.trace import decided, files, reading, served
from assay.trace.things import Thing, of_run

_SHORTEST = 8  # letters of an id that a person may mean to be one


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
    if not (cwd / name).exists():
        thing = served.find(project, ledger, name) or _in_file_or_then(
            project, ledger, name, cwd=cwd
        )
        if thing is not None:
            return thing
    if (cwd / name).exists() or files.is_tracked(project, name, cwd=cwd):
        return files.in_workspace(project, ledger, name, cwd=cwd)
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
    if key and Path(file.partition("@")[0]).suffix in files.READABLE:
        return files.number_in(project, find(project, ledger, file, cwd=cwd), key, file=file)
    path, _, revision = name.rpartition("@")
    if not path:
        return None
    _check_revision(project, ledger, path, revision, cwd=cwd)
    return files.at_revision(project, ledger, path, revision, cwd=cwd)


def _check_revision(
    project: Project, ledger: Ledger, path: str, revision: str, *, cwd: Path
) -> None:
    """Refuse what is neither a file of a revision nor a version: NAME@3 is meant for a model."""
    try:
        git.resolve(project.git_root, revision)
    except Error:
        if (cwd / path).exists() or files.is_tracked(project, path, cwd=cwd) or "/" in path:
            raise
        served.check_version(ledger, f"{path}@{revision}")
        known = [model.name for model in models.list_models(ledger)]
        raise NotFound(
            f"there is no model '{path}', and no file of that name",
            hint=did_you_mean(path, known) or "see 'assay model list'",
        ) from None


def _with_id(ledger: Ledger, name: str) -> Thing | None:
    """Return the run, alert or decision whose id begins so; None where there is none."""
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


def _latest_with(ledger: Ledger, metric: str) -> Thing | None:
    """Return a metric of the latest run that has it, and is no part of another."""
    found = listing.latest_with(ledger, metric)
    return None if found is None else _metric(runs.get(ledger, found), metric)


def _nothing(project: Project, ledger: Ledger, name: str) -> NotFound:
    """Return the error for a name of nothing; what was there is said to be deleted."""
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
    found = reading.purged(ledger, name.lower()) if len(name) >= _SHORTEST else []
    if len(found) != 1:
        return None
    return NotFound(
        f"the run {found[0]} was purged, and cannot be brought back",
        hint="its record went with 'assay runs purge'; 'assay runs list' shows what is left",
    )


def _names(ledger: Ledger) -> list[str]:
    rows = runs.list_(ledger, limit=1)
    metrics = list(runs.get(ledger, rows[0].id).metrics) if rows else []
    return metrics + [model.name for model in models.list_models(ledger)]
