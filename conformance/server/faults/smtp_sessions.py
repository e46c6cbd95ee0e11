"""Faults that show with time, with a second message or beside a second session: RFC 5321 sections 4.1, 4.4 and 4.5."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from conformance.server.base import Fault
from conformance.server.smtp_grammar import Path
from conformance.server.transaction import Recipient


def _count(s: Any, name: str) -> int:
    s.memory[name] = s.memory.get(name, 0) + 1
    return int(s.memory[name])


def _stuffed_again(s: Any, octets: bytes, sent: bytes) -> bytes:
    return octets if _count(s, "unstuffed") == 1 else sent


def _first_return_path(s: Any, octets: bytes, sent: bytes) -> bytes:
    line = s.memory.setdefault("return path", octets.partition(b"\r\n")[0])
    return bytes(line) + b"\r\n" + octets.partition(b"\r\n")[2]


def _appended(s: Any, octets: bytes, sent: bytes) -> bytes:
    before: bytes = s.memory.get("sent", b"")
    s.memory["sent"] = sent
    return octets[: len(octets) - len(sent)] + before + sent


def _lax_again(*ends: bytes) -> Any:
    def content(s: Any, octets: bytes, sent: bytes) -> bytes:
        s.settings = replace(s.settings, data_ends=(b"\r\n.\r\n", *ends))
        return octets

    return content


def _notes_message(s: Any, octets: bytes, sent: bytes) -> bytes:
    s.memory["message"] = True
    return octets


def _null_once(s: Any, verb: str, rest: bytes) -> bytes | None:
    return b"501 5.1.7 bad sender\r\n" if verb == "MAIL" and rest.startswith(b"FROM:<>") and "message" in s.memory else None


def _first_name(s: Any, octets: bytes, sent: bytes) -> bytes:
    name = s.memory.get("name", "").encode()
    return re.sub(rb"Received: from \S+", b"Received: from " + name, octets, count=1)


def _remember_name(s: Any, verb: str) -> None:
    if verb in ("EHLO", "HELO"):
        s.memory.setdefault("name", s.client)


def _kept(s: Any, octets: bytes, sent: bytes) -> bytes:
    s.memory.setdefault("kept", []).append(octets)
    return octets


def _undo(s: Any) -> None:
    for box in s.world.storage._boxes.values():
        box.remove({one.uid for one in box.messages() if one.octets in s.memory.get("kept", ())})


def _undone_by_rset(s: Any, verb: str) -> None:
    if verb == "RSET":
        _undo(s)


def _undone_by_mail(s: Any, octets: bytes, verb: str) -> bytes:
    """Completed messages lie in the transaction's place until the next one is completed too."""
    if verb == "DATA" and octets.startswith(b"354"):
        _undo(s)
    return octets


def _limit(verb: str, most: int) -> Any:
    def reply(s: Any, octets: bytes, v: str) -> bytes:
        if v == verb and _count(s, verb) > most:
            s.closing = True
            return b""
        return octets

    return reply


_LOST: dict[int, Any] = {}  # world → what a session left to the others


def _resets_all(s: Any, verb: str, rest: bytes) -> None:
    if verb == "RSET" and s.state in ("mail", "rcpt"):
        _LOST[id(s.world)] = s


def _reset_by_another(s: Any, line: bytes) -> bytes:
    if s.state in ("mail", "rcpt") and _LOST.get(id(s.world), s) is not s:
        del _LOST[id(s.world)]
        s.reset()
    return line


def _stuck(s: Any, nothing: None) -> None:
    """A session that was lost in its data holds the server's only slot."""
    if b"stuck" in s.buffer:
        _LOST[id(s.world)] = s


