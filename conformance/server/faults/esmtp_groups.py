"""Faults of servers that lose their place in a stream of commands or chunks: PIPELINING (RFC 2920), CHUNKING (RFC 3030)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks
from conformance.server.faults._tools import whole_lines as _whole_lines

_OK = b"250 2.0.0 ok\r\n"
_SIZE = re.compile(rb"(\d+)( LAST)?$", re.I)


def _flushes(when: Callable[[Any, bytes, str], bool]) -> Hooks:
    """What came with a command is thrown away after such a reply."""

    def reply(s: Any, octets: bytes, verb: str) -> bytes:
        if when(s, octets, verb):
            s.buffer.clear()
        return octets

    return {"reply": reply}


def _lone_cr(s: Any, octets: bytes) -> bytes:
    """A CR at the end of a segment ends the line, and an LF at the beginning of the next one is a line of its own."""
    if s.reader:
        return octets
    octets = b"\r\n" + octets[1:] if octets.startswith(b"\n") else octets
    return octets + b"\n" if octets.endswith(b"\r") else octets


def _one_segment(s: Any, octets: bytes) -> bytes:
    """A command that has no end yet is forgotten when more comes."""
    if not s.reader and s.buffer:
        s.buffer.clear()
    return octets


def _no_recipient(s: Any, allowed: Any, verb: str) -> Any:
    return allowed | {"mail"} if verb == "DATA" else allowed


def _any_refused(s: Any, verb: str, rest: bytes) -> bytes | None:
    return b"554 5.5.1 not all recipients are valid\r\n" if verb == "DATA" and s.memory.get("refused") else None


def _counts_refused(s: Any, octets: bytes, verb: str) -> bytes:
    if verb in ("MAIL", "RSET", "EHLO"):
        s.memory["refused"] = False
    elif verb == "RCPT" and octets[:1] in b"45":
        s.memory["refused"] = True
    return octets


def _late_reset(s: Any, verb: str, rest: bytes) -> bytes | None:
    """RSET inside a group counts at the end of the group only."""
    return _OK if verb == "RSET" and s.buffer else None


def _one_for_all(s: Any, octets: bytes, verb: str) -> bytes:
    """Chunks with more behind them get no reply."""
    return b"" if verb == "BDAT" and b"so far" in octets and s.buffer else octets


def _mended(s: Any, octets: bytes, verb: str) -> bytes:
    """A chunk that ends with CR is given its LF."""
    if verb == "BDAT" and b"so far" in octets and s.mail.chunks.endswith(b"\r"):
        s.mail.chunks.extend(b"\n")
    return octets


def _line_end_swallowed(s: Any, octets: bytes, verb: str) -> bytes:
    """Two octets behind a chunk are taken for its line end."""
    if verb == "BDAT" and octets.startswith(b"250"):
        del s.buffer[:2]
    return octets


def _runs_lines(s: Any, octets: bytes, verb: str) -> bytes:
    """A line of a chunk that is QUIT is obeyed."""
    if verb == "BDAT" and re.search(rb"(?m)^QUIT\r", bytes(s.mail.chunks)):
        s.buffer[:0] = b"QUIT\r\n"
    return octets


def _octal(s: Any, line: bytes) -> bytes:
    """A size with a leading zero is octal."""
    match = re.match(rb"(?i)BDAT (0[0-7]+)(?![0-9])(.*)", line)
    return b"BDAT %d%s" % (int(match[1], 8), match[2]) if match else line


def _takes_chunks(when: Callable[[Any, int], bool]) -> Hooks:
    """A chunk out of sequence is read and gets 250."""

    def instead(s: Any, verb: str, rest: bytes) -> bytes | None:
        match = _SIZE.match(rest) if verb == "BDAT" else None
        if not match or not when(s, int(match[1])):
            return None
        s.expect_octets(int(match[1]), lambda octets: None, lambda: s.put(_OK))
        return b""

    return {"instead": instead}


def _had_last(s: Any, octets: bytes, verb: str) -> bytes:
    s.memory["last"] = verb == "BDAT" and octets.startswith(b"250 2.0.0 delivered")
    return octets


def _first_piece(s: Any, verb: str, rest: bytes) -> bytes | None:
    """Of a chunk that comes in pieces the first one counts."""
    match = _SIZE.match(rest) if verb == "BDAT" and s.state == "rcpt" else None
    if not match:
        return None
    pieces: list[bytes] = []
    taken = s.known("BDAT")[0]._taken

    def done() -> None:
        s.mail.chunks.extend(b"".join(pieces[:1]))
        taken(bool(match[2]))

    s.mail.chunked = True
    s.expect_octets(int(match[1]), lambda octets: pieces.append(octets) if octets else None, done)
    return b""


def _of_chunks(change: Callable[[bytes], bytes]) -> Hooks:
    return {"content": lambda s, octets, sent: change(octets) if s.mail.chunked else octets}


_TABLE: tuple[tuple[str, str, str, Hooks], ...] = (
    ("group-behind-unknown", "rfc2920/3.2/no-flush-of-input", "What follows an unknown command is lost",
     _flushes(lambda s, octets, verb: octets.startswith(b"500"))),
    ("group-behind-message", "rfc2920/3.2/no-flush-of-input", "What follows a message is lost",
     _flushes(lambda s, octets, verb: verb == "DATA.")),
    ("group-segments-are-lines", "rfc2920/3.2/segmentation", "The end of a segment ends a line", {"received": _whole_lines}),
    ("group-cr-ends-line", "rfc2920/3.2/segmentation", "A CR at the end of a segment ends the line", {"received": _lone_cr}),
    ("group-one-segment", "rfc2920/3.2/segmentation", "A command has to come in one segment", {"received": _one_segment}),
    ("group-empty-message", "rfc2920/3.2/data-after-failed-rcpt", "DATA without recipients gets 354, and the end of the data 250",
     {"states": _no_recipient}),
    ("group-all-or-nothing", "rfc2920/3.2/data-after-some-failed", "DATA is refused where one recipient was",
     {"instead": _any_refused, "reply": _counts_refused}),
    ("group-late-reset", "rfc2920/3.2/no-state-between", "RSET inside a group does not act on the rest of it", {"instead": _late_reset}),
    ("chunk-one-reply", "rfc3030/2/reply-per-chunk", "Chunks in one write get one reply", {"reply": _one_for_all}),
    ("chunk-cr-mended", "rfc3030/2/exact-octets", "A chunk that ends with CR is given an LF", {"reply": _mended}),
    ("chunk-line-end", "rfc3030/2/exact-octets", "Two octets behind a chunk are lost", {"reply": _line_end_swallowed}),
    ("chunk-flushes", "rfc3030/2/exact-octets", "What follows the last chunk in one write is lost",
     _flushes(lambda s, octets, verb: verb == "BDAT" and b"delivered" in octets)),
    ("chunk-quit", "rfc3030/2/exact-octets", "QUIT in a chunk is obeyed", {"reply": _runs_lines}),
    ("chunk-in-pieces", "rfc3030/2/exact-octets", "Of a chunk in several segments the first one counts", {"instead": _first_piece}),
    ("chunk-last-line", "rfc3030/2/exact-octets", "A last line without its end is lost",
     _of_chunks(lambda octets: octets[: octets.rfind(b"\r\n") + 2])),
    ("chunk-after-last", "rfc3030/2/bdat-after-last", "A chunk after LAST gets 250",
     {"reply": _had_last} | _takes_chunks(lambda s, size: bool(s.memory.get("last")))),
    ("chunk-without-recipients", "rfc3030/2/without-recipients", "A chunk without recipients gets 250",
     _takes_chunks(lambda s, size: s.state == "mail" and size < 20)),
    ("chunk-after-rset", "rfc3030/2/rset-discards", "BDAT 0 LAST without a transaction gets 250",
     _takes_chunks(lambda s, size: s.state == "greeted" and not size)),
    ("chunk-octal", "rfc3030/2/size-decimal", "A size with a leading zero is octal", {"command": _octal}),
    ("chunk-open-end", "rfc3030/2/last-ends", "RCPT after LAST adds to the message that is over",
     {"reply": _had_last, "instead": lambda s, v, rest: _OK if v == "RCPT" and s.memory.get("last") else None}),
)  # fmt: skip
FAULTS = [Fault(name, requirement, summary, "smtp", hooks) for name, requirement, summary, hooks in _TABLE]
