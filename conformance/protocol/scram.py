"""SCRAM's messages and keys: RFC 5802 sections 3, 5.1 and 7; RFC 7677 for SHA-256. Sans I/O, both sides.

Nothing here decides whether a message is acceptable: the server does that (conformance/server/sasl_scram.py), and the
player (conformance/session/sasl_scram.py), which must be able to send any message.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import lru_cache

from conformance.protocol.saslprep import saslprep

HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}
MAX_ITERATIONS = 2_000_000  # a hostile server could ask for any amount of work: RFC 5802 section 9


@dataclass(frozen=True)
class Keys:
    """What is derived from one password: section 3. ``client`` and ``server`` are the keys, ``stored`` is H(client)."""

    hash: str
    client: bytes
    stored: bytes
    server: bytes


def hash_of(mechanism: str) -> str:
    """The hash of a mechanism, with or without -PLUS."""
    return HASHES[mechanism.upper().removesuffix("-PLUS")]


@lru_cache(maxsize=4096)
def keys(name: str, password: str, salt: bytes, iterations: int) -> Keys:
    """Hi() is PBKDF2: section 2.2. ValueError for a count out of reason."""
    if not 1 <= iterations <= MAX_ITERATIONS:
        raise ValueError(f"an iteration count of {iterations}")
    try:
        prepared = saslprep(password)
    except ValueError:
        prepared = password
    salted = hashlib.pbkdf2_hmac(name, prepared.encode("utf-8"), salt, iterations)
    client = hmac.digest(salted, b"Client Key", name)
    return Keys(name, client, hashlib.new(name, client).digest(), hmac.digest(salted, b"Server Key", name))


def auth_message(bare: bytes, first: bytes, without_proof: bytes) -> bytes:
    """Section 3: client-first-message-bare, server-first-message, client-final-message-without-proof."""
    return b",".join((bare, first, without_proof))


def proof(found: Keys, message: bytes) -> bytes:
    """ClientProof."""
    signature = hmac.digest(found.stored, message, found.hash)
    return bytes(a ^ b for a, b in zip(found.client, signature))


def proves(found: Keys, message: bytes, given: bytes) -> bool:
    """Whether a ClientProof shows the ClientKey whose hash is stored."""
    signature = hmac.digest(found.stored, message, found.hash)
    if len(given) != len(signature):
        return False
    client = bytes(a ^ b for a, b in zip(given, signature))
    return hmac.compare_digest(hashlib.new(found.hash, client).digest(), found.stored)


def signature(found: Keys, message: bytes) -> bytes:
    """ServerSignature."""
    return hmac.digest(found.server, message, found.hash)


def escaped(name: str) -> str:
    """A saslname: ``=`` and ``,`` are sent as ``=3D`` and ``=2C``."""
    return name.replace("=", "=3D").replace(",", "=2C")


def unescaped(name: str) -> str:
    """The name that a saslname stands for. ValueError for any other use of ``=``."""
    if re.search("=(?!2C|3D)", name):
        raise ValueError("an equals sign that is no =2C or =3D")
    return name.replace("=2C", ",").replace("=3D", "=")


def attributes(message: bytes) -> list[tuple[str, str]]:
    """Attributes and values in their order. ValueError for what is no attr-val, or no UTF-8."""
    found = []
    for part in message.decode("utf-8").split(","):
        if not re.fullmatch(r"[A-Za-z]=[^\0]+", part, re.S):
            raise ValueError(f"{part[:40]!r} is no attribute")
        found.append((part[0], part[2:]))
    return found


def server_first(message: bytes) -> tuple[str, bytes, int]:
    """Nonce, salt and iteration count of a server-first-message. ValueError if it has not this form."""
    found = attributes(message)
    if [name for name, _value in found[:3]] != ["r", "s", "i"]:
        raise ValueError("not nonce, salt and iteration count")
    if not re.fullmatch("[1-9][0-9]*", found[2][1]):
        raise ValueError(f"an iteration count of {found[2][1]!r}")
    return found[0][1], base64.b64decode(found[1][1], validate=True), int(found[2][1])


def client_final(mechanism: str, password: str, bare: bytes, first: bytes, without_proof: bytes) -> tuple[bytes, bytes]:
    """The client-final-message, and the server-final-message that answers it if the password is right."""
    _nonce, salt, iterations = server_first(first)
    found = keys(hash_of(mechanism), password, salt, iterations)
    message = auth_message(bare, first, without_proof)
    final = without_proof + b",p=" + base64.b64encode(proof(found, message))
    return final, b"v=" + base64.b64encode(signature(found, message))
