"""Write to a ledger: what a run was given, what it said, what it made, how it ended.

Each call is one short transaction, kept as a whole or not at all, so that several processes can
write to one ledger. Nothing here looks at the project: code and environment come in as structs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error
from assay.base.ids import uuid7
from assay.ledger import lineage, process, values
from assay.ledger.environment import Environment

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger

Kind = Literal["pipeline", "stage", "script", "reproduction"]
Outcome = Literal["finished", "failed", "killed"]
Status = Literal["scheduled", "running", "finished", "failed", "killed"]
DEFAULT_EXPERIMENT = "Default"


class Untracked(msgspec.Struct, frozen=True, kw_only=True):
    """A file that git does not know, as it was when the run began."""

    path: str
    oid: str
    size: int
    is_executable: bool = False


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """The code of a run: a commit, what differs from it, and whether that is all of it."""

    commit: str | None = None
    branch: str | None = None
    diff: str | None = None  # the oid of the patch against the commit
    untracked: tuple[Untracked, ...] = ()
    reproducible: bool = False
    reason: str | None = None  # why not
    directory: str | None = None  # the project's folder, relative to the repository's root


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One point of a metric's history."""

    key: str
    value: float
    step: int = 0
    at: int


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder that a run read or wrote, by its content."""

    path: str
    oid: str  # "md5:…", "md5:….dir", "sha256:…"
    size: int | None = None
    n_files: int | None = None
    kind: str = "dep"  # dep, out, metric, plot, dataset
    profile: str | None = None  # the oid of its statistics
    details: Mapping[str, Any] | None = None
    context: str | None = None  # what a dataset is for: train, eval, ...


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a run keeps in the object store."""

    path: str
    oid: str
    size: int


