"""Adds the source of checks and changes of health: the daemon, or requests of programs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    """Existing rows have no source, because requests of programs were not counted."""
    op.add_column("samples", sa.Column("from_traffic", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("transitions", sa.Column("source", sa.String(), nullable=False, server_default=""))
