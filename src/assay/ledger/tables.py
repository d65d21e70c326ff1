"""The tables of the ledger, as SQLAlchemy Core sees them.

`migrations/` makes them; a test holds the two together. Every `*_oid`, `oid`, `diff` and
`profile` is the hash of some content with its algorithm before a colon; the bytes lie in an
object store, never here. Columns named `at`, `start`, `end`, `started`, `ended`, `seen`,
`created`, `updated`, `computed`, `acknowledged`, `resolved`, `deleted` and `window_…` are Unix
milliseconds UTC; `deleted` is null for what is there. `details` are JSON.

MLflow's data model fits on these tables: experiment 0 is its `Default`, a dataset input is a row
of `run_data` of kind "dataset" (name in `path`, digest in `oid`, its tag mlflow.data.context in
`context`, the rest in `details`), a logged model is what a run made and may be registered later,
a version's `source` is its URI, and not-a-number is kept beside the value, as MLflow does, since
SQLite makes null of it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
)

REVISION = "0004"
"""The newest migration; a ledger at another one is upgraded, or refused if it is newer."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only INTEGER keys


def _moment(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, BigInteger, nullable=null)


def _text(name: str) -> Column[Any]:
    return Column(name, Text, nullable=False)


def _of_run(*, key: bool = True) -> Column[Any]:
    target = ForeignKey("run.id", ondelete="CASCADE")
    return Column("run_id", Text, target, primary_key=key, nullable=False)


def _tags_of(name: str, *owner: Column[Any], **options: Any) -> Table:
    key, value = Column("key", Text, primary_key=True), _text("value")
    return Table(name, metadata, *owner, key, value, **options)


experiment = Table(
    "experiment",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("artifact_location", Text),
    _moment("created"),
    _moment("updated"),
    _moment("deleted", null=True),
    sqlite_autoincrement=True,
)

