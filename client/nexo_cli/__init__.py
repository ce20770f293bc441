"""nexoctl: the command line of Nexo Connections.

`app` parses and dispatches, `commands` is the table of commands, `cmds/<name>.py` is one whole command,
`format` prints, `terminal` asks and shows progress, `records` defines the `--json` output.
Nothing here imports grpc before a command needs the daemon.
"""