class Writer:
    """Writes to one ledger; it holds no state of its own and may be shared by threads."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def start_run(
        self,
        *,
        name: str,
        kind: Kind,
        experiment: str = DEFAULT_EXPERIMENT,
        parent: str | None = None,
        stage: str | None = None,
        command: str | None = None,
        directory: str | None = None,
        code: Code | None = None,
        environment: Environment | None = None,
        owner: str | None = None,
        pid: int | None = None,
        at: int | None = None,
        id_: str | None = None,
        who: process.Process | None = None,
    ) -> str:
        """Record that a run begins, and return its id.

        Parameters
        ----------
        parent : str, optional
            The run that this one is a part of.
        directory : str, optional
            Where the command runs, relative to the project.
        owner : str, optional
            Who runs it; the user of this process, where it is not given.
        pid : int, optional
            The process whose end means that the run has ended; this one, where not given.
        at : int, optional
            When it began, in Unix milliseconds; now, where not given.
        id_ : str, optional
            Its id, where that is given already; a run that is there under it stays as it is.
        who : Process, optional
            Its process, where that is known; `pid` does not count then.
        """
        from assay.ledger import rows, tables

        start = now_ms() if at is None else at
        run = id_ or uuid7()
        row = {
            "id": run, "name": values.key_text("run", name), "kind": kind, "status": "running",
            "parent_id": parent, "stage": stage, "command": command, "directory": directory,
            "owner": owner or process.user(), "start": start, "seen": start, **_code_row(code),
            **_process_row(who or process.describe(os.getpid() if pid is None else pid)),
            "environment_oid": environment.oid if environment else None,
        }  # fmt: skip
        with self.ledger.write() as connection:
            row["experiment_id"] = _experiment(connection, experiment, at=start)
            if parent is not None:
                rows.claim_run(connection, parent)
            if environment is not None:
                _add_environment(connection, environment, at=start)
            if not rows.add(connection, tables.run, row):
                return run
            if code is not None:
                _add_code(connection, run, code, at=start)
        return run

    def finish_run(
        self,
        run: str,
        *,
        status: Outcome,
        at: int | None = None,
        exit_status: int | None = None,
        peak_memory: int | None = None,
        cpu_seconds: float | None = None,
        log_tail: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Record how a run ended; `peak_memory` is in bytes.

        A run that `mark_killed` took for dead may still finish. One that finished or failed may
        not end in another way. A deleted one may end, since its process does not know.
        """
        from assay.ledger import rows, tables

        row = {
            "status": status, "end": now_ms() if at is None else at, "exit_status": exit_status,
            "peak_memory": peak_memory, "cpu_seconds": cpu_seconds, "reason": reason,
            "log_tail": None if log_tail is None else values.plain(log_tail),
        }  # fmt: skip
        with self.ledger.write() as connection:
            before = rows.claim_run(connection, run)
            if before in {"finished", "failed"}:
                if before == status:
                    return
                raise Error(f"the run {run} has {before} already; it cannot be {status!r} now")
            query = tables.run.update().where(tables.run.c.id == run)
            connection.execute(query.values(row))

    def log_params(self, run: str, params: Mapping[str, object]) -> None:
        """Record parameters, all or none; one that is there with another value is an error."""
        from assay.ledger import recording, tables

        rows = []
        for key, value in params.items():
            text, kind = values.dump(value, key=key)
            rows.append(
                {
                    "run_id": run,
                    "key": values.key_text("parameter", key),
                    "value": text,
                    "type": kind,
                }
            )
        with self.ledger.write() as connection:
            _claim(connection, run)
            param = tables.param
            known = connection.execute(param.select().where(param.c.run_id == run))
            there = {row.key: row.value for row in known}
            recording.check_params(there, {row["key"]: row["value"] for row in rows})
            new = [row for row in rows if row["key"] not in there]
            if new:
                connection.execute(param.insert(), new)

    def log_metrics(self, run: str, metrics: Sequence[Metric]) -> None:
        """Record points of metrics; the same point twice is one. NaN and infinities are kept."""
        from assay.ledger import series

        for metric in metrics:
            values.key_text("metric", metric.key)
        with self.ledger.write() as connection:
            _claim(connection, run)
            series.add(connection, run, metrics)

    def set_tags(self, run: str, tags: Mapping[str, object]) -> None:
        """Set tags, over those of the same name."""
        from assay.ledger import rows, tables

        texts = {values.key_text("tag", key): str(value) for key, value in tags.items()}
        with self.ledger.write() as connection:
            _claim(connection, run)
            rows.put_tags(connection, tables.tag, {"run_id": run}, texts)

    def remove_tag(self, run: str, key: str) -> bool:
        """Take a tag away; tell whether it was there."""
        from assay.ledger import recording

        with self.ledger.write() as connection:
            _claim(connection, run)
            return recording.remove_tag(connection, run, key)

    def add_inputs(self, run: str, data: Sequence[Data], *, at: int | None = None) -> None:
        """Record what a run reads, and that it came before the run."""
        self._add_data(run, data, direction="input", at=now_ms() if at is None else at)

    def add_outputs(self, run: str, data: Sequence[Data], *, at: int | None = None) -> None:
        """Record what a run wrote, and that it came of the run."""
        self._add_data(run, data, direction="output", at=now_ms() if at is None else at)

    def _add_data(self, run: str, data: Sequence[Data], *, direction: str, at: int) -> None:
        from assay.ledger import rows

        found = []
        for item in data:
            row = msgspec.structs.asdict(item) | {"run_id": run, "direction": direction}
            if item.details is not None:
                row["details"] = msgspec.json.encode(item.details, order="sorted").decode()
            found.append(row)
        with self.ledger.write() as connection:
            _claim(connection, run)
            rows.put_data(connection, found)
            if direction == "input":
                edges = [(f"data:{item.oid}", "read_by", f"run:{run}") for item in data]
            else:
                edges = [(f"run:{run}", "wrote", f"data:{item.oid}") for item in data]
            lineage.add(connection, _edges(edges, at=at))

    def set_profiles(self, profiles: Mapping[str, str], *, at: int | None = None) -> None:
        """Record the profile of contents, oid by oid, wherever a run read or wrote them.

        A run that has ended changes by that: who has a copy of its record gets it with the next.
        """
        from sqlalchemy import select

        from assay.ledger import rows, tables

        data, run = tables.run_data.c, tables.run.c
        changed: set[str] = set()
        with self.ledger.write() as connection:
            for oid, profile in profiles.items():
                without = (data.oid == oid, data.profile.is_(None))
                ended = select(run.id).join(tables.run_data, data.run_id == run.id)
                ended = ended.where(*without, run.status.in_(rows.ENDED))
                changed.update(connection.execute(ended).scalars())
                query = tables.run_data.update().where(*without)
                connection.execute(query.values(profile=profile))
            rows.touch_runs(connection, sorted(changed), at=now_ms() if at is None else at)

    def add_artifact(self, run: str, path: str, oid: str, size: int) -> None:
        """Record a file that a run keeps; one at the same path is replaced."""
        self.add_artifacts(run, [Artifact(path=path, oid=oid, size=size)])

    def add_artifacts(
        self, run: str, artifacts: Sequence[Artifact], *, at: int | None = None
    ) -> None:
        """Record many files that a run keeps, in one transaction."""
        from assay.ledger import rows, tables

        moment = now_ms() if at is None else at
        found = [msgspec.structs.asdict(one) | {"run_id": run, "at": moment} for one in artifacts]
        with self.ledger.write() as connection:
            _claim(connection, run)
            rows.put(connection, tables.artifact, found)

    def add_edge(self, source: str, relation: str, target: str, *, at: int | None = None) -> None:
        """Record that `target` came of `source`; see `assay.ledger.lineage` for their names."""
        edges = _edges([(source, relation, target)], at=now_ms() if at is None else at)
        with self.ledger.write() as connection:
            lineage.add(connection, edges)

    def set_environment(self, run: str, environment: Environment) -> None:
        """Record what a run's process has, where that is known after its beginning only."""
        from assay.ledger import tables

        with self.ledger.write() as connection:
            _claim(connection, run)
            _add_environment(connection, environment, at=now_ms())
            query = tables.run.update().where(tables.run.c.id == run)
            connection.execute(query.values(environment_oid=environment.oid))

    def mark_killed(self, *, at: int) -> list[str]:
        """Mark runs whose process is gone, with their children, and return their ids.

        Of a process on another host only the heartbeat is known; see `assay.ledger.liveness`.
        """
        from assay.ledger import liveness

        with self.ledger.read() as connection:  # mostly there are none: take no lock for that
            if not liveness.gone(connection, at=at):
                return []
        with self.ledger.write() as connection:
            return liveness.mark_killed(connection, at=at)


