"""Faults of POP3's logins, and of what is told about them: APOP, PASS, AUTH, CAPA, codes (RFC 1939, 2449, 3206, 5034)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from conformance.server.faults._tools import Hooks
from conformance.server.faults._tools import capabilities as _capa
from conformance.server.faults.pop3_sessions import after_failure, open_box, pop

_R = "rfc1939/"


def _apop_undecodable(session: Any, verb: str, rest: bytes) -> bytes | None:
    """A digest that is no hexadecimal number is not compared at all."""
    words = rest.decode("latin-1").split(" ")
    if verb != "APOP" or len(words) != 2 or session.box or words[0] not in session.world.accounts:
        return None
    return None if re.fullmatch("[0-9A-Fa-f]*", words[1]) else open_box(session, words[0])


def _apop_alone(session: Any, verb: str, rest: bytes) -> bytes | None:
    return b"+OK\r\n" if verb == "APOP" and rest and b" " not in rest and not session.box else None


def _apop_anybody(session: Any, verb: str, rest: bytes) -> bytes | None:
    """A name that nobody has gets an empty maildrop."""
    name = rest.split(b" ")[0].decode("latin-1")
    if verb == "APOP" and rest.count(b" ") == 1 and not session.box and name not in session.world.accounts:
        return b"+OK 0 messages\r\n"
    return None


def _plain_message(line: bytes) -> bytes | None:
    """What an AUTH PLAIN, or the response that it waits for, holds."""
    try:
        return base64.b64decode(line.split(b" ")[-1], validate=True)
    except binascii.Error:
        return None


def _right(session: Any, name: str, password: str) -> bool:
    return not session.box and session.world.accounts.get(name) == password


def _plain_loose(session: Any, verb: str, rest: bytes) -> bytes | None:
    """PLAIN's parts are looked for wherever they may be: one NUL will do, none too, and more than two."""
    if verb != "AUTH" or rest[:6].upper() != b"PLAIN ":
        return None
    text = (_plain_message(rest) or b"").decode("latin-1")
    for name, password in session.world.accounts.items():
        odd = text in (name + password, f"{name}\0{password}") or text.startswith(f"\0{name}\0{password}\0")
        if odd and _right(session, name, password):
            return open_box(session, name)
    return None


def _until_padding(session: Any, line: bytes) -> bytes:
    """Decoding ends at the first pad character, and a NUL ends the password."""
    head, pad, rest = line.partition(b"=")
    if not pad or not rest.strip(b"="):
        return line
    decoded = base64.b64decode(head + b"=" * (-len(head) % 4)).rstrip(b"\0")
    return base64.b64encode(decoded)


def _mixed_case(session: Any, line: bytes) -> bytes:
    word = line.split(b" ")[0]
    return b"XXXX" + line if word.upper() == b"AUTH" and word not in (b"AUTH", b"auth") else line


def _name_cut(session: Any, verb: str, rest: bytes) -> bytes | None:
    """SCRAM's name ends where it is no UTF-8 any more: the rest of the exchange is as if nothing had been odd."""
    if session.memory.pop("cut", False):
        return b"+ " + base64.b64encode(b"v=" + b"A" * 27 + b"=") + b"\r\n"
    if verb != "AUTH" or rest[:6].upper() != b"SCRAM-":
        return None
    message = _plain_message(rest) or b""
    try:
        message.decode("utf-8")
    except UnicodeDecodeError:
        session.memory["cut"] = True
        nonce = message.partition(b",r=")[2]
        return b"+ " + base64.b64encode(b"r=" + nonce + b"server,s=c2FsdHNhbHQ=,i=4096") + b"\r\n"
    return None


def _notes_mechanism(session: Any, line: bytes) -> bytes:
    if line[:5].upper() == b"AUTH ":
        session.memory["mechanism"] = line[5:].split(b" ")[0].upper()
    return line


def _no_abort(session: Any, octets: bytes, verb: str) -> bytes:
    mine = session.memory.get("mechanism") == b"OAUTHBEARER" and session.tls
    return b"+ \r\n" if mine and octets.startswith(b"-ERR cancelled") else octets


def _any_password(session: Any, verb: str, rest: bytes) -> bytes | None:
    known = verb == "PASS" and not session.box and session.name in session.world.accounts
    return open_box(session, session.name) if known else None


def _not_opened(*verbs: str) -> Hooks:
    """The login is answered positively, and there the matter ends."""

    def reply(session: Any, octets: bytes, verb: str) -> bytes:
        if verb in verbs and octets.startswith(b"+OK") and session.box:
            session.release()
        return octets

    return {"reply": reply}


def _reads_noted(session: Any, verb: str) -> None:
    if verb == "RETR" and session.box:
        read: set[str] = session.box.__dict__.setdefault("read_ever", set())
        read.update(one.uid for one in session.messages)


def _marks_read(session: Any, octets: bytes, verb: str) -> bytes:
    """What was read in an earlier session is marked at the login."""
    if verb == "PASS" and session.box and octets.startswith(b"+OK"):
        read = session.box.__dict__.get("read_ever", set())
        session.deleted = {n for n, one in enumerate(session.messages, 1) if one.uid in read}
    return octets


def _shrinks(session: Any, words: list[str]) -> list[str]:
    session.memory["asked"] = session.memory.get("asked", 0) + 1
    return words if session.memory["asked"] == 1 else words[:-1]


