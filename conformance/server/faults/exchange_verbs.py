"""Faults in XEXCH50 and X-LINK2STATE, of the exchange profile."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks
from conformance.server.faults._tools import closes as _closes
from conformance.server.faults._tools import keeps_user as _keeps
from conformance.server.faults._tools import says as _instead

_GO = b"354 Send binary data\r\n"


def _reply(verb: str, old: bytes, change: Callable[[Any, bytes], bytes]) -> Hooks:
    return {"reply": lambda s, o, v: change(s, o) if v == verb and o.startswith(old) else o}


def _arguments(pattern: bytes, change: Callable[[re.Match[bytes]], bytes]) -> Hooks:
    """XEXCH50's arguments that match are read as others."""

    def command(s: Any, line: bytes) -> bytes:
        match = re.fullmatch(rb"XEXCH50 ?" + pattern, line, re.I)
        return b"XEXCH50 " + change(match) if match else line

    return {"command": command}


def _resets(s: Any, octets: bytes) -> bytes:
    s.reset()
    return octets


def _long(s: Any, octets: bytes) -> bytes:
    return octets[:-2] + b" and so it goes on for a while, as replies do\r\n"


def _swallows(verb: str, old: bytes) -> Hooks:
    """After such a reply the next command is not heard."""

    def mark(s: Any, octets: bytes) -> bytes:
        s.memory["deaf"] = True
        return octets

    def instead(s: Any, v: str, rest: bytes) -> bytes | None:
        return b"" if v != verb and s.memory.pop("deaf", False) else None

    return {**_reply(verb, old, mark), "instead": instead}


def _runs_octets(s: Any, verb: str) -> None:
    if verb == "XEXCH50":
        s.reader = None


def _reads_a_line(s: Any, verb: str) -> None:
    def took(line: bytes, overlong: bool) -> None:
        s.verb = "XEXCH50."
        s.say("250", "2.0.0", "XEXCH50 OK")

    if verb == "XEXCH50" and s.reader:
        s.expect_line(5000, took)


def _early(s: Any, octets: bytes, v: str) -> bytes:
    if v == "XEXCH50" and octets.startswith(b"354"):
        return octets + b"250 2.0.0 XEXCH50 OK\r\n"
    return b"" if v == "XEXCH50." else octets


def _failure_logs_in(s: Any, octets: bytes, v: str) -> bytes:
    if v == "AUTH" and octets.startswith(b"535"):
        s.user = "alice"
    return octets


def _dies(when: Callable[[Any, str, bytes], bool]) -> Hooks:
    """The service ends: this connection is dropped, and no other one is greeted for half a second."""

    def instead(s: Any, v: str, rest: bytes) -> bytes | None:
        if not when(s, v, rest):
            return None
        s.world.faults[0].settings["dead"] = time.monotonic() + 0.5
        s.closing = True
        return b""

    def reply(s: Any, octets: bytes, v: str) -> bytes:
        if v == "GREETING" and s.world.faults[0].settings.get("dead", 0) > time.monotonic():
            s.closing = True
        return b"" if s.closing and v == "GREETING" else octets

    return {"instead": instead, "reply": reply}


def _link(octets: bytes, when: Callable[[Any, bytes], bool] = lambda s, rest: True) -> Hooks:
    return _instead("X-LINK2STATE", octets, when)


def _stays(s: Any, line: bytes) -> bytes:
    """In the middle of a link state nothing else is a command."""
    if line.upper().startswith(b"X-LINK2STATE"):
        s.memory["middle"] = b" LAST " not in line.upper()
    elif s.memory.get("middle"):
        return b"X-LINK2STATE CHUNK=" + line
    return line


