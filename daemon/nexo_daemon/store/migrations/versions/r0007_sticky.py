"""Adds how long a conversation stays on its connection, by binding."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"


def upgrade() -> None:
    """Existing bindings are not sticky; that value is not part of a digest, as in r0006."""
    op.add_column("bindings", sa.Column("sticky_s", sa.Float(), nullable=True))
