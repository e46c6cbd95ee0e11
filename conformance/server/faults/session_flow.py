"""Faults in what one command leaves for the next: what is forgotten too early, kept too long or thrown away."""

from __future__ import annotations

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


FAULTS = [
    Fault("auth-forgets-ehlo", "rfc4954/4/greeting-outlives-auth", "After AUTH a new EHLO is needed", "smtp", {"reply": _lapses, "instead": _needs_ehlo}),
]
