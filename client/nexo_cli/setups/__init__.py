"""The settings with which other programs use the gateway, and how they are written to their files."""
