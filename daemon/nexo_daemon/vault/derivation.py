"""Derives keys from a passphrase, a recovery code or a systemd credential. Pure."""

import base64
import hashlib
import os
import secrets
import unicodedata
from collections.abc import Mapping

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nexo_daemon.vault.sealing import KEY_BYTES

# RFC 7914; 128 MiB and about 0.4 s. Parameters are stored with the slot, so they can grow later.
_SCRYPT = {"n": 1 << 17, "r": 8, "p": 1}
# The limit for parameters in a slot or document: four times what we write, so that our own cost can grow.
# scrypt takes slightly more than 128 * n * r bytes, and time in proportion to n * r * p.
_WORK_LIMIT = 4 * (1 << 17) * 8
_FACTOR_LIMIT = 32
_MEMORY_LIMIT = 128 * _WORK_LIMIT + (1 << 20)
_SALT_BYTES = (16, 64)

# Crockford's base 32: no I, L, O or U, so that a code can be read aloud and typed.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TO_CROCKFORD = str.maketrans(_STANDARD, _ALPHABET)
_CODE_CHARACTERS = 30
_CHECK_CHARACTERS = 2
_GROUP = 4

MINIMUM_PASSPHRASE = 8


class BadWordsError(ValueError):
    """A passphrase or code that is invalid in itself; the text says why."""


def passphrase_parameters() -> dict[str, str | int]:
    """A new salt, and the present cost parameters."""
    return {"kdf": "scrypt", "salt": base64.b64encode(os.urandom(16)).decode("ascii"), **_SCRYPT}


def from_passphrase(passphrase: str, parameters: Mapping[str, str | int]) -> bytes:
    """Derive a key; takes about half a second, intentionally.

    Raises:
        BadWordsError: the parameters are out of range; they may have been changed to exhaust the memory.
    """
    n, r, p, salt = _checked_parameters(parameters)
    # NFC, so that the same characters typed on another keyboard give the same bytes.
    text = unicodedata.normalize("NFC", passphrase).encode("utf-8")
    return hashlib.scrypt(text, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY_LIMIT, dklen=KEY_BYTES)


def _checked_parameters(parameters: Mapping[str, str | int]) -> tuple[int, int, int, bytes]:
    n, r, p = (_whole(parameters.get(name)) for name in ("n", "r", "p"))
    try:
        salt = base64.b64decode(str(parameters.get("salt", "")), validate=True)
    except ValueError:
        salt = b""
    sound = parameters.get("kdf") == "scrypt" and _SALT_BYTES[0] <= len(salt) <= _SALT_BYTES[1]
    if not (sound and n > 1 and n & (n - 1) == 0 and r and p):
        raise BadWordsError("the parameters of the passphrase are damaged")
    if n * r * p > _WORK_LIMIT or max(r, p) > _FACTOR_LIMIT:
        raise BadWordsError("the passphrase would cost more memory and time than this version accepts")
    return n, r, p, salt


def _whole(value: object) -> int:
    # Not `isinstance`, because True is an int.
    return value if type(value) is int and value > 0 else 0


def check_passphrase(passphrase: str) -> None:
    """Reject a passphrase that is too short.

    Raises:
        BadWordsError: shorter than `MINIMUM_PASSPHRASE` characters.
    """
    if len(passphrase) < MINIMUM_PASSPHRASE:
        raise BadWordsError(f"a passphrase needs at least {MINIMUM_PASSPHRASE} characters")


def from_credential(content: bytes, slot_id: str) -> bytes:
    """Derive a key from a systemd credential, which has at least 128 bits of entropy."""
    return _expand(content, f"nexo systemd_credential {slot_id}")


def new_recovery_code() -> str:
    """150 random bits and 10 check bits, in groups of four characters."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_CHARACTERS))
    code = body + _check_characters(body)
    return "-".join(code[start : start + _GROUP] for start in range(0, len(code), _GROUP))


def from_recovery_code(code: str, slot_id: str) -> bytes:
    """Derive a key from a code as typed: case, spaces and dashes are ignored, O is 0, I and L are 1.

    Raises:
        BadWordsError: the check characters do not match: a typing mistake.
    """
    text = "".join(character for character in code.upper() if character.isalnum())
    text = text.translate(str.maketrans("OIL", "011"))
    body, check = text[:_CODE_CHARACTERS], text[_CODE_CHARACTERS:]
    if len(text) != _CODE_CHARACTERS + _CHECK_CHARACTERS or check != _check_characters(body):
        raise BadWordsError("the recovery code has a typing mistake, or a part of it is missing")
    return _expand(body.encode("ascii"), f"nexo recovery {slot_id}")


def _check_characters(body: str) -> str:
    digest = base64.b32encode(hashlib.sha256(f"nexo recovery {body}".encode()).digest()).decode("ascii")
    return digest.translate(_TO_CROCKFORD)[:_CHECK_CHARACTERS]


def _expand(material: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose.encode("utf-8")).derive(material)
