"""What the server's SASL mechanisms share."""

from __future__ import annotations

import hmac
from collections.abc import Generator, Mapping

from conformance.protocol.saslprep import saslprep

# A mechanism yields challenges, is sent responses, and returns the user or raises Refused.
Exchange = Generator[bytes, bytes, str]


class Refused(Exception):
    """Wrong credentials."""


class Malformed(Exception):
    """A response that does not have the mechanism's form."""


class ServerFirst(Malformed):
    """An initial response where the server begins: RFC 4954 section 4."""


def prepared(name: str) -> str:
    """A name by SASLprep; RFC 4954 section 4, RFC 5034 section 4: where preparation fails, authentication does."""
    try:
        return saslprep(name)
    except ValueError:
        raise Refused from None


def verified(accounts: Mapping[str, str], user: str, password: str, authzid: str = "") -> str:
    user = prepared(user)
    known = accounts.get(user)
    right = known is not None and hmac.compare_digest(known.encode(), prepared(password).encode())
    if not right or prepared(authzid) not in ("", user):
        raise Refused
    return user


def texts(octets: bytes, count: int) -> list[str]:
    try:
        parts = octets.decode("utf-8").split("\0")
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    if len(parts) != count:
        raise Malformed("wrong number of parts")
    return parts
