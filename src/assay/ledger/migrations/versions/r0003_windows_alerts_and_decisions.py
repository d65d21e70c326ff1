"""What a monitor computed and raised, and what was decided about it, each once.

Alerts get the key that makes each one unique. Of old ones the first with a key has it, later ones
have none; all stay. Old servers have told neither processor time nor memory. A client of 0002
that has the ledger open may still write.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", "0002"

_ALERT = ("key", "deployment", "acknowledged", "note")
_SERVER = ("cpu_seconds", "memory")


def upgrade() -> None:
    for name in _ALERT:
        kind = sa.BigInteger() if name == "acknowledged" else sa.Text()
        op.add_column("alert", sa.Column(name, kind, nullable=True))
    _give_keys()
    op.create_index(op.f("ix_alert_key"), "alert", ["key"], unique=True)
    op.add_column("server", sa.Column("cpu_seconds", sa.Double(), nullable=True))
    op.add_column("server", sa.Column("memory", sa.BigInteger(), nullable=True))
    _windows()
    _decisions()


def downgrade() -> None:
    op.drop_table("decision")
    op.drop_table("window")
    op.drop_index(op.f("ix_alert_key"), table_name="alert")
    for table, names in (("server", _SERVER), ("alert", _ALERT)):
        with op.batch_alter_table(table) as batch:
            for name in names:
                batch.drop_column(name)


def _give_keys() -> None:
    """Give each old alert its key, the first of those with one key."""
    names = ("id", "endpoint", "monitor", "column", "window_end", "at", "key")
    alert = sa.table("alert", *(sa.column(name) for name in names))
    given: set[str] = set()
    query = sa.select(alert).order_by(alert.c.at, alert.c.id)
    for row in op.get_bind().execute(query).mappings().all():
        parts = [row["endpoint"], row["monitor"], row["column"] or "", row["window_end"] or 0]
        key = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
        if key not in given:
            given.add(key)
            op.execute(alert.update().where(alert.c.id == row["id"]).values(key=key))


def _windows() -> None:
    op.create_table(
        "window",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("end", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("bundle", sa.Text(), nullable=True),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("n_truths", sa.BigInteger(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("computed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "start", "end", name=op.f("pk_window")),
    )


def _decisions() -> None:
    op.create_table(
        "decision",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("window_end", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("alert", sa.Text(), nullable=True),
        sa.Column("code_commit", sa.Text(), nullable=True),
        sa.Column("run", sa.Text(), nullable=True),
        sa.Column("candidate", sa.Text(), nullable=True),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("base", sa.Text(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("deployment", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("boot", sa.Text(), nullable=True),
        sa.Column("pid", sa.BigInteger(), nullable=True),
        sa.Column("process_start", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
        sa.UniqueConstraint(
            "endpoint",
            "trigger",
            "window_end",
            name=op.f("uq_decision_endpoint_trigger_window_end"),
        ),
    )
    op.create_index(op.f("ix_decision_endpoint_at"), "decision", ["endpoint", "at"], unique=False)
