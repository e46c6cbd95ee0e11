"""Faults where lines and data end, and where connections break off: RFC 5321 sections 2.3.8, 2.4, 4.1.1.4, 4.1.1.10 and 4.5.2."""

from __future__ import annotations

import re
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks
from conformance.server.faults._tools import whole_lines as _segment_is_line
from conformance.server.transaction import Transaction


def _ends_lines(octet: bytes) -> Hooks:
    """A bare ``octet`` ends a command line."""
    pattern = re.compile(rb"(?<!\r)\n" if octet == b"\n" else rb"\r(?!\n)")

    def received(s: Any, octets: bytes) -> bytes:
        if s.reader or (octets[:1] == b"\n" and s.buffer.endswith(b"\r")):
            return octets
        return pattern.sub(b"\r\n", octets)

    return {"received": received}


def _while_reading(look: Any) -> Hooks:
    """``look(s)`` before the reader of the data does, and in its place where it does not return None."""

    def after(s: Any, verb: str) -> None:
        if verb == "DATA" and s.reader:
            s.reader = lambda: s._data() if (found := look(s)) is None else found

    return {"after": after}


def _piecewise(*sizes: int) -> Any:
    """Lines are read ``size`` octets at a time, and a piece may be a dot alone."""
    patterns = [re.compile(rb"(\r\n[^\r\n]{%d})(\.\r\n)" % size) for size in sizes]

    def look(s: Any) -> None:
        for pattern in patterns:
            s.buffer[:] = pattern.sub(rb"\1\r\n\2", s.buffer, count=1)

    return look


def _one_segment(s: Any) -> None:
    """The end of the data is looked for in what has just come."""
    s.searched = max(s.searched, s.memory.get("looked at", 0))
    s.memory["looked at"] = len(s.buffer)


def _not_at_the_start(s: Any) -> bool | None:
    """A dot in the very first line does not end the data."""
    return False if s.buffer.startswith(b"\r\n.\r\n") else None


def _long_line_ends(s: Any) -> bool | None:
    """A line too long ends the data there and then."""
    found = re.search(rb"[^\r\n]{999,}\r\n", s.buffer)
    if not found:
        return None
    del s.buffer[: found.end()]
    s.reader = None
    s.verb = "DATA."
    s.finish(None, "500", "5.5.2", "line too long")
    return True


def _obeys(s: Any) -> None:
    """Commands within the data are obeyed."""
    found = re.search(rb"\r\n(RSET|STARTTLS)\r\n", s.buffer)
    if found and not s.memory.get("obeyed"):
        s.memory["obeyed"] = True
        s.put(b"250 2.0.0 ok\r\n")


def _asks_on(s: Any) -> None:
    """Whatever does not bring the end of the data is answered with another 354."""
    if len(s.buffer) > 2 and b"\r\n.\r\n" not in s.buffer:
        s.put(b"354 go on\r\n")


def _quits(s: Any) -> bool | None:
    """A line QUIT within the data ends the session."""
    s.closing = b"\r\nQUIT\r\n" in s.buffer
    return False if s.closing else None


def _delivers_half(s: Any, nothing: None) -> None:
    """What has come of a message is delivered when its connection is gone."""
    if s.reader and s.mail.recipients:
        s.deliver(s.mail, bytes(s.buffer)[2:])


def _quit_delivers(s: Any, verb: str, rest: bytes) -> None:
    """QUIT finishes the transaction instead of dropping it."""
    if verb == "QUIT" and s.mail.recipients:
        s.deliver(s.mail, b"")


def _keep(s: Any, octets: bytes, sent: bytes) -> bytes:
    s.memory.setdefault("delivered", []).append(octets)
    return octets


def _rolls_back(s: Any, nothing: None) -> None:
    """A connection that is lost within a transaction takes back the one before."""
    if s.state in ("mail", "rcpt"):
        for box in s.world.storage._boxes.values():
            box.remove({one.uid for one in box.messages() if one.octets in s.memory.get("delivered", ())})


def _stays_open(s: Any, octets: bytes, verb: str) -> bytes:
    """Behind the end of the data the transaction is open still."""
    if verb == "DATA." and octets.startswith(b"250"):
        s.memory["open"] = s.mail
    return octets


def _goes_on(s: Any, verb: str, rest: bytes) -> None:
    kept: Transaction | None = s.memory.pop("open", None)
    if kept is not None and verb == "RCPT":
        s.mail = kept


