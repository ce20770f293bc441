"""Which secrets do not open? The log names them once; each of them is refused when it is used."""

import asyncio
import logging

from nexo.connections.errors import NexoError, SecretTampered
from nexo.connections.terms import VaultState
from nexo_daemon.registry.writer import Writer

log = logging.getLogger(__name__)

_IN_A_ROW = 50
"""A millisecond's worth."""


async def try_seals(writer: Writer) -> None:
    """Try the secrets of every connection, with other work in between; nothing while the vault is shut."""
    for number, one in enumerate(list(writer.snapshot.connections.values()), 1):
        if writer.store.vault.state is not VaultState.UNLOCKED:
            return
        if writer.snapshot.connections.get(one.id) is not one:
            # Sealed again since, maybe with another key.
            continue
        try:
            writer.store.unseal(one)
        except SecretTampered as error:
            log.warning("the secrets of '%s' cannot be used: %s", one.name, error.message)
        except NexoError:
            # It was shut at this very moment.
            return
        if number % _IN_A_ROW == 0:
            await asyncio.sleep(0)
