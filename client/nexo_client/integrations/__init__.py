"""Plugins for other programs, each an optional extra. Nothing else of this package imports them."""
