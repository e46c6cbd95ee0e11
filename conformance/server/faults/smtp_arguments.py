"""Faults in what MAIL, RCPT, EHLO, HELO and VRFY take for an argument: RFC 5321 sections 2.3 to 2.4, 3.5 and 4.1."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks
from conformance.server.faults._tools import says as _says
from conformance.server.faults._tools import turns as _turns
from conformance.server.smtp_grammar import Path

_OK = b"250 2.1.0 ok\r\n"
_FIVE = b"501 5.5.4 syntax error\r\n"
_UNKNOWN = b"550 5.1.1 no such user here\r\n"


def _where(verb: str, pattern: bytes, octets: bytes = _OK) -> Hooks:
    """What ``verb`` is answered where its argument matches."""
    return _says(verb, octets, lambda s, rest: re.search(pattern, rest) is not None)


def _but(verb: str, pattern: bytes, octets: bytes = _OK) -> Hooks:
    """What ``verb`` is answered where its argument does not match."""
    return _says(verb, octets, lambda s, rest: re.search(pattern, rest) is None)


def _closes(verb: str, pattern: bytes) -> Hooks:
    """The session ends without a word where the argument matches."""

    def instead(s: Any, word: str, rest: bytes) -> bytes | None:
        if word != verb or not re.search(pattern, rest):
            return None
        s.closing = True
        return b""

    return {"instead": instead}


def _on_refusal(verb: str, code: bytes, change: Callable[[Any], None]) -> Hooks:
    """``change(s)`` where ``verb`` is refused with ``code``."""

    def reply(s: Any, octets: bytes, word: str) -> bytes:
        if word == verb and octets.startswith(code):
            change(s)
        return octets

    return {"reply": reply}


def _begins(s: Any) -> None:
    if s.mail.sender is None:
        s.mail.sender = Path("", "")


def _nowhere(s: Any, verb: str) -> None:
    """Mail for a routed address leaves for the first host of the route."""
    if verb == "RCPT" and s.memory.get("route") and s.mail.recipients:
        s.mail.recipients[-1].user = ""


def _route(s: Any, line: bytes) -> bytes:
    found = re.match(rb"(?i)RCPT TO:<(@[^:>]+):", line)
    s.memory["route"] = found[1] if found else s.memory.get("route", b"")
    return line


def _routed_back(s: Any, octets: bytes, sent: bytes) -> bytes:
    route: bytes = s.memory.get("route", b"")
    return octets.replace(b"Return-Path: <", b"Return-Path: <" + route + b":", 1) if route else octets


_QUOTED_PATH = rb"^TO:<\"[^\"]*\"@"
_MAIL_PATHS = rb"^FROM:(<\s|<<|<[^>]*@>|<[^>]*>[^ ]|<[^>@]*@[^>@]*@|<[^>]*> <|[^<][^>]*>$|<\w+ \w)"
_RCPT_PATHS = rb"^TO:(<<|<[^>]*@>|<[^>]*>[^ ]|<[^>\"@]*@[^>@]*@|<[^>]*> <|[^<][^>]*>$|<\w+ \w|<[^>]*$)"

_CASES: tuple[tuple[str, str, str, Hooks], ...] = (
    # MAIL
    ("mail-any-path", "4.1.2/path-well-formed", "Ill-formed paths of MAIL are taken", _where("MAIL", _MAIL_PATHS)),
    ("mail-any-words", "4.1.1.2/reverse-path-required", "MAIL is taken without FROM and a colon", _but("MAIL", rb"(?i)^FROM:")),
    ("mail-local-name", "4.1.2/atext", "A local part is a name: a letter, two or more, one dot at most",
     _where("MAIL", rb"^FROM:<(\d|\w@|[^@>]*\.[^@>]*\.[^@>]*@|[^@>]*-@)", _FIVE)),
    ("mail-upper-domain", "2.4/domains-case-insensitive", "A domain of MAIL in upper case is a syntax error",
     _where("MAIL", rb"@[A-Z]{3}[A-Z.]*>", _FIVE)),
    ("mail-blank-in-value", "4.1.2/parameter-syntax", "A blank behind the equals sign of a MAIL parameter is taken",
     _where("MAIL", rb"= ")),
    ("mail-literals-unread", "4.1.3/bad-literal-refused", "The literals of MAIL are not read", _where("MAIL", rb"@\[")),
    ("mail-underscore", "2.3.5/labels-letters-digits-hyphens", "A domain of MAIL may have underscores", _where("MAIL", rb"@\w*_")),
    ("mail-parameters-upper", "2.4/keywords-case-insensitive", "Parameter names in lower case are not known",
     _where("MAIL", rb"> .*[a-z]=", b"555 5.5.4 not known\r\n")),
    ("mail-bad-begins", "4.1.4/bad-mail-argument-501", "A MAIL refused for its argument begins a transaction",
     _on_refusal("MAIL", b"501", _begins)),
    ("mail-unknown-begins", "4.1.1.11/mail-unknown-parameter-555", "A MAIL refused for a parameter begins a transaction",
     _on_refusal("MAIL", b"555", _begins)),
    ("mail-takes-notify", "4.1.1.11/mail-unknown-parameter-555", "Parameters of RCPT are taken with MAIL",
     {"command": lambda s, line: line.replace(b" NOTIFY=NEVER", b"") if line.startswith(b"MAIL") else line}),
    ("mail-long-name-drops", "4.5.3.1.9/limit-answered", "A local part over 64 octets ends the session",
     _closes("MAIL", rb"<[^@>]{65,}@")),
    # RCPT
    ("rcpt-any-path", "4.1.2/path-well-formed", "Ill-formed paths of RCPT are taken", _where("RCPT", _RCPT_PATHS)),
    ("rcpt-controls", "4.1.2/no-control-characters", "Control characters are taken in RCPT", _where("RCPT", rb"[\x01-\x1f]")),
    ("rcpt-no-local-part", "4.1.1/local-part-syntax", "An empty local part is taken in RCPT", _where("RCPT", rb"<@[^:]*>")),
    ("rcpt-open-quote", "4.1.2/quoted-string-well-formed", "An open quote is taken in RCPT", _where("RCPT", rb'<"[^"]*>$')),
    ("rcpt-any-words", "4.1.1.3/forward-path-required", "RCPT is taken without TO and a path", _but("RCPT", rb"(?i)^TO:\s*\S")),
    ("rcpt-no-brackets", "4.1.2/angle-brackets-required", "RCPT needs no brackets", _where("RCPT", rb"^TO:[^< ]+@[^> ]+$")),
    ("rcpt-no-domain", "4.1.2/mailbox-has-domain", "RCPT needs no domain", _where("RCPT", rb"^TO:<\w+>$")),
    ("rcpt-trailing-dot", "4.1.2/domain-syntax", "A dot behind the domain of RCPT is taken", _where("RCPT", rb"\.>")),
    ("rcpt-parameters", "4.1.2/parameter-syntax", "Ill-formed parameters of RCPT are taken", _where("RCPT", rb"> [=-]")),
    ("rcpt-postmaster-alone", "4.1.1.3/postmaster-case-insensitive", "Postmaster is known without a domain only",
     _where("RCPT", rb"(?i)<postmaster@", _UNKNOWN)),
    ("rcpt-quotes-count", "4.1.2/quoted-forms-equivalent", "Quotes belong to the name", _where("RCPT", _QUOTED_PATH, _UNKNOWN)),
    ("rcpt-odd-names-drop", "4.2/one-reply-per-command", "Names that a shell would mind end the session",
     _closes("RCPT", rb"<(\"[^a-z]|\||\w+/)")),
    ("rcpt-route-followed", "3.3/source-route-ignored", "A routed message leaves for the first host of its route",
     {"command": _route, "after": _nowhere}),
    ("rcpt-route-returns", "4.1.1.3/route-not-in-reverse-path", "The route of RCPT comes back in the return path",
     {"command": _route, "content": _routed_back}),
    ("rcpt-unknown-554", "3.3/unknown-recipient-550", "An unknown name gets 554", _turns("RCPT", b"550 5.1.1", b"554 5.1.1")),
    ("rcpt-known-252", "3.3/rcpt-accepted", "A name that is known gets 252", _turns("RCPT", b"250 ", b"252 ")),
    # EHLO, HELO
    ("ehlo-odd-names", "2.3.5/labels-letters-digits-hyphens", "EHLO takes brackets and slashes", _where("EHLO", rb"[</]")),
    ("ehlo-odd-literals", "4.1.3/bad-literal-refused", "EHLO takes what begins like a literal", _where("EHLO", rb"^\[[^\]]*$|^\[[\d.]{,8}\]")),
    ("ehlo-two-hyphens", "4.1.4/no-refusal-for-unmatched-name", "EHLO takes no name with two hyphens in a row",
     _where("EHLO", rb"--", _FIVE)),
    ("ehlo-refused-counts", "4.1.4/ehlo-refusal-keeps-state", "A refused EHLO counts",
     _on_refusal("EHLO", b"501", lambda s: setattr(s, "greeted", s.greeted or "EHLO"))),
    ("helo-odd-names", "rfc1123/5.2.5/helo-syntax-501", "HELO takes empty labels and brackets", _where("HELO", rb"<|\.\.")),
    # VRFY, EXPN
    ("vrfy-other-address", "3.5.2/addresses-usable-in-rcpt", "VRFY tells an address that RCPT does not take",
     _says("VRFY", b"250 2.1.5 <alice@internal.invalid>\r\n")),
    ("vrfy-unknown-554", "3.5.3/not-implemented-code", "VRFY gets 554 for unknown names", _turns("VRFY", b"550 5.1.1", b"554 5.1.1")),
    ("vrfy-address-only", "3.5.1/local-mailboxes-recognised", "VRFY knows addresses, but no names", _but("VRFY", rb"@", _UNKNOWN)),
    ("vrfy-name-only", "3.5.1/local-part-at-domain-recognised", "VRFY knows names, but no addresses", _where("VRFY", rb"@", _UNKNOWN)),
    ("expn-drops", "3.5.1/expn-supported", "EXPN ends the session", _closes("EXPN", rb"")),
    ("expn-implemented-501", "4.2.4/502-recognised", "EXPN gets 501, since it is not implemented", _says("EXPN", _FIVE)),
)  # fmt: skip

FAULTS = [
    Fault(name, requirement if requirement.startswith("rfc") else f"rfc5321/{requirement}", summary, "smtp", hooks)
    for name, requirement, summary, hooks in _CASES
]
