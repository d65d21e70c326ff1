"""Write records of runs into a ledger: what is new is added, what is there is merged.

Loading twice is as good as once, and the order in which records come does not matter. A run that
was purged here does not come back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error
from assay.ledger import lineage, recording, rows, series, tables
from assay.ledger.exchange import gathering, merging, record_checks, surroundings
from assay.ledger.exchange.loaded import Loaded
from assay.ledger.exchange.records import (
    EnvironmentRecord,
    ExperimentRecord,
    ModelLink,
    ModelRecord,
    PurgedRecord,
    Record,
    RunRecord,
    number,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger

_BATCH = 500


class Loader:
    """Takes records in, some hundred in a transaction; `finish` says what became of them.

    None is written for sure before `finish` has returned: where a ledger cannot be written, what
    waits goes into it with the next call, and `finish` raises as long as that fails.

    Parameters
    ----------
    at : int
        The present, in Unix milliseconds.
    orphans : bool
        Take a part of a run that never comes for a run of its own, instead of refusing it.
    """

    def __init__(self, ledger: Ledger, *, at: int, orphans: bool = False) -> None:
        self._ledger, self._at, self._keeps_orphans = ledger, at, orphans
        self._waiting: list[Record] = []
        self._orphans: list[RunRecord] = []
        self._links: dict[str, tuple[ModelLink, ...]] = {}
        self._experiments: dict[str, int] = {}
        self._environments: set[str] = set()  # that are here
        self._late: dict[str, list[str]] = defaultdict(list)  # runs by environments that are not
        self._n_points = 0  # of what waits
        self.done = Loaded()

    def add(self, records: Iterable[Record]) -> None:
        """Take records in."""
        for record in records:
            self._waiting.append(record)
            if isinstance(record, RunRecord):
                self._n_points += record.n_points
            if len(self._waiting) >= _BATCH or self._n_points >= gathering.MOST_POINTS:
                self._write()

    def finish(self) -> Loaded:
        """Write what waits: also parts, links and environments whose other end came late."""
        self._write()
        while self._orphans:
            before = len(self._orphans)
            self._waiting, self._orphans = [*self._orphans], []
            self._write()
            if len(self._orphans) == before:
                break
        if self._keeps_orphans:
            self._waiting += [msgspec.structs.replace(o, parent_id=None) for o in self._orphans]
            self._orphans = []
            self._write()
        self.done.refused += [
            f"the run '{one.id}' is refused: the run '{one.parent_id}' that it is a part of is "
            "not there"
            for one in self._orphans
            if one.parent_id not in self.done.purged
        ]
        self._orphans = []
        if self._links:
            with self._ledger.write() as connection:
                surroundings.put_links(connection, self._links)
        if self._late:
            with self._ledger.write() as connection:
                self._put_late(connection)
        return self.done

    def _write(self) -> None:
        """Write what waits; what cannot be written now waits on."""
        if self._waiting:
            self._take(self._waiting[:])
        self._n_points = 0

    def _take(self, batch: Sequence[Record]) -> None:
        """Write the first that wait in one transaction, without those that no database takes."""
        before = self.done, self._orphans, self._links, self._late
        self.done, self._orphans, self._links, self._late = Loaded(), [], {}, defaultdict(list)
        try:
            with self._ledger.write() as connection, connection.begin_nested():
                self._put(connection, batch)
        except Error as error:
            self.done, self._orphans, self._links, self._late = before
            self._experiments, self._environments = {}, set()  # which may be undone
            if not _is_of_data(error):
                raise
            if len(batch) == 1:
                self.done.refused.append(
                    f"{record_checks.named(batch[0])} is refused: {error.what}"
                )
                del self._waiting[0]
                return
            middle = len(batch) // 2
            self._take(batch[:middle])
            self._take(batch[middle:])
        else:
            done, orphans, links, late = before
            done.add(self.done)
            links |= self._links
            for oid, ids in self._late.items():
                late[oid] += ids
            self.done, self._links, self._late = done, links, late
            self._orphans = orphans + self._orphans
            del self._waiting[: len(batch)]

    def _put(self, connection: Connection, batch: Sequence[Record]) -> None:
        for record in batch:
            if isinstance(record, EnvironmentRecord):
                surroundings.put_environment(connection, record)
            elif isinstance(record, ExperimentRecord):
                surroundings.put_experiment(connection, record)
            elif isinstance(record, PurgedRecord):
                self._bury(connection, record)
        self._put_runs(connection, [one for one in batch if isinstance(one, RunRecord)])
        self._put_models(connection, [one for one in batch if isinstance(one, ModelRecord)])

    def _bury(self, connection: Connection, record: PurgedRecord) -> None:
        """Remember that a run is gone for good elsewhere; a copy of it here is deleted, once."""
        self.done.buried.append(record.id)
        if not rows.add(connection, tables.purged, {"id": record.id, "at": record.at}):
            return
        for table in (tables.run, tables.logged_model):
            query = table.update().where(table.c.id == record.id, table.c.deleted.is_(None))
            if connection.execute(query.values(deleted=record.at, updated=self._at)).rowcount:
                self.done.changed.append(record.id)

    def _put_runs(self, connection: Connection, records: Sequence[RunRecord]) -> None:
        """Write runs, the one that another is a part of before that."""
        wanted = self._not_purged(connection, records)
        there = {one.id: one for one in gathering.of_runs(connection, [*wanted])}
        known = _ids(connection, [one.parent_id for one in wanted.values() if one.parent_id])
        known |= there.keys()
        new: list[RunRecord] = []
        old: list[RunRecord] = []
        for id_ in _parents_first(wanted):
            record = wanted[id_]
            if record.parent_id is not None and record.parent_id not in known:
                self._orphans.append(record)
                continue
            known.add(id_)
            self.done.files += record.files
            if record.parent_id is not None:
                self.done.parts.add(id_)
            (old if id_ in there else new).append(record)
        self._insert(connection, new)
        for record in old:  # one may be a part of a new one by now
            self._merge(connection, there[record.id], record)

    def _not_purged(
        self, connection: Connection, records: Sequence[RunRecord]
    ) -> dict[str, RunRecord]:  # fmt: skip
        """Return the runs by id, two records of one merged, without those that were purged."""
        found: dict[str, RunRecord] = {}
        for one in records:
            found[one.id] = merging.of_runs(found[one.id], one) if one.id in found else one
        gone = self._purged(connection, [*found])
        return {id_: one for id_, one in found.items() if id_ not in gone}

    def _purged(self, connection: Connection, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that were purged here."""
        from sqlalchemy import select

        purged = tables.purged.c.id
        gone = connection.execute(select(purged).where(purged.in_(ids))).scalars().all()
        self.done.purged += gone
        return set(gone)

    def _merge(self, connection: Connection, ours: RunRecord, theirs: RunRecord) -> None:
        if ours.status not in rows.ENDED:  # it was resumed here: what comes of it is newer
            return
        merged = self._cut(connection, ours, merging.of_runs(ours, theirs))
        if merged != ours:
            self.done.changed.append(merged.id)
            row = self._row(connection, merged)
            for name in ("artifact_uri", "environment_oid"):  # what only this ledger has stays
                if row[name] is None:
                    del row[name]
            connection.execute(tables.run.update().where(tables.run.c.id == merged.id).values(row))
            self._put_parts(connection, [merged])
        if merged == theirs:
            self.done.runs[merged.id] = merged.stamp

    def _cut(self, connection: Connection, ours: RunRecord, merged: RunRecord) -> RunRecord:
        """Leave a run what it is a part of, where the other clone says that of the two in turn."""
        parent = merged.parent_id
        if parent is None or parent == ours.parent_id:
            return merged
        if recording.may_be_part_of(connection, ours.id, parent):
            return merged
        self.done.refused.append(
            f"the run '{ours.id}' does not become a part of the run '{parent}', which is a part "
            "of it here"
        )
        return msgspec.structs.replace(merged, parent_id=ours.parent_id)

    def _insert(self, connection: Connection, records: Sequence[RunRecord]) -> None:
        if not records:
            return
        found = [self._row(connection, one) for one in records]
        connection.execute(tables.run.insert(), found)
        self._put_parts(connection, records)
        self.done.new += [one.id for one in records]
        self.done.runs |= {one.id: one.stamp for one in records}

    def _row(self, connection: Connection, record: RunRecord) -> dict[str, Any]:
        row = _columns(record, gathering.COLUMNS)
        oid = record.environment_oid
        if oid is not None and not self._has_environment(connection, oid):
            self._late[oid].append(record.id)
            row["environment_oid"] = None
        return row | {"experiment_id": self._experiment(connection, record.experiment)}

    def _has_environment(self, connection: Connection, oid: str) -> bool:
        from sqlalchemy import select

        if oid not in self._environments:
            known = tables.environment.c.oid
            found = connection.execute(select(known).where(known == oid)).scalars()
            self._environments.update(found)
        return oid in self._environments

    def _put_late(self, connection: Connection) -> None:
        """Name the environments of runs that came before them; say which never came."""
        run = tables.run
        for oid, ids in self._late.items():
            if self._has_environment(connection, oid):
                for some in rows.chunks(ids):
                    query = run.update().where(run.c.id.in_(some))
                    connection.execute(query.values(environment_oid=oid))
            else:
                more = f" and of {len(ids) - 1} more" if len(ids) > 1 else ""
                self.done.refused.append(
                    f"the environment '{oid}' of the run '{ids[0]}'{more} is not there"
                )

    def _experiment(self, connection: Connection, name: str) -> int:
        """Return the id of an experiment, which is made where it is not there."""
        if name not in self._experiments:
            row = ExperimentRecord(name=name, created=self._at, updated=self._at)
            self._experiments[name] = surroundings.put_experiment(connection, row)
        return self._experiments[name]

    def _put_parts(self, connection: Connection, records: Sequence[RunRecord]) -> None:
        def of(field: str) -> list[dict[str, Any]]:
            return [
                msgspec.structs.asdict(row) | {"run_id": one.id}
                for one in records
                for row in getattr(one, field)
            ]

        rows.put(connection, tables.untracked, of("untracked"))
        rows.put_data(connection, of("data"))
        rows.put(connection, tables.artifact, of("artifacts"))
        rows.put(connection, tables.param, [
            {"run_id": one.id, "key": key, "value": text, "type": kind}
            for one in records
            for key, (text, kind) in one.params.items()
        ])  # fmt: skip
        rows.put(connection, tables.tag, [
            {"run_id": one.id, "key": key, "value": text, "at": at}
            for one in records
            for key, (text, at) in one.tags.items()
        ])  # fmt: skip
        series.put_all(connection, {one.id: one.metrics for one in records if one.metrics})
        edges = [lineage.Edge(**msgspec.structs.asdict(e)) for one in records for e in one.edges]
        lineage.add(connection, edges)
        self._links |= {one.id: one.models for one in records if one.models}

    def _put_models(self, connection: Connection, records: Sequence[ModelRecord]) -> None:
        gone = self._purged(connection, [one.id for one in records])
        records = [one for one in records if one.id not in gone]
        ids = [one.id for one in records]
        there = {one.id: one for one in gathering.of_models(connection, ids)}
        runs = [run for one in records for run in (one.run_id, *(m.run_id for m in one.metrics))]
        known = _ids(connection, [run for run in runs if run is not None])
        for theirs in records:
            ours = there.get(theirs.id)
            merged = theirs if ours is None else merging.of_models(ours, theirs)
            self.done.files += theirs.files
            if merged != ours:
                (self.done.new_models if ours is None else self.done.changed).append(merged.id)
                self._put_model(connection, merged, known)
            if merged == theirs:
                self.done.models[merged.id] = merged.updated
            there[theirs.id] = merged

    def _put_model(self, connection: Connection, record: ModelRecord, known: set[str]) -> None:
        row = _columns(record, gathering.MODEL_COLUMNS)
        row["run_id"] = record.run_id if record.run_id in known else None
        row["experiment_id"] = self._experiment(connection, record.experiment)
        if record.artifact_uri is None:  # a place that only this machine has stays
            del row["artifact_uri"]
        rows.put(connection, tables.logged_model, [row])
        owner = {"model_id": record.id}
        rows.put_tags(connection, tables.logged_model_param, owner, record.params)
        tag = tables.logged_model_tag
        connection.execute(tag.delete().where(tag.c.model_id == record.id))
        rows.put_tags(connection, tag, owner, record.tags)
        rows.put(connection, tables.logged_model_metric, [
            msgspec.structs.asdict(one) | owner | series.stored(number(one.value))
            for one in record.metrics
            if one.run_id in known
        ])  # fmt: skip
        files = [msgspec.structs.asdict(one) | owner for one in record.artifacts]
        rows.put(connection, tables.logged_model_artifact, files)


def _is_of_data(error: Error) -> bool:
    """Tell whether it is what was to be written that a database refused."""
    from sqlalchemy.exc import DataError, IntegrityError

    return isinstance(error.__context__, (DataError, IntegrityError))


def _columns(record: RunRecord | ModelRecord, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}


def _ids(connection: Connection, names: Sequence[str]) -> set[str]:
    """Return those of the ids that are ids of runs here."""
    from sqlalchemy import select

    run = tables.run.c.id
    wanted = list(dict.fromkeys(names))
    return {
        one
        for some in rows.chunks(wanted)
        for one in connection.execute(select(run).where(run.in_(some))).scalars()
    }


def _parents_first(records: dict[str, RunRecord]) -> list[str]:
    ordered: dict[str, None] = {}
    for id_ in records:
        line: list[str] = []
        here: str | None = id_
        while here is not None and here in records and here not in ordered and here not in line:
            line.append(here)
            here = records[here].parent_id
        ordered |= dict.fromkeys(reversed(line))
    return list(ordered)