_CASES: tuple[tuple[str, str, str, Hooks], ...] = (
    ("lf-ends-commands", "2.3.8/no-other-command-terminator", "A bare LF ends a command", _ends_lines(b"\n")),
    ("cr-ends-commands", "2.3.8/no-other-command-terminator", "A bare CR ends a command", _ends_lines(b"\r")),
    ("segment-is-command", "2.4/no-action-before-crlf", "Each segment is taken for a whole command", {"received": _segment_is_line}),
    ("octets-are-commands", "4.2/one-reply-per-command", "Octets that come one by one are answered one by one",
     {"received": _segment_is_line}),
    ("nul-ends-commands", "4.1.2/no-control-characters", "What stands behind a NUL is not seen",
     {"command": lambda s, line: line.partition(b"\0")[0]}),
    ("nul-dropped", "4.2.2/500-unrecognised", "NUL in a command is passed over",
     {"command": lambda s, line: line.replace(b"\0", b"")}),
    ("dot-in-one-segment", "4.5.2/single-dot-ends", "The end of the data is not seen when it comes in two segments",
     _while_reading(_one_segment)),
    ("pieces-of-lines", "4.1.1.4/end-is-crlf-dot-crlf", "A dot behind 1000, 2048, 4096 or 8192 octets of a line ends the data",
     _while_reading(_piecewise(1000, 2048, 4096, 8192))),
    ("dot-at-the-start", "4.2/one-reply-per-command", "Data of a dot alone do not end", _while_reading(_not_at_the_start)),
    ("long-line-ends-data", "4.5.3.1.9/limit-answered", "A text line too long is refused within the data, the rest of which is run",
     _while_reading(_long_line_ends)),
    ("data-obeyed", "4.2/one-reply-per-command", "RSET and STARTTLS within the data are answered", _while_reading(_obeys)),
    ("data-commands-run", "3.3/data-354", "RSET and STARTTLS within the data are answered", _while_reading(_obeys)),
    ("data-asks-on", "4.2.1/3yz-means-more", "354 comes again with each segment of the data", _while_reading(_asks_on)),
    ("data-quit", "4.5.2/all-ascii-delivered", "QUIT within the data ends the session", _while_reading(_quits)),
    ("half-delivered", "4.1.1.10/premature-close-cancels", "What came before the connection was lost is delivered",
     {"ended": _delivers_half}),
    ("quit-delivers", "4.1.1.10/aborts-transaction", "QUIT delivers the unfinished transaction", {"instead": _quit_delivers}),
    ("lost-rolls-back", "4.1.1.10/premature-close-keeps-completed", "A lost connection takes back the message before",
     {"content": _keep, "ended": _rolls_back}),
    ("data-end-keeps", "4.1.1.4/buffers-cleared-after-data", "RCPT behind a finished message goes on with its transaction",
     {"reply": _stays_open, "instead": _goes_on}),
)

_ENDS: tuple[tuple[str, str, str, tuple[bytes, ...]], ...] = (
    ("end-any-line-end", "4.1.1.4/end-is-crlf-dot-crlf", "CR, LF and CRLF alike stand around the dot that ends the data",
     (b"\r.\n", b"\n.\r", b"\r\n.\r")),
    ("end-with-nul", "4.1.1.4/end-is-crlf-dot-crlf", "NUL beside the dot is passed over", (b"\r\n.\0\r\n", b"\r\n\0.\r\n")),
    ("end-with-nul-and-cr", "4.1.1.4/end-is-crlf-dot-crlf", "NUL is passed over, and the dot's line may end in CR or LF",
     (b"\r\n\0.\r", b"\r\n\0.\n")),
    ("end-with-cr", "4.1.1.4/end-is-crlf-dot-crlf", "CR at the end of the dot's line is passed over", (b"\r\n.\r\r\n",)),
    ("end-with-blank", "4.5.2/dot-in-front-of-text", "A dot and a blank end the data", (b"\r\n. ",)),
)

FAULTS = [Fault(name, f"rfc5321/{requirement}", summary, "smtp", hooks) for name, requirement, summary, hooks in _CASES] + [
    Fault(name, f"rfc5321/{requirement}", summary, "smtp", settings={"data_ends": (b"\r\n.\r\n", *ends)})
    for name, requirement, summary, ends in _ENDS
]  # fmt: skip
