"""What the local gateway needs of the daemon: tokens, the port, the target of a request, what was used."""
