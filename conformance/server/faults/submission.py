"""Faults of submission (RFC 6409, 5068, 8314 section 3.3) and of LMTP (RFC 2033)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks
from conformance.server.faults._tools import closes as _closing
from conformance.server.faults._tools import forgets_user as _forgetful

_OK = b"250 2.0.0 ok\r\n"


def _says(services: tuple[str, ...], verb: str, octets: bytes, when: Callable[[Any, bytes], bool] = lambda s, rest: True) -> Hooks:
    return {"instead": lambda s, v, rest: octets if v == verb and s.service in services and when(s, rest) else None}


def _words(service: str, change: Callable[[list[str]], list[str]]) -> Hooks:
    return {"capabilities": lambda s, words: change(words) if s.service == service else words}


def _reply(service: str, verb: str, change: Callable[[bytes], bytes]) -> Hooks:
    return {"reply": lambda s, octets, v: change(octets) if s.service == service and v == verb else octets}


def _content(service: str, change: Callable[[bytes], bytes | None]) -> Hooks:
    return {"content": lambda s, octets, sent: change(octets) if s.service == service else octets}


def _after(service: str, verb: str, change: Callable[[Any], None]) -> Hooks:
    return {"after": lambda s, v: change(s) if s.service == service and v == verb else None}


def _counts(wanted: Callable[[Any, int], int]) -> Hooks:
    """At the end of the data another number of replies than there are recipients."""

    def change(s: Any, octets: bytes, verb: str) -> bytes:
        if s.service != "lmtp" or verb not in ("DATA.", "BDAT") or not octets.startswith(b"250 2.0.0 delivered"):
            return octets
        seen = s.memory["replies"] = s.memory.get("replies", 0) + 1
        number = len(s.mail.recipients)
        if seen == number:
            s.memory["replies"] = 0
        return octets * wanted(s, number) if seen == 1 else b""

    return {"reply": change}


def _forget(s: Any) -> None:
    s.user = ""


def _failed(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "AUTH" and octets.startswith(b"535") and s.service in ("submission", "smtps"):
        s.user = "alice"
    return octets


_BOTH = ("submission", "smtps")
_ROWS: tuple[tuple[str, str, str, str, Hooks], ...] = (
    ("smtps-greeting-twice", "smtps", "rfc8314/3.3/greeting-inside-tls", "The greeting of the implicit TLS port comes twice",
     _reply("smtps", "GREETING", lambda o: o * 2)),
    ("smtps-no-greeting", "smtps", "rfc8314/3.3/greeting-inside-tls", "The implicit TLS port greets with 250",
     _reply("smtps", "GREETING", lambda o: o.replace(b"220", b"250"))),
    ("smtps-cut", "smtps", "rfc8314/3.3/tls-for-the-rest", "Only the first 32 KiB come through TLS",
     _content("smtps", lambda o: o[:32768] + b"\r\n" if len(o) > 32768 else o)),
    ("smtps-quit", "smtps", "rfc8314/3.3/tls-for-the-rest", "QUIT is answered with 250 inside TLS",
     _reply("smtps", "QUIT", lambda o: o.replace(b"221", b"250"))),
    ("smtps-offers-starttls", "smtps", "rfc3207/4.2/not-offered-under-tls", "STARTTLS is offered inside implicit TLS",
     _words("smtps", lambda words: [*words, "STARTTLS"])),
    ("smtps-takes-starttls", "smtps", "rfc3207/4/second-starttls", "STARTTLS gets 220 inside implicit TLS",
     _says(("smtps",), "STARTTLS", b"220 2.0.0 go ahead\r\n")),
    ("smtps-no-auth", "smtps", "rfc6409/7/auth", "The implicit TLS port does not offer AUTH",
     _words("smtps", lambda words: [w for w in words if not w.startswith("AUTH")])),
    ("smtps-no-pipelining", "smtps", "rfc6409/7/pipelining", "The implicit TLS port does not offer PIPELINING",
     _words("smtps", lambda words: [w for w in words if w != "PIPELINING"])),
    ("smtps-offers-etrn", "smtps", "rfc6409/7/no-etrn", "The implicit TLS port offers ETRN", _words("smtps", lambda words: [*words, "ETRN"])),
    ("smtps-offers-atrn", "smtps", "rfc6409/7/no-atrn", "The implicit TLS port offers ATRN", _words("smtps", lambda words: [*words, "ATRN"])),
    ("smtps-open", "smtps", "rfc5068/3.1/authentication-for-all-mail", "Local mail needs no authentication in implicit TLS",
     _says(("smtps",), "RCPT", _OK, lambda s, rest: not s.user and b"elsewhere" not in rest)
     | {"states": lambda s, allowed, v: allowed | {"greeted"} if s.service == "smtps" else allowed}),
    ("smtps-open-relay", "smtps", "rfc5068/3.2/no-open-relay", "Everything is relayed that comes in TLS",
     _says(("smtps",), "RCPT", _OK, lambda s, rest: not s.user and b"elsewhere" in rest)),
    ("submission-failed-auth", "submission", "rfc5068/3.1/authentication-for-all-mail", "A failed AUTH is enough to submit", {"reply": _failed}),
    ("submission-null-path", "submission", "rfc6409/3.2/null-return-path", "A null return path is refused",
     _says(_BOTH, "MAIL", b"550 5.7.1 sender not yours\r\n", lambda s, rest: bool(s.user) and b"<>" in rest)),
    ("submission-lost", "submission", "rfc6409/3.1/submissions-taken", "What is submitted is not delivered", _content("submission", lambda o: None)),
    ("submission-unstuffed", "submission", "rfc6409/3.1/submissions-taken", "Dots are not taken off on the submission port",
     {"unstuff": lambda s, value, octets: octets if s.service == "submission" else value}),
    ("submission-once", "submission", "rfc6409/3.1/submissions-taken", "The authentication lasts for one message",
     {"reply": lambda s, o, v: _forgetful(s, o) if v == "DATA." and s.service == "submission" else o}),
    ("submission-rset-forgets", "submission", "rfc6409/3.1/submissions-taken", "RSET takes the authentication back", _after("submission", "RSET", _forget)),
    ("submission-etrn", "submission", "rfc6409/7/no-etrn", "ETRN works on the submission port", _says(_BOTH, "ETRN", _OK)),
    ("submission-atrn", "submission", "rfc6409/7/no-atrn", "ATRN works on the submission port",
     _says(_BOTH, "ATRN", _OK, lambda s, rest: bool(s.user))),
    ("submission-521", "submission", "rfc6409/7/no-521", "Who has not authenticated gets 521",
     _says(_BOTH, "MAIL", b"521 5.7.0 no mail from you\r\n", lambda s, rest: not s.user)),
    ("submission-any-recipient", "submission", "rfc6409/5.1/address-syntax", "Recipients are not checked for syntax",
     _says(_BOTH, "RCPT", _OK, lambda s, rest: bool(s.user))),
    ("lmtp-one-reply", "lmtp", "rfc2033/4.2/one-reply-per-recipient", "One reply stands for all recipients", _counts(lambda s, n: 1)),
    ("lmtp-extra-reply", "lmtp", "rfc2033/4.2/one-reply-per-recipient", "One reply too many", _counts(lambda s, n: n + 1)),
    ("lmtp-ehlo", "lmtp", "rfc2033/4.1/helo-ehlo-refused", "EHLO is taken", _says(("lmtp",), "EHLO", b"250 mx.example.test\r\n")),
    ("lmtp-ehlo-closes", "lmtp", "rfc2033/4.1/helo-ehlo-refused", "A refused EHLO ends the session",
     {"reply": lambda s, o, v: _closing(s, o) if s.service == "lmtp" and v == "EHLO" else o}),
    ("lmtp-ehlo-503", "lmtp", "rfc2033/4.1/helo-ehlo-500", "EHLO gets 503", _says(("lmtp",), "EHLO", b"503 5.5.1 no\r\n")),
    ("lmtp-lhlo-250-always", "lmtp", "rfc2033/4.1/lhlo-semantics", "LHLO needs no name",
     _says(("lmtp",), "LHLO", b"250 mx.example.test\r\n", lambda s, rest: not rest)),
    ("lmtp-no-lhlo", "lmtp", "rfc2033/4.1/lhlo-semantics", "MAIL is taken before LHLO", _says(("lmtp",), "MAIL", _OK, lambda s, rest: not s.greeted)),
    ("lmtp-lhlo-keeps", "lmtp", "rfc2033/4.1/lhlo-semantics", "LHLO leaves the transaction open",
     _says(("lmtp",), "LHLO", b"250-mx.example.test\r\n250 PIPELINING\r\n", lambda s, rest: s.state == "rcpt")),
    ("lmtp-refuses-lhlo", "lmtp", "rfc2033/4.1/lhlo", "LHLO in lower case is unknown",
     {"command": lambda s, line: b"X" + line if line.startswith(b"lhlo") else line}),
    ("lmtp-no-pipelining", "lmtp", "rfc2033/5/pipelining", "PIPELINING is missing", _words("lmtp", lambda words: [w for w in words if w != "PIPELINING"])),
    ("lmtp-no-statuses", "lmtp", "rfc2033/5/enhancedstatuscodes", "The replies at the end have no status",
     _reply("lmtp", "DATA.", lambda o: re.sub(rb"^(\d{3}) \d\.\d+\.\d+ ", rb"\1 ", o))),
    ("lmtp-no-8bitmime", "lmtp", "rfc2033/5/8bitmime", "8BITMIME is missing", _words("lmtp", lambda words: [w for w in words if w != "8BITMIME"])),
    ("lmtp-no-statuscodes", "lmtp", "rfc2033/5/enhancedstatuscodes", "ENHANCEDSTATUSCODES is missing",
     _words("lmtp", lambda words: [w for w in words if w != "ENHANCEDSTATUSCODES"])),
    ("lmtp-data-354", "lmtp", "rfc2033/4.2/data-without-recipient-503", "DATA without a recipient gets 354",
     _says(("lmtp",), "DATA", b"354 go on\r\n", lambda s, rest: s.state == "mail")),
    ("lmtp-data-554", "lmtp", "rfc2033/4.2/data-without-recipient-503", "DATA without a recipient gets 554",
     _says(("lmtp",), "DATA", b"554 5.5.1 no valid recipients\r\n", lambda s, rest: s.state == "mail")),
    ("lmtp-lost", "lmtp", "rfc2033/4.2/accepted-is-delivered", "What is accepted is not delivered", _content("lmtp", lambda o: None)),
    ("lmtp-first-only", "lmtp", "rfc2033/4.2/accepted-is-delivered", "Only the first recipient gets the message",
     {"content": lambda s, o, sent: None if s.service == "lmtp" and _further(s) else o}),
    ("lmtp-null-path", "lmtp", "rfc2033/4/smtp-but-for-changes", "A null return path is refused",
     _says(("lmtp",), "MAIL", b"550 5.7.1 no\r\n", lambda s, rest: b"<>" in rest)),
    ("lmtp-quit-250", "lmtp", "rfc2033/4/smtp-but-for-changes", "QUIT gets 250", _reply("lmtp", "QUIT", lambda o: o.replace(b"221", b"250"))),
    ("lmtp-chunk-success", "lmtp", "rfc2033/4.3/bdat-without-recipient", "BDAT LAST without a recipient gets 250",
     _reply("lmtp", "BDAT", lambda o: _OK if o.startswith(b"503") else o)),
    ("lmtp-chunks-one-reply", "lmtp", "rfc2033/4.3/bdat-replies", "BDAT LAST gets one reply", _counts(lambda s, n: 1)),
    ("lmtp-chunk-replies", "lmtp", "rfc2033/4.3/bdat-replies", "Every chunk gets a reply for each recipient",
     {"reply": lambda s, o, v: o * len(s.mail.recipients) if s.service == "lmtp" and v == "BDAT" and b"so far" in o else o}),
    ("lmtp-trace", "lmtp", "rfc3848/1/lmtp", "The Received field says ESMTP", _content("lmtp", lambda o: o.replace(b" with LMTP ", b" with ESMTP ", 1))),
    ("lmtp-on-smtp-port", "smtp", "rfc2033/5/not-on-port-25", "LHLO is taken on the port of SMTP",
     _says(("smtp",), "LHLO", b"250 mx.example.test\r\n")),
    ("lmtp-refused-counted", "lmtp", "rfc2033/4.2/no-reply-for-refused", "A refused recipient gets a reply at the end", {
        "reply": lambda s, o, v: _refused(s, o, v)}),
    ("lmtp-repetition-merged", "lmtp", "rfc2033/4.2/reply-for-each-repetition", "A repeated recipient gets one reply",
     {"reply": lambda s, o, v: b"" if s.service == "lmtp" and v == "DATA." and _repeated(s) else o}),
)  # fmt: skip


def _further(s: Any) -> bool:
    s.memory["delivered"] = s.memory.get("delivered", 0) + 1
    return bool(s.memory["delivered"] > 1)


def _refused(s: Any, octets: bytes, verb: str) -> bytes:
    if s.service != "lmtp":
        return octets
    if verb == "RCPT" and octets.startswith(b"55"):
        s.memory["refused"] = s.memory.get("refused", 0) + 1
    if verb == "DATA." and s.memory.get("refused"):
        s.memory["refused"] -= 1
        return octets + b"550 5.1.1 no such user here\r\n"
    return octets


def _repeated(s: Any) -> bool:
    names = [one.path.address.lower() for one in s.mail.recipients]
    s.memory["said"] = s.memory.get("said", 0) + 1
    return bool(s.memory["said"] > len(set(names)))


FAULTS = [Fault(name, requirement, summary, service, hooks) for name, service, requirement, summary, hooks in _ROWS]
