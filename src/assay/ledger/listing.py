"""What commands list: runs of a query page by page, the parts of runs, what a run made."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import NotFound, did_you_mean
from assay.ledger import found
from assay.ledger.askable import askable
from assay.ledger.found import FoundRun
from assay.ledger.logged import LoggedModel
from assay.ledger.models import Version
from assay.ledger.search.runs import RunQuery
from assay.ledger.writer import Artifact

if TYPE_CHECKING:
    from sqlalchemy import Select

    from assay.ledger.database import Ledger

_PAGE = 1000


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some runs of a query, and the token of the next page."""

    runs: list[FoundRun]
    token: str | None


def find_runs(
    ledger: Ledger, query: RunQuery, *, limit: int | None
) -> tuple[list[FoundRun], bool]:  # fmt: skip
    """Return the runs of a query, at most `limit`, and whether there are more."""
    runs: list[FoundRun] = []
    token: str | None = None
    while limit is None or len(runs) < limit:
        size = _PAGE if limit is None else min(_PAGE, limit - len(runs))
        page = page_of_runs(ledger, query, size=size, token=token)
        runs += page.runs
        token = page.token
        if token is None:
            break
    return runs, token is not None


@askable
def page_of_runs(
    ledger: Ledger, query: RunQuery, *, size: int, token: str | None = None
) -> RunPage:
    """Return a page of the runs of a query, 1,000 at most; `token` is that of the page before."""
    from assay.ledger.search.runs import find

    limit = min(max(size, 1), _PAGE)
    with ledger.read() as connection:
        page = find(connection, query, limit=limit, token=token)
        return RunPage(runs=found.load(connection, page.ids), token=page.token)


@askable
def count_runs(ledger: Ledger, query: RunQuery) -> int:
    """Return how many runs a query finds."""
    from assay.ledger.search.runs import count

    with ledger.read() as connection:
        return count(connection, query)


def stages_of(ledger: Ledger, runs: Sequence[str]) -> dict[str, list[FoundRun]]:
    """Return the runs of stages of each of some runs that has any, the oldest first."""
    stages: dict[str, list[FoundRun]] = {}
    for begin in range(0, len(runs), _PAGE):
        for stage in stages_of_some(ledger, runs[begin : begin + _PAGE]):
            stages.setdefault(str(stage.parent), []).append(stage)
    return stages


@askable
def stages_of_some(ledger: Ledger, runs: Sequence[str]) -> list[FoundRun]:
    """Return the runs of stages of up to a thousand runs, the oldest first."""
    from sqlalchemy import select

    from assay.ledger.tables import run

    with ledger.read() as connection:
        within = found.within(connection, run.c.parent_id, runs)
        query = select(run.c.id).where(within, run.c.deleted.is_(None), run.c.kind == "stage")
        query = query.order_by(run.c.start)
        return found.load(connection, list(connection.execute(query).scalars()))


