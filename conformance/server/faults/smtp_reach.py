"""Faults behind a message, within a transaction and behind QUIT, and in what a copy tells: RFC 5321 sections 2.3.5, 3.6, 4.1.1.10, 4.1.4 and 4.4."""

from __future__ import annotations

import re
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks

_SEQUENCE = b"503 5.5.1 bad sequence of commands\r\n"


def _own(old: bytes, new: bytes) -> Hooks:
    return {"content": lambda s, octets, sent: re.sub(old, new, octets, count=1)}


def _within(s: Any, verb: str, rest: bytes) -> bytes | None:
    return _SEQUENCE if verb in ("VRFY", "EXPN", "HELP") and s.state in ("mail", "rcpt") else None


def _done(s: Any, octets: bytes, verb: str) -> bytes:
    s.memory["done"] = s.memory.get("done", False) or verb == "DATA."
    return octets


def _goes_on(s: Any, verb: str) -> None:
    """The commands that came with QUIT are run before the connection is closed."""
    if verb == "QUIT" and s.buffer:
        s.closing = False


def _field_in_text(s: Any, octets: bytes, sent: bytes) -> bytes:
    """An empty line does not end the header where a field seems to follow it."""
    return re.sub(rb"\r\n\r\n(?=[\w-]+: )", b"\r\n", octets)


_CASES: tuple[tuple[str, str, str, Hooks], ...] = (
    ("reach-vrfy-within", "4.1.4/any-time", "VRFY, EXPN and HELP within a transaction get 503", {"instead": _within}),
    ("reach-one-ehlo", "4.1.4/ehlo-again", "EHLO behind a message gets 503",
     {"reply": _done, "instead": lambda s, verb, rest: _SEQUENCE if verb == "EHLO" and s.memory.get("done") else None}),
    ("reach-behind-quit", "4.1.1.10/closes", "A command in one write with QUIT is answered behind it", {"after": _goes_on}),
    ("reach-for-name", "4.4/received-for-recipient", "Received has a FOR clause without a domain", _own(rb"for <(\w+)@[^>]*>", rb"for <\1>")),
    ("reach-by-name", "2.3.5/no-unqualified-names", "Received has a BY clause without a domain", _own(rb"by mx\.\S+", b"by mx")),
    ("reach-literal-relay", "rfc5068/3.2/no-open-relay", "Mail for address literals is relayed for anybody",
     {"instead": lambda s, verb, rest: b"250 2.1.5 ok\r\n" if verb == "RCPT" and b"@[" in rest else None}),
    ("reach-empty-field", "7.2/header-not-altered-by-envelope", "Empty header fields get lost", _own(rb"X-Empty:\r\n", b"")),
    ("reach-field-in-text", "4.5.2/transformations-reversible", "A first line of text that looks like a field joins the header",
     {"content": _field_in_text}),
)

FAULTS = [
    Fault(name, requirement if requirement.startswith("rfc") else f"rfc5321/{requirement}", summary, "smtp", hooks)
    for name, requirement, summary, hooks in _CASES
]
