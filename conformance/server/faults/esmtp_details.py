"""Faults that showed only on a second look: a repeated EHLO, what is refused for the wrong reason, TLS that comes late."""

from __future__ import annotations

from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks, says, turns
from conformance.server.faults.dsn import refuses


def _counted(s: Any, line: bytes) -> bytes:
    """How often EHLO came since the greeting or the handshake."""
    if line[:4].upper() == b"EHLO":
        s.memory["ehlo"] = s.memory.get("ehlo", 0) + 1 if s.memory.get("tls") == s.tls else 1
        s.memory["tls"] = s.tls
    return line


def _again(change: Any) -> Hooks:
    """The list of every EHLO but the first."""
    return {"command": _counted, "capabilities": lambda s, words: change(words) if s.memory.get("ehlo", 0) > 1 else words}


def _held(s: Any, line: bytes) -> bytes:
    if line[:4].upper() == b"MAIL":
        s.memory["held"] = b" HOLDFOR=" in line.upper()
    return line


_TABLE: tuple[tuple[str, str, str, Hooks], ...] = (
    ("ehlo-again-no-auth", "rfc5321/4.1.4/ehlo-again-list", "A second EHLO does not list AUTH",
     _again(lambda words: [word for word in words if not word.startswith("AUTH")])),
    ("ehlo-again-nothing", "rfc5321/4.1.4/ehlo-again-list", "A second EHLO lists nothing", _again(lambda words: [])),
    ("rrvs-changed-for-now", "rfc7293/15.3/basic-status", "Another owner is answered with 450 4.7.17",
     refuses("RCPT", rb"RRVS=1970", b"450 4.7.17 owner has changed\r\n")),
    ("vrfy-utf8-one-word", "rfc6531/3.7.4.2/vrfy-parameter", "VRFY is always answered with 252, but takes one word only",
     says("VRFY", b"252 2.5.2 cannot verify\r\n", lambda s, rest: b" " not in rest.strip())
     | {"reply": lambda s, o, v: b"501 5.5.4 one word\r\n" if v == "VRFY" and not o.startswith(b"252") else o}),
    ("utf8-sender-policy", "rfc6531/3.5/status", "A sender that wants SMTPUTF8 is refused as by policy", turns("MAIL", b"550 5.6.7 ", b"550 5.7.1 ")),
)  # fmt: skip
FAULTS = [Fault(name, requirement, summary, "smtp", hooks) for name, requirement, summary, hooks in _TABLE]
FAULTS += [
    Fault("hold-for-ever", "rfc4865/4.2/released", "What is held is never released", "submission",
          {"command": _held, "content": lambda s, octets, sent: None if s.memory.get("held") else octets}),
    Fault("smtps-in-the-clear", "rfc8314/3.3/handshake-first", "The port of implicit TLS greets in the clear", "smtps",
          settings={"implicit_tls": False}),
    Fault("pop3s-in-the-clear", "rfc8314/3.1/pop3s-handshake-first", "The port of implicit TLS greets in the clear", "pop3s",
          settings={"implicit_tls": False}),
]  # fmt: skip
