"""One module for each command: `configure(parser)` declares its arguments, `run(arguments, session)` runs it.

A module is imported only when its command is used. `run` returns an exit code and lets `NexoError` pass;
`nexo_cli.errors` turns that into a message and a code.
"""
