"""Where connections may be found already: one module a program, all of them readers.

A source is asked for what it holds and says two things: what can be imported, and what cannot and why.
Nothing here writes, moves or sends anything, except that `servers` asks loopback addresses whether somebody
answers. Not for saving (see `nexo_cli.importing` and `nexo_settings.importing`).
"""

from nexo_sources.finding import Finding, Found, Skipped
from nexo_sources.table import SOURCES, Source, survey

__all__ = ["SOURCES", "Finding", "Found", "Skipped", "Source", "survey"]
