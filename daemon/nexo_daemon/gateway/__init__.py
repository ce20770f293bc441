"""The daemon's side of the local gateway: tokens, port, target of a request, usage."""
