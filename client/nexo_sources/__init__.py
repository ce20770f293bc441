"""Finds connections in the configuration of other programs; one module for each program.

A source returns the connections that can be imported, and the entries that cannot, with the reason.
Nothing here writes, moves or sends anything, except that `servers` sends requests to loopback addresses.
`nexo_cli.importing` and `nexo_settings.importing` save what was found.
"""

from nexo_sources.finding import Finding, Found, Skipped
from nexo_sources.table import SOURCES, Source, survey

__all__ = ["SOURCES", "Finding", "Found", "Skipped", "Source", "survey"]
