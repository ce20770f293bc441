"""The configuration in memory: the single writer, its snapshot and its events."""
