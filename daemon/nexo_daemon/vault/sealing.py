"""How one field is encrypted: AES-256-GCM with associated data that ties it to its place and destination.

A blob that is copied to another row, field or connection, or whose connection was edited to go to another
address, through another proxy or with the key in another header, does not open. Blobs of form 1 were tied
to the host alone, not to the path and the header; they are sealed again once, when the vault opens.

NIST SP 800-38D: a random 96-bit nonce is good for 2**32 messages under one key; a store of connections stays
below by many orders of magnitude.
"""

import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nexo.connections.values import frozen

KEY_BYTES = 32
NONCE_BYTES = 12


class DoesNotOpenError(Exception):
    """The key is not the one that sealed, or the bytes or their place were changed."""


FORM = 2
"""In which new blobs are sealed."""


@frozen
class Ties:
    """What decides where a secret goes, and how.

    Attributes:
        origin: scheme://host:port it may be sent to.
        route: how it gets there (proxy, certificates), in one canonical text.
        endpoint: the whole address, and how the key is sent, in one canonical text.
    """

    origin: str
    route: str = ""
    endpoint: str = ""


@frozen
class SealedPlace:
    """What a sealed field is tied to.

    Attributes:
        kind: the field; `name` is the header name when it is a header value.
    """

    row_id: str
    connection_id: str
    kind: str
    name: str
    key_id: str
    ties: Ties
    form: int = FORM

    def associated_data(self) -> bytes:
        """Canonical bytes: JSON, so that no two places can spell the same."""
        ties = self.ties
        return json.dumps(
            ["nexo", self.form, "secrets", self.kind, self.row_id, self.connection_id, self.name, self.key_id,
             ties.origin, ties.route, *([] if self.form == 1 else [ties.endpoint])],
            ensure_ascii=True,
            separators=(",", ":"),
        ).encode("ascii")  # fmt: skip


def new_key() -> bytes:
    """Fresh random key."""
    return AESGCM.generate_key(bit_length=KEY_BYTES * 8)


def seal(key: bytes, plaintext: bytes, associated_data: bytes) -> tuple[bytes, bytes]:
    """Nonce and ciphertext."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce, AESGCM(key).encrypt(nonce, plaintext, associated_data)


def unseal(key: bytes, nonce: bytes, ciphertext: bytes, associated_data: bytes) -> bytes:
    """The plaintext.

    Raises:
        DoesNotOpenError: anything does not fit.
    """
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, associated_data)
    except (InvalidTag, ValueError):
        raise DoesNotOpenError from None
