"""Alembic's environment: runs the migrations on the connection from `store.upgrade`."""

from alembic import context

from nexo_daemon.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite can roll back DDL, and the engine begins its transactions itself; Alembic assumes otherwise.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
