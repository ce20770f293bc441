"""`nexoctl demo`: the real daemon and SDK in a temporary directory.

`story` runs it, `workspace` is the program that follows the switch, `provider` and `faces` are the example
provider. No program that uses the SDK needs anything from here.
"""


def main(arguments: object = None) -> int:
    """Runs the demo on the terminal; returns the exit status. Takes no options."""
    from nexo_cli.demo.story import tell

    return tell()
