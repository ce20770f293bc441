"""Runs the example provider on a fixed port, for the test of the package, which has no network."""

import signal
import sys

from nexo_cli.demo.provider import ExampleProvider

with ExampleProvider(port=int(sys.argv[1])):
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
