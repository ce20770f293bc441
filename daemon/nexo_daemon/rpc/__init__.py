"""The gRPC side of the daemon: servicers that translate and delegate. No domain rules are here."""
