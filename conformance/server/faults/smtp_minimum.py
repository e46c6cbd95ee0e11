"""Faults in what every SMTP server must at least do: RFC 5321 sections 4.2.2, 4.5.1 and 4.5.3.1."""

from __future__ import annotations

from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import capabilities, reply, says

_DISTINCT = 50


def _fifty_different(s: Any, verb: str, rest: bytes) -> bytes | None:
    """Room for fifty addresses, each counted once however often it is named."""
    if verb == "MAIL":
        s.memory["different"] = set()
    if verb != "RCPT":
        return None
    seen = s.memory.setdefault("different", set())
    if rest.lower() not in seen and len(seen) >= _DISTINCT:
        return b"452 4.5.3 too many recipients\r\n"
    seen.add(rest.lower())
    return None


FAULTS = [
    Fault("minimum-data-502", "rfc5321/4.5.1/data", "DATA gets 502", "smtp", says("DATA", b"502 5.5.1 not implemented\r\n")),
    Fault("minimum-data-550", "rfc5321/4.5.1/data", "DATA gets 550", "smtp", says("DATA", b"550 5.7.1 not here\r\n")),
    Fault("minimum-recipients-distinct", "rfc5321/4.5.3.1.8/100-recipients", "A transaction takes 50 different recipients", "smtp",
          {"instead": _fifty_different}),
    Fault("minimum-size-unsaid", "rfc5321/4.5.3.1.7/size-extension", "What is too big is refused, and no SIZE is offered", "smtp",
          capabilities(lambda s, words: [word for word in words if not word.startswith("SIZE")]), {"max_size": 500_000}),
    Fault("minimum-bye-status", "rfc5321/4.2.2/221-names-domain", "The answer to QUIT has a status code for a name", "smtp",
          reply("QUIT", lambda octets: b"221 2.0.0\r\n")),
]  # fmt: skip
