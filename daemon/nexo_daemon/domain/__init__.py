"""The nouns of the daemon: plain values, their rules of construction, and its errors. No effects."""
