"""Everything that the SDK raises; `nexo.connections.errors` draws the tree."""

from nexo.connections.errors import *
