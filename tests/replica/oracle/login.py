"""The challenge and response of a login: password verifiers of 11g and 12c, and what the client proves with them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_12C, _11G, _10G = "12c", "11g", "10g"
VERIFIERS = (_12C, _11G, _10G)
_WIRE_TYPE = {_12C: 0x4815, _11G: 0xB152, _10G: 0x939}
_GENERATION_ROUNDS = 4096
_SESSION_ROUNDS = 3
_SALT_SIZE = {_12C: 16, _11G: 10, _10G: 8}
_SERVER_PROOF = b"SERVER_TO_CLIENT"


@dataclass(frozen=True)
class Verifier:
    """What the database keeps of a password: it can check one and cannot be turned back into one."""

    kind: str
    salt: bytes
    digest: bytes


def make_verifier(kind: str, password: str, salt: bytes | None = None) -> Verifier:
    salt = salt or secrets.token_bytes(_SALT_SIZE[kind])
    if kind == _12C:
        key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt + b"AUTH_PBKDF2_SPEEDY_KEY", _GENERATION_ROUNDS, 64)
        return Verifier(kind, salt, hashlib.sha512(key + salt).digest())
    return Verifier(kind, salt, hashlib.sha1(password.encode() + salt, usedforsecurity=False).digest())


def is_right(verifier: Verifier, password: str | None) -> bool:
    if password is None:
        return False
    return hmac.compare_digest(make_verifier(verifier.kind, password, verifier.salt).digest, verifier.digest)


def unknown_user_verifier() -> Verifier:
    """For a user that does not exist: the client learns nothing from the challenge."""
    return make_verifier(_12C, secrets.token_hex(16))


class Challenge:
    """One login: the values for the client's first call, then the check of its second."""

    def __init__(self, verifier: Verifier):
        self._verifier = verifier
        long_key = verifier.kind == _12C
        self._server_part = secrets.token_bytes(32) if long_key else secrets.token_bytes(40) + bytes([8]) * 8
        self._session_salt = secrets.token_bytes(16)
        self._password_key = verifier.digest[:32] if long_key else verifier.digest + bytes(4)
        self._combined = b""

    def answers(self) -> list[tuple[str, str, int]]:
        """Key, value and flags of the answer to the first call."""
        values = [
            ("AUTH_SESSKEY", _encrypt(self._password_key, self._server_part).hex().upper(), 0),
            ("AUTH_VFR_DATA", self._verifier.salt.hex().upper(), _WIRE_TYPE[self._verifier.kind]),
        ]
        if self._verifier.kind == _12C:
            values += [
                ("AUTH_PBKDF2_CSK_SALT", self._session_salt.hex().upper(), 0),
                ("AUTH_PBKDF2_VGEN_COUNT", str(_GENERATION_ROUNDS), 0),
                ("AUTH_PBKDF2_SDER_COUNT", str(_SESSION_ROUNDS), 0),
            ]
        return values

    def accept_session_key(self, client_key: str) -> bool:
        """Take the client's half of the key; False when it is none."""
        try:
            client_part = _decrypt(self._password_key, bytes.fromhex(client_key))
        except ValueError:
            return False
        if self._verifier.kind == _12C:
            secret = (client_part[:32] + self._server_part[:32]).hex().upper().encode()
            self._combined = hashlib.pbkdf2_hmac("sha512", secret, self._session_salt, _SESSION_ROUNDS, 32)
            return len(client_part) >= 32
        if len(client_part) < 40:
            return False
        mixed = bytes(ours ^ theirs for ours, theirs in zip(self._server_part[16:40], client_part[16:40], strict=True))
        self._combined = (
            hashlib.md5(mixed[:16], usedforsecurity=False).digest() + hashlib.md5(mixed[16:], usedforsecurity=False).digest()
        )[:24]
        return True

    def password(self, encrypted: str) -> str | None:
        """A password that the client sent under the combined key; None when it was made with another key."""
        try:
            plain = _decrypt(self._combined, bytes.fromhex(encrypted))
        except ValueError:
            return None
        padding = plain[-1] if plain else 0
        if not 1 <= padding <= 16 or plain[-padding:] != bytes([padding]) * padding:
            return None
        try:
            return plain[16:-padding].decode()
        except UnicodeDecodeError:
            return None

    def server_proof(self) -> str:
        """Shows the client that this server knew its password."""
        padded = secrets.token_bytes(16) + _SERVER_PROOF + bytes([16]) * 16
        return _encrypt(self._combined, padded).hex().upper()


def _encrypt(key: bytes, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _decrypt(key: bytes, data: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).decryptor()
    return decryptor.update(data) + decryptor.finalize()
