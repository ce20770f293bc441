"""The rules of the domain: the single writer, its snapshot and its events."""
