"""The flags of `nexoctl import` that complete an entry without its key or address.

Each value is for one account. If several accounts lack that part, the person has to name the account: a key
sent to the address of another account would leak.
"""

import os
from collections.abc import Callable
from dataclasses import replace

from nexo.connections.values import frozen
from nexo_cli.parser import UsageError
from nexo_sources import Finding, Found, Skipped, completing
from nexo_sources.finding import Incomplete, Part
from nexo_sources.offers import Survey


@frozen
class Given:
    """One part as the person gave it.

    Attributes:
        flag: the flag of the part, for error messages.
        text: `VALUE`, or `NAME=VALUE` if several accounts lack such a part.
    """

    flag: str
    lacks: Part
    text: str
    complete: Callable[[Incomplete, str], Finding]


def address(text: str) -> Given:
    """An account's base URL."""
    return Given("--base-url", Part.ADDRESS, text, completing.with_address)


def reference(text: str) -> Given:
    """A reference to a key."""
    return Given("--api-key-ref", Part.KEY, text, completing.with_reference)


def key_in(text: str) -> Given:
    """The variable that holds a key."""
    return Given("--api-key-env", Part.KEY, text, _from_variable)


def key(text: str) -> Given:
    """A key that was piped in."""
    return Given("--api-key-stdin", Part.KEY, text, completing.with_key)


def _from_variable(incomplete: Incomplete, name: str) -> Finding:
    value = os.environ.get(name, "").strip()
    if not value:
        raise UsageError(
            f"--api-key-env: the variable {name} is not set", "export it, or use --api-key-stdin"
        )
    return completing.with_key(incomplete, value)


def completed(results: Survey, parts: list[Given]) -> Survey:
    """The survey with each part put into its entry.

    Raises:
        UsageError: a part fits no entry, or several.
    """
    for part in parts:
        results = _with(results, part)
    return results


def _with(results: Survey, part: Given) -> Survey:
    lacking = [
        (one, one.incomplete)
        for _, found in results
        for one in found.skipped
        if one.incomplete is not None and one.incomplete.lacks is part.lacks
    ]
    name, equals, rest = part.text.partition("=")
    meant = [pair for pair in lacking if equals and name.casefold() in _names(*pair)]
    value = rest if meant else part.text
    meant = meant or lacking
    what = "address" if part.lacks is Part.ADDRESS else "key"
    if not meant:
        raise UsageError(
            f"{part.flag}: no entry that was found lacks its {what}",
            "`nexoctl import` shows what was found",
        )
    if len(meant) > 1:
        names = ", ".join(sorted({incomplete.rest.name for _, incomplete in meant}))
        raise UsageError(
            f"{part.flag}: {len(meant)} entries lack their {what} ({names})",
            f"name the source and the entry: nexoctl import SOURCE {part.flag} NAME=…; or use `nexoctl add`",
        )
    (skipped, incomplete) = meant[0]
    finding = part.complete(incomplete, value.strip())
    return [(source, _moved(found, skipped, finding)) for source, found in results]


def _names(skipped: Skipped, incomplete: Incomplete) -> tuple[str, str]:
    return skipped.what.casefold(), incomplete.rest.name.casefold()


def _moved(found: Found, skipped: Skipped, finding: Finding) -> Found:
    if not any(one is skipped for one in found.skipped):
        return found
    left = tuple(one for one in found.skipped if one is not skipped)
    return replace(found, findings=(*found.findings, finding), skipped=left)
