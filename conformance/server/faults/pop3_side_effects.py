"""Faults of POP3 that show in another command, port or session than the one they happen in (RFC 1939, 5802, 6856)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from conformance.server.faults._tools import Hooks
from conformance.server.faults.pop3_sessions import pop

_R = "rfc1939/"


def _wraps(bits: int) -> Hooks:
    """TOP's line count is kept in so many bits."""

    def command(session: Any, line: bytes) -> bytes:
        found = re.fullmatch(rb"(?i)(TOP [0-9]+ )([0-9]{10,})", line)
        return found[1] + b"%d" % (int(found[2]) % 2**bits) if found else line

    return {"command": command}


def _notes_top(session: Any, verb: str) -> None:
    if verb == "TOP":
        session.memory["topped"] = True


def _headers_cached(session: Any, octets: bytes) -> bytes:
    if session.verb == "RETR" and session.memory.get("topped"):
        return octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    return octets


def _stuffs_once(session: Any, stuffed: bytes, lines: list[bytes]) -> bytes:
    """A reader that is only rewound for the first message of a session."""
    if session.verb != "RETR":
        return stuffed
    session.memory["read"] = session.memory.get("read", 0) + 1
    again = b"".join((b"." if line == b"." else b"") + line + b"\r\n" for line in lines)
    return stuffed if session.memory["read"] == 1 else again


def _rewrites_maildrop(session: Any, numbers: set[int]) -> set[int]:
    """The maildrop as it was at the login is written back: what came since then is lost."""
    if numbers:
        known = {message.uid for message in session.messages}
        session.box.remove({message.uid for message in session.box.messages()} - known)
    return numbers


def _unmarks(*verbs: str) -> Hooks:
    return {"after": lambda s, v: s.deleted.clear() if v in verbs else None}


def _locks_of_one_port(session: Any, locked: bool) -> bool:
    """The lock is one of the port's process, not one of the maildrop."""
    return bool(session.service != "pop3s")


def _taken_away(session: Any, octets: bytes, verb: str) -> bytes:
    """The messages that another session removed can no longer be read."""
    gone = session.box and {m.uid for m in session.messages} - {m.uid for m in session.box.messages()}
    return b"-ERR the message is gone\r\n" if gone and verb == "RETR" and octets.startswith(b"+OK") else octets


def _first_argument(verb: bytes) -> Hooks:
    return {"command": lambda s, line: b" ".join(line.split(b" ")[:2]) if line.upper().startswith(verb) else line}


def _language_reset(session: Any, verb: str) -> None:
    if verb == "PASS" and session.box:
        session.language = "en"


def _challenge(change: Callable[[bytes], bytes]) -> Hooks:
    """Challenges, decoded, are changed."""

    def reply(session: Any, octets: bytes, verb: str) -> bytes:
        if not octets.startswith(b"+ "):
            return octets
        return b"+ " + base64.b64encode(change(base64.b64decode(octets[2:]))) + b"\r\n"

    return {"reply": reply}


FAULTS = [
    pop("pop3-top-count-wraps", _R + "7/top-beyond-end", "the line count of TOP is kept in 32 bits", _wraps(32)),
    pop("pop3-retr-after-top", _R + "5/retr-whole-message", "after TOP, RETR sends the header only", {"after": _notes_top, "octets": _headers_cached}),
    pop("pop3-stuffs-first-message", _R + "3/byte-stuffing", "only the first RETR of a session is byte-stuffed", {"block": _stuffs_once}),
    pop("pop3-quit-loses-new-mail", _R + "6/quit-keeps-unmarked", "QUIT writes back the maildrop as it was at the login", {"update": _rewrites_maildrop}),
    pop("pop3-quit-removes-ten", _R + "6/quit-removes-marked", "QUIT removes ten messages at most", {"update": lambda s, numbers: set(sorted(numbers)[:10])}),
    pop("pop3-quit-under-tls", _R + "6/quit-removes-marked", "QUIT under TLS removes nothing", {"update": lambda s, numbers: set() if s.tls else numbers}),
    pop("pop3-uidl-unmarks", _R + "5/dele-marks", "UIDL takes the marks away", _unmarks("UIDL")),
    pop("pop3-list-unmarks", _R + "5/dele-marks", "LIST takes the marks away", _unmarks("LIST")),
    pop("pop3-lock-of-the-port", _R + "4/lock-protects-messages", "the implicit TLS port knows nothing of the other port's locks", {"lock": _locks_of_one_port, "reply": _taken_away}),
    pop("pop3-lang-extra-argument", "rfc6856/3.2/lang-one-argument", "LANG takes its first argument and ignores more", _first_argument(b"LANG ")),
    pop("pop3-lang-lost-at-login", "rfc6856/3.2/lang-all-subsequent", "the language is reset by the login", {"after": _language_reset}),
    pop("pop3-cram-form", "rfc2195/2/challenge-form", "the challenge of CRAM-MD5 has no brackets", _challenge(lambda c: c.strip(b"<>") if c.startswith(b"<") else c)),
    pop("pop3-scram-nonce", "rfc5802/5.1/nonce-begins-with-clients", "the server's nonce does not begin with the client's", _challenge(lambda c: re.sub(rb"^r=", b"r=x", c))),
]  # fmt: skip
