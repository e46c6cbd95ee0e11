"""Faults of SASL mechanisms, on SMTP and POP3 alike: RFC 5802 with channel binding, RFC 7628, 4422 (EXTERNAL), 4505."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks
from conformance.server.faults.pop3_sessions import open_box

Change = Callable[[Any, bytes], bytes]
_AUTH = re.compile(rb"(?i)AUTH +(\S+)(?: +(\S+))?$")


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _begun(s: Any, line: bytes) -> bytes:
    """Remembers the mechanism and the client's messages."""
    found = _AUTH.match(line)
    if found:
        s.memory["mechanism"] = found[1].decode("latin-1").upper()
        s.memory["said"] = [_decoded(found[2])] if found[2] else []
    return line


def _said(s: Any, line: bytes) -> bytes:
    s.memory.setdefault("said", []).append(_decoded(line))
    return line


def _reply(mechanisms: str, change: Change) -> Hooks:
    """Changes the replies to AUTH with mechanisms whose name the pattern matches from its beginning."""

    def reply(s: Any, octets: bytes, verb: str) -> bytes:
        if verb != "AUTH" or not re.match(mechanisms, s.memory.get("mechanism", "")) or s.memory.get("changing"):
            return octets
        s.memory["changing"] = True  # what the change itself says is left as it is
        try:
            return change(s, octets)
        finally:
            s.memory["changing"] = False

    return {"command": _begun, "response": _said, "reply": reply}


def _mark(octets: bytes) -> bytes:
    """What a challenge begins with, or b""."""
    return next((mark for mark in (b"334 ", b"+ ") if octets.startswith(mark)), b"")


def _challenge(mechanisms: str, change: Callable[[Any, bytes], bytes]) -> Hooks:
    """Challenges, decoded, are changed."""

    def changed(s: Any, octets: bytes) -> bytes:
        mark = _mark(octets)
        return mark + base64.b64encode(change(s, _decoded(octets[len(mark) :].strip()))) + b"\r\n" if mark else octets

    return _reply(mechanisms, changed)


def _failed(octets: bytes) -> bool:
    return octets.startswith((b"5", b"-ERR"))


def _succeed(s: Any) -> bytes:
    """Somebody is logged in."""
    name = next(one for one in s.world.accounts if not s.world.storage.mailbox(one).locked)
    s.reader = s.exchange = None
    if s.family == "pop3":
        return open_box(s, name)
    s.user = name
    return b"235 2.7.0 authenticated\r\n"


def _refuse(s: Any) -> bytes:
    s.reader = s.exchange = None
    s.user = ""
    return b"-ERR [AUTH] wrong credentials\r\n" if s.family == "pop3" else b"535 5.7.8 wrong credentials\r\n"


def _accepts(mechanisms: str, when: Callable[[list[bytes]], bool]) -> Hooks:
    """A failure becomes a success when the client said such things."""
    return _reply(mechanisms, lambda s, o: _succeed(s) if _failed(o) and when(s.memory.get("said", [])) else o)


def _rejects(mechanisms: str, when: Callable[[list[bytes]], bool]) -> Hooks:
    """A challenge or a success becomes a failure when the client said such things."""

    def change(s: Any, octets: bytes) -> bytes:
        if _failed(octets) or not when(s.memory.get("said", [])):
            return octets
        if s.family == "pop3":
            s.release()
        else:  # nothing of the exchange is waited for once this reply is sent
            s.expect_line = lambda limit, handler: s.__dict__.pop("expect_line")
        return _refuse(s)

    return _reply(mechanisms, change)


def _closes(mechanisms: str, when: Callable[[Any, bytes], bool]) -> Hooks:
    def change(s: Any, octets: bytes) -> bytes:
        s.closing = s.closing or when(s, octets)
        return octets

    return _reply(mechanisms, change)


def _says(mechanism: bytes, refusal: str, when: Callable[[Any], bool]) -> Hooks:
    """A mechanism is answered in the server's place: "" refusal is a success."""

    def instead(s: Any, verb: str, rest: bytes) -> bytes | None:
        if verb != "AUTH" or rest.split(b" ")[0].upper() != mechanism or not when(s):
            return None
        return _refuse(s) if refusal else _succeed(s)

    return {"instead": instead}


