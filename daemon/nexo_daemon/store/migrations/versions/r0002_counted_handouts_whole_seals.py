"""Adds counters for repeated hand-outs, and the form in which a secret is sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    """Existing hand-outs are counted once; existing secrets have the first form."""
    op.add_column("handouts", sa.Column("times", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("handouts", sa.Column("last_at", sa.Integer(), nullable=True))
    op.add_column("secrets", sa.Column("form", sa.Integer(), nullable=False, server_default="1"))
