"""`nexoctl demo`: the real parts at work in a directory that is thrown away.

`story` tells it, `workspace` is the program that follows the switch, `provider` and `faces` are the provider
that it talks to. Nothing here is needed by a program that uses the SDK.
"""


def main(arguments: object = None) -> int:
    """Runs the demo on the terminal; returns the exit status. Takes no options."""
    from nexo_cli.demo.story import tell

    return tell()
