"""The client side of SASL mechanisms: what to send first, and the answer to each challenge.

RFC 4616 PLAIN, RFC 2195 CRAM-MD5, RFC 5802 and 7677 SCRAM (sasl_scram.py), RFC 7628 OAUTHBEARER, RFC 4422 EXTERNAL,
RFC 4505 ANONYMOUS; LOGIN and XOAUTH2 as the field has them; NTLM and GSSAPI are in sasl_spnego.py.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

from conformance.session import sasl_scram, sasl_spnego
from conformance.session.sasl_scram import ServerFault

__all__ = ["MECHANISMS", "PREFERENCE", "Credentials", "Exchange", "SaslError", "ServerFault"]

# A mechanism yields what it sends (None: nothing yet) and is sent each challenge.
Exchange = Generator[bytes | None, bytes, None]
PREFERENCE = ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "NTLM")


class SaslError(Exception):
    """The mechanism cannot be played here, or a challenge makes no sense."""


@dataclass(frozen=True)
class Credentials:
    user: str
    password: str
    authzid: str = ""
    host: str = ""
    service: str = "smtp"
    domain: str = ""  # NTLM: of a user that names none
    told: list[str] | None = None  # NTLM: gets the domain that the server tells
    bearer: str = ""  # an OAuth token
    bindings: Mapping[str, bytes] = field(default_factory=dict)  # channel binding type → data, the best one first
    binding: str = ""  # the type to use; "" the best
    proven: list[str] = field(default_factory=list)  # mechanisms in which the server has proved itself


def _plain(c: Credentials) -> Exchange:
    yield b"\0".join(part.encode() for part in (c.authzid, c.user, c.password))


def _login(c: Credentials) -> Exchange:
    yield None
    yield c.user.encode()
    yield c.password.encode()


def _cram_md5(c: Credentials) -> Exchange:
    challenge = yield None
    digest = hmac.new(c.password.encode(), challenge, hashlib.md5).hexdigest()
    yield f"{c.user} {digest}".encode()


def _scram(mechanism: str) -> Callable[[Credentials], Exchange]:
    def exchange(c: Credentials) -> Exchange:
        return sasl_scram.exchange(mechanism, c)

    return exchange


def _external(c: Credentials) -> Exchange:
    yield c.authzid.encode()


def _anonymous(c: Credentials) -> Exchange:
    yield b"conformance"


def _xoauth2(c: Credentials) -> Exchange:
    yield f"user={c.user}\x01auth=Bearer {c.bearer or c.password}\x01\x01".encode()
    yield b""


def _oauthbearer(c: Credentials) -> Exchange:
    name = c.user.replace("=", "=3D").replace(",", "=2C")
    # Without the key host: what a target is reached by need not be the name that the server knows itself by.
    yield f"n,a={name},\x01auth=Bearer {c.bearer or c.password}\x01\x01".encode()
    yield b"\x01"


MECHANISMS: dict[str, Callable[[Credentials], Exchange]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
    "SCRAM-SHA-1": _scram("SCRAM-SHA-1"),
    "SCRAM-SHA-256": _scram("SCRAM-SHA-256"),
    "SCRAM-SHA-1-PLUS": _scram("SCRAM-SHA-1-PLUS"),
    "SCRAM-SHA-256-PLUS": _scram("SCRAM-SHA-256-PLUS"),
    "EXTERNAL": _external,
    "ANONYMOUS": _anonymous,
    "XOAUTH2": _xoauth2,
    "OAUTHBEARER": _oauthbearer,
    **sasl_spnego.MECHANISMS,
}
