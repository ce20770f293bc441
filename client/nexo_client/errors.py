"""The exceptions of the SDK; `nexo.connections.errors` shows the class hierarchy."""

from nexo.connections.errors import *