experiment_tag = _tags_of(
    "experiment_tag",
    Column(
        "experiment_id",
        _Number,
        ForeignKey("experiment.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
)

environment = Table(
    "environment",
    metadata,
    Column("oid", Text, primary_key=True),
    _text("content"),  # canonical JSON; its sha256 is the oid
    _moment("created"),
)

run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    _text("name"),
    _text("kind"),  # pipeline, stage, script, reproduction
    _text("status"),  # scheduled, running, finished, failed, killed
    Column("experiment_id", _Number, ForeignKey("experiment.id"), nullable=False),
    Column("parent_id", Text, ForeignKey("run.id", ondelete="CASCADE"), index=True),
    Column("stage", Text),
    Column("command", Text),
    Column("directory", Text),
    Column("owner", Text),
    _moment("start"),
    _moment("end", null=True),
    Column("exit_status", Integer),
    Column("peak_memory", BigInteger),  # bytes
    Column("cpu_seconds", Double),
    Column("log_tail", Text),
    Column("reason", Text),  # of its status
    Column("host", Text),  # where its process is, and how to tell whether that still lives
    Column("boot", Text),
    Column("pid", BigInteger),
    Column("process_start", Text),
    Column("code_commit", Text, index=True),
    Column("code_branch", Text),
    Column("code_diff", Text),
    Column("code_directory", Text),
    Column("code_is_reproducible", Boolean, nullable=False, server_default=false()),
    Column("code_reason", Text),  # why it is not reproducible
    Column("environment_oid", Text, ForeignKey("environment.oid")),
    _moment("deleted", null=True),
    Column("artifact_uri", Text),  # null: where the hub keeps them
    _moment("seen", null=True),  # a heartbeat: when its process last wrote, while it runs
    _moment("updated", null=True),  # when its record last changed after its end
    Index(None, "experiment_id", "start"),
    Index(None, "start"),
    Index(None, "status"),
)

untracked = Table(
    "untracked",
    metadata,
    _of_run(),
    Column("path", Text, primary_key=True),
    _text("oid"),
    Column("size", BigInteger, nullable=False),
    Column("is_executable", Boolean, nullable=False),
)

param = Table(
    "param",
    metadata,
    _of_run(),
    Column("key", Text, primary_key=True),
    _text("value"),  # as Python's str(), so that 0.1 and "0.1" are one value, as in MLflow
    _text("type"),  # str, int, float, bool, null, json
)

latest_metric = Table(  # one row a run and key; the history hangs on its id
    "latest_metric",
    metadata,
    Column("id", _Number, primary_key=True),
    _of_run(key=False),
    _text("key"),
    Column("value", Double, nullable=False),
    Column("is_nan", Boolean, nullable=False),  # then the value is 0
    Column("step", BigInteger, nullable=False),
    _moment("at"),
    UniqueConstraint("run_id", "key"),
    Index(None, "key", "value"),
)

metric = Table(  # its key is the whole row: the same point twice is one point
    "metric",
    metadata,
    Column(
        "series_id",
        _Number,
        ForeignKey("latest_metric.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Double, primary_key=True),
    Column("is_nan", Boolean, primary_key=True),
    sqlite_with_rowid=False,
)

tag = _tags_of(
    "tag",
    _of_run(),
    Column("at", BigInteger),  # when it was set: of two clones' values the newer one counts
)

INDEXED_SIZE = 1500
"""Bytes of a key and its value together, below which PostgreSQL's indexes hold them."""

for _searched in (param, tag):
    _size = func.octet_length(_searched.c.key) + func.octet_length(_searched.c.value)
    Index(None, _searched.c.key, _searched.c.value, postgresql_where=_size < INDEXED_SIZE)

run_data = Table(
    "run_data",
    metadata,
    _of_run(),
    Column("direction", Text, primary_key=True),  # input, output
    Column("path", Text, primary_key=True),
    Column("oid", Text, primary_key=True),
    Column("size", BigInteger),
    Column("n_files", BigInteger),
    _text("kind"),  # dep, out, metric, plot, dataset
    Column("profile", Text),
    Column("details", Text),
    Column("context", Text),  # what a dataset was for: train, eval, …
    Index(None, "oid"),
)

artifact = Table(
    "artifact",
    metadata,
    _of_run(),
    Column("path", Text, primary_key=True),
    Column("oid", Text, nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    _moment("at"),
)

logged_model = Table(  # what a run made of MLflow's kind; a deleted one keeps its row
    "logged_model",
    metadata,
    Column("id", Text, primary_key=True),  # m- and 32 hexadecimal digits
    _text("name"),
    Column("experiment_id", _Number, ForeignKey("experiment.id"), nullable=False),
    _text("status"),  # pending, ready, failed
    Column("status_message", Text),
    Column("type", Text),
    Column("run_id", Text, ForeignKey("run.id", ondelete="SET NULL"), index=True),
    Column("owner", Text),
    Column("artifact_uri", Text),  # null: where the hub keeps them
    _moment("created"),
    _moment("updated"),
    _moment("deleted", null=True),
    Index(None, "experiment_id", "created"),
)


def _of_logged_model() -> Column[Any]:
    target = ForeignKey("logged_model.id", ondelete="CASCADE")
    return Column("model_id", Text, target, primary_key=True)


logged_model_param = _tags_of("logged_model_param", _of_logged_model())
logged_model_tag = _tags_of("logged_model_tag", _of_logged_model())

logged_model_metric = Table(
    "logged_model_metric",
    metadata,
    _of_logged_model(),
    Column("key", Text, primary_key=True),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    _of_run(),
    Column("value", Double, nullable=False),
    Column("is_nan", Boolean, nullable=False),
    Column("dataset_name", Text),
    Column("dataset_digest", Text),
)

logged_model_artifact = Table(
    "logged_model_artifact",
    metadata,
    _of_logged_model(),
    Column("path", Text, primary_key=True),
    Column("oid", Text, nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    _moment("at"),
)

run_model = Table(  # which logged models a run read and made
    "run_model",
    metadata,
    _of_run(),
    Column("direction", Text, primary_key=True),  # input, output
    _of_logged_model(),
    Column("step", BigInteger, nullable=False),
)

model = Table(
    "model",
    metadata,
    Column("name", Text, primary_key=True),
    Column("description", Text),
    _moment("created"),
    _moment("updated"),
    _moment("deleted", null=True),  # one of its versions was deployed: their rows have to stay
)


def _of_model() -> Column[Any]:
    target = ForeignKey("model.name", ondelete="CASCADE", onupdate="CASCADE")
    return Column("model", Text, target, primary_key=True)


model_tag = _tags_of("model_tag", _of_model())

version = Table(  # a deleted one keeps its row, so that no number is given twice
    "version",
    metadata,
    _of_model(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("bundle", Text, index=True),  # the oid of its bundle.json
    Column("source", Text),
    Column("run_id", Text, ForeignKey("run.id", ondelete="SET NULL"), index=True),
    Column("description", Text),
    _text("status"),  # pending, ready, failed
    Column("status_message", Text),
    _moment("created"),
    _moment("updated"),
    _moment("deleted", null=True),
    Column("owner", Text),
    Column("stage", Text),  # MLflow's: None, Staging, Production, Archived
    Column("run_link", Text),
    Column("model_id", Text, index=True),  # the logged model that it was made of
    Column("artifact_uri", Text),  # where its files are, where `source` does not say
    Column("foreign_run", Text),  # the id of its run, where that is in no ledger of ours
)


def _to_version(*, ondelete: str | None = "CASCADE") -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["model", "version"],
        ["version.model", "version.number"],
        ondelete=ondelete,
        onupdate="CASCADE",
    )


version_tag = Table(
    "version_tag",
    metadata,
    Column("model", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    _text("value"),
    _to_version(),
)

alias = Table(
    "alias",
    metadata,
    Column("model", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    _moment("at"),
    _to_version(),
)

deployment = Table(
    "deployment",
    metadata,
    Column("id", Text, primary_key=True),
    _text("endpoint"),
    _text("model"),
    Column("version", Integer, nullable=False),
    Column("share", Double, nullable=False),  # of the endpoint's traffic, 0 to 1
    Column("owner", Text),
    Column("reason", Text),
    Column("details", Text),
    _moment("start"),
    _moment("end", null=True),
    Column("end_reason", Text),
    _to_version(ondelete=None),
    Index(None, "endpoint", "start"),
)

server = Table(  # a heartbeat: who answers for an endpoint, and with what
    "server",
    metadata,
    Column("id", Text, primary_key=True),
    Column("endpoint", Text, nullable=False, index=True),
    _text("url"),
    _text("host"),
    _text("boot"),
    Column("pid", BigInteger, nullable=False),
    Column("process_start", Text),
    _moment("started"),
    _moment("seen"),
    Column("deployment", Text),  # the id of what it answers with
    Column("wanted", Text),  # the id of what it was told to load
    _text("state"),  # starting, ready, loading, failed, draining
    Column("problem", Text),
    Column("cpu_seconds", Double),  # since it started
    Column("memory", BigInteger),  # bytes
)

window = Table(  # what a monitor computed of a stretch of event time
    "window",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("end", BigInteger, primary_key=True, autoincrement=False),
    Column("bundle", Text),  # "sha256:" and the hash of the bundle it was compared with
    Column("version", Text),  # MODEL/3
    _text("state"),  # of its truth: partial, complete
    Column("n_rows", BigInteger, nullable=False),
    Column("n_truths", BigInteger, nullable=False),
    _text("details"),
    _moment("computed"),
)

alert = Table(
    "alert",
    metadata,
    Column("id", Text, primary_key=True),
    _text("endpoint"),
    _text("monitor"),
    Column("column", Text),
    Column("statistic", Text),
    Column("value", Double),
    Column("threshold", Double),
    _text("severity"),
    _text("message"),
    _moment("window_start", null=True),
    _moment("window_end", null=True),
    _moment("at"),
    _moment("resolved", null=True),
    Column("details", Text),
    Column("key", Text),  # what makes it unique; null for one that was repeated before 0003
    Column("deployment", Text),  # the id of what answered then
    _moment("acknowledged", null=True),
    Column("note", Text),
    Index(None, "endpoint", "at"),
    Index(None, "key", unique=True),
)

decision = Table(  # a retraining, from its trigger to its outcome
    "decision",
    metadata,
    Column("id", Text, primary_key=True),
    _text("endpoint"),
    _text("trigger"),  # hand, performance, drift, data, schedule
    _moment("window_end"),
    _moment("at"),
    _text("state"),  # started, finished
    _text("step"),  # begun, data, run, judged, registered, deployed
    Column("outcome", Text),  # deployed, refused, inconclusive, failed
    Column("reason", Text),
    Column("alert", Text),
    Column("code_commit", Text),
    Column("run", Text),
    Column("candidate", Text),  # "sha256:" and the hash of a bundle, as is `base`
    Column("version", Text),
    Column("base", Text),
    Column("verdict", Text),
    Column("deployment", Text),
    _text("details"),
    _moment("ended", null=True),
    Column("host", Text),  # the process that works on it
    Column("boot", Text),
    Column("pid", BigInteger),
    Column("process_start", Text),
    UniqueConstraint("endpoint", "trigger", "window_end"),
    Index(None, "endpoint", "at"),
)

edge = Table(  # source came first; things are named KIND:NAME, see `assay.ledger.lineage`
    "edge",
    metadata,
    Column("source", Text, primary_key=True),
    Column("relation", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    _moment("at"),
    Index(None, "target"),
    sqlite_with_rowid=False,
)

batch = Table(  # what was written by a client that may send it again
    "batch",
    metadata,
    Column("id", Text, primary_key=True),  # of a sender, whose batches come in their order
    Column("number", BigInteger, nullable=False),  # of the last of its batches that was applied
    Column("at", BigInteger, nullable=False, index=True),
)

purged = Table(  # runs that are gone for good: they do not come back from another clone
    "purged",
    metadata,
    Column("id", Text, primary_key=True),
    _moment("at"),
)
