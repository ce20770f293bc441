"""The version of the distribution; read by the build, the daemon and `--version`."""

__version__ = "0.1.0"
