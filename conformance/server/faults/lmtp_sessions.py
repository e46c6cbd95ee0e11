"""Faults of LMTP servers in what LMTP has from SMTP: order, state, data, replies (RFC 2033 section 4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks, header_as_sent
from conformance.server.faults._tools import closes as _closing
from conformance.server.faults.esmtp_status import STATUS

_OK = b"250 2.0.0 ok\r\n"


def _says(verb: str, octets: bytes, when: Callable[[Any, bytes], bool] = lambda s, rest: True) -> Hooks:
    return {"instead": lambda s, v, rest: octets if s.lmtp and v == verb and when(s, rest) else None}


def _after(verb: str, change: Callable[[Any], object]) -> Hooks:
    return {"after": lambda s, v: change(s) if s.lmtp and v == verb else None}


def _reply(change: Callable[[Any, bytes, str], bytes]) -> Hooks:
    return {"reply": lambda s, octets, v: change(s, octets, v) if s.lmtp else octets}


def _content(change: Callable[[Any, bytes], bytes | None]) -> Hooks:
    return {"content": lambda s, octets, sent: change(s, octets) if s.lmtp else octets}


def _upper_case(s: Any, line: bytes) -> bytes:
    word = line.split(b" ")[0]
    return b"X" + line if s.lmtp and word.lower() == word and word not in (b"lhlo", b"quit") else line


def _nested(s: Any, allowed: Any, verb: str) -> Any:
    return allowed | {"mail", "rcpt"} if s.lmtp and verb == "MAIL" else allowed


def _kept_recipients(s: Any, verb: str, rest: bytes) -> bytes | None:
    """RSET forgets the sender, and the recipients go to the next message too."""
    if s.lmtp and verb == "RSET":
        s.memory["kept"] = list(s.mail.recipients)
    return None


def _put_back(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "MAIL" and octets.startswith(b"250") and s.memory.get("kept"):
        s.mail.recipients.extend(s.memory.pop("kept"))
    return octets


def _second_lhlo(s: Any, rest: bytes) -> bool:
    return bool(s.greeted)


def _end_in_one_segment(s: Any, octets: bytes) -> bytes:
    return b" " + octets if s.lmtp and s.reader and len(octets) < 5 else octets


def _one_refusal(s: Any, octets: bytes, verb: str) -> bytes:
    """A message that is refused as a whole gets one reply."""
    if verb != "DATA." or octets[:1] == b"2":
        return octets
    again = s.memory.get("refused") is s.mail
    s.memory["refused"] = s.mail
    return b"" if again else octets


def _flushes(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "DATA.":
        s.buffer.clear()
    return octets


def _twice(s: Any, verb: str, rest: bytes) -> bytes | None:
    """A session takes two messages."""
    if not s.lmtp or verb not in ("MAIL", "DATA"):
        return None
    s.memory["messages"] = s.memory.get("messages", 0) + (verb == "DATA")
    return b"452 4.3.2 enough\r\n" if verb == "MAIL" and s.memory["messages"] > 1 else None


def _bare(*verbs: str) -> Hooks:
    return _reply(lambda s, octets, verb: STATUS.sub(rb"\1", octets) if verb in verbs else octets)


_SMTP = "rfc2033/4/smtp-but-for-changes"
_ROWS: tuple[tuple[str, str, str, Hooks], ...] = (
    ("rcpt-first", _SMTP, "RCPT is taken before MAIL", _says("RCPT", _OK, lambda s, rest: s.state == "greeted")),
    ("nested-mail", _SMTP, "A second MAIL begins another transaction", {"states": _nested}),
    ("nested-mail-resets", _SMTP, "A refused second MAIL ends the transaction",
     _reply(lambda s, octets, verb: (s.reset(), octets)[1] if verb == "MAIL" and octets.startswith(b"503") else octets)),
    ("data-first", _SMTP, "DATA before MAIL gets 354", _says("DATA", b"354 go on\r\n", lambda s, rest: s.state == "greeted")),
    ("upper-case", _SMTP, "Verbs want upper case", {"command": _upper_case}),
    ("noop-late", _SMTP, "NOOP and RSET want LHLO before",
     {"instead": lambda s, v, rest: b"503 5.5.1 LHLO first\r\n" if s.lmtp and v in ("NOOP", "RSET") and not s.greeted else None}),
    ("noop-refused", _SMTP, "NOOP and RSET are refused in a transaction",
     {"instead": lambda s, v, rest: b"503 5.5.1 not now\r\n" if s.lmtp and v in ("NOOP", "RSET") and s.state in ("mail", "rcpt") else None}),
    ("noop-resets", _SMTP, "NOOP ends the transaction", _after("NOOP", lambda s: s.reset())),
    ("rset-nothing", _SMTP, "RSET changes nothing", _says("RSET", _OK)),
    ("rset-keeps-recipients", _SMTP, "RSET keeps the recipients", {"instead": _kept_recipients, "reply": _put_back}),
    ("unknown-resets", _SMTP, "An unknown command ends the transaction",
     _reply(lambda s, octets, verb: (s.reset(), octets)[1] if octets.startswith(b"500") else octets)),
    ("unknown-closes", _SMTP, "An unknown command ends the session",
     _reply(lambda s, octets, verb: _closing(s, octets) if octets.startswith(b"500") else octets)),
    ("header-dots-kept", _SMTP, "No dot is taken off the lines of the header",
     {"unstuff": lambda s, octets, sent: header_as_sent(octets, sent) if s.lmtp else octets}),
    ("any-sender", _SMTP, "MAIL needs no path", _says("MAIL", _OK, lambda s, rest: b"<" not in rest)),
    ("any-recipient", _SMTP, "RCPT needs no path", _says("RCPT", _OK, lambda s, rest: rest.strip() in (b"TO:", b"TO:<>") and s.state != "greeted")),
    ("no-literal", "rfc2033/4.1/lhlo-semantics", "LHLO refuses address literals", _says("LHLO", b"501 5.5.4 a name\r\n", lambda s, rest: b"[" in rest)),
    ("one-lhlo", "rfc2033/4.1/lhlo-semantics", "A second LHLO is refused", _says("LHLO", b"503 5.5.1 once\r\n", _second_lhlo)),
    ("stuffed", _SMTP, "Dots are not taken off", {"unstuff": lambda s, value, octets: octets if s.lmtp else value}),
    ("end-in-one-segment", _SMTP, "The end of the data has to come in one segment", {"received": _end_in_one_segment}),
    ("seven-bit", "rfc6152/3/octets-kept", "The eighth bit is cleared", _content(lambda s, octets: bytes(octet & 127 for octet in octets))),
    ("256k", "rfc2033/4.2/accepted-is-delivered", "Messages are cut at 256 kilobytes", _content(lambda s, octets: octets[:262144])),
    ("chunks-stuffed", "rfc2033/4.2/accepted-is-delivered", "Dots of chunks are taken off",
     _content(lambda s, octets: re.sub(rb"\r\n\.", b"\r\n", octets) if s.mail.chunked else octets)),
    ("one-refusal", "rfc2033/4.2/one-reply-per-recipient", "A message that is refused gets one reply", _reply(_one_refusal)),
    ("flushes-behind-data", "rfc2033/5/pipelining", "What follows the data in one write is lost", _reply(_flushes)),
    ("two-messages", _SMTP, "A session takes two messages", {"instead": _twice}),
    ("statuses-mail", "rfc2033/5/enhancedstatuscodes", "Replies to MAIL and RCPT have no status code", _bare("MAIL", "RCPT")),
    ("statuses-rest", "rfc2033/5/enhancedstatuscodes", "Replies to RSET and to unknown commands have no status code", _bare("RSET", "XQZZY")),
    ("return-path", _SMTP, "The return path is empty", _content(lambda s, octets: re.sub(rb"\AReturn-Path: [^\r]*", b"Return-Path: <>", octets))),
)  # fmt: skip
FAULTS = [Fault(f"lmtp-session-{name}", requirement, summary, "lmtp", hooks) for name, requirement, summary, hooks in _ROWS]
