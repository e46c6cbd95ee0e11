"""Faults of POP3's exchanges: pipelining, SASL, STLS, response codes (RFC 2449, 2595, 3206, 5034)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from conformance.server.faults._tools import Hooks
from conformance.server.faults.pop3_sessions import after_failure, notes_retr, open_box, pop, removes_read


def _out_of_turn(session: Any, octets: bytes, verb: str) -> bytes:
    """The answer to NOOP overtakes what waits to be sent."""
    if verb == "NOOP" and session.out:
        session.out[:0] = octets
        return b""
    return octets


def _drops_behind_large(session: Any, verb: str) -> None:
    if verb == "RETR" and len(session.out) > 65536:
        session.buffer.clear()


def _auth_leaves_name(session: Any, octets: bytes, verb: str) -> bytes:
    """The name of a failed AUTH PLAIN counts for PASS."""
    if verb == "AUTH" and octets.startswith(b"-ERR [AUTH]"):
        session.name = "alice" if session.memory.get("user") is None else session.memory["user"]
    return octets


def _auth_name(session: Any, line: bytes) -> bytes:
    match = re.match(rb"(?i)AUTH PLAIN (.+)", line)
    if match:
        try:
            session.memory["user"] = base64.b64decode(match[1]).split(b"\0")[1].decode("latin-1")
        except (binascii.Error, IndexError):
            pass
    return line


def _auth_reply(change: Callable[[Any, bytes], bytes]) -> Hooks:
    return {"reply": lambda s, o, v: change(s, o) if v == "AUTH" else o}


def _any_case_base64(session: Any, verb: str, rest: bytes) -> bytes | None:
    """Base64 is compared without its case."""
    words = rest.split(b" ")
    if verb == "AUTH" and len(words) == 2 and words[0].upper() == b"PLAIN" and session.state == "authorization":
        for name, password in session.world.accounts.items():
            if base64.b64encode(f"\0{name}\0{password}".encode()).lower() == words[1].lower():
                return open_box(session, name)
    return None


def _self_authzid(session: Any, verb: str, rest: bytes) -> bytes | None:
    """An authorization identity is refused, be it the user's own."""
    words = rest.split(b" ")
    try:
        if (
            verb == "AUTH"
            and len(words) == 2
            and words[0].upper() == b"PLAIN"
            and base64.b64decode(words[1])[:1] not in (b"", b"\0")
        ):
            return b"-ERR [AUTH] not for others\r\n"
    except binascii.Error:
        pass
    return None


def _equals_is_missing(session: Any, line: bytes) -> bytes:
    return b"AUTH PLAIN" if line.upper() == b"AUTH PLAIN =" else line


def _prohibited_authzid(session: Any, verb: str, rest: bytes) -> bytes | None:
    """An authorization identity of which nothing is left counts as none."""
    words = rest.split(b" ")
    if verb != "AUTH" or len(words) != 2 or words[0].upper() != b"PLAIN" or session.state != "authorization":
        return None
    try:
        parts = base64.b64decode(words[1], validate=True).split(b"\0")
    except binascii.Error:
        return None
    if parts[0] == b"\xc2\xad" and session.world.accounts.get(parts[1].decode("latin-1"), "").encode() == parts[2]:
        return open_box(session, parts[1].decode("latin-1"))
    return None


def _undecodable_restarts(session: Any, octets: bytes) -> bytes:
    """What is not base64 is asked for again."""
    return b"+ \r\n" if octets == b"-ERR not base64\r\n" else octets