def _capa_logs_in(session: Any, verb: str, rest: bytes) -> bytes | None:
    if verb == "CAPA":
        session.memory["asked"] = True
    return b"+OK 0 0\r\n" if verb == "STAT" and not session.box and session.memory.get("asked") else None


def _says(verbs: tuple[str, ...], code: bytes, state: str) -> Hooks:
    """Refusals of these verbs begin so."""
    return {"reply": lambda s, o, v: o.replace(b"-ERR ", b"-ERR " + code + b" ", 1) if v in verbs and s.state == state else o}


_LATE = [
    pop(f"pop3-capa-{word.lower()}-after-login-only", requirement, f"CAPA lists {word} after the login only",
        _capa(lambda s, words, word=word: [one for one in words if one.split()[0] != word or s.box]))  # type: ignore[misc]
    for word, requirement in (
        ("TOP", "rfc2449/6.1/top-in-both-states"), ("RESP-CODES", "rfc2449/6.4/resp-codes-in-both-states"),
        ("PIPELINING", "rfc2449/6.6/pipelining-in-both-states"), ("UIDL", "rfc2449/6.8/uidl-in-both-states"),
        ("AUTH-RESP-CODE", "rfc3206/6/auth-resp-code-both-states"), ("UTF8", "rfc6856/2/utf8-both-states"),
        ("LANG", "rfc6856/3.1/lang-both-states"),
    )
]  # fmt: skip
FAULTS = [
    *_LATE,
    pop("pop3-apop-undecodable", _R + "7/apop-digest-form", "a digest that is no hexadecimal number is not compared", {"instead": _apop_undecodable}),
    pop("pop3-apop-name-alone", _R + "7/apop-needs-both-arguments", "APOP without a digest is answered positively", {"instead": _apop_alone}),
    pop("pop3-apop-anybody", _R + "7/apop-wrong-digest", "APOP with a name that nobody has is answered positively", {"instead": _apop_anybody}),
    pop("pop3-plain-loose", "rfc5034/4/wrong-credentials", "PLAIN takes messages of one, two and four parts", {"instead": _plain_loose}),
    pop("pop3-base64-until-padding", "rfc5034/4/pad-in-the-middle", "base64 is decoded up to its padding", {"response": _until_padding}),
    pop("pop3-auth-mixed-case", "rfc5034/5/case-insensitive", "AUTH is not known in mixed case", {"command": _mixed_case}),
    pop("pop3-user-refused-after-auth", "rfc1734/2/failure-stays", "after a failed AUTH there is no USER", after_failure("USER", b"-ERR no more\r\n")),
    pop("pop3-scram-name-cut", "rfc5802/5.1/name-prepared", "SCRAM cuts a name off where it is no UTF-8", {"instead": _name_cut}),
    pop("pop3-oauth-no-abort", "rfc7628/3.2.3/abort-after-error", "under TLS an abort after the error result is answered with a challenge", {"command": _notes_mechanism, "reply": _no_abort}),
    pop("pop3-any-password", _R + "7/pass-wrong-password", "any password will do", {"instead": _any_password}),
    pop("pop3-pass-opens-nothing", _R + "7/pass-right-password", "after a right password the session stays in AUTHORIZATION", _not_opened("PASS")),
    pop("pop3-login-opens-nothing", _R + "4/some-authentication", "no login opens the maildrop", _not_opened("PASS", "APOP", "AUTH")),
    pop("pop3-read-is-marked", _R + "4/login-marks-nothing", "what was read before is marked at the login", {"after": _reads_noted, "reply": _marks_read}),
    pop("pop3-capa-opens", "rfc2449/5/capa-changes-nothing", "after CAPA STAT is answered before the login", {"instead": _capa_logs_in}),
    pop("pop3-capa-shrinks", "rfc2449/5/capa-changes-nothing", "the second CAPA of a session lists less", _capa(_shrinks)),
    pop("pop3-capa-sasl-one-state", "rfc2449/5/announced-in-both-states", "CAPA lists SASL before the login only", _capa(lambda s, w: [one for one in w if not one.startswith("SASL") or not s.box])),
    pop("pop3-brackets-in-texts", "rfc2449/6.4/resp-codes-brackets", "texts about logins stand in brackets that are no codes", {"reply": lambda s, o, v: re.sub(rb"\A(\+OK|-ERR) ", rb"\1 [so far: ", o) if v in ("AUTH", "USER", "PASS") else o}),
    pop("pop3-sys-alone", "rfc3206/4/sys-second-level", "refusals after the login have the code SYS without a second level", {"reply": lambda s, o, v: o.replace(b"-ERR ", b"-ERR [SYS] ", 1) if s.box and v in ("XYZZ", "USER", "DELE") else o}),
    pop("pop3-auth-code-anywhere", "rfc3206/5/auth-only-for-authentication", "refusals of DELE and of unknown commands have the code AUTH", _says(("DELE", "XYZZ"), b"[AUTH]", "transaction")),
    pop("pop3-lang-not-applied", "rfc6856/3.2/lang-all-subsequent", "LANG is answered in the language, and nothing else", {"after": lambda s, v: setattr(s, "language", "en") if v == "LANG" else None}),
]  # fmt: skip
