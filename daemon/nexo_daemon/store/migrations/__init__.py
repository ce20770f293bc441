"""Migrates stores of older releases. Imported only if a store needs it."""