_A, _K, _B = "exchange-advisories", "kb812455/xexch50", "kb843106/xexch50"
_L = "kb812455/x-link2state"
_TABLE: tuple[tuple[str, str, str, Hooks], ...] = (
    ("xexch50-strangers", f"{_A}/ms03-046/no-unauthenticated-data", "Anyone gets 354",
     _instead("XEXCH50", _GO, lambda s, rest: not s.user)),
    ("xexch50-strangers-early", f"{_A}/ms03-046/no-unauthenticated-data", "Anyone gets 354 before RCPT",
     _instead("XEXCH50", _GO, lambda s, rest: not s.user and s.state != "rcpt")),
    ("xexch50-tls-keeps", f"{_A}/ms03-046/no-unauthenticated-data", "An authentication from before TLS counts", {"secured": _keeps}),
    ("xexch50-failed-login", f"{_A}/ms03-046/no-unauthenticated-data", "A refused login counts", {"reply": _failure_logs_in}),
    ("xexch50-530", f"{_B}/needs-authentication", "A stranger gets 530",
     _reply("XEXCH50", b"504", lambda s, o: b"530" + o[3:])),
    ("xexch50-250", f"{_B}/needs-authentication", "A stranger gets 250", _reply("XEXCH50", b"504", lambda s, o: b"250 ok\r\n")),
    ("xexch50-refusal-closes", f"{_B}/mail-still-flows", "The refusal ends the session", _reply("XEXCH50", b"504", _closes)),
    ("xexch50-refusal-resets", f"{_B}/mail-still-flows", "The refusal ends the transaction", _reply("XEXCH50", b"504", _resets)),
    ("xexch50-refusal-deaf", f"{_B}/mail-still-flows", "After the refusal a command is swallowed", _swallows("XEXCH50", b"504")),
    ("xexch50-long-refusal", f"{_K}/reply-length", "The refusal is longer than 40 octets", _reply("XEXCH50", b"5", _long)),
    ("xexch50-long-354", f"{_K}/reply-length", "The 354 is longer than 40 octets", _reply("XEXCH50", b"354", _long)),
    ("xexch50-long-250", f"{_K}/data-reply", "The reply to the octets is longer than 40 octets", _reply("XEXCH50.", b"250", _long)),
    ("xexch50-octets-twice", f"{_K}/data-reply", "The octets are answered twice", _reply("XEXCH50.", b"250", lambda s, o: o + o)),
    ("xexch50-octets-silent", f"{_K}/data-reply", "The octets get no reply", _reply("XEXCH50.", b"250", lambda s, o: b"")),
    ("xexch50-runs", f"{_K}/consumes-octets", "The octets run as commands", {"after": _runs_octets}),
    ("xexch50-one-more", f"{_K}/consumes-octets", "One octet more is taken",
     _arguments(rb"([0-9]{1,7}) 2", lambda m: b"%d 2" % (int(m[1]) + 1))),
    ("xexch50-one-less", f"{_K}/consumes-octets", "One octet less is taken",
     _arguments(rb"([1-9][0-9]{0,6}) 2", lambda m: b"%d 2" % (int(m[1]) - 1))),
    ("xexch50-line", f"{_K}/consumes-octets", "A line is taken, whatever was announced", {"after": _reads_a_line}),
    ("xexch50-early", f"{_K}/consumes-octets", "The octets are answered before they came", {"reply": _early}),
    ("xexch50-zero", f"{_K}/zero-octets", "Zero octets are waited for", _arguments(rb"0 2", lambda m: b"1 2")),
    ("xexch50-ends-transaction", f"{_K}/keeps-transaction", "The octets end the transaction", _reply("XEXCH50.", b"250", _resets)),
    ("xexch50-deaf", f"{_K}/keeps-transaction", "After the octets a command is swallowed", _swallows("XEXCH50.", b"250")),
    ("xexch50-word", f"{_K}/size-syntax", "A size that is no number is taken", _arguments(rb"[a-z]+ 2", lambda m: b"2 2")),
    ("xexch50-half-number", f"{_K}/size-syntax", "Only the beginning of the size is read",
     _arguments(rb"([0-9]+)[^0-9 ]\S* 2", lambda m: m[1] + b" 2")),
    ("xexch50-huge", f"{_K}/size-syntax", "Any size is taken", _arguments(rb"[0-9]{10,} 2", lambda m: b"2 2")),
    ("xexch50-wraps", f"{_K}/size-syntax", "The size is read in 32 bits",
     _arguments(rb"([0-9]{10,}) 2", lambda m: b"%d 2" % (int(m[1]) % 2**32))),
    ("xexch50-negative", f"{_K}/size-syntax", "A negative size is taken", _arguments(rb"-([0-9]+) 2", lambda m: b"2 2")),
    ("xexch50-one-argument", f"{_K}/argument-syntax", "The second number may be missing", _arguments(rb"([0-9]+)", lambda m: m[1] + b" 2")),
    ("xexch50-second-word", f"{_K}/argument-syntax", "The second number is not looked at",
     _arguments(rb"([0-9]+) [a-z]+", lambda m: m[1] + b" 2")),
    ("xexch50-before-rcpt", f"{_K}/needs-recipient", "XEXCH50 before RCPT is taken",
     _instead("XEXCH50", _GO, lambda s, rest: bool(s.user) and s.state != "rcpt")),
    ("xexch50-in-a-message", f"{_K}/before-the-message", "XEXCH50 between chunks is taken",
     _instead("XEXCH50", _GO, lambda s, rest: s.mail.chunked)),
    ("xexch50-long-command", f"{_K}/command-length", "A command of more than 50 octets is taken",
     _arguments(rb"2 [0-9]{20,}", lambda m: b"2 2")),
    ("xexch50-negative-kills", f"{_A}/ms03-046/negative-size", "A negative size ends the service",
     _dies(lambda s, v, rest: v == "XEXCH50" and rest.startswith(b"-"))),
    ("link2state-kills", f"{_A}/ms05-021/long-chunk", "A long unmarked chunk ends the service",
     _dies(lambda s, v, rest: v == "X-LINK2STATE" and rest.startswith(b"CHUNK=") and len(rest) > 520)),
    ("link2state-unknown", f"{_L}/known", "X-LINK2STATE is listed and unknown", _link(b"500 5.5.1 command not recognised\r\n")),
    ("link2state-silent", f"{_L}/survives", "A chunk gets no reply", _link(b"")),
    ("link2state-next-silent", f"{_L}/survives", "Chunks but the last get no reply",
     _link(b"", lambda s, rest: not rest.upper().startswith(b"LAST"))),
    ("link2state-closes", f"{_L}/survives", "The refusal ends the session", _reply("X-LINK2STATE", b"5", _closes)),
    ("link2state-twice", f"{_L}/survives", "A chunk is answered twice", _reply("X-LINK2STATE", b"", lambda s, o: o + o)),
    ("link2state-middle", f"{_L}/survives", "Between chunks nothing else is a command", {"command": _stays}),
    ("link2state-deaf", f"{_L}/mail-follows", "After a chunk a command is swallowed", _swallows("X-LINK2STATE", b"")),
    ("link2state-long-reply", f"{_L}/reply-length", "The reply is longer than 1,024 octets",
     _reply("X-LINK2STATE", b"", lambda s, o: (o[:3] + b"-" + b"x" * 400 + b"\r\n") * 3 + o)),
    ("link2state-512", f"{_L}/at-the-bound", "A command over 512 octets is too long", _link(b"421 4.5.2 line too long\r\n",
     lambda s, rest: 490 < len(rest) < 1020)),
    ("link2state-any-length", f"{_L}/over-long", "A command of any length is taken",
     _link(b"250 2.0.0 chunk taken\r\n", lambda s, rest: len(rest) > 1011)),
    ("link2state-overlong-closes", f"{_L}/over-long", "A command over 1,024 octets ends the service",
     _dies(lambda s, v, rest: v == "X-LINK2STATE" and len(rest) > 1011)),
)  # fmt: skip
FAULTS = [Fault(name, requirement, summary, "smtp", hooks, profile="exchange") for name, requirement, summary, hooks in _TABLE]
