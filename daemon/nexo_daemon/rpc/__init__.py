"""The wire side of the daemon: servicers that translate and delegate. No rule of the domain lives here."""
