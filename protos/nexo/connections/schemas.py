"""The schema revisions of the store that this version can read."""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
"""All released ones, oldest first. A normal start of the daemon does not import Alembic."""
