"""Faults of POP3 in the messages and what is counted of them (RFC 1939, RFC 2449 section 6.7, RFC 6856, RFC 8314)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from conformance.server.faults._tools import Hooks
from conformance.server.faults.pop3_sessions import notes_retr, pop, removes_read

_R = "rfc1939/"


def _retr(pattern: bytes, new: bytes) -> Hooks:
    """The messages are another on their way out, and of that size."""
    return {"octets": lambda s, o: re.sub(pattern, new, o)}


def _unfolded(header_only: bool) -> Any:
    def change(session: Any, octets: bytes) -> bytes:
        head, blank, body = octets.partition(b"\r\n\r\n")
        return re.sub(rb"\r\n[ \t]+", b" ", head) + blank + body

    return change


def _notes_end(session: Any, octets: bytes) -> bytes:
    if session.verb == "RETR":
        session.memory["open"] = not octets.endswith(b"\n")
    return octets


def _dot_behind_text(session: Any, octets: bytes, verb: str) -> bytes:
    if verb == "RETR" and session.memory.get("open") and octets.endswith(b"\r\n.\r\n"):
        return octets[:-5] + b".\r\n" + octets[-3:]
    return octets


def _status_field(session: Any, numbers: set[int]) -> set[int]:
    """QUIT writes a Status field into what stays, as mbox files have it."""
    kept = [one for number, one in enumerate(session.messages, 1) if number not in numbers]
    box = session.box
    for one in kept:
        new = replace(one, octets=re.sub(rb"\r\n\r\n", b"\r\nStatus: O\r\n\r\n", one.octets, count=1))
        box._messages = [new if other.uid == one.uid else other for other in box._messages]
    return numbers


def _deleted_uid(session: Any, verb: str, rest: bytes) -> bytes | None:
    gone = verb == "UIDL" and session.box and rest.isdigit() and int(rest) in session.deleted
    return b"+OK %s %s\r\n" % (rest, session.messages[int(rest) - 1].uid.encode()) if gone else None


def _refusal_unmarks(session: Any, octets: bytes, verb: str) -> bytes:
    if verb == "RETR" and octets.startswith(b"-ERR"):
        session.deleted.clear()
    return octets


def _eleven_is_twelve(session: Any, stuffed: bytes, lines: list[bytes]) -> bytes:
    """The eleventh of a list is called the twelfth."""
    return re.sub(rb"(?m)^11 ", b"12 ", stuffed) if session.verb == "LIST" else stuffed


def _notes_gap(session: Any, numbers: set[int]) -> set[int]:
    session.box.gap = bool(numbers) and len(numbers) < len(session.messages)
    return numbers


def _numbers_with_gap(session: Any, stuffed: bytes, lines: list[bytes]) -> bytes:
    """Numbers of an earlier session are not given again."""
    if session.verb != "LIST" or not getattr(session.box, "gap", False):
        return stuffed
    return re.sub(rb"(?m)^([0-9]+) ", lambda m: b"%d " % (int(m[1]) + 1), stuffed)


def _other_size(session: Any, octets: bytes, verb: str) -> bytes:
    one = re.fullmatch(rb"\+OK ([0-9]+) ([0-9]+)\r\n", octets)
    return b"+OK %s %d\r\n" % (one[1], int(one[2]) + 2) if verb == "LIST" and one else octets


def _second_first(session: Any, line: bytes) -> bytes:
    return b"RETR 2" if line == b"RETR 1" and len(session.messages) > 2 else line


def _top_noted(session: Any, verb: str, rest: bytes) -> bytes | None:
    """A message whose TOP was asked for whole counts as read, and what was read goes at QUIT."""
    words = rest.split(b" ")
    if verb == "TOP" and session.box and len(words) == 2 and words[0].isdigit() and words[1] == b"100":
        session.memory.setdefault("read", set()).add(int(words[0]))
    return notes_retr(session, verb, rest)


def _top_only_read(session: Any, numbers: set[int]) -> set[int]:
    return removes_read(session, numbers)


def _in_top(pattern: bytes, new: bytes) -> Hooks:
    return {"block": lambda s, o, lines: re.sub(pattern, new, o, count=1) if s.verb == "TOP" else o}


def _downgraded(session: Any, octets: bytes) -> bytes:
    head, blank, body = octets.partition(b"\r\n\r\n")
    return re.sub(rb"[\x80-\xff]", b"?", head) + blank + body if session.utf8 else octets


def _of_pop3s(answer: bytes, *verbs: str) -> Hooks:
    """On the port with implicit TLS another answer."""
    return {"reply": lambda s, o, v: answer if v in verbs and s.service == "pop3s" else o}


FAULTS = [
    pop("pop3-retr-empty-lines", _R + "5/retr-whole-message", "several empty lines are one", _retr(rb"(\r\n){3,}(?=.)", b"\r\n\r\n")),
    pop("pop3-retr-from-quoted", _R + "5/retr-whole-message", "lines that begin with From get a bracket", _retr(rb"(?m)^From ", b">From ")),
    pop("pop3-retr-unfolds", _R + "5/retr-whole-message", "fields are unfolded", {"octets": _unfolded(True)}),
    pop("pop3-dot-behind-text", _R + "3/multi-line-terminator", "the final dot follows a last line that has no end", {"octets": _notes_end, "reply": _dot_behind_text}),
    pop("pop3-status-field", _R + "5/list-exact-size", "QUIT writes a Status field into the messages that stay", {"update": _status_field}),
    pop("pop3-uidl-of-deleted", _R + "5/deleted-number-refused-everywhere", "UIDL tells of a deleted message", {"instead": _deleted_uid}),
    pop("pop3-refusal-unmarks", _R + "5/dele-marks", "a refused RETR takes the marks off", {"reply": _refusal_unmarks}),
    pop("pop3-list-skips-eleven", _R + "4/numbers-from-one", "no message of a list is the eleventh", {"block": _eleven_is_twelve}),
    pop("pop3-numbers-with-gap", _R + "4/numbers-from-one", "the number of a removed message is not given again", {"update": _notes_gap, "block": _numbers_with_gap}),
    pop("pop3-list-one-other-size", _R + "5/list-exact-size", "LIST with a number counts the line of the dot", {"reply": _other_size}),
    pop("pop3-list-empty-line", _R + "5/list-empty", "LIST of an empty maildrop has a line of zeros", {"block": lambda s, o, lines: o or b"0 0\r\n" if s.verb == "LIST" else o}),
    pop("pop3-retr-second-first", _R + "5/retr-that-message", "RETR sends the second message for the first", {"command": _second_first}),
    pop("pop3-quit-removes-read", _R + "6/quit-keeps-unmarked", "QUIT removes what was read", {"instead": _top_noted, "update": _top_only_read}),
    pop("pop3-stat-hexadecimal", _R + "4/decimal", "STAT counts in hexadecimal", {"stat": lambda s, t: f"{int(t.split()[0]):x} {t.split()[1]}"}),
    pop("pop3-top-closes-up", _R + "7/top-header-blank-lines", "TOP leaves out the empty line where body follows", _in_top(rb"\r\n\r\n(?=.)", b"\r\n")),
    pop("pop3-top-empty-line-twice", _R + "7/top-header-blank-lines", "TOP sends the empty line twice where body follows", _in_top(rb"\r\n\r\n(?=.)", b"\r\n\r\n\r\n")),
    pop("pop3-top-unfolds", _R + "7/top-header-blank-lines", "TOP unfolds fields", _in_top(rb"\r\n[ \t]+(?=[^\r\n]*\r\n[ \t])", b" ")),
    pop("pop3-top-of-first", _R + "7/top-header-blank-lines", "TOP sends the first message whatever the number", {"command": lambda s, line: re.sub(rb"^TOP [0-9]+ ", b"TOP 1 ", line)}),
    # RFC 6856
    pop("pop3-utf8-header-downgraded", "rfc6856/2.1/sent-as-is", "in UTF-8 mode headers lose what is not ASCII", {"octets": _downgraded}),
    pop("pop3-utf8-size-in-characters", "rfc6856/2.1/list-size-matches", "in UTF-8 mode sizes are of characters", {"size": lambda s, n: n - 5 if s.utf8 and s.verb == "LIST" else n}),
    pop("pop3-utf8-raw-without-mode", "rfc6856/2.1/no-raw-utf8-without-mode", "headers in UTF-8 are sent without UTF-8 mode", {"needs_utf8": lambda s, needed: False}),
    pop("pop3-utf8-refusal-without-code", "rfc6856/5/utf8-code-used", "a refusal for want of UTF-8 mode has no code", {"reply": lambda s, o, v: o.replace(b"-ERR [UTF8] ", b"-ERR ", 1)}),
    pop("pop3-utf8-code-to-uidl", "rfc6856/5/utf8-code-commands", "UIDL is refused with the code UTF8 without UTF-8 mode", {"instead": lambda s, v, r: b"-ERR [UTF8] the header needs it\r\n" if v == "UIDL" and r and s.box and not s.utf8 else None}),
    # RFC 8314
    pop("pop3s-greets-twice", "rfc8314/3.1/pop3s-greeting-inside-tls", "the port with implicit TLS greets twice", {"reply": lambda s, o, v: o * 2 if v == "GREETING" and s.service == "pop3s" else o}),
    pop("pop3s-transaction-at-once", "rfc8314/3.1/pop3s-starts-in-authorization", "on the port with implicit TLS STAT is answered before the login", {"instead": lambda s, v, r: b"+OK 0 0\r\n" if v == "STAT" and not s.box and s.service == "pop3s" else None}),
    pop("pop3s-record-lost", "rfc8314/3.1/pop3s-tls-for-the-rest", "on the port with implicit TLS what exceeds a TLS record is lost", {"octets": lambda s, o: o[:16384] if s.service == "pop3s" and s.verb == "RETR" else o}),
    pop("pop3s-no-goodbye", "rfc8314/3.1/pop3s-tls-for-the-rest", "on the port with implicit TLS QUIT is not answered", _of_pop3s(b"", "QUIT")),
    pop("pop3s-turns-away", "rfc8314/4/pop3-implicit-tls-offered", "the port with implicit TLS turns everybody away", _of_pop3s(b"-ERR this port is not in use\r\n", "GREETING")),
]  # fmt: skip
