"""`nexod`, the daemon that owns the connections. Start reading at `main`."""