def _claim(connection: Connection, run: str) -> None:
    from assay.ledger import rows

    rows.claim_run(connection, run, deleted_too=False)


def _experiment(connection: Connection, name: str, *, at: int) -> int:
    from assay.ledger import rows, tables

    experiment = tables.experiment
    row = {"name": values.key_text("experiment", name), "created": at, "updated": at}
    query = experiment.select().where(experiment.c.name == name)
    found = connection.execute(query).one_or_none()
    if found is None:
        connection.execute(rows.insert(connection, experiment).on_conflict_do_nothing(), row)
        found = connection.execute(query).one()
    if found.deleted is not None:
        raise Error(f"the experiment {name!r} is deleted", hint="restore it, or name another one")
    return int(found.id)


def _add_environment(connection: Connection, environment: Environment, *, at: int) -> None:
    from assay.ledger import rows, tables

    content = environment.content.decode()
    row = {"oid": environment.oid, "content": content, "created": at}
    connection.execute(rows.insert(connection, tables.environment).on_conflict_do_nothing(), row)


def _code_row(code: Code | None) -> dict[str, object]:
    code = code or Code(reason="it is not known which code ran")
    return {
        "code_commit": code.commit, "code_branch": code.branch, "code_diff": code.diff,
        "code_directory": code.directory, "code_is_reproducible": code.reproducible,
        "code_reason": code.reason,
    }  # fmt: skip


def _process_row(who: process.Process) -> dict[str, object]:
    return {"host": who.host, "boot": who.boot, "pid": who.pid, "process_start": who.start}


def _add_code(connection: Connection, run: str, code: Code, *, at: int) -> None:
    from assay.ledger import rows, tables

    files = [msgspec.structs.asdict(one) | {"run_id": run} for one in code.untracked]
    rows.put(connection, tables.untracked, files)
    if code.commit is not None:
        edges = [(f"commit:{code.commit}", "code_of", f"run:{run}")]
        lineage.add(connection, _edges(edges, at=at))


def _edges(triples: Iterable[tuple[str, str, str]], *, at: int) -> list[lineage.Edge]:
    return [
        lineage.Edge(source=source, relation=relation, target=target, at=at)
        for source, relation, target in triples
    ]
