"""One module a command: `configure(parser)` declares its arguments, `run(arguments, session)` does it.

A module is imported only when its command is used. It returns an exit code and lets `NexoError` pass;
`nexo_cli.errors` turns that into a message and a code.
"""
