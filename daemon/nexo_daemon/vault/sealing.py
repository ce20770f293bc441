"""Encrypts single fields with AES-256-GCM; associated data ties a field to its place and destination.

A blob does not open if it was copied to another row, field or connection, or if its connection was edited to
use another address, proxy or header for the key. Blobs of form 1 were tied only to the host, not to path and
header; they are sealed again when the vault is opened.

NIST SP 800-38D allows 2**32 messages with random 96-bit nonces under one key; a store of connections stays
far below that.
"""

import base64
import binascii
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nexo.connections.values import frozen

KEY_BYTES = 32
NONCE_BYTES = 12


class DoesNotOpenError(Exception):
    """The key is not the one that sealed the field, or the bytes or their place were changed."""


FORM = 2
"""The form in which fields are sealed."""


@frozen
class Destination:
    """The values that decide where and how a secret is sent.

    Attributes:
        origin: scheme://host:port that it may be sent to.
        route: proxy and certificates, as canonical text.
        endpoint: the whole address, and how the key is sent, as canonical text.
    """

    origin: str
    route: str = ""
    endpoint: str = ""


@frozen
class SealedPlace:
    """The place and destination that a sealed field is tied to.

    Attributes:
        kind: the field; `name` is the header name of a header value.
    """

    row_id: str
    connection_id: str
    kind: str
    name: str
    key_id: str
    destination: Destination
    form: int = FORM

    def associated_data(self) -> bytes:
        """Canonical bytes: JSON, so that two places never have the same bytes."""
        destination = self.destination
        return json.dumps(
            ["nexo", self.form, "secrets", self.kind, self.row_id, self.connection_id, self.name, self.key_id,
             destination.origin, destination.route, *([] if self.form == 1 else [destination.endpoint])],
            ensure_ascii=True,
            separators=(",", ":"),
        ).encode("ascii")  # fmt: skip


def new_key() -> bytes:
    """A new random key."""
    return AESGCM.generate_key(bit_length=KEY_BYTES * 8)


def key_to_text(key: bytes) -> str:
    """A key as text, for a key file or a keyring."""
    return base64.b64encode(key).decode("ascii")


def key_from_text(text: str) -> bytes | None:
    """The key in a text by `key_to_text`; None if the text is damaged."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def seal(key: bytes, plaintext: bytes, associated_data: bytes) -> tuple[bytes, bytes]:
    """Encrypt; returns nonce and ciphertext."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce, AESGCM(key).encrypt(nonce, plaintext, associated_data)


def unseal(key: bytes, nonce: bytes, ciphertext: bytes, associated_data: bytes) -> bytes:
    """Decrypt.

    Raises:
        DoesNotOpenError: key, nonce, ciphertext or associated data do not match.
    """
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, associated_data)
    except (InvalidTag, ValueError):
        raise DoesNotOpenError from None
