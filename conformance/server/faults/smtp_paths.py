"""Faults in paths, parameters and the greeting: RFC 5321 sections 2 to 4.1, RFC 1123 section 5.2."""

from __future__ import annotations

import re
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import line as _line
from conformance.server.faults._tools import says as _says
from conformance.server.faults._tools import turns as _turns
from conformance.server.faults.smtp_commands import _FIVE, _OK, _SEQ, _after, _row

_WELL = re.compile(rb"FROM:<.*>", re.IGNORECASE)


def _mail(pattern: bytes, octets: bytes = _OK) -> dict[str, Any]:
    """What MAIL answers where its argument matches."""
    return _says("MAIL", octets, lambda s, rest: bool(re.search(pattern, rest)))


def _keep_recipients(s: Any, octets: bytes, verb: str) -> bytes:
    """After a transaction its recipients stay, and join those of the next."""
    if verb == "RCPT" and octets.startswith(b"250"):
        s.memory.setdefault("kept", []).extend(s.mail.recipients[-1:])
        s.mail.recipients[:] = list(s.memory["kept"])
    return octets


def _refused_resets(verb: str) -> dict[str, Any]:
    return {"reply": lambda s, octets, v: (s.reset(), octets)[1] if v == verb and octets[:1] == b"5" else octets}


