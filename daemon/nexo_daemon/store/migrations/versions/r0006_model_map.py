"""What does the gateway send in place of the model that a program asks for?"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    """Nothing is mapped; an empty map is no part of a row's digest, so that these stay true."""
    op.add_column("connections", sa.Column("model_map", sa.String(), nullable=False, server_default="[]"))
