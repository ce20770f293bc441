"""The settings with which other programs use the gateway, and how they get into their files."""
