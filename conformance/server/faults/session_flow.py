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


def _unlocked(mechanism: str) -> dict[str, Any]:
    def after(s: Any, verb: str) -> None:
        if verb == mechanism and s.state == "transaction":
            s.box.locked = False

    return {"after": after}


def _retr_once(s: Any, octets: bytes, lines: list[bytes]) -> bytes:
    if s.verb != "RETR":
        return octets
    again = getattr(s, "sent_last", None) == lines
    s.sent_last = lines
    return b"" if again else octets


def _second_list(s: Any, words: list[str]) -> list[str]:
    s.greetings = getattr(s, "greetings", 0) + 1
    return words if s.greetings == 1 or s.tls else []


def _first_alone(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "RCPT" and octets.startswith(b"5"):
        s.memory["refused"] = s.mail
    elif verb == "DATA" and octets.startswith(b"354") and s.memory.get("refused") is s.mail:
        del s.mail.recipients[1:]
    return octets


_R = "rfc1939/"
FAULTS = [
    Fault("auth-forgets-ehlo", "rfc4954/4/greeting-outlives-auth", "After AUTH a new EHLO is needed", "smtp", {"reply": _lapses, "instead": _needs_ehlo}),
    Fault("second-message-no-received", "rfc5321/4.4/received-inserted", "Only a session's first message gets a Received field", "smtp", {"content": _traced_once}),
    Fault("refused-recipient-hides-next", "rfc5321/3.3/rcpt-any-number-of-times", "After a refused recipient only the first gets the message", "smtp",
          {"reply": _first_alone}),
    Fault("turn-unturned", "rfc821/3.8/turn-250-swaps", "TURN gets 250 and nothing turns", "smtp",
          {"instead": lambda s, verb, rest: b"250 2.0.0 ok\r\n" if verb == "TURN" else None}),
    Fault("ehlo-after-helo", "rfc5321/4.1.4/ehlo-again", "EHLO after HELO is out of order", "smtp",
          {"instead": lambda s, verb, rest: b"503 5.5.1 greeted already\r\n" if verb == "EHLO" and s.greeted == "HELO" else None}),
    Fault("ehlo-lists-once", "rfc5321/4.1.4/ehlo-again", "A second EHLO lists nothing", "smtp", {"capabilities": _second_list}),
    Fault("pop3-apop-no-lock", _R + "4/exclusive-lock", "A login by APOP leaves the maildrop open", "pop3", _unlocked("APOP")),
    Fault("pop3-auth-no-lock", _R + "4/exclusive-lock", "A login by AUTH leaves the maildrop open", "pop3", _unlocked("AUTH")),
    Fault("pop3-retr-once", _R + "5/retr-whole-message", "The same message is sent once in a row only", "pop3", {"block": _retr_once}),
    Fault("pop3-retr-64k", _R + "5/retr-whole-message", "What goes beyond 64 kilobytes is not sent", "pop3",
          {"block": lambda s, o, lines: o[: o[:65536].rfind(b"\r\n") + 2] if s.verb == "RETR" else o}),
]