FAULTS = [
    # RFC 2449
    pop("pop3-greeting-code-malformed", "rfc2449/3/resp-code-syntax", "the greeting begins with a code that is never closed", {"reply": lambda s, o, v: o.replace(b"+OK ", b"+OK [SYS ", 1) if v == "GREETING" else o}),
    pop("pop3-sasl-shrinks-after-login", "rfc2449/5/transaction-holds-no-less", "SASL has fewer mechanisms after the login", {"capabilities": lambda s, w: ["SASL PLAIN" if x.startswith("SASL") and s.box else x for x in w]}),
    pop("pop3-capa-ends-twice", "rfc2449/5/capa-terminated", "the list of capabilities ends twice", {"reply": lambda s, o, v: o + b".\r\n" if v == "CAPA" else o}),
    pop("pop3-pipelining-overtakes", "rfc2449/6.6/pipelined-commands-in-turn", "NOOP's answer overtakes those before it", {"reply": _out_of_turn}),
    pop("pop3-pipelining-lost-behind-large", "rfc2449/6.6/commands-while-responding", "commands behind a large answer are lost", {"after": _drops_behind_large}),
    pop("pop3-read-expires", "rfc2449/6.7/expire-announced", "what was read is removed at QUIT and EXPIRE is not listed", {"instead": notes_retr, "update": removes_read, "capabilities": lambda s, w: [x for x in w if not x.startswith("EXPIRE")]}),
    pop("pop3-login-delay-without-user", "rfc2449/6.5/login-delay-user-token", "LOGIN-DELAY changes with the login but has no token USER", {"capabilities": lambda s, w: [*w, "LOGIN-DELAY 60" if s.state == "authorization" else "LOGIN-DELAY 1"]}),
    pop("pop3-login-delay-user-after-login", "rfc2449/6.5/login-delay-accurate-after-login", "LOGIN-DELAY has the token USER after the login", {"capabilities": lambda s, w: [*w, "LOGIN-DELAY 1 USER"]}),
    pop("pop3-in-use-before-password", "rfc2449/8.1.2/in-use-after-authentication", "a locked maildrop is told before the password is looked at", {"instead": lambda s, v, r: b"-ERR [IN-USE] try later\r\n" if v == "PASS" and s.name and s.state == "authorization" and s.world.storage.mailbox(s.name).locked else None}),
    # RFC 2595
    pop("pop3-stls-clear-goes-on", "rfc2595/2.5/policy-check", "after a handshake that fails the session goes on in the clear", {"reply": lambda s, o, v: (setattr(s, "starttls", False), o)[1] if v == "STLS" else o, "after": lambda s, v: setattr(s, "starttls", False) if v == "STLS" else None}),  # type: ignore[func-returns-value]
    pop("pop3-stls-talks-on", "rfc2595/4/handshake-follows-reply", "a second line in the clear follows STLS's answer", {"reply": lambda s, o, v: o + b"+OK go ahead\r\n" if v == "STLS" and o.startswith(b"+OK") else o}),
    pop("pop3-stls-logs-in", "rfc2595/4/stays-in-authorization", "after STLS the session is in TRANSACTION", {"instead": lambda s, v, r: b"+OK 0 0\r\n" if v in ("STAT", "LIST") and s.tls and s.state == "authorization" else None}),
    pop("pop3-stls-greets-again", "rfc2595/4/no-second-greeting", "a greeting comes after the handshake", {"clear_buffer": lambda s, nothing, octets: bytearray(b"NOOP\r\n") if s.starttls else bytearray()}),
    pop("pop3-stls-under-tls", "rfc2595/4/stls-twice-no-layer", "STLS is accepted under TLS", {"instead": lambda s, v, r: b"+OK again\r\n" if v == "STLS" and s.tls else None}),
    pop("pop3-no-login-under-tls", "rfc2595/4/login-works-after-stls", "messages cannot be read after STLS", {"instead": lambda s, v, r: b"-ERR not here\r\n" if v == "RETR" and s.tls else None}),
    pop("pop3-own-authzid-refused", "rfc2595/6/plain-authorization-identity-may-be-empty", "the user's own authorization identity is refused", {"instead": _self_authzid}),
    pop("pop3-cleartext-auth-slips", "rfc2595/2.3/cleartext-refusal-consistent", "USER is withheld in the clear but AUTH PLAIN is not", {"capabilities": lambda s, w: [x for x in w if x != "USER"] if not s.tls and s.state == "authorization" else w, "instead": lambda s, v, r: b"-ERR TLS first\r\n" if v == "USER" and not s.tls else None}),
    # RFC 3206, 5034
    pop("pop3-sys-with-ok", "rfc3206/4/sys-only-with-err", "a positive answer begins with a SYS code", {"reply": lambda s, o, v: o.replace(b"+OK ", b"+OK [SYS/TEMP] ", 1) if v in ("USER", "PASS") else o}),
    pop("pop3-auth-alone-hangs", "rfc5034/4/mechanism-needed", "AUTH alone waits for a line", {"instead": lambda s, v, r: b"+ \r\n" if v == "AUTH" and not r and s.state == "authorization" else None}),
    pop("pop3-challenge-bare", "rfc5034/4/challenge-form", "challenges are not base64", {"reply": lambda s, o, v: b"+ <challenge@here>\r\n" if v == "AUTH" and o.startswith(b"+ ") and len(o) > 4 else o}),
    pop("pop3-auth-equals-is-missing", "rfc5034/4/initial-response-equals-sign", "an equals sign counts as no initial response", {"command": _equals_is_missing}),
    pop("pop3-undecodable-asked-again", "rfc5034/4/undecodable", "a response that is not base64 is asked for again", _auth_reply(_undecodable_restarts)),
    pop("pop3-undecodable-initial-asked-again", "rfc5034/4/undecodable-initial", "an initial response that is not base64 is asked for again", {"command": lambda s, line: b"AUTH PLAIN" if re.match(rb"(?i)AUTH PLAIN .*[^A-Za-z0-9+/=]", line) or (re.match(rb"(?i)AUTH PLAIN (?!=\Z)", line) and (len(line) - 11) % 4) else line}),
    pop("pop3-auth-any-password", "rfc5034/4/wrong-credentials", "AUTH with a wrong password logs in", {"reply": lambda s, o, v: b"+OK\r\n" if v == "AUTH" and o.startswith(b"-ERR [AUTH]") else o}),
    pop("pop3-auth-success-stays", "rfc5034/4/success", "after a successful AUTH the session stays in AUTHORIZATION", {"reply": lambda s, o, v: (s.release(), o)[1] if v == "AUTH" and o.startswith(b"+OK") and s.box else o}),  # type: ignore[func-returns-value]
    pop("pop3-auth-soft-hyphen", "rfc5034/4/saslprep-failure", "an authorization identity of which nothing is left counts as none", {"instead": _prohibited_authzid}),
    pop("pop3-auth-data-with-success", "rfc5034/4/no-data-with-success", "the success reply carries the server's signature", {"reply": lambda s, o, v: b"+OK v=" + b"A" * 28 + b"=\r\n" if v == "AUTH" and o.startswith(b"+OK") and s.box else o}),
    pop("pop3-auth-leaves-name", "rfc5034/4/failure-leaves-no-trace", "the name of a failed AUTH counts for PASS", {"command": _auth_name, "reply": _auth_leaves_name, "instead": lambda s, v, r: (setattr(s, "name", s.memory.get("user")), None)[1] if v == "PASS" and s.name is None else None}),  # type: ignore[func-returns-value]
    pop("pop3-auth-once-a-connection", "rfc5034/4/retry-after-failure", "after a failed AUTH another one is refused", after_failure("AUTH", b"-ERR no more\r\n")),
    pop("pop3-no-plain-over-tls", "rfc5034/4/plain-over-tls", "PLAIN is refused over TLS", {"instead": lambda s, v, r: b"-ERR no such mechanism\r\n" if v == "AUTH" and s.tls and r[:5].upper() == b"PLAIN" else None}),
    pop("pop3-plain-withheld-but-taken", "rfc5034/4/not-announced-not-permitted", "PLAIN is not listed before TLS but accepted", {"capabilities": lambda s, w: [x.replace(" PLAIN", "") if not s.tls else x for x in w]}),
    pop("pop3-auth-base64-any-case", "rfc5034/5/base64-case-sensitive", "base64 is compared without its case", {"instead": _any_case_base64}),
]  # fmt: skip
