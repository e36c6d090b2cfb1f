"""Alembic environment: migrates the ledger through the connection it is handed; there is no other way to run it."""

from alembic import context

from soundscope.ingest.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
