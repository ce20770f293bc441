"""Adds the auto-lock setting."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"


def upgrade() -> None:
    """Create a table; existing ones do not change."""
    op.create_table(
        "auto_lock",
        sa.Column("id", sa.Integer(), sa.CheckConstraint("id = 1", name="one_row"), nullable=False),
        sa.Column("idle_s", sa.Float(), nullable=True),
        sa.Column("on_suspend", sa.Boolean(), nullable=False),
        sa.Column("on_screen_lock", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_auto_lock"),
    )