def _no_slot(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "GREETING" and id(s.world) in _LOST:
        s.closing = True
        return b""
    return octets


def _first_dropped(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "RCPT" and len(s.mail.recipients) > 100:
        del s.mail.recipients[0]
    return octets


def _dot_at_buffer(s: Any, octets: bytes, sent: bytes) -> bytes:
    parts = [octets[at : at + 1024] for at in range(0, len(octets), 1024)]
    return b"".join(part[1:] if n and part.startswith(b".") else part for n, part in enumerate(parts))


def _swallows_unknown(s: Any, verb: str, rest: bytes) -> bytes | None:
    match = re.match(rb"(?i)TO:<(nobody[^@>]*)@", rest)
    if verb != "RCPT" or not match or s.state not in ("mail", "rcpt"):
        return None
    s.mail.recipients.append(Recipient(Path(match[1].decode(), s.settings.domain), "", {"NOTIFY": "NEVER"}))
    return b"250 2.1.5 recipient ok\r\n"


def _no_postmaster(s: Any, verb: str, rest: bytes) -> bytes | None:
    bounce = s.mail.sender is not None and not s.mail.sender.domain
    return b"550 5.7.1 no bounces\r\n" if verb == "RCPT" and bounce and b"postmaster" in rest.lower() else None


def _unquoted(s: Any, octets: bytes, sent: bytes) -> bytes:
    return re.sub(rb'(?m)^(Return-Path: <)"(.*?)"@', rb"\1\2@", octets, count=1)


def _yesterday(s: Any, octets: bytes, sent: bytes) -> bytes:
    days = b"Mon Tue Wed Thu Fri Sat Sun".split()
    return re.sub(rb"(?<=\t)(...)(?=, \d)", lambda m: days[days.index(m[1]) - 1], octets, count=1)


def _refused_once(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "DATA.":
        s.memory["open"] = octets.startswith(b"5")
    return octets


def _still_open(s: Any, verb: str, rest: bytes) -> bytes | None:
    return b"250 2.1.5 recipient ok\r\n" if verb == "RCPT" and s.memory.pop("open", False) else None


def _refuses_name(pattern: bytes, at: str) -> Any:
    def instead(s: Any, verb: str, rest: bytes) -> bytes | None:
        name = rest if at == "EHLO" else s.client.encode()
        return b"550 5.7.1 that is not your name\r\n" if verb == at and re.match(pattern, name) else None

    return instead


_CASES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("second-dots-kept", "4.5.2/receiver-unstuffs", "Dots are taken off in the first message of a session only",
     {"unstuff": _stuffed_again}),
    ("second-return-path", "4.4/return-path-is-reverse-path", "Every message of a session has the first one's return path",
     {"content": _first_return_path}),
    ("second-null", "4.1.1.2/null-path", "The null path is refused after a message", {"content": _notes_message, "instead": _null_once}),
    ("second-appended", "4.5.2/all-ascii-delivered", "The first message stands before the second", {"content": _appended}),
    ("second-lf-dot-lf", "4.1.1.4/lf-dot-lf-no-end", "LF dot LF ends the second message", {"content": _lax_again(b"\n.\n")}),
    ("second-lf-dot-crlf", "4.1.1.4/end-is-crlf-dot-crlf", "LF dot CRLF ends the second message",
     {"content": _lax_again(b"\n.\r\n")}),
    ("received-first-name", "4.4/received-from-helo-name", "Received keeps the name of the first EHLO",
     {"content": _first_name, "after": _remember_name}),
    ("rset-undoes", "4.1.1.5/noop-outside-transaction", "RSET takes back what was delivered",
     {"content": _kept, "after": _undone_by_rset}),
    ("next-data-undoes", "4.1.1.10/premature-close-keeps-completed", "DATA takes back what was delivered before",
     {"content": _kept, "reply": _undone_by_mail}),
    ("noops-limited", "3.8/no-close-without-cause", "The tenth NOOP ends the session without a word",
     {"reply": _limit("NOOP", 9)}),
    ("rsets-limited", "4.1.1.5/no-close", "The fifth RSET ends the session without a word", {"reply": _limit("RSET", 4)}),
    ("rset-shared", "4.5.4.2/several-connections", "RSET ends the transaction of another connection",
     {"instead": _resets_all, "command": _reset_by_another}),
    ("lost-data-blocks", "4.1.1.5/lost-connection-like-quit", "After a connection lost in its data nobody is served",
     {"reply": _no_slot, "ended": _stuck}),
    ("buffer-dot-lost", "4.5.2/only-one-dot-removed", "A dot at the start of a buffer is lost", {"content": _dot_at_buffer}),
    ("unknown-swallowed", "6.1/failure-notified", "Mail to unknown names is accepted and vanishes",
     {"instead": _swallows_unknown}),
    ("postmaster-no-bounces", "4.5.1/postmaster", "Postmaster takes no mail from the null path", {"instead": _no_postmaster}),
    ("return-path-unquoted", "4.4/return-path-syntax", "The return path loses its quotes", {"content": _unquoted}),
    ("refused-data-keeps", "4.1.1.4/buffers-cleared-after-data", "After a refused message more recipients are taken",
     {"reply": _refused_once, "instead": _still_open}),
    ("bare-cr-ends-line", "4.1.1.4/no-bare-cr-lines", "A bare CR in the data becomes CRLF",
     {"unstuff": lambda s, octets, sent: re.sub(rb"\r(?!\n)", b"\r\n", octets)}),
    ("nul-lost", "4.5.2/nul-delivered", "NUL gets lost", {"unstuff": lambda s, octets, sent: octets.replace(b"\0", b"")}),
    ("hello-short-name", "2.3.5/no-unqualified-names", "The replies to EHLO and HELO have a host name without domain",
     {"reply": lambda s, o, v: o.replace(b"mx.example.test", b"mx") if v in ("EHLO", "HELO") else o}),
    ("literal-name-checked", "4.1.4/no-refusal-for-unmatched-name", "MAIL is refused when the EHLO literal is another's",
     {"instead": _refuses_name(rb"\[(192|IPv6:2001)", "MAIL")}),
    ("digit-name-refused", "4.1.4/no-refusal-for-unmatched-name", "An EHLO name that begins with a digit is refused",
     {"instead": _refuses_name(rb"[0-9]", "EHLO")}),
    ("blank-for-colon", "4.1.1.2/reverse-path-required", "FROM is taken without its colon",
     {"command": lambda s, line: line.replace(b"FROM <", b"FROM:<")}),
    ("to-blank-for-colon", "4.1.1.3/forward-path-required", "TO is taken without its colon",
     {"command": lambda s, line: line.replace(b"TO <", b"TO:<")}),
)

FAULTS = [Fault(name, f"rfc5321/{requirement}", summary, "smtp", hooks) for name, requirement, summary, hooks in _CASES] + [
    Fault("received-weekday", "rfc5322/3.3/date-valid", "Received names the day before the date's", "smtp", {"content": _yesterday}),
    Fault("idle-limit", "rfc5321/4.5.3.2.7/five-minutes", "Four seconds without a command end the session", "smtp",
          settings={"timeout": 4.0}),
    Fault("first-recipient-dropped", "rfc5321/4.5.3.1.8/orderly-limit", "Beyond 100 recipients the first ones are dropped", "smtp",
          {"reply": _first_dropped}, {"max_recipients": 1000}),
]  # fmt: skip
