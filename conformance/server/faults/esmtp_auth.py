"""Faults in AUTH over SMTP: RFC 4954, the mechanisms, and RFC 3848's trace types."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import keeps_user as _keeps

_OK = b"235 2.7.0 authenticated\r\n"


def _marked(session: Any, name: str, octets: bytes) -> bytes:
    """The reply as it is, and the session remembers that it was sent."""
    setattr(session, name, True)
    return octets


def _code(old: bytes, new: bytes) -> dict[str, Callable[..., bytes]]:
    """In a reply to AUTH that begins with ``old``: ``new`` in its place."""
    return {"reply": lambda s, octets, v: new + octets[len(old) :] if v == "AUTH" and octets.startswith(old) else octets}


def _says(octets: bytes, when: Callable[[Any, bytes], bool]) -> dict[str, Callable[..., Any]]:
    return {"instead": lambda s, v, rest: octets if v == "AUTH" and when(s, rest) else None}


def _challenge(change: Callable[[bytes], bytes], *mechanisms: str) -> dict[str, Callable[..., bytes]]:
    """The challenges of these mechanisms, decoded, are changed."""

    def reply(s: Any, octets: bytes, v: str) -> bytes:
        if v != "AUTH" or not octets.startswith(b"334 ") or s.exchange.mechanism not in mechanisms:
            return octets
        return b"334 " + base64.b64encode(change(base64.b64decode(octets[4:]))) + b"\r\n"

    return {"reply": reply}


def _refuses(mechanism: str) -> dict[str, Callable[..., bytes]]:
    """The right credentials fail with this mechanism."""

    def reply(s: Any, octets: bytes, v: str) -> bytes:
        if v == "AUTH" and octets.startswith(b"235") and s.exchange.mechanism == mechanism:
            s.user = ""
            return b"535 5.7.8 wrong credentials\r\n"
        return octets

    return {"reply": reply}


def _accepts(old: bytes, *mechanisms: str) -> dict[str, Callable[..., bytes]]:
    """A refusal that begins with ``old`` becomes a success."""
    return {"reply": lambda s, o, v: _OK if v == "AUTH" and o.startswith(old) and s.exchange
            and s.exchange.mechanism in mechanisms else o}  # fmt: skip


def _mail(octets: bytes, when: Callable[[bytes], bool]) -> dict[str, Callable[..., Any]]:
    return {"instead": lambda s, v, rest: octets if v == "MAIL" and b" AUTH=" in rest and when(rest) else None}


def _closes(old: bytes) -> dict[str, Callable[..., bytes]]:
    """After such a reply to AUTH the server hangs up."""

    def reply(s: Any, octets: bytes, v: str) -> bytes:
        if v == "AUTH" and octets.startswith(old):
            s.closing = True
        return octets

    return {"reply": reply}


def _decoded(rest: bytes) -> bytes:
    try:
        return base64.b64decode(rest.partition(b" ")[2])
    except ValueError:
        return b""


def _plain(when: Callable[[list[bytes]], bool]) -> dict[str, Callable[..., Any]]:
    """PLAIN with such parts succeeds."""
    return _says(_OK, lambda s, rest: rest.upper().startswith(b"PLAIN ") and when(_decoded(rest).split(b"\0")))


def _known(s: Any, rest: bytes) -> bool:
    return not s.user and s.greeted == "EHLO"


def _trace(old: bytes, new: bytes) -> dict[str, Callable[..., bytes]]:
    return {"content": lambda s, octets, sent: octets.replace(b" with " + old + b" ", b" with " + new + b" ", 1)}


def _forgets(verb: str) -> dict[str, Callable[..., None]]:
    def after(s: Any, v: str) -> None:
        if v == verb:
            s.user = ""

    return {"after": after}


_RIGHT = b"wonderland-7"
FAULTS = [
    Fault(f"auth-{name}", requirement, summary, "smtp", hooks)
    for name, requirement, summary, hooks in (
        ("listed-twice", "rfc4954/3/lists-mechanisms", "EHLO lists PLAIN twice",
         {"capabilities": lambda s, words: [w + " PLAIN" if w.startswith("AUTH ") else w for w in words]}),
        ("listed-in-lower-case", "rfc4422/3.1/mechanism-names", "EHLO lists a name in lower case",
         {"capabilities": lambda s, words: [w + " x-other" if w.startswith("AUTH ") else w for w in words]}),
        ("listed-not-kept", "rfc4954/3/listed-is-kept", "LOGIN is listed and not known",
         _says(b"504 5.5.4 no such mechanism\r\n", lambda s, rest: _known(s, rest) and rest.upper().startswith(b"LOGIN"))),
        ("not-offered", "rfc4954/4/not-offered", "AUTH is taken where it is not offered",
         {"capabilities": lambda s, words: [w for w in words if not w.startswith("AUTH ")]}),
        ("success-250", "rfc4954/4/success", "Success is 250", _code(b"235", b"250")),
        ("unknown-500", "rfc4954/4/unknown-mechanism", "An unknown mechanism gets 500", _code(b"504", b"500")),
        ("unknown-334", "rfc4954/4/unknown-mechanism", "An unknown mechanism is begun", _code(b"504", b"334")),
        ("no-mechanism-334", "rfc4954/4/mechanism-needed", "AUTH alone gets 334", _says(b"334 \r\n", lambda s, rest: not rest)),
        ("mechanism-case", "rfc4954/4/mechanism-case", "A mechanism in lower case is unknown",
         _says(b"504 5.5.4 no such mechanism\r\n", lambda s, rest: rest[:1].islower())),
        ("second", "rfc4954/4/second-auth", "A second AUTH is begun", _says(b"334 \r\n", lambda s, rest: bool(s.user))),
        ("second-501", "rfc4954/4/second-auth", "A second AUTH gets 501",
         _says(b"501 5.5.4 no\r\n", lambda s, rest: bool(s.user))),
        ("in-transaction", "rfc4954/4/not-in-transaction", "AUTH in a transaction is taken",
         {"states": lambda s, allowed, v: allowed | {"mail", "rcpt"} if v == "AUTH" else allowed}),
        ("before-ehlo", "rfc4954/4/esmtp-session", "AUTH before EHLO succeeds",
         _says(_OK, lambda s, rest: s.greeted != "EHLO" and bool(rest))),
        ("rset-forgets", "rfc4954/4/survives-rset", "RSET logs out", _forgets("RSET")),
        ("tls-keeps", "rfc4954/4/forgotten-after-tls", "The user is kept across STARTTLS", {"secured": _keeps}),
        ("cancel-250", "rfc4954/4/cancel", "A cancelled exchange gets 250", _code(b"501 5.7.0 cancelled", b"250 2.0.0 ok")),
        ("cancel-535", "rfc4954/4/cancel", "A cancelled exchange gets 535", _code(b"501 5.7.0", b"535 5.7.0")),
        ("cancel-closes", "rfc4954/4/cancel-then-commands", "A cancelled exchange ends the session", _closes(b"501 5.7.0")),
        ("cancel-blocks", "rfc4422/3.5/abort", "A cancelled exchange was the last", {
            "reply": lambda s, o, v: _marked(s, "stuck", o) if v == "AUTH" and o.startswith(b"501 5.7.0") else o,
            "instead": lambda s, v, rest: b"503 5.5.1 no\r\n" if v == "AUTH" and getattr(s, "stuck", False) else None}),
        ("failure-blocks", "rfc4422/3.6/retry", "A failed exchange was the last", {
            "reply": lambda s, o, v: _marked(s, "stuck", o) if v == "AUTH" and o.startswith(b"535") else o,
            "instead": lambda s, v, rest: b"503 5.5.1 no\r\n" if v == "AUTH" and getattr(s, "stuck", False) else None}),
        ("undecodable-535", "rfc4954/4/undecodable", "What is not base64 gets 535", _code(b"501 5.5.2 not base64", b"535 5.7.8")),
        ("undecodable-closes", "rfc4954/4/undecodable", "What is not base64 ends the session", _closes(b"501 5.5.2 not base64")),
        ("foreign-skipped", "rfc4954/4/foreign-characters", "Foreign characters are skipped",
         _accepts(b"501 5.5.2 not base64", "PLAIN")),
        ("pad-skipped", "rfc4954/4/pad-in-the-middle", "Pad characters are skipped", _accepts(b"501 5.5.2 not base64", "PLAIN")),
        ("equals-accepted", "rfc4954/4/equals-is-empty", "An empty PLAIN message succeeds",
         _says(_OK, lambda s, rest: rest == b"PLAIN =")),
        ("server-first", "rfc4954/4/server-first-initial", "The initial response of CRAM-MD5 is ignored",
         _says(b"334 PGFAYj4=\r\n", lambda s, rest: rest.startswith(b"CRAM-MD5 "))),
        ("initial-ignored", "rfc4954/4/initial-response", "The initial response is ignored",
         _says(b"334 \r\n", lambda s, rest: _known(s, rest) and rest.startswith(b"PLAIN ") and len(rest) > 8)),
        ("empty-no-space", "rfc4954/4/empty-challenge", "The empty challenge has no space",
         {"reply": lambda s, o, v: b"334\r\n" if o == b"334 \r\n" else o}),
        ("empty-text", "rfc4954/4/empty-challenge", "The empty challenge has a text",
         {"reply": lambda s, o, v: b"334 go on\r\n" if o == b"334 \r\n" else o}),
        ("challenge-clear", "rfc4954/4/challenge-base64", "LOGIN asks without base64",
         {"reply": lambda s, o, v: b"334 Username:\r\n" if o == b"334 VXNlcm5hbWU6\r\n" else o}),
        ("wrong-code", "rfc4954/6/wrong-credentials", "Wrong credentials get 550", _code(b"535", b"550")),
        ("wrong-status", "rfc4954/6/codes-agree", "Wrong credentials carry 5.7.0", _code(b"535 5.7.8", b"535 5.7.0")),
        ("mail-parameter", "rfc4954/3/mail-parameter", "MAIL does not know AUTH",
         _mail(b"555 5.5.4 unknown parameter\r\n", lambda rest: True)),
        ("mail-address", "rfc4954/5/mail-auth-address", "MAIL refuses an address as AUTH",
         _mail(b"501 5.5.4 no\r\n", lambda rest: b"AUTH=<>" not in rest)),
        ("mail-untrusted", "rfc4954/5/mail-auth-untrusted", "MAIL refuses a stranger's AUTH",
         _mail(b"530 5.7.0 log in first\r\n", lambda rest: b"AUTH=someone" in rest)),
        ("mail-xtext", "rfc4954/5/mail-auth-xtext", "MAIL refuses xtext", _mail(b"501 5.5.4 no\r\n", lambda rest: b"+" in rest)),
        ("mail-long", "rfc4954/3/mail-line-longer", "MAIL is limited to 512 octets",
         _mail(b"500 5.5.2 line too long\r\n", lambda rest: len(rest) > 505)),
        ("plain-refused", "rfc4616/2/right-password", "PLAIN never succeeds", _refuses("PLAIN")),
        ("plain-any", "rfc4616/2/password-verified", "PLAIN takes any password", _plain(lambda p: len(p) == 3)),
        ("plain-prefix", "rfc4616/2/lengths-refused", "Only the beginning of the password counts",
         _plain(lambda p: len(p) == 3 and p[2].startswith(_RIGHT))),
        ("plain-no-nul", "rfc4616/2/message-form", "PLAIN succeeds without a NUL", _plain(lambda p: len(p) < 3)),
        ("plain-authzid", "rfc4616/2/foreign-authzid", "PLAIN ignores the authorization identity",
         _plain(lambda p: len(p) == 3 and bool(p[0]) and p[2] == _RIGHT)),
        ("plain-empty", "rfc4616/2/no-identity", "PLAIN takes an empty password", _plain(lambda p: len(p) == 3 and not p[2])),
        ("cram-constant", "rfc2195/2/challenge-fresh", "The challenge of CRAM-MD5 is constant",
         _challenge(lambda c: b"<1.2@mx.example.test>", "CRAM-MD5")),
        ("cram-form", "rfc2195/2/challenge-form", "The challenge of CRAM-MD5 has no brackets",
         _challenge(lambda c: c.strip(b"<>"), "CRAM-MD5")),
        ("cram-refused", "rfc2195/2/right-digest", "CRAM-MD5 never succeeds", _refuses("CRAM-MD5")),
        ("cram-any", "rfc2195/2/wrong-digest", "CRAM-MD5 takes any digest", _accepts(b"535", "CRAM-MD5")),
        ("scram-refused", "rfc5802/3/right-password", "SCRAM-SHA-1 never succeeds", _refuses("SCRAM-SHA-1")),
        ("scram-256-refused", "rfc7677/3/right-password", "SCRAM-SHA-256 never succeeds", _refuses("SCRAM-SHA-256")),
        ("scram-any", "rfc5802/3/wrong-proof", "SCRAM takes any proof", _accepts(b"5", "SCRAM-SHA-1", "SCRAM-SHA-256")),
        ("scram-own-nonce", "rfc5802/5.1/nonce-begins-with-clients", "The server has a nonce of its own",
         _challenge(lambda c: re.sub(b"^r=", b"r=x", c), "SCRAM-SHA-1", "SCRAM-SHA-256")),
        ("scram-same-nonce", "rfc5802/5.1/nonce-fresh", "The server's nonce is constant",
         _challenge(lambda c: re.sub(b"^r=[^,]+", b"r=abc", c), "SCRAM-SHA-1", "SCRAM-SHA-256")),
        ("scram-no-salt", "rfc5802/5.1/salt-and-count", "The salt is left out",
         _challenge(lambda c: re.sub(b",s=[^,]+", b"", c), "SCRAM-SHA-1", "SCRAM-SHA-256")),
        ("scram-iterations", "rfc5802/5.1/iterations", "The iteration count is 1",
         _challenge(lambda c: re.sub(b",i=[0-9]+", b",i=1", c), "SCRAM-SHA-1")),
        ("scram-256-iterations", "rfc7677/4/iterations", "The iteration count is 1",
         _challenge(lambda c: re.sub(b",i=[0-9]+", b",i=1", c), "SCRAM-SHA-256")),
        ("success-status", "rfc4954/6/success-status", "Success carries 2.0.0", _code(b"235 2.7.0", b"235 2.0.0")),
        ("unknown-status", "rfc4954/4/unknown-mechanism-status", "An unknown mechanism carries 5.5.1",
         _code(b"504 5.5.4", b"504 5.5.1")),
        ("undecodable-status", "rfc4954/4/undecodable-status", "What is not base64 carries 5.5.4",
         _code(b"501 5.5.2", b"501 5.5.4")),
        ("server-first-status", "rfc4954/4/server-first-status", "An initial response to CRAM-MD5 carries 5.5.2",
         _code(b"501 5.7.0 the server", b"501 5.5.2 the server")),
        ("ehlo-forgets", "rfc4954/4/survives-rset", "EHLO logs out", _forgets("EHLO")),
        ("transaction-lost", "rfc4954/4/not-in-transaction", "A refused AUTH ends the transaction",
         {"reply": lambda s, o, v: (s.reset(), o)[1] if v == "AUTH" and o.startswith(b"503") else o}),
        ("failure-counts", "rfc4954/4/failure-authenticates-nobody", "After a failure the client counts as authenticated",
         {"reply": lambda s, o, v: _marked(s, "user", o) if v == "AUTH" and o.startswith(b"535") else o}),
        ("cancel-counts", "rfc4954/4/failure-authenticates-nobody", "After a cancel the client counts as authenticated",
         {"reply": lambda s, o, v: _marked(s, "user", o) if v == "AUTH" and o.startswith(b"501 5.7.0 cancel") else o}),
        ("undecodable-counts", "rfc4954/4/failure-authenticates-nobody", "After rubbish the client counts as authenticated",
         {"reply": lambda s, o, v: _marked(s, "user", o) if v == "AUTH" and o.startswith(b"501 5.5.2") else o}),
        ("pipeline-flushed", "rfc4954/4/pipelined", "What was pipelined behind AUTH is thrown away",
         {"after": lambda s, v: s.buffer.clear() if v == "AUTH" else None}),
        ("short-command", "rfc4954/4/longest-command", "AUTH is limited to 256 octets",
         _says(b"500 5.5.2 line too long\r\n", lambda s, rest: len(rest) > 250)),
        ("keyword-case", "rfc4954/8/keyword-case", "AUTH is known in capitals only",
         {"command": lambda s, line: b"XAUT" + line[4:] if line[:4].upper() == b"AUTH" and line[:4] != b"AUTH" else line}),
        ("base64-folded", "rfc4954/8/base64-case", "Base64 is compared without its case",
         _says(_OK, lambda s, rest: rest[:6] == b"PLAIN " and any(
             base64.b64encode(f"\0{n}\0{w}".encode()).lower() == rest[6:].lower() for n, w in s.world.accounts.items()))),
        ("pad-optional", "rfc4954/4/undecodable", "Padding may be left out",
         {"response": lambda s, line: line + b"=" * (-len(line) % 4)}),
        ("initial-skips", "rfc4954/4/foreign-characters", "Foreign characters of an initial response are skipped",
         {"command": lambda s, line: b"AUTH PLAIN " + base64.b64encode(base64.b64decode(line[11:].replace(b"====", b"")))
          if line.startswith(b"AUTH PLAIN ") and re.search(rb"!|====| ", line[15:]) and len(line) > 19 else line}),
        ("cram-replay", "rfc2195/2/wrong-digest", "Any digest for an earlier challenge is taken",
         _accepts(b"535", "CRAM-MD5")),
        ("cram-lenient", "rfc2195/2/wrong-digest", "A digest that is cut short is taken", _accepts(b"501", "CRAM-MD5")),
        ("plain-more-parts", "rfc4616/2/nothing-behind", "Further parts of PLAIN are not looked at",
         _plain(lambda p: len(p) > 3 and p[2] == _RIGHT)),
        ("plain-latin", "rfc4616/2/utf-8", "What is no UTF-8 is dropped",
         _plain(lambda p: len(p) == 3 and b"\xff" in p[1])),
        ("authzid-unprepared", "rfc4954/4/saslprep-failure", "Characters that are prohibited are dropped",
         _plain(lambda p: len(p) == 3 and p[0][-1:] in (b"\xad", b"\x07"))),
        ("trace-esmtp", "rfc3848/1/esmtp", "ESMTP is traced as SMTP", _trace(b"ESMTP", b"SMTP")),
        ("trace-esmtps", "rfc3848/1/esmtps", "ESMTPS is traced as ESMTP", _trace(b"ESMTPS", b"ESMTP")),
        ("trace-esmtpa", "rfc3848/1/esmtpa", "ESMTPA is traced as ESMTP", _trace(b"ESMTPA", b"ESMTP")),
        ("trace-esmtpsa", "rfc3848/1/esmtpsa", "ESMTPSA is traced as ESMTPS", _trace(b"ESMTPSA", b"ESMTPS")),
    )
] + [
    Fault("auth-withheld", "rfc4954/4/withheld-is-refused", "PLAIN is taken in the clear, though not offered there", "smtp",
          _says(_OK, lambda s, rest: not s.tls and rest.startswith(b"PLAIN ")), {"plaintext_auth": False}),
    Fault("auth-long-parts", "rfc4616/2/parts-of-255-octets", "Responses are limited to 900 octets", "smtp",
          settings={"auth_line": 900}),
    Fault("auth-short-line", "rfc4954/4/long-responses", "A response is limited to 512 octets", "smtp", settings={"auth_line": 512}),
    Fault("auth-long-closes", "rfc4954/4/overlong-response", "A response over 2,000 octets ends the session", "smtp",
          {"reply": lambda s, o, v: _marked(s, "closing", b"") if v == "AUTH" and o.startswith(b"501 5.5.2 wrong") else o}),
]  # fmt: skip