class ExperimentRow(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment as a list shows it; `n_runs` are those that are no part of another."""

    name: str
    n_runs: int
    last: int | None  # when the newest of them began


@askable
def experiments(ledger: Ledger) -> list[ExperimentRow]:
    """Return the experiments that are not deleted, the one with the newest run first."""
    from sqlalchemy import and_, func, select

    from assay.ledger.tables import experiment, run

    of = and_(
        run.c.experiment_id == experiment.c.id, run.c.deleted.is_(None), run.c.parent_id.is_(None)
    )
    query = (
        select(experiment.c.name, func.count(run.c.id), func.max(run.c.start))
        .select_from(experiment.outerjoin(run, of))
        .where(experiment.c.deleted.is_(None))
        .group_by(experiment.c.id, experiment.c.name)
    )
    with ledger.read() as connection:
        rows = [
            ExperimentRow(name=name, n_runs=n_runs, last=last)
            for name, n_runs, last in connection.execute(query)
        ]
    return sorted(rows, key=lambda one: (-(one.last or 0), one.name))


def check_experiment(ledger: Ledger, name: str) -> None:
    """Refuse the name of an experiment that is not there.

    Raises
    ------
    NotFound
        With the name that is near, if one is.
    """
    known = [one.name for one in experiments(ledger)]
    if name not in known:
        raise NotFound(
            f"there is no experiment {name!r}",
            hint=did_you_mean(name, known) or "'assay runs experiments' lists them",
        )


@askable
def logged_models(ledger: Ledger, run: str) -> list[LoggedModel]:
    """Return the logged models that a run made."""
    from assay.ledger import logged

    with ledger.read() as connection:
        [one] = found.load(connection, [run], parts=["models"])
        return logged.load(connection, [id_ for id_, _ in one.models_out])


@askable
def newest_maker(ledger: Ledger) -> str | None:
    """Return the id of the newest run that made a bundle and finished.

    Reproductions do not count. A stage counts by itself, whatever became of its pipeline.
    """
    from sqlalchemy import literal, select

    from assay.ledger import tables

    run, edge, parent = tables.run, tables.edge, tables.run.alias()
    query = (
        select(run.c.id)
        .join(edge, edge.c.source == literal("run:") + run.c.id)
        .outerjoin(parent, parent.c.id == run.c.parent_id)
        .where(edge.c.relation == "made", edge.c.target.startswith("bundle:sha256:"))
        .where(run.c.status == "finished", run.c.deleted.is_(None))
        .where(run.c.kind != "reproduction")
        .where(parent.c.kind.is_(None) | (parent.c.kind != "reproduction"))
        .order_by(run.c.start.desc(), run.c.id.desc())
        .limit(1)
    )
    return _first(ledger, query)


@askable
def latest_with(ledger: Ledger, metric: str) -> str | None:
    """Return the latest run that has a metric and is no part of another."""
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
    return _first(ledger, query)


@askable
def newest_artifact(ledger: Ledger, path: str, *, runs: Sequence[str], bundle: str) -> str | None:
    """Return the oid of the newest artifact of a path, of some runs and those about a bundle."""
    from sqlalchemy import select

    from assay.ledger.tables import artifact, tag

    about = select(tag.c.run_id).where(tag.c.key == "bundle", tag.c.value == bundle)
    query = select(artifact.c.oid).where(artifact.c.path == path)
    query = query.where(artifact.c.run_id.in_(runs) | artifact.c.run_id.in_(about))
    return _first(ledger, query.order_by(artifact.c.at.desc()).limit(1))


@askable
def files_of_version(ledger: Ledger, version: Version) -> list[Artifact]:
    """Return the files of a version that is no bundle; none where they are not kept here.

    Their paths begin at the folder of the model.
    """
    from assay.ledger import tables

    if version.model_id is not None:
        kept = tables.logged_model_artifact
        query, below = kept.select().where(kept.c.model_id == version.model_id), ""
    elif version.run is not None and (version.source or "").startswith("runs:/"):
        kept = tables.artifact
        query = kept.select().where(kept.c.run_id == version.run)
        below = posixpath.join(*(version.source or "").removeprefix("runs:/").split("/")[1:], "")
    else:
        return []
    with ledger.read() as connection:
        return [
            Artifact(path=row.path.removeprefix(below), oid=row.oid, size=row.size)
            for row in connection.execute(query.order_by(kept.c.path))
            if row.path.startswith(below)
        ]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a logged model says of itself: parameters, and the latest of its metrics."""

    params: dict[str, str] = {}
    metrics: dict[str, float] = {}


@askable
def told_by_logged_model(ledger: Ledger, model_id: str | None) -> Told:
    """Return what the logged model of a version says; nothing where it was made of none."""
    from assay.ledger import series, tables

    if model_id is None:
        return Told()
    param, metric = tables.logged_model_param, tables.logged_model_metric
    params = param.select().where(param.c.model_id == model_id)
    points = metric.select().where(metric.c.model_id == model_id)
    with ledger.read() as connection:
        rows = connection.execute(points.order_by(metric.c.step, metric.c.at, metric.c.value))
        return Told(
            metrics={row.key: series.value(row.value, is_nan=row.is_nan) for row in rows},
            params={row.key: row.value for row in connection.execute(params)},
        )


def _first(ledger: Ledger, query: Select[Any]) -> str | None:
    with ledger.read() as connection:
        chosen = connection.execute(query).scalar()
    return None if chosen is None else str(chosen)
