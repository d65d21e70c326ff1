"""What has to be known of a run to go on with it: where it belongs, whether it runs elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from assay.ledger import liveness
from assay.ledger.writer import Artifact

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A run as somebody finds it who wants to go on with it."""

    id: str
    experiment: str
    status: str
    is_running: bool  # in a process that lives, as far as is known
    deleted: bool
    params: dict[str, str]  # as text
    environment: str | None = None  # the oid of its own, or of the run that it is a part of


def known(connection: Connection, name: str, *, at: int) -> Known:
    """Return what is known of a run, by its id or the unique beginning of one.

    Raises
    ------
    NotFound
        If there is none.
    """
    from sqlalchemy import select

    from assay.ledger import tables

    run, param = tables.run, tables.param
    one = connection.execute(run.select().where(run.c.id == name)).one_or_none()
    if one is None:
        from assay.ledger.runs import _resolve  # its beginning

        one = connection.execute(run.select().where(run.c.id == _resolve(connection, name))).one()
    experiment = select(tables.experiment.c.name).where(
        tables.experiment.c.id == one.experiment_id
    )
    environment = one.environment_oid
    if environment is None and one.parent_id is not None:
        above = select(run.c.environment_oid).where(run.c.id == one.parent_id)
        environment = connection.execute(above).scalar()
    texts = select(param.c.key, param.c.value).where(param.c.run_id == one.id)
    return Known(
        id=one.id,
        experiment=str(connection.execute(experiment).scalar()),
        status=one.status,
        is_running=liveness.is_running(connection, one, at=at),
        deleted=one.deleted is not None,
        params={row.key: row.value for row in connection.execute(texts)},
        environment=environment,
    )


def artifacts(connection: Connection, run: str, path: str) -> list[Artifact]:
    """Return the file of a run at a path, or all files of the folder there; "" is all."""
    from assay.ledger import artifacts as kept
    from assay.ledger.tables import artifact

    query = artifact.select().where(artifact.c.run_id == run).order_by(artifact.c.path)
    if path:
        query = query.where((artifact.c.path == path) | kept.below(connection, artifact, path))
    return [
        Artifact(path=row.path, oid=row.oid, size=row.size) for row in connection.execute(query)
    ]
