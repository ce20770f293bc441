"""nexoctl: the command line of Nexo Connections.

`app` parses and dispatches, `commands` is the table of commands, `cmds/<name>.py` is a command's whole
story, `format` prints, `terminal` asks and shows progress, `records` says what `--json` looks like.
Nothing here imports grpc before a command needs the daemon.
"""