def _list(change: Callable[[Any, list[str]], list[str]]) -> Hooks:
    """The mechanisms of the AUTH line (SMTP) or the SASL line (POP3)."""

    def capabilities(s: Any, words: list[str]) -> list[str]:
        return [
            " ".join([word.split(" ")[0], *change(s, word.split(" ")[1:])]) if word.startswith(("AUTH ", "SASL ")) else word
            for word in words
        ]

    return {"capabilities": capabilities}


def _nonce(s: Any) -> bytes:
    """The client's nonce."""
    return b"".join(s.memory.get("said", [])[:1]).rpartition(b"r=")[2] or b"x"


def _final_has(part: bytes) -> Callable[[list[bytes]], bool]:
    return lambda said: any(part in one for one in said)


def _error(change: Callable[[bytes], bytes]) -> Hooks:
    return _challenge("OAUTHBEARER", lambda s, c: change(c) if c.startswith(b"{") else c)


_SCRAM, _PLUS, _OAUTH = "SCRAM", "SCRAM-.*-PLUS", "OAUTHBEARER"
_UNCHECKED = (
    ("y-flag", "rfc5802/6/y-flag-refused", "The flag y is taken although channel binding is offered"),
    ("binding-type", "rfc5802/6/type-supported", "An unknown type of channel binding is taken as one without data"),
    ("binding-header", "rfc5802/6/header-validated", "The header in the channel binding is not compared"),
    ("binding-data", "rfc5802/6/data-validated", "The channel binding data are not compared"),
    ("nonce", "rfc5802/5.1/nonce-verified", "The nonce of the last message is not compared"),
    ("extension", "rfc5802/5.1/mandatory-extension", "Mandatory extensions are skipped"),
    ("flag", "rfc5802/5/first-character", "Any flag is taken as n"),
    ("name-encoding", "rfc5802/5.1/name-encoding", "User names are decoded as quoted-printable is"),
    ("proof", "rfc5802/3/wrong-proof", "The proof is not verified"),
    ("scram-authzid", "rfc5802/5/authzid-authorized", "SCRAM ignores the authorization identity"),
    ("oauth-authzid", "rfc7628/3.2/identity-allowed", "OAUTHBEARER ignores the authorization identity"),
    ("external-authzid", "rfc4422/A.1/identity-allowed", "EXTERNAL ignores the authorization identity"),
)
FAULTS = [
    Fault(f"sasl-no-{name}", requirement, summary, settings={"sasl_unchecked": frozenset({name})})
    for name, requirement, summary in _UNCHECKED
] + [
    Fault("sasl-any-type", "rfc5802/6/type-supported", "Unknown types of channel binding are taken, whatever the data",
          settings={"sasl_unchecked": frozenset({"binding-type", "binding-data"})}),
] + [
    Fault(f"sasl-{name}", requirement, summary, service, hooks)
    for name, requirement, summary, service, hooks in (
        ("xoauth2-any-user", "rfc4954/6/wrong-credentials", "XOAUTH2 does not compare the token's owner", "smtp",
         _accepts("XOAUTH2", lambda said: b"auth=Bearer " in said[0] and b"no-such" not in said[0] and len(said) > 1)),
        ("wrong-verifier", "rfc5802/3/server-proves", "SCRAM's last message is signed with another key", "",
         _challenge(_SCRAM, lambda s, c: b"v=" + base64.b64encode(bytes(20)) if c.startswith(b"v=") else c)),
        ("no-verifier", "rfc5802/3/server-proves", "SCRAM succeeds without a last message", "smtp",
         _challenge(_SCRAM, lambda s, c: b"" if c.startswith(b"v=") else c)),
        ("error-without-reason", "rfc5802/5.1/error-is-named", "After a failure SCRAM's last message is no error", "",
         _reply(_SCRAM, lambda s, o: (b"+ " if s.family == "pop3" else b"334 ") + b"eD1iYWQ=\r\n"
                if o.startswith((b"535", b"-ERR [AUTH]")) else o)),
        ("scram-asks", "rfc5802/5/client-first", "SCRAM's first challenge is a text", "",
         _challenge(_SCRAM, lambda s, c: c or b"who?")),
        ("scram-strict-first", "rfc5802/5.1/extensions-ignored", "SCRAM refuses unknown attributes of the first message", "",
         _rejects(_SCRAM, lambda said: b",x=" in b"".join(said[:1]))),
        ("scram-strict-final", "rfc5802/5.1/extensions-ignored", "SCRAM refuses unknown attributes of the last message", "",
         _rejects(_SCRAM, lambda said: b",x=" in b"".join(said[1:]))),
        ("scram-name-closes", "rfc5802/5.1/name-prepared", "A user name that is not UTF-8 ends the session", "",
         _closes(_SCRAM, lambda s, o: b"not UTF-8" in o)),
        ("scram-name-accepted", "rfc5802/5.1/name-prepared", "A control character in a user name is dropped", "",
         _accepts(_SCRAM, _final_has(b"\x01,r="))),
        ("scram-no-y", "rfc5802/6/y-flag-accepted", "The flag y is always refused", "",
         _rejects(_SCRAM, lambda said: b"".join(said[:1]).startswith(b"y,"))),
        ("plus-refused", "rfc5802/6/binding-succeeds", "Channel binding never succeeds", "",
         _rejects(_PLUS, lambda said: b"c=" in b"".join(said[1:]))),
        ("plus-alone", "rfc5802/6/both-offered", "Only the variants with channel binding are offered", "",
         _list(lambda s, names: [one for one in names if one + "-PLUS" not in names])),
        ("scram-cancel-ignored", "rfc4954/4/cancel", "SCRAM's last step cannot be cancelled", "smtp",
         {"command": _begun, "response": lambda s, line: b"" if line == b"*" and len(s.memory.get("said", [])) > 0
          and s.memory.get("mechanism", "").startswith("SCRAM") else line}),
        ("scram-cancel-ignored-pop3", "rfc5034/4/cancel", "SCRAM's last step cannot be cancelled", "pop3",
         {"command": _begun, "response": lambda s, line: b"" if line == b"*"
          and s.memory.get("mechanism", "").startswith("SCRAM") else line}),
        ("scram-no-proof", "rfc5802/3/wrong-proof", "SCRAM succeeds without a proof", "",
         _accepts(_SCRAM, lambda said: len(said) > 1 and b",p=" not in said[-1])),
        ("scram-anybody", "rfc5802/3/wrong-proof", "SCRAM takes unknown users", "",
         _accepts(_SCRAM, lambda said: len(said) > 1 and b"n=no-such-" in said[0])),
        ("scram-pop3-own-nonce", "rfc5802/5.1/nonce-begins-with-clients", "The server has a nonce of its own", "pop3",
         _challenge(_SCRAM, lambda s, c: re.sub(b"^r=", b"r=x", c))),
        ("scram-pop3-no-nonce", "rfc5802/5.1/nonce-begins-with-clients", "The server adds nothing to the nonce", "pop3",
         _challenge(_SCRAM, lambda s, c: re.sub(b"^r=[^,]+", b"r=" + _nonce(s), c))),
        ("scram-pop3-same-nonce", "rfc5802/5.1/nonce-fresh", "The server's part of the nonce is constant", "pop3",
         _challenge(_SCRAM, lambda s, c: re.sub(b"^r=[^,]+", b"r=" + _nonce(s) + b"x", c))),
        ("scram-pop3-no-salt", "rfc5802/5.1/salt-and-count", "The salt is left out", "pop3",
         _challenge(_SCRAM, lambda s, c: re.sub(b",s=[^,]+", b"", c))),
        ("scram-pop3-iterations", "rfc5802/5.1/iterations", "SCRAM-SHA-1's iteration count is 1000", "pop3",
         _challenge("SCRAM-SHA-1$", lambda s, c: re.sub(b",i=[0-9]+", b",i=1000", c))),
        ("scram-pop3-256-iterations", "rfc7677/4/iterations", "SCRAM-SHA-256's iteration count is 1000", "pop3",
         _challenge("SCRAM-SHA-256$", lambda s, c: re.sub(b",i=[0-9]+", b",i=1000", c))),
        ("pop3-pad-optional", "rfc5034/4/undecodable", "Padding may be left out", "pop3",
         {"response": lambda s, line: line + b"=" * (-len(line) % 4)}),
        ("pop3-initial-skips", "rfc5034/4/foreign-characters", "What is not base64 is skipped in an initial response", "pop3",
         {"command": lambda s, line: b"AUTH PLAIN " + re.sub(b"[! ]|====", b"", line[11:])
          if line.startswith(b"AUTH PLAIN ") else line}),
        ("pop3-plain-parts", "rfc4616/2/nothing-behind", "Further parts of PLAIN are not looked at", "pop3",
         _accepts("PLAIN", lambda said: b"".join(said).count(b"\0") > 2)),
        ("pop3-plain-latin", "rfc4616/2/utf-8", "What is no UTF-8 is dropped", "pop3",
         _accepts("PLAIN", lambda said: b"\xff" in b"".join(said))),
        ("pop3-cram-short", "rfc2195/2/wrong-digest", "Digests that are cut short are taken", "pop3",
         _accepts("CRAM-MD5", lambda said: len(said[-1]) < 60 if said else False)),
        ("pop3-cancel-asks", "rfc5034/4/cancel", "An asterisk in LOGIN and CRAM-MD5 is answered with another challenge", "pop3",
         _reply("LOGIN|CRAM-MD5", lambda s, o: b"+ \r\n" if o.startswith(b"-ERR cancelled") else o)),
        ("pop3-token-asks", "rfc5034/4/empty-challenge", "The first challenge is a text", "pop3",
         _challenge("SCRAM|XOAUTH2|OAUTHBEARER", lambda s, c: c or b"go on")),
        ("oauth-refused", "rfc7628/3/right-token", "OAUTHBEARER never succeeds", "", _rejects(_OAUTH, lambda said: bool(said))),
        ("oauth-asks", "rfc7628/3/client-first", "OAUTHBEARER's first challenge is a text", "",
         _challenge(_OAUTH, lambda s, c: c or b"token?")),
        ("oauth-scheme", "rfc7628/4/scheme-case", "Only Bearer is known", "",
         _rejects(_OAUTH, lambda said: any(b"auth=" in one and b"auth=Bearer" not in one for one in said))),
        ("oauth-strict", "rfc7628/3.1/unknown-pairs-ignored", "Unknown keys are refused", "",
         _rejects(_OAUTH, _final_has(b"unknownkey="))),
        ("oauth-clear", "rfc7628/3/bearer-needs-tls", "OAUTHBEARER is offered in the clear", "",
         _list(lambda s, names: list(dict.fromkeys([*names, "OAUTHBEARER"])))),
        ("oauth-clear-accepted", "rfc7628/3/refused-in-the-clear", "OAUTHBEARER is taken in the clear", "",
         _says(b"OAUTHBEARER", "", lambda s: not s.tls)),
        ("oauth-no-error", "rfc7628/3.2.2/error-is-a-challenge", "A refused token is refused at once", "",
         _rejects(_OAUTH, _final_has(b"no-such-token"))),
        ("oauth-no-status", "rfc7628/3.2.2/error-has-status", "The error result has no status", "",
         _error(lambda c: b'{"scope": "mail"}')),
        ("oauth-not-json", "rfc7628/3.2.2/error-is-a-challenge", "The error result is no JSON", "",
         _error(lambda c: b"status=invalid_token")),
        ("oauth-second-chance", "rfc7628/3.2.3/fails-after-answer", "A right token after the error result logs in", "",
         _accepts(_OAUTH, lambda said: len(said) > 1 and b"auth=Bearer" in said[-1])),
        ("oauth-error-forgiven", "rfc7628/3.2.3/fails-after-answer", "After the answer to the error result there is success", "",
         _accepts(_OAUTH, lambda said: len(said) > 1 and said[-1] == b"\x01" and b"no-such-token" in said[0])),
        ("oauth-abort-closes", "rfc7628/3.2.3/abort-after-error", "An abort after the error result ends the session", "",
         _closes(_OAUTH, lambda s, o: b"cancelled" in o)),
        ("oauth-no-auth", "rfc7628/3.1/auth-required", "A response without a token logs in", "",
         _accepts(_OAUTH, lambda said: any(one.startswith(b"n,a=") and b"auth=" not in one for one in said))),
        ("oauth-any-form", "rfc7628/3.1/response-form", "Whatever holds a token logs in", "",
         _accepts(_OAUTH, lambda said: any(re.search(b"[0-9a-f]{39}", one) for one in said))),
        ("oauth-empty-token", "rfc7628/3.1/response-form", "An empty token logs in", "",
         _accepts(_OAUTH, _final_has(b"auth=Bearer \x01"))),
        ("oauth-any-answer", "rfc7628/3.2.3/fails-after-answer", "Some answers to the error result are a success", "",
         _accepts(_OAUTH, lambda said: len(said) > 1 and said[-1] != b"\x01" and b"no-such-token" in said[0])),
        ("oauth-separator", "rfc7628/3.1/lone-separator-fails", "A lone separator logs in", "",
         _accepts(_OAUTH, lambda said: said == [b"\x01"])),
        ("xoauth2-refused", "rfc4954/4/success", "XOAUTH2 never succeeds", "smtp", _rejects("XOAUTH2", lambda said: bool(said))),
        ("xoauth2-refused-pop3", "rfc5034/4/success", "XOAUTH2 never succeeds", "pop3",
         _rejects("XOAUTH2", lambda said: bool(said))),
        ("xoauth2-no-token", "rfc4954/6/wrong-credentials", "XOAUTH2 wants no bearer token", "smtp",
         _accepts("XOAUTH2", lambda said: b"Bearer" not in b"".join(said) and b"user=" in b"".join(said))),
        ("xoauth2-no-token-pop3", "rfc5034/4/wrong-credentials", "XOAUTH2 wants no bearer token", "pop3",
         _accepts("XOAUTH2", lambda said: b"Bearer" not in b"".join(said) and b"user=" in b"".join(said))),
        ("xoauth2-any-token", "rfc5034/4/wrong-credentials", "XOAUTH2 takes any token", "pop3",
         _accepts("XOAUTH2", lambda said: bool(said) and b"auth=" in said[0])),
        ("external-anyone", "rfc4422/A.1/credentials-needed", "EXTERNAL logs in without a certificate", "",
         _says(b"EXTERNAL", "", lambda s: not s.channel.identity)),
        ("external-refused", "rfc4422/A.1/certificate-logs-in", "EXTERNAL never succeeds", "",
         _says(b"EXTERNAL", "no", lambda s: True)),
        ("external-asks", "rfc4422/A.1/client-first", "EXTERNAL's first challenge is a text", "",
         _challenge("EXTERNAL", lambda s, c: c or b"who?")),
        ("external-hidden", "rfc8314/4.2/access-external-enabled", "EXTERNAL is not offered on POP3", "pop3",
         _list(lambda s, names: [one for one in names if one != "EXTERNAL"])),
        ("external-hidden-smtp", "rfc8314/4.2/submission-external-offered", "EXTERNAL is not offered on SMTP", "smtp",
         _list(lambda s, names: [one for one in names if one != "EXTERNAL"])),
        ("external-form", "rfc4422/A.1/identity-form", "EXTERNAL looks at an identity up to a NUL only", "",
         _accepts("EXTERNAL", lambda said: b"\0" in b"".join(said))),
        ("external-latin", "rfc4422/A.1/identity-form", "EXTERNAL drops what is no UTF-8", "",
         _accepts("EXTERNAL", lambda said: b"\xff" in b"".join(said))),
        ("external-unasked", "rfc8314/3.1/pop3s-no-preauthentication", "A certificate alone opens the mailbox", "pop3",
         {"instead": lambda s, v, rest: b"+OK 0 0\r\n" if v == "STAT" and s.channel.identity and not s.box else None}),
        ("anonymous-refused", "rfc4505/2/anyone-logs-in", "ANONYMOUS never succeeds", "smtp",
         _rejects("ANONYMOUS", lambda said: bool(said))),
        ("anonymous-address", "rfc4505/2/message-forms", "ANONYMOUS wants an address", "smtp",
         _rejects("ANONYMOUS", lambda said: bool(said) and b"@" not in said[-1])),
        ("anonymous-short", "rfc4505/2/token-length", "ANONYMOUS takes 64 octets", "smtp",
         _rejects("ANONYMOUS", lambda said: bool(said) and len(said[-1]) > 64)),
    )
]  # fmt: skip
