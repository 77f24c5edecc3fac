"""Runs migrations on the connection that `recsys.store.schema.migrate` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from recsys.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
