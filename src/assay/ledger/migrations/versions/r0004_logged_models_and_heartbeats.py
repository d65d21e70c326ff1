"""What MLflow's clients know beside runs: logged models, stages, contexts; and heartbeats.

Runs travel between clones: a tag has its moment, and a run that is gone for good leaves its id.

In PostgreSQL, texts sort by their code points, whatever the database's own order is.

The default experiment gets the name that MLflow gives it, unless another one has it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NEW: dict[str, dict[str, type[sa.Text | sa.BigInteger]]] = {
    "run": {"artifact_uri": sa.Text, "seen": sa.BigInteger, "updated": sa.BigInteger},
    "run_data": {"context": sa.Text},
    "tag": {"at": sa.BigInteger},
    "model": {"deleted": sa.BigInteger},
    "version": dict.fromkeys(
        ("owner", "stage", "run_link", "model_id", "artifact_uri", "foreign_run"), sa.Text
    ),
}


def upgrade() -> None:
    for table, columns in _NEW.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind(), nullable=True))
    op.create_index(op.f("ix_version_model_id"), "version", ["model_id"], unique=False)
    _index_values()
    _rename("default", "Default")
    _logged_models()
    _parts_of_models()
    op.create_table(
        "batch",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
    )
    op.create_index(op.f("ix_batch_at"), "batch", ["at"], unique=False)
    op.create_table(
        "purged",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purged")),
    )
    _sort("C")


def downgrade() -> None:
    _sort("default")
    for name in ("purged", "batch", "run_model", "logged_model_artifact", "logged_model_metric"):
        op.drop_table(name)
    for name in ("logged_model_tag", "logged_model_param", "logged_model"):
        op.drop_table(name)
    _rename("Default", "default")
    op.drop_index(op.f("ix_version_model_id"), table_name="version")
    for table in ("latest_metric", "param", "tag"):
        op.drop_index(op.f(f"ix_{table}_key_value"), table_name=table)
    for table, columns in _NEW.items():
        with op.batch_alter_table(table) as batch:
            for name in columns:
                batch.drop_column(name)


def _index_values() -> None:
    """Make the indexes that searches go by; in PostgreSQL they cannot hold the longest texts."""
    columns = ["key", "value"]
    op.create_index(op.f("ix_latest_metric_key_value"), "latest_metric", columns, unique=False)
    short = sa.text("octet_length(key) + octet_length(value) < 1500")
    for table in ("param", "tag"):
        name = op.f(f"ix_{table}_key_value")
        op.create_index(name, table, columns, unique=False, postgresql_where=short)


def _rename(before: str, after: str) -> None:
    op.execute(
        sa.text(
            "UPDATE experiment SET name = :after WHERE id = 0 AND name = :before "
            "AND NOT EXISTS (SELECT 1 FROM experiment WHERE name = :after)"
        ).bindparams(before=before, after=after)
    )


def _sort(collation: str) -> None:
    """Have PostgreSQL compare and sort our texts by their code points, as SQLite and Python do."""
    if op.get_bind().dialect.name != "postgresql":
        return
    known = sa.inspect(op.get_bind())
    for table in known.get_table_names():
        if known.get_pk_constraint(table)["name"] != f"pk_{table}":
            continue  # not of ours: an extension's
        texts = [
            one["name"] for one in known.get_columns(table) if isinstance(one["type"], sa.Text)
        ]
        changes = [f'ALTER COLUMN "{name}" TYPE text COLLATE "{collation}"' for name in texts]
        if changes:
            op.execute(f'ALTER TABLE "{table}" {", ".join(changes)}')


def _logged_models() -> None:
    op.create_table(
        "logged_model",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("experiment_id", _NUMBER, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_message", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("artifact_uri", sa.Text(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiment.id"],
            name=op.f("fk_logged_model_experiment_id_experiment"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], ondelete="SET NULL", name=op.f("fk_logged_model_run_id_run")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logged_model")),
    )  # fmt: skip
    op.create_index(op.f("ix_logged_model_run_id"), "logged_model", ["run_id"], unique=False)
    op.create_index(
        op.f("ix_logged_model_experiment_id_created"), "logged_model", ["experiment_id", "created"]
    )


def _parts_of_models() -> None:
    for name in ("logged_model_param", "logged_model_tag"):
        _of_model(name, sa.Column("key", sa.Text()), _text("value"), key=("model_id", "key"))
    _of_model(
        "logged_model_metric",
        sa.Column("key", sa.Text()),
        sa.Column("step", sa.BigInteger(), autoincrement=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False),
        _text("run_id"),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("is_nan", sa.Boolean(), nullable=False),
        sa.Column("dataset_name", sa.Text(), nullable=True),
        sa.Column("dataset_digest", sa.Text(), nullable=True),
        key=("model_id", "key", "step", "at", "run_id"),
    )
    _of_model(
        "logged_model_artifact",
        sa.Column("path", sa.Text()),
        _text("oid"),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        key=("model_id", "path"),
    )
    op.create_index(
        op.f("ix_logged_model_artifact_oid"), "logged_model_artifact", ["oid"], unique=False
    )
    _of_model(
        "run_model",
        _text("run_id"),
        _text("direction"),
        sa.Column("step", sa.BigInteger(), nullable=False),
        key=("run_id", "direction", "model_id"),
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _of_model(name: str, *columns: sa.Column[Any], key: tuple[str, ...]) -> None:
    """Create a table of rows that go with their logged model, and with the run they name."""
    constraints: list[sa.Constraint] = [
        sa.ForeignKeyConstraint(
            ["model_id"], ["logged_model.id"], ondelete="CASCADE",
            name=op.f(f"fk_{name}_model_id_logged_model"),
        ),
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")),
    ]  # fmt: skip
    if "run_id" in key:
        of_run = sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], ondelete="CASCADE", name=op.f(f"fk_{name}_run_id_run")
        )
        constraints.append(of_run)
    op.create_table(name, _text("model_id"), *columns, *constraints)
