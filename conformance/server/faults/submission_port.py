"""Further faults of submission (RFC 6409) and of LMTP (RFC 2033): what is offered, who may send, whose turn it is."""

from __future__ import annotations

import re
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks

_BOTH = ("submission", "smtps")
_BAD = (b"a@b@example.com", b"a..b@example.com", b"a b@example.com")


def _without(keyword: str) -> Hooks:
    return {"capabilities": lambda s, words: [w for w in words if w.split()[0] != keyword] if s.service in _BOTH else words}


def _with(line: str) -> Hooks:
    return {"capabilities": lambda s, words: [*words, line] if s.service == "submission" and s.user else words}


def _no_login(s: Any, words: list[str]) -> list[str]:
    clear = s.service == "submission" and not s.tls
    return [w for w in words if w.split()[0] not in ("AUTH", "STARTTLS")] if clear else words


def _no_login_in_tls(s: Any, words: list[str]) -> list[str]:
    return [w for w in words if w.split()[0] != "AUTH"] if s.service == "submission" and s.tls else words


def _mail(octets: bytes, when: Any = lambda s, rest: not s.user) -> Hooks:
    return {"instead": lambda s, v, rest: octets if v == "MAIL" and s.service in _BOTH and when(s, rest) else None}


def _says(service: str, verb: str, octets: bytes) -> Hooks:
    return {"instead": lambda s, v, rest: octets if v == verb and s.service == service else None}


def _all_recipients(s: Any, octets: bytes, verb: str) -> bytes:
    """Replies come for the recipients of the whole session."""
    if s.service != "lmtp" or verb != "DATA." or octets[:1] != b"2":
        return octets
    done: int = s.memory.get("served", 0)
    if s.memory.get("message") is not s.mail:
        s.memory["message"], s.memory["served"] = s.mail, done + len(s.mail.recipients)
        return octets * (done + 1)
    return octets


def _flushes(s: Any, octets: bytes, verb: str) -> bytes:
    if s.service == "lmtp" and verb == "RCPT" and octets[:1] == b"5":
        s.buffer.clear()
    return octets


_ROWS: tuple[tuple[str, str, str, str, Hooks], ...] = (
    ("submission-no-pipelining", "submission", "rfc6409/7/pipelining", "PIPELINING is missing", _without("PIPELINING")),
    ("submission-no-statuses", "submission", "rfc6409/7/enhancedstatuscodes", "ENHANCEDSTATUSCODES is missing", _without("ENHANCEDSTATUSCODES")),
    ("submission-no-8bitmime", "submission", "rfc6409/7/8bitmime", "8BITMIME is missing", _without("8BITMIME")),
    ("submission-no-auth", "submission", "rfc6409/7/auth", "Neither AUTH nor STARTTLS is offered in the clear", {"capabilities": _no_login}),
    ("submission-no-auth-in-tls", "submission", "rfc6409/7/auth", "AUTH is not offered in TLS", {"capabilities": _no_login_in_tls}),
    ("submission-lists-etrn", "submission", "rfc6409/7/no-etrn", "ETRN is offered", _with("ETRN")),
    ("submission-lists-atrn", "submission", "rfc6409/7/no-atrn", "ATRN is offered", _with("ATRN")),
    ("submission-open", "submission", "rfc6409/4.3/mail-needs-authentication", "MAIL needs no authentication", _mail(b"250 2.1.0 sender ok\r\n")),
    ("submission-550", "submission", "rfc6409/4.3/530", "MAIL before authentication gets 550", _mail(b"550 5.7.1 log in first\r\n")),
    ("submission-503", "submission", "rfc6409/4.3/530", "MAIL before authentication gets 503", _mail(b"503 5.5.1 AUTH first\r\n")),
    ("submission-greets-521", "submission", "rfc6409/7/no-521", "The greeting is 521 after the first session",
     {"reply": lambda s, octets, v: b"521 mx.example.test not now\r\n" if v == "GREETING" and _later(s) else octets}),
    ("submission-any-sender", "submission", "rfc6409/5.1/address-syntax", "Senders are not checked for syntax",
     _mail(b"250 2.1.0 sender ok\r\n", lambda s, rest: bool(s.user) and any(one in rest for one in _BAD))),
    ("lmtp-lhlo-code", "lmtp", "rfc2033/4.1/lhlo", "LHLO is answered with 220", {
        "reply": lambda s, octets, v: re.sub(rb"(?m)^250", b"220", octets) if v == "LHLO" and s.service == "lmtp" else octets}),
    ("lmtp-helo", "lmtp", "rfc2033/4.1/helo-ehlo-refused", "HELO is taken", _says("lmtp", "HELO", b"250 mx.example.test\r\n")),
    ("lmtp-helo-503", "lmtp", "rfc2033/4.1/helo-ehlo-500", "HELO gets 503", _says("lmtp", "HELO", b"503 5.5.1 LHLO\r\n")),
    ("lmtp-all-recipients", "lmtp", "rfc2033/4.2/one-reply-per-recipient", "Recipients of earlier messages get replies too", {"reply": _all_recipients}),
    ("lmtp-flushes", "lmtp", "rfc2033/5/pipelining", "What follows a refused recipient in one write is lost", {"reply": _flushes}),
)  # fmt: skip


def _later(s: Any) -> bool:
    """Any but the first session."""
    if s.service != "submission":
        return False
    before, s.world.greeted = getattr(s.world, "greeted", False), True
    return bool(before)


FAULTS = [Fault(name, requirement, summary, service, hooks) for name, service, requirement, summary, hooks in _ROWS]
