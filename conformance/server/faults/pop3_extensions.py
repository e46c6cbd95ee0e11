"""Faults of POP3's extensions: CAPA, STLS, AUTH, response codes, pipelining (RFC 2449, 2595, 3206, 5034)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import capabilities as _capa
from conformance.server.faults._tools import instead as _instead


def _pop(name: str, requirement: str, summary: str, hooks: dict[str, Callable[..., Any]], **settings: Any) -> Fault:
    return Fault(name, requirement, summary, "pop3", hooks, settings)


def _without(*names: str, state: str = "") -> dict[str, Callable[..., Any]]:
    return _capa(lambda s, words: [w for w in words if w.split()[0] not in names or (state and s.state != state)])


def _with(word: str, state: str = "") -> dict[str, Callable[..., Any]]:
    return _capa(lambda s, words: [*words, word] if not state or s.state == state else words)


def _swap(old: str, new: str, state: str = "") -> dict[str, Callable[..., Any]]:
    return _capa(lambda s, words: [new if w.split()[0] == old and (not state or s.state == state) else w for w in words])


def _errors(change: Callable[[Any, bytes, str], bytes]) -> dict[str, Callable[..., Any]]:
    return {"reply": lambda s, o, v: change(s, o, v) if o.startswith(b"-ERR") else o}


def _loose(session: Any, line: bytes) -> bytes:
    """Characters that are not base64 are skipped."""
    match = re.match(rb"(?i)(AUTH PLAIN )(.+)\Z", line)
    return match[1] + _cleaned(match[2]) if match and match[2] != b"=" else line


def _cleaned(text: bytes) -> bytes:
    kept = re.sub(rb"[^A-Za-z0-9+/]", b"", text)
    kept = kept[: len(kept) - (len(kept) % 4 == 1)]
    return kept + b"=" * (-len(kept) % 4)


def _loose_response(session: Any, *_: Any) -> None:
    """Responses too: the exchange's step is given cleaned text."""
    exchange = session.exchange
    if exchange is None or "loose" in session.memory:
        return
    session.memory["loose"] = True
    plain = session._response
    session._response = lambda line, overlong: plain(_cleaned(line) if line != b"*" else line, overlong)


def _any_authzid(session: Any, verb: str, rest: bytes) -> bytes | None:
    words = rest.split(b" ")
    if verb != "AUTH" or len(words) != 2 or words[0].upper() != b"PLAIN" or session.state != "authorization":
        return None
    try:
        parts = base64.b64decode(words[1], validate=True).split(b"\0")
    except binascii.Error:
        return None
    if len(parts) == 3 and session.world.accounts.get(parts[1].decode("latin-1")) == parts[2].decode("latin-1"):
        session._open((parts[0] or parts[1]).decode())
        return b""
    return None


def _ignores_initial(session: Any, line: bytes) -> bytes:
    return re.sub(rb"(?i)^(AUTH (?:PLAIN|CRAM-MD5)) .*", rb"\1", line)


def _cram_initial(session: Any, line: bytes) -> bytes:
    return re.sub(rb"(?i)^(AUTH CRAM-MD5) .*", rb"\1", line)


def _remember_user(session: Any, name: str | None) -> None:
    session.name = name


