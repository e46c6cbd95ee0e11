"""The client side of SASL mechanisms: what to send first, and the answer to each challenge.

RFC 4616 PLAIN, RFC 2195 CRAM-MD5, RFC 5802 and 7677 SCRAM (scramp), RFC 7628 OAUTHBEARER, RFC 4422 EXTERNAL,
RFC 4505 ANONYMOUS; LOGIN and XOAUTH2 as the field has them; NTLM and GSSAPI are in sasl_spnego.py.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Generator
from dataclasses import dataclass

import scramp

from conformance.session import sasl_spnego

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
        try:
            client = scramp.ScramClient([mechanism], c.user, c.password)
            challenge = yield client.get_client_first().encode()
            client.set_server_first(challenge.decode())
            final = yield client.get_client_final().encode()
            client.set_server_final(final.decode())
        except (scramp.ScramException, UnicodeDecodeError) as error:
            raise SaslError(f"{mechanism}: {error}") from error
        yield b""

    return exchange


def _external(c: Credentials) -> Exchange:
    yield c.authzid.encode()


def _anonymous(c: Credentials) -> Exchange:
    yield b"conformance"


def _xoauth2(c: Credentials) -> Exchange:
    yield f"user={c.user}\x01auth=Bearer {c.password}\x01\x01".encode()
    yield b""


def _oauthbearer(c: Credentials) -> Exchange:
    yield f"n,a={c.user},\x01host={c.host}\x01auth=Bearer {c.password}\x01\x01".encode()
    yield b"\x01"


MECHANISMS: dict[str, Callable[[Credentials], Exchange]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
    "SCRAM-SHA-1": _scram("SCRAM-SHA-1"),
    "SCRAM-SHA-256": _scram("SCRAM-SHA-256"),
    "EXTERNAL": _external,
    "ANONYMOUS": _anonymous,
    "XOAUTH2": _xoauth2,
    "OAUTHBEARER": _oauthbearer,
    **sasl_spnego.MECHANISMS,
}
