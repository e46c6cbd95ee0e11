"""Faults in what one command leaves for the next: what is forgotten too early, kept too long or thrown away."""

from __future__ import annotations

import re
from typing import Any

from conformance.server.base import Fault


def _lapses(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "AUTH" and octets.startswith(b"235"):
        s.lapsed = True
    elif verb == "EHLO":
        s.lapsed = False
    return octets


def _needs_ehlo(s: Any, verb: str, rest: bytes) -> bytes | None:
    return b"503 5.5.1 EHLO first\r\n" if verb == "MAIL" and getattr(s, "lapsed", False) else None


def _traced_once(s: Any, octets: bytes, sent: bytes) -> bytes:
    if getattr(s, "traced", False):
        return re.sub(rb"Received: [^\r]*\r\n(?:[ \t][^\r]*\r\n)*", b"", octets, count=1)
    s.traced = True
    return octets


FAULTS = [
    Fault("auth-forgets-ehlo", "rfc4954/4/greeting-outlives-auth", "After AUTH a new EHLO is needed", "smtp", {"reply": _lapses, "instead": _needs_ehlo}),
    Fault("second-message-no-received", "rfc5321/4.4/received-inserted", "Only a session's first message gets a Received field", "smtp", {"content": _traced_once}),
]
