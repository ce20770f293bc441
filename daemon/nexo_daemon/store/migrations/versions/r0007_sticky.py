"""In which workspaces does a conversation stay where it began?"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"


def upgrade() -> None:
    """In none; as in r0006, that is no part of a digest."""
    op.add_column("bindings", sa.Column("sticky_s", sa.Float(), nullable=True))
