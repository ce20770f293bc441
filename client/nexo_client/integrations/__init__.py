"""Plugins for other programs, each an optional extra. The rest of this package does not import them."""
