"""Faults in replies, data, transparency, limits, trace fields and status codes: RFC 5321 sections 4.2 to 6, RFC 2034."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks as Hook
from conformance.server.faults._tools import content as _content


def _reply(change: Callable[[bytes], bytes], *verbs: str) -> Hook:
    return {"reply": lambda s, octets, v: change(octets) if not verbs or v in verbs else octets}




def _long_local(s: Any, verb: str, rest: bytes) -> bytes | None:
    match = re.match(rb"(?i)FROM:<([^@>]*)@", rest)
    return b"501 5.1.7 local part too long\r\n" if verb == "MAIL" and match and len(match[1]) > 63 else None


def _full(s: Any, verb: str, rest: bytes) -> bytes | None:
    if verb != "RCPT":
        s.memory["rcpts"] = 0
        return None
    s.memory["rcpts"] = s.memory.get("rcpts", 0) + 1
    return b"452 4.5.3 too many recipients\r\n" if s.memory["rcpts"] > 99 else None


def _first_only(s: Any, octets: bytes, sent: bytes) -> bytes | None:
    s.memory["delivered"] = s.memory.get("delivered", 0) + 1
    return octets if s.memory["delivered"] == 1 else None


FAULTS = [
    Fault("data-black-hole", "rfc5321/4.2.5/2yz-delivers", "Every accepted message is lost", "smtp",
          {"content": lambda s, octets, sent: None}),
    Fault("data-lf-dot-crlf", "rfc5321/4.1.1.4/end-is-crlf-dot-crlf", "LF dot CRLF ends the data", "smtp",
          settings={"data_ends": (b"\r\n.\r\n", b"\n.\r\n")}),
    Fault("data-crlf-dot-lf", "rfc5321/4.1.1.4/end-is-crlf-dot-crlf", "CRLF dot LF ends the data", "smtp",
          settings={"data_ends": (b"\r\n.\r\n", b"\r\n.\n")}),
    Fault("data-cr-dot-cr", "rfc5321/4.1.1.4/end-is-crlf-dot-crlf", "CR dot CR ends the data", "smtp",
          settings={"data_ends": (b"\r\n.\r\n", b"\r.\r")}),
    Fault("data-dots-kept", "rfc5321/4.5.2/receiver-unstuffs", "No dot is taken off", "smtp",
          {"unstuff": lambda s, octets, sent: sent}),
    Fault("data-all-dots-gone", "rfc5321/4.5.2/only-one-dot-removed", "All leading dots are taken off", "smtp",
          {"unstuff": lambda s, octets, sent: re.sub(rb"(^|\r\n)\.+", rb"\1", sent)}),
    Fault("data-inner-dots-halved", "rfc5321/4.5.2/other-dots-kept", "Two dots become one anywhere", "smtp",
          {"unstuff": lambda s, octets, sent: octets.replace(b"..", b".")}),
    Fault("data-blanks-trimmed", "rfc5321/4.5.2/spaces-and-tabs-kept", "Blanks at line ends get lost", "smtp",
          _content(lambda octets: re.sub(rb"[ \t]+\r\n", b"\r\n", octets))),
    Fault("data-controls-lost", "rfc5321/4.5.2/all-ascii-delivered", "Control characters get lost", "smtp",
          _content(lambda octets: re.sub(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]", b"", octets))),
    Fault("data-from-quoted", "rfc5321/4.5.2/transformations-reversible", "From at a line start is quoted", "smtp",
          _content(lambda octets: re.sub(rb"\r\nFrom ", b"\r\n>From ", octets))),
    Fault("data-lost", "rfc5321/4.2.5/2yz-delivers", "The second message of a session is dropped", "smtp",
          {"content": _first_only}),
    Fault("data-no-received", "rfc5321/4.4/received-inserted", "No Received field is inserted", "smtp",
          _content(lambda octets: re.sub(rb"(?s)Received: from.*?\r\n(?![ \t])", b"", octets, count=1))),
    Fault("data-received-no-by", "rfc5321/4.4/received-by", "The Received field has no BY clause", "smtp",
          _content(lambda octets: re.sub(rb"\r\n\tby \S+", b"\r\n\t", octets, count=1))),
    Fault("data-received-zone", "rfc5321/4.4/received-offset", "The Received date has a zone name", "smtp",
          _content(lambda octets: octets.replace(b" +0000\r\n", b" GMT\r\n", 1))),
    Fault("data-no-return-path", "rfc5321/4.4/return-path-inserted", "No Return-Path is inserted", "smtp",
          _content(lambda octets: re.sub(rb"Return-Path: [^\n]*\n", b"", octets, count=1))),
    Fault("data-text-line-short", "rfc5321/4.5.3.1.6/text-1000", "Text lines end at 998 octets", "smtp",
          settings={"text_line": 998}),
    Fault("data-command-line-short", "rfc5321/4.5.3.1.4/command-512", "NOOP lines over 500 octets are refused", "smtp",
          {"instead": lambda s, v, rest: b"500 5.5.2 line too long\r\n" if v == "NOOP" and len(rest) > 495 else None}),
    Fault("data-local-part-63", "rfc5321/4.5.3.1.1/local-part-64", "Local parts end at 63 octets", "smtp", {"instead": _long_local}),
    Fault("data-99-recipients", "rfc5321/4.5.3.1.8/100-recipients", "The 100th recipient is refused", "smtp", {"instead": _full}),
    Fault("data-status-class", "rfc2034/4/class-agrees", "Refusals have a status code of class 4", "smtp",
          _reply(lambda octets: re.sub(rb"(?m)^(5\d\d[- ])5\.", rb"\g<1>4.", octets))),
    Fault("data-status-missing", "rfc2034/4/success-has-code", "NOOP has no status code", "smtp",
          _reply(lambda octets: octets.replace(b"2.0.0 ", b""), "NOOP")),
    Fault("data-status-in-354", "rfc2034/4/not-in-3yz", "354 has a status code", "smtp",
          _reply(lambda octets: octets.replace(b"354 ", b"354 2.0.0 "), "DATA")),
    Fault("data-bare-code", "rfc5321/4.2/no-bare-codes", "NOOP is answered with a bare code", "smtp",
          _reply(lambda octets: b"250\r\n", "NOOP")),
    Fault("data-code-299", "rfc5321/4.3.2/rset-codes", "RSET is answered with 251", "smtp",
          _reply(lambda octets: octets.replace(b"250", b"251"), "RSET")),
]  # fmt: skip
