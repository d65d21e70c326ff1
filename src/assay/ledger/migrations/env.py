"""What Alembic runs for a migration: on the connection that `assay.ledger.migrations` gives it."""

from __future__ import annotations

from alembic import context

from assay.ledger.tables import metadata


def run() -> None:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if __name__ == "env_py":  # as Alembic calls this file
    run()
