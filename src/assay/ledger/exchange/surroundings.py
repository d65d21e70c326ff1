"""Write what runs are recorded with: experiments, environments, links to logged models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from assay.ledger import rows, tables
from assay.ledger.exchange.records import EnvironmentRecord, ExperimentRecord, ModelLink

if TYPE_CHECKING:
    from sqlalchemy import Connection


def put_environment(connection: Connection, record: EnvironmentRecord) -> None:
    """Write an environment, unless it is there."""
    rows.add(connection, tables.environment, msgspec.structs.asdict(record))


def put_experiment(connection: Connection, record: ExperimentRecord) -> int:
    """Write an experiment and return its id; of two, the one that changed last counts."""
    experiment, tag = tables.experiment, tables.experiment_tag
    row = {name: getattr(record, name) for name in ("name", "created", "updated", "deleted")}
    is_new = rows.add(connection, experiment, row)
    found = connection.execute(
        experiment.select().where(experiment.c.name == record.name)
    ).one()  # fmt: skip
    owner = {"experiment_id": found.id}
    if is_new or record.updated > found.updated:
        query = experiment.update().where(experiment.c.id == found.id)
        connection.execute(query.values(updated=record.updated, deleted=record.deleted))
        rows.put_tags(connection, tag, owner, record.tags)
    else:
        for key, text in record.tags.items():
            rows.add(connection, tag, {**owner, "key": key, "value": text})
    return int(found.id)


def put_links(connection: Connection, links: dict[str, tuple[ModelLink, ...]]) -> None:
    """Write which logged models runs read and made, those that are there."""
    from sqlalchemy import select

    model = tables.logged_model.c.id
    wanted = list(dict.fromkeys(one.model_id for some in links.values() for one in some))
    known = {
        id_
        for some in rows.chunks(wanted)
        for id_ in connection.execute(select(model).where(model.in_(some))).scalars()
    }
    found = [
        msgspec.structs.asdict(one) | {"run_id": run}
        for run, some in links.items()
        for one in some
        if one.model_id in known
    ]
    rows.put(connection, tables.run_model, found)