_LISTED = [
    _pop(f"pop3-capa-no-{word.lower()}", requirement, f"CAPA does not list {word}", _without(word))
    for word, requirement in (
        ("TOP", "rfc2449/6.1/top-kept-is-announced"), ("USER", "rfc2449/6.2/user-kept-is-announced"),
        ("UIDL", "rfc2449/6.8/uidl-kept-is-announced"), ("RESP-CODES", "rfc2449/6.4/resp-codes-announced"),
        ("STLS", "rfc2595/4/stls-kept-is-announced"), ("SASL", "rfc5034/3/sasl-announced-in-authorization"),
        ("AUTH-RESP-CODE", "rfc3206/5/auth-code-needs-capability"),
    )
]  # fmt: skip
_AFTER = [
    _pop(f"pop3-capa-{word.lower()}-before-login-only", requirement, f"CAPA lists {word} before the login only", _without(word, state="transaction"))
    for word, requirement in (
        ("TOP", "rfc2449/6.1/top-in-both-states"), ("USER", "rfc2449/6.2/user-in-both-states"),
        ("UIDL", "rfc2449/6.8/uidl-in-both-states"), ("RESP-CODES", "rfc2449/6.4/resp-codes-in-both-states"),
        ("PIPELINING", "rfc2449/6.6/pipelining-in-both-states"), ("SASL", "rfc5034/3/sasl-after-login"),
        ("EXPIRE", "rfc2449/5/announced-in-both-states"), ("AUTH-RESP-CODE", "rfc3206/6/auth-resp-code-both-states"),
    )
]  # fmt: skip
_ARGUMENT = [
    _pop(f"pop3-capa-{word.lower()}-argument", requirement, f"CAPA lists {word} with an argument", _swap(word, f"{word} yes"))
    for word, requirement in (
        ("TOP", "rfc2449/6.1/top-no-argument"), ("USER", "rfc2449/6.2/user-no-argument"),
        ("UIDL", "rfc2449/6.8/uidl-no-argument"), ("RESP-CODES", "rfc2449/6.4/resp-codes-no-argument"),
        ("PIPELINING", "rfc2449/6.6/pipelining-no-argument"), ("AUTH-RESP-CODE", "rfc3206/6/auth-resp-code-no-argument"),
    )
]  # fmt: skip
_NOT_KEPT = [
    _pop(f"pop3-{verb.lower()}-not-kept", requirement, f"{verb} is listed but not known", _instead(verb, b"-ERR no such command\r\n"))
    for verb, requirement in (
        ("TOP", "rfc2449/6.1/top-announced-is-kept"), ("UIDL", "rfc2449/6.8/uidl-announced-is-kept"),
        ("USER", "rfc2449/6.2/user-announced-is-kept"), ("STLS", "rfc2595/4/stls-announced-is-kept"),
        ("AUTH", "rfc2449/6.3/sasl-announced-is-kept"),
    )
]  # fmt: skip

