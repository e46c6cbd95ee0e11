"""Faults in AUTH GSSAPI (RFC 4752), of the exchange profile: what needs no ticket."""

from __future__ import annotations

from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks


def _gssapi(old: bytes, new: bytes, *, closes: bool = False) -> Hooks:
    """A reply of AUTH GSSAPI that begins with ``old``: ``new`` in its place, and the end of the session if it ``closes``."""

    def reply(s: Any, octets: bytes, verb: str) -> bytes:
        if verb != "AUTH" or not octets.startswith(old) or not s.exchange or s.exchange.mechanism != "GSSAPI":
            return octets
        if b"cancelled" in octets and old != b"501 5.7.0 cancelled":
            return octets
        s.closing = s.closing or closes
        return new or octets

    return {"reply": reply}


_CANCELLED = b"501 5.7.0 cancelled"
FAULTS = [
    Fault(f"gssapi-{name}", requirement, summary, "smtp", hooks, profile="exchange")
    for name, requirement, summary, hooks in (
        ("any-token", "rfc4752/3/bad-token-fails", "A token that is none succeeds", _gssapi(b"5", b"235 2.7.0 authenticated\r\n")),
        ("token-closes", "rfc4752/3/bad-token-fails", "A token that is none ends the session", _gssapi(b"5", b"", closes=True)),
        ("token-again", "rfc4752/3/bad-token-fails", "A token that is none is asked for again", _gssapi(b"5", b"334 \r\n")),
        ("cancel-250", "rfc4954/4/cancel", "An asterisk is answered with 250", _gssapi(_CANCELLED, b"250 2.0.0 ok\r\n")),
        ("cancel-closes", "rfc4954/4/cancel", "An asterisk ends the session", _gssapi(_CANCELLED, b"", closes=True)),
    )
]  # fmt: skip
