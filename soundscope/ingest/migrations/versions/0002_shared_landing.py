"""shared landing: where a landed file has a copy, what was removed, and who is asking for what."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the ledger to this version."""
    with op.batch_alter_table("landing_files", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("store", sa.Text(), nullable=True, comment="The shared store that has a copy; NULL where none has.")
        )
        batch_op.add_column(
            sa.Column("rewritten_at", sa.DateTime(), nullable=True, comment="When a purge last took rows out of it (UTC).")
        )
    op.create_table(
        "removed_files",
        sa.Column("landing_file", sa.String(length=400), nullable=False, comment="Path below warehouse/landing."),
        sa.Column("removed_at", sa.DateTime(), nullable=True, comment="When (UTC)."),
        sa.Column("store", sa.Text(), nullable=True, comment="The shared store that may still have it; NULL once it has not."),
        sa.PrimaryKeyConstraint("landing_file"),
        comment="Landed files that were removed on purpose; other machines that share the store remove theirs. One row per file.",
    )
    op.create_table(
        "claims",
        sa.Column("provider", sa.String(length=64), nullable=False, comment="Who is asked."),
        sa.Column("kind", sa.String(length=64), nullable=False, comment="For what."),
        sa.Column("key", sa.String(length=600), nullable=False, comment="Of what."),
        sa.Column("run_id", sa.String(length=64), nullable=True, comment="The run that asks."),
        sa.Column("until", sa.DateTime(), nullable=True, comment="From this instant (UTC) on another run may ask."),
        sa.PrimaryKeyConstraint("provider", "kind", "key"),
        comment="What is being asked for right now, so that no two runs ask for the same; one row per provider, kind and key.",
    )


def downgrade() -> None:
    """Return to the version before."""
    op.drop_table("claims")
    op.drop_table("removed_files")
    with op.batch_alter_table("landing_files", schema=None) as batch_op:
        batch_op.drop_column("rewritten_at")
        batch_op.drop_column("store")