FAULTS = [
    *_LISTED, *_AFTER, *_ARGUMENT, *_NOT_KEPT,
    _pop("pop3-capa-not-in-transaction", "rfc2449/5/capa-in-transaction", "CAPA is refused after the login", _instead("CAPA", b"-ERR not now\r\n", "transaction")),
    _pop("pop3-capa-not-in-authorization", "rfc2449/5/capa-in-authorization", "CAPA is refused before the login", _instead("CAPA", b"-ERR log in first\r\n", "authorization")),
    _pop("pop3-capa-argument", "rfc2449/5/capa-takes-no-argument", "CAPA ignores an argument", {"command": lambda s, line: b"CAPA" if line.startswith(b"CAPA ") else line}),
    _pop("pop3-capa-two-blanks", "rfc2449/3/capability-syntax", "two blanks stand in a capability", _swap("SASL", "SASL  PLAIN LOGIN CRAM-MD5")),
    _pop("pop3-capa-run-together", "rfc2449/3/capability-syntax", "a capability and its parameter are run together", _swap("EXPIRE", "EXPIRENEVER")),
    _pop("pop3-capa-long-line", "rfc2449/5/capability-line-length", "a capability line has 600 octets", _with("X-LONG " + "x" * 600)),
    _pop("pop3-capa-twice", "rfc2449/5/capability-once", "a capability is listed twice", _with("UIDL")),
    _pop("pop3-capa-apop", "rfc2449/6/no-apop-capability", "CAPA lists APOP", _with("APOP")),
    _pop("pop3-capa-unmarks", "rfc2449/5/capa-changes-nothing", "CAPA takes the marks off", {"after": lambda s, v: s.deleted.clear() if v == "CAPA" else None}),
    _pop("pop3-expire-word", "rfc2449/6.7/expire-argument", "EXPIRE has a word as its argument", _swap("EXPIRE", "EXPIRE SOON")),
    _pop("pop3-expire-shrinks", "rfc2449/6.7/expire-smallest-first", "EXPIRE is smaller after the login", _capa(lambda s, w: [("EXPIRE 30 USER" if s.state == "authorization" else "EXPIRE 5") if x.startswith("EXPIRE") else x for x in w])),
    _pop("pop3-expire-no-user-token", "rfc2449/6.7/expire-user-token", "EXPIRE changes with the login but has no token USER", _capa(lambda s, w: [("EXPIRE 5" if s.state == "authorization" else "EXPIRE 30") if x.startswith("EXPIRE") else x for x in w])),
    _pop("pop3-expire-user-after-login", "rfc2449/6.7/expire-accurate-after-login", "EXPIRE has the token USER after the login", _swap("EXPIRE", "EXPIRE 5 USER")),
    _pop("pop3-login-delay-word", "rfc2449/6.5/login-delay-argument", "LOGIN-DELAY has no number", _with("LOGIN-DELAY")),
    _pop("pop3-login-delay-grows", "rfc2449/6.5/login-delay-largest-first", "LOGIN-DELAY is larger after the login", _capa(lambda s, w: [*w, "LOGIN-DELAY 1 USER" if s.state == "authorization" else "LOGIN-DELAY 60"])),
    _pop("pop3-login-delay-not-enforced", "rfc2449/6.5/login-delay-enforced", "LOGIN-DELAY is announced and not enforced", _with("LOGIN-DELAY 30")),
    _pop("pop3-implementation-empty", "rfc2449/6.9/implementation-argument", "IMPLEMENTATION has no argument", _capa(lambda s, w: [x for x in w if not x.startswith("IMPL")] + ["IMPLEMENTATION"])),
    _pop("pop3-implementation-before-login-only", "rfc2449/6.9/implementation-states", "IMPLEMENTATION is listed before the login only", _capa(lambda s, w: [x for x in w if not x.startswith("IMPL")] + (["IMPLEMENTATION x"] if s.state == "authorization" else []))),
    _pop("pop3-pipelining-discards", "rfc2449/6.6/pipelined-all-answered", "what came with a command is thrown away", {"after": lambda s, v: s.buffer.clear()}),
    _pop("pop3-sasl-lower-case", "rfc5034/3/sasl-mechanism-names", "mechanism names are listed in lower case", _swap("SASL", "SASL plain login")),
    _pop("pop3-stls-listed-after-login", "rfc2595/4/stls-not-announced-when-not-permitted", "STLS is listed after the login", _with("STLS", "transaction")),
    _pop("pop3-stls-listed-under-tls", "rfc2595/4/stls-not-announced-when-not-permitted", "STLS is listed under TLS", _capa(lambda s, w: [*w, "STLS"] if s.tls and s.state == "authorization" else w)),
    _pop("pop3-stls-argument", "rfc2595/4/stls-takes-no-argument", "STLS ignores an argument", {"command": lambda s, line: b"STLS" if line.startswith(b"STLS ") else line}),
    _pop("pop3-stls-keeps-buffer", "rfc2595/4/plaintext-not-carried-over", "what came behind STLS is executed under TLS", {"clear_buffer": lambda s, nothing, octets: bytearray(octets)}),
    _pop("pop3-stls-keeps-user", "rfc2595/4/user-forgotten-over-stls", "USER in the clear counts under TLS", {"after": lambda s, v: s.memory.__setitem__("user", s.previous) if v == "STLS" else None, "secured": lambda s, name: setattr(s, "name", s.memory.get("user"))}),
    _pop("pop3-auth-ignores-initial", "rfc5034/4/initial-response", "the initial response is ignored", {"command": _ignores_initial}),
    _pop("pop3-auth-initial-to-cram", "rfc5034/4/initial-response-unsupported", "CRAM-MD5 ignores an initial response", {"command": _cram_initial}),
    _pop("pop3-auth-plus-alone", "rfc5034/4/empty-challenge", "the empty challenge has no blank", {"reply": lambda s, o, v: b"+\r\n" if o == b"+ \r\n" else o}),
    _pop("pop3-auth-challenge-text", "rfc5034/4/challenge-nothing-else", "the empty challenge carries text", {"reply": lambda s, o, v: b"+ go ahead\r\n" if o == b"+ \r\n" else o}),
    _pop("pop3-auth-loose-base64", "rfc5034/4/foreign-characters", "characters that are not base64 are skipped", {"command": _loose, "after": _loose_response}),
    _pop("pop3-auth-loose-padding", "rfc5034/4/pad-in-the-middle", "pad characters are skipped wherever they stand", {"command": _loose, "after": _loose_response}),
    _pop("pop3-auth-any-authzid", "rfc2595/6/plain-verifies-both", "any authorization identity is granted", {"instead": _any_authzid}),
    _pop("pop3-auth-in-transaction", "rfc5034/4/auth-authorization-only", "AUTH after the login is answered positively", _instead("AUTH", b"+OK\r\n", "transaction")),
    _pop("pop3-auth-twice", "rfc5034/4/auth-once", "a second AUTH is answered positively", _instead("AUTH", b"+OK\r\n", "transaction")),
    _pop("pop3-auth-unknown-mechanism", "rfc5034/4/unknown-mechanism", "an unknown mechanism begins an exchange", {"instead": lambda s, v, r: b"+ \r\n" if v == "AUTH" and r.startswith(b"X-") else None}),
    _pop("pop3-auth-case-sensitive", "rfc5034/5/case-insensitive", "mechanism names are recognised in upper case only", {"instead": lambda s, v, r: b"-ERR no such mechanism\r\n" if v == "AUTH" and r[:1].islower() else None, "command": lambda s, line: line}),
    _pop("pop3-auth-cancel-ok", "rfc5034/4/cancel", "a cancelled exchange is answered positively", {"reply": lambda s, o, v: b"+OK cancelled\r\n" if o == b"-ERR cancelled\r\n" else o}),
    _pop("pop3-auth-closes", "rfc5034/4/cancel-then-commands", "a cancelled exchange closes the connection", {"reply": lambda s, o, v: (setattr(s, "closing", True), o)[1] if o == b"-ERR cancelled\r\n" else o}),  # type: ignore[func-returns-value]
    _pop("pop3-auth-short-responses", "rfc5034/4/long-responses", "the end of a long response is taken as a command", {"reply": lambda s, o, v: o + b"-ERR no such command\r\n" if b"response is too long" in o else o}, auth_line=200),
    _pop("pop3-no-auth-code", "rfc3206/6/auth-resp-code-kept", "wrong credentials are refused without the AUTH code", _errors(lambda s, o, v: o.replace(b"[AUTH] ", b""))),
    _pop("pop3-sys-for-credentials", "rfc3206/4/sys-not-for-credentials", "wrong credentials are announced as a system error", _errors(lambda s, o, v: o.replace(b"[AUTH]", b"[SYS/TEMP]"))),
    _pop("pop3-sys-without-level", "rfc3206/4/sys-second-level", "SYS has no second level", _errors(lambda s, o, v: b"-ERR [SYS] " + o[5:] if v == "RETR" else o)),
    _pop("pop3-auth-code-after-login", "rfc3206/5/auth-only-for-authentication", "the AUTH code comes with RETR", _errors(lambda s, o, v: b"-ERR [AUTH] " + o[5:] if v == "RETR" else o)),
    _pop("pop3-auth-code-for-lock", "rfc3206/5/auth-not-for-other-failures", "the AUTH code comes with a locked maildrop", _errors(lambda s, o, v: o.replace(b"[IN-USE]", b"[AUTH]"))),
    _pop("pop3-no-in-use", "rfc2449/8.1.2/in-use-for-lock", "a locked maildrop is refused without the IN-USE code", _errors(lambda s, o, v: o.replace(b"[IN-USE] ", b""))),
    _pop("pop3-bracket-text", "rfc2449/6.4/resp-codes-brackets", "a text begins with a bracket but not with a code", _errors(lambda s, o, v: b"-ERR [no such command\r\n" if v in ("XYZZ", "STAT") else o)),
    _pop("pop3-auth-code-to-user", "rfc3206/5/auth-not-to-user", "USER tells by the AUTH code that a name is unknown", {"instead": lambda s, v, r: b"-ERR [AUTH] no such user\r\n" if v == "USER" and s.state == "authorization" and r.startswith(b"nobody") else None}),
]  # fmt: skip
