"""The lines of a settings file: only a line feed ends a line. Pure."""


def of(text: str) -> list[str]:
    """The lines, each with its end; one is added to the last line if necessary."""
    ended = text if not text or text.endswith("\n") else text + "\n"
    return [line + "\n" for line in ended.split("\n")[:-1]]
