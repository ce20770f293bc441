"""The lines of a text as a settings file has them: only a line feed ends one. Pure."""


def of(text: str) -> list[str]:
    """The lines, each with its end; the last one gets one, too."""
    ended = text if not text or text.endswith("\n") else text + "\n"
    return [line + "\n" for line in ended.split("\n")[:-1]]