_CASES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("any-ehlo-name", "rfc5321/2.3.5/labels-letters-digits-hyphens", "EHLO takes any name",
     _says("EHLO", b"250 mx.example.test\r\n", lambda s, rest: b"_" in rest or b"@" in rest)),
    ("any-literal", "rfc5321/4.1.3/bad-literal-refused", "EHLO takes any literal",
     _says("EHLO", b"250 mx.example.test\r\n", lambda s, rest: rest in (b"[256.0.0.1]", b"[]"))),
    ("any-helo-name", "rfc1123/5.2.5/helo-syntax-501", "HELO takes any name",
     _says("HELO", b"250 mx.example.test\r\n", lambda s, rest: b"@" in rest or b"$" in rest)),
    ("helo-name-checked", "rfc1123/5.2.5/helo-not-verified", "A message is refused for its HELO name",
     _says("MAIL", b"550 5.7.1 who\r\n", lambda s, rest: s.client == "mail.example.com")),
    ("ehlo-refused-504", "rfc5321/4.1.4/ehlo-refusal-code", "A bad EHLO gets 504",
     {"reply": lambda s, o, v: o.replace(b"501", b"504") if v == "EHLO" else o}),
    ("ehlo-refused-resets", "rfc5321/4.1.4/ehlo-refusal-keeps-state", "A refused EHLO ends the transaction",
     _refused_resets("EHLO")),
    ("helo-refused-resets", "rfc5321/4.2.1/5yz-means-not-done", "A refused HELO ends the transaction",
     _refused_resets("HELO")),
    ("send-unlisted", "rfc5321/F.6/send-listed", "SEND works, but is not listed", _says("SEND", _OK)),
    ("expn-empty", "rfc5321/4.1.1.7/argument-required", "EXPN needs no argument",
     _says("EXPN", b"250 <a@example.test>\r\n", lambda s, rest: not rest)),
    ("vrfy-empty", "rfc5321/4.1.1.6/argument-required", "VRFY needs no argument",
     _says("VRFY", b"250 <a@example.test>\r\n", lambda s, rest: not rest)),
    ("expn-no-mailbox", "rfc5321/3.5.1/expn-250-has-mailboxes", "EXPN's 250 has no mailbox",
     _says("EXPN", b"250 2.1.5 Alice\r\n")),
    ("rejected-greeting-serves", "rfc5321/3.1/rejecting-greeting-answers-503", "After 554 commands are served",
     _turns("GREETING", b"220 ", b"554 ")),
    ("521-for-users", "rfc7504/3/521-not-for-single-rejections", "A single recipient is refused with 521",
     {"reply": lambda s, o, v: o.replace(b"550 5.1.1", b"521 5.1.1") if v == "RCPT" else o}),
    ("blank-before-colon", "rfc5321/3.3/no-space-at-colon", "Blanks around the colon are taken",
     _line(lambda x: x.replace(b"FROM :", b"FROM:").replace(b": <", b":<").replace(b"TO :", b"TO:"))),
    ("mail-251", "rfc5321/3.3/mail-accepted", "MAIL gets 251", _turns("MAIL", b"250 ", b"251 ")),
    ("no-ipv4-literal", "rfc5321/4.1.3/ipv4-literal", "IPv4 literals are refused", _mail(rb"@\[\d", _FIVE)),
    ("no-ipv6-literal", "rfc5321/4.1.3/ipv6-literal", "IPv6 literals are refused", _mail(rb"@\[IPv6", _FIVE)),
    ("loose-parameters", "rfc5321/4.1.2/parameter-syntax", "Ill-formed parameters are taken",
     _mail(rb"> (=|-|SIZE==|SIZE=$)")),
    ("controls", "rfc5321/4.1.2/no-control-characters", "Control characters are taken", _mail(rb"[\x01-\x1f]")),
    ("no-local-part", "rfc5321/4.1.1/local-part-syntax", "An empty local part is taken", _mail(rb"<@[^:]*>")),
    ("open-quote", "rfc5321/4.1.2/quoted-string-well-formed", "An open quote is taken", _mail(rb'<"[^"]*>$')),
    ("non-ascii-553", "rfc5321/4.1.2/invalid-characters-501", "Invalid characters get 554",
     _mail(rb"[\x80-\xff]", b"554 5.6.7 no\r\n")),
    ("non-ascii", "rfc5321/2.4/non-ascii-commands-rejected", "Octets beyond ASCII are taken",
     _mail(rb"[\x80-\xff]")),
    ("no-quoted-pairs", "rfc5321/4.1.2/quoted-pair", "A backslash is a syntax error", _mail(rb"\\", _FIVE)),
    ("no-blank", "rfc5321/2.4/argument-separated-by-space", "MAILFROM is taken as MAIL FROM",
     _line(lambda x: x.replace(b"MAILFROM", b"MAIL FROM"))),
    ("loose-domains", "rfc5321/4.1.2/domain-syntax", "Domains are not read",
     _mail(rb"@[^>]*(\.\.|\.>|-\.|-\.com)|@[.-]")),
    ("hash", "rfc5321/F.4/hash-literals-refused", "Hash literals are taken", _mail(rb"@#")),
    ("dots", "rfc5321/4.1.2/dot-string", "Dots may stand anywhere in a local part", _mail(rb"<\.|\.@|\w\.\.\w+@")),
    ("no-brackets", "rfc5321/4.1.2/angle-brackets-required", "Brackets are optional", _mail(rb"^FROM:[^< ]+@[^> ]+$")),
    ("no-domain", "rfc5321/4.1.2/mailbox-has-domain", "A domain is optional", _mail(rb"<\w+>")),
    ("bad-mail-550", "rfc5321/4.1.4/bad-mail-argument-501", "A bad argument of MAIL gets 550",
     _says("MAIL", b"550 5.5.4 no\r\n", lambda s, rest: not _WELL.match(rest))),
    ("mail-refused-3yz", "rfc5321/3.3/mail-refusal-says-permanence", "A refused sender gets 350",
     _mail(rb"\.invalid", b"350 hm\r\n")),
    ("recipients-kept", "rfc5321/3.3/mail-clears-state", "Recipients outlive their transaction",
     {"reply": _keep_recipients}),
    ("one-transaction", "rfc5321/2.1/several-transactions", "A session takes one message",
     {"reply": lambda s, o, v: (s.memory.update(done=True), o)[1] if v == "DATA." else o,
      "instead": lambda s, v, rest: _SEQ if v == "MAIL" and s.memory.get("done") else None}),
    ("null-not-delivered", "rfc1123/5.2.9/empty-reverse-path", "The null path becomes another",
     {"content": lambda s, o, sent: o.replace(b"Return-Path: <>", b"Return-Path: <mailer-daemon@example.test>")}),
    ("refused-command-resets", "rfc5321/4.1.4/out-of-order-keeps-state", "Any refusal ends the transaction",
     {"reply": lambda s, o, v: (s.reset(), o)[1] if o[:1] == b"5" else o}),
    ("mail-after-transaction", "rfc5321/4.1.4/order-restarts", "After RSET a new EHLO is needed",
     _after("RSET", lambda s: setattr(s, "greeted", ""))),
    ("two-replies", "rfc5321/2.1/reply-to-each-command", "NOOP is answered twice", {
        "reply": lambda s, o, v: o + o if v == "NOOP" else o}),
    ("data-any-state", "rfc5321/4.1.4/out-of-order-503", "RCPT is taken in any state", _row("RCPT", "new", "greeted")
     | _says("RCPT", _OK, lambda s, rest: s.state in ("new", "greeted"))),
)  # fmt: skip
FAULTS = [Fault(f"path-{name}", requirement, summary, "smtp", hooks) for name, requirement, summary, hooks in _CASES]
