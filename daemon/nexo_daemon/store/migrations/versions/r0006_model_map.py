"""Adds the map of model names that the gateway replaces."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    """Existing maps are empty; an empty map is not part of a row's digest, so existing digests stay valid."""
    op.add_column("connections", sa.Column("model_map", sa.String(), nullable=False, server_default="[]"))
