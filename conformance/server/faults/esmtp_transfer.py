"""Faults in how a message is transferred: SIZE, 8BITMIME, CHUNKING, PIPELINING, SMTPUTF8, LMTP, trace types, TLS."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks


def _says(verb: str, pattern: bytes, octets: bytes) -> Hooks:
    """A command whose argument matches is answered so, and nothing else happens."""
    return {"instead": lambda s, v, rest: octets if v == verb and re.search(pattern, rest) else None}


def _takes(verb: str, pattern: bytes, instead: bytes = b"") -> Hooks:
    """What matches in the command's line is not seen by the server."""

    def command(s: Any, line: bytes) -> bytes:
        return re.sub(pattern, instead, line) if line[: len(verb)].upper() == verb.encode() else line

    return {"command": command}


def _loses(after: str, code: bytes) -> Hooks:
    """The input behind a command with this reply is thrown away."""

    def reply(s: Any, octets: bytes, verb: str) -> bytes:
        if verb == after and octets.startswith(code):
            s.buffer.clear()
        return octets

    return {"reply": reply}


def _content(change: Callable[[Any, bytes], bytes | None]) -> Hooks:
    return {"content": lambda s, octets, sent: change(s, octets)}


def _body(change: Callable[[bytes], bytes]) -> Hooks:
    """Changes what follows the header."""

    def content(s: Any, octets: bytes, sent: bytes) -> bytes:
        header, blank, body = octets.partition(b"\r\n\r\n")
        return header + blank + change(body)

    return {"content": content}


def _size(octets: bytes, when: Callable[[int, int], bool]) -> Hooks:
    """The answer to a declared size, by it and by the limit."""

    def instead(s: Any, verb: str, rest: bytes) -> bytes | None:
        found = re.search(rb" SIZE=([0-9]+)", rest)
        return octets if verb == "MAIL" and found and when(int(found[1]), s.settings.max_size) else None

    return {"instead": instead}


def _sticky_refusal() -> Hooks:
    def instead(s: Any, verb: str, rest: bytes) -> bytes | None:
        found = re.search(rb" SIZE=([0-9]+)", rest)
        if verb == "MAIL" and found and int(found[1]) > s.settings.max_size:
            s.memory["too-big-once"] = True
        return b"552 5.3.4 too big\r\n" if verb == "MAIL" and s.memory.get("too-big-once") else None

    return {"instead": instead}


def _wire_size(s: Any, octets: bytes, sent: bytes) -> bytes:
    """The octets on the wire count: stuffed dots make a message too big."""
    if len(sent) > s.settings.max_size:
        s.memory["too-big"] = True
    return octets


def _late_552(margin: int) -> Hooks:
    def reply(s: Any, octets: bytes, verb: str) -> bytes:
        return b"552 5.3.4 too big\r\n" if verb == "DATA." and s.memory.pop("late", 0) > s.settings.max_size - margin else octets

    return {"unstuff": lambda s, octets, sent: s.memory.__setitem__("late", len(octets)) or octets, "reply": reply}


def _stuffed_552() -> Hooks:
    def reply(s: Any, octets: bytes, verb: str) -> bytes:
        return b"552 5.3.4 too big\r\n" if verb == "DATA." and s.memory.pop("wire", 0) > s.settings.max_size else octets

    return {"unstuff": lambda s, octets, sent: s.memory.__setitem__("wire", len(sent)) or octets, "reply": reply}


def _cut_at_declared(s: Any, octets: bytes) -> bytes:
    found: str = s.mail.parameters.get("SIZE") or ""
    header = octets.find(b"Subject:")
    return octets[: header + int(found)] + b"\r\n" if found else octets


def _leaks(s: Any, octets: bytes) -> bytes:
    """The chunks of the first message come again in the second."""
    before: bytes = s.memory.get("chunks", b"")
    s.memory["chunks"] = bytes(s.mail.chunks)
    header, blank, body = octets.partition(b"\r\n\r\n")
    return header + blank + before + body


def _runs_refused(s: Any, verb: str, rest: bytes) -> bytes | None:
    """A chunk without recipients, from the second on, is not taken off the stream."""
    if verb != "BDAT" or s.state != "mail":
        return None
    s.memory["bdats"] = s.memory.get("bdats", 0) + 1
    return b"503 5.5.1 bad sequence\r\n" if s.memory["bdats"] > 1 else None


def _runs_excess(s: Any, verb: str, rest: bytes) -> bytes | None:
    """A chunk beyond the limit is not taken off the stream."""
    found = re.match(rb"[0-9]+", rest)
    if verb == "BDAT" and found and int(found[0]) > s.settings.max_size:
        s.reset()
        return b"552 5.3.4 the message is too big\r\n"
    return None


def _only_so_many(limit: int) -> Hooks:
    """So many lines of one write are looked at."""

    def command(s: Any, line: bytes) -> bytes:
        s.memory["run"] = s.memory.get("run", 0) + 1 if s.buffer else 0
        if s.memory["run"] > limit:
            s.buffer.clear()
        return line

    return {"command": command}


def _swapped(s: Any, octets: bytes, verb: str) -> bytes:
    """LMTP replies name the recipients, in the wrong order."""
    if not s.lmtp or verb != "DATA." or not octets.startswith(b"250"):
        return octets
    left = s.memory.setdefault("names", [r.path.address for r in s.mail.recipients])
    name = left.pop()
    if not left:
        del s.memory["names"]
    return f"250 2.0.0 <{name}> delivered\r\n".encode()


def _traced(old: bytes, new: bytes, when: Callable[[Any], bool]) -> Hooks:
    return _content(lambda s, octets: octets.replace(b" with " + old + b" ", b" with " + new + b" ", 1) if when(s) else octets)


def _failed_auth(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "AUTH" and octets.startswith(b"535"):
        s.memory["tried"] = True
    return octets


def _eight_k(s: Any, line: bytes) -> bytes:
    if len(s.buffer) > 8192:
        del s.buffer[8192 - len(line) :]
    return line


def _first_of_record(s: Any, line: bytes) -> bytes:
    if s.tls:
        s.buffer.clear()
    return line


def _no_data_after_bdat(s: Any, verb: str, rest: bytes) -> bytes | None:
    s.memory["bdat"] = s.memory.get("bdat") or verb == "BDAT"
    return b"503 5.5.1 this session uses BDAT\r\n" if verb == "DATA" and s.memory["bdat"] else None


def _no_data_after_binary(s: Any, verb: str, rest: bytes) -> bytes | None:
    s.memory["binary"] = s.memory.get("binary") or (verb == "MAIL" and b"BINARYMIME" in rest.upper())
    return b"503 5.5.1 this session is binary\r\n" if verb == "DATA" and s.memory["binary"] else None


def _one_try(s: Any, verb: str, rest: bytes) -> bytes | None:
    if verb != "STARTTLS":
        return None
    before, s.memory["tried-tls"] = s.memory.get("tried-tls"), True
    return b"503 5.5.1 not again\r\n" if before else None


def _merged(s: Any, octets: bytes, verb: str) -> bytes:
    return b"" if (verb == "RCPT" and s.out.endswith(b"\r\n" + octets)) or (verb == "RCPT" and s.out == octets) else octets


def _sticky_utf8(s: Any, line: bytes) -> bytes:
    upper = line.upper()
    if upper.startswith(b"MAIL") and b" SMTPUTF8" in upper:
        s.memory["utf8"] = True
    elif upper.startswith(b"MAIL") and s.memory.get("utf8"):
        return line + b" SMTPUTF8"
    return line


def _stay_authenticated(s: Any, keep: tuple[Any, ...]) -> None:
    s.memory["was"] = keep[2]


def _no_pipelined(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "AUTH" and octets.startswith(b"235"):
        s.buffer.clear()
    return octets


_LIMIT = {"max_size": 100_000}

FAULTS = [
    # SIZE
    Fault("size-limit-excluded", "rfc1870/6.1/limit-is-inclusive", "A declared size of just the limit is refused", "smtp",
          _size(b"552 5.3.4 too big\r\n", lambda size, limit: size == limit)),
    Fault("size-excess-501", "rfc1870/6.1/declared-too-big-552", "A declared size over the limit is answered with 501", "smtp",
          _size(b"501 5.3.4 too big\r\n", lambda size, limit: size > limit)),
    Fault("size-wraps", "rfc1870/6.1/declared-too-big-552", "A declared size is taken modulo 2 to the 32nd", "smtp",
          _size(b"250 2.1.0 ok\r\n", lambda size, limit: size > limit >= size % 2**32)),
    Fault("size-ten-digits", "rfc1870/4/twenty-digits", "A size of more than ten digits is a syntax error", "smtp",
          _says("MAIL", rb" SIZE=[0-9]{11}", b"501 5.5.4 too many digits\r\n")),
    Fault("size-without-value", "rfc1870/6.1/no-value", "SIZE without a value is ignored", "smtp", _takes("MAIL", rb" SIZE=?(?= |$)")),
    Fault("size-refusal-stays", "rfc1870/6.1/refusal-ends-there", "After a refused size every MAIL is refused", "smtp", _sticky_refusal()),
    Fault("size-cuts", "rfc1870/6/not-end-of-content", "A message is cut at its declared size", "smtp", _content(_cut_at_declared)),
    Fault("size-late-552", "rfc1870/6.3/no-late-552", "A declared and accepted message under the limit gets 552 at its end", "smtp",
          _late_552(2000), _LIMIT),
    Fault("size-counts-dots", "rfc1870/5/dots-not-counted", "Stuffed dots count for the size", "smtp", _stuffed_552(), _LIMIT),
    # 8BITMIME
    Fault("body-without-value", "rfc6152/2/value-needed", "BODY without a value is ignored", "smtp", _takes("MAIL", rb" BODY=?(?= |$)")),
    Fault("body-once", "rfc6152/2/body-8bitmime", "BODY=8BITMIME is refused once the session has seen RSET", "smtp",
          {"instead": lambda s, v, rest: b"555 5.5.4 not now\r\n" if v == "MAIL" and b"BODY=8BITMIME" in rest and s.memory.get("reset") else None,
           "after": lambda s, v: s.memory.__setitem__("reset", s.memory.get("reset") or v == "RSET")}),
    Fault("body-undeclared-stripped", "rfc6152/2/undeclared-octets", "The eighth bit is cleared unless BODY=8BITMIME was said", "smtp",
          _content(lambda s, octets: octets if s.mail.body != "7BIT" else bytes(octet & 127 for octet in octets))),
    # CHUNKING
    Fault("bdat-64k", "rfc3030/2/chunks-of-any-size", "No more than 65536 octets of a message in chunks are delivered", "smtp",
          _content(lambda s, octets: octets[:65536] if s.mail.chunked else octets)),
    Fault("bdat-zero-refused", "rfc3030/2/zero-chunk", "BDAT 0 is a syntax error", "smtp", _says("BDAT", rb"^0$", b"501 5.5.4 no octets\r\n")),
    Fault("bdat-any-marker", "rfc3030/2/end-marker-syntax", "Any word may stand in the place of LAST", "smtp",
          _takes("BDAT", rb"(?<=[0-9]) (?!LAST$).*")),
    Fault("bdat-second-runs", "rfc3030/2/refused-chunk-consumed", "The second refused chunk of a pipeline runs as commands", "smtp",
          {"instead": _runs_refused}),
    Fault("bdat-excess-runs", "rfc3030/2/refused-chunk-consumed", "A chunk over the limit runs as commands", "smtp", {"instead": _runs_excess}, _LIMIT),
    Fault("bdat-first-again", "rfc3030/2/next-message", "The second message in chunks begins with the first", "smtp", _content(_leaks)),
    Fault("bdat-not-in-tls", "rfc3030/2/last-ends", "BDAT is unknown in TLS", "smtp",
          {"instead": lambda s, v, rest: b"500 5.5.1 not recognised\r\n" if v == "BDAT" and s.tls else None}),
    Fault("bdat-mail-between", "rfc3030/2/mail-between-chunks", "MAIL between chunks begins a transaction", "smtp",
          {"states": lambda s, allowed, verb: allowed | {"rcpt"} if verb == "MAIL" and s.mail.chunked else allowed}),
    Fault("bdat-not-on-submission", "rfc3030/2/on-submission", "BDAT is unknown on the submission port", "submission",
          {"instead": lambda s, v, rest: b"500 5.5.1 not recognised\r\n" if v == "BDAT" and s.service == "submission" else None}),
    Fault("bdat-then-no-data", "rfc3030/2/both-in-one-session", "After a BDAT, DATA is refused for the rest of the session", "smtp",
          {"instead": _no_data_after_bdat}),
    Fault("data-then-no-bdat", "rfc3030/2/both-in-one-session", "After a message with DATA, chunks are unstuffed as DATA is", "smtp",
          {"content": lambda s, octets, sent: re.sub(rb"\r\n\.", b"\r\n", octets) if s.mail.chunked and s.memory.get("with-data") else octets,
           "unstuff": lambda s, octets, sent: s.memory.__setitem__("with-data", True) or octets}),
    Fault("binarymime-sticks", "rfc3030/3/for-one-transaction", "After BODY=BINARYMIME, DATA is refused for the rest of the session", "smtp",
          {"instead": _no_data_after_binary}),
    Fault("binarymime-cr", "rfc3030/3/octets-kept", "A bare CR in a binary message becomes CRLF", "smtp",
          _content(lambda s, octets: re.sub(rb"\r(?!\n)", b"\r\n", octets))),
    # PIPELINING
    Fault("pipeline-of-twenty", "rfc2920/3.2/one-reply-each", "What follows the twentieth command of a write is lost", "smtp", _only_so_many(20)),
    Fault("pipeline-behind-refused-mail", "rfc2920/3.2/no-flush-of-input", "What follows a refused MAIL is lost", "smtp", _loses("MAIL", b"5")),
    Fault("pipeline-behind-auth", "rfc2920/3.2/no-flush-of-input", "What follows a successful AUTH is lost", "smtp", {"reply": _no_pipelined}),
    Fault("pipeline-8k", "rfc2920/3.2/no-flush-of-input", "Of one write 8192 octets are looked at", "smtp", {"command": _eight_k}),
    Fault("pipeline-tls-first-line", "rfc2920/3.2/one-reply-each", "In TLS only the first line of a record is looked at", "smtp",
          {"command": _first_of_record}),
    Fault("pipeline-merges", "rfc2920/3.2/one-reply-each", "A reply to RCPT that is like the one before is left out", "smtp", {"reply": _merged}),
    # SMTPUTF8
    Fault("utf8-sender-sticks", "rfc6531/3.4/one-transaction", "The parameter holds for all later transactions", "smtp", {"command": _sticky_utf8}),
    Fault("utf8-echoed", "rfc6531/3.7.4/other-replies-ascii", "The reply to MAIL repeats the non-ASCII sender", "smtp",
          {"reply": lambda s, o, v: f"250 2.1.0 <{s.mail.sender.address}> ok\r\n".encode() if v == "MAIL" and o.startswith(b"250")
           and s.mail.sender and not s.mail.sender.address.isascii() else o}),
    Fault("utf8-vrfy-reply", "rfc6531/3.7.4.2/replies-ascii", "VRFY tells a full name in UTF-8 unasked", "smtp",
          {"reply": lambda s, o, v: o.replace(b"<", "Zoë <".encode(), 1) if v == "VRFY" and o.startswith(b"250") else o}),
    # LMTP
    Fault("lmtp-order", "rfc2033/4.2/order", "Replies come in the reverse order of the recipients", "lmtp", {"reply": _swapped}),
    # trace types
    Fault("trace-helo-esmtp", "rfc3848/1/smtp", "The Received field says ESMTP after HELO", "smtp", _traced(b"SMTP", b"ESMTP", lambda s: True)),
    Fault("trace-failed-auth", "rfc3848/1/authenticated-only", "After a failed AUTH the Received field says ESMTPA", "smtp",
          {"reply": _failed_auth} | _traced(b"ESMTP", b"ESMTPA", lambda s: bool(s.memory.get("tried")))),
    # TLS
    Fault("starttls-once", "rfc3207/4/ready", "After a refused STARTTLS no other is taken", "smtp", {"instead": _one_try}),
    Fault("submission-530-for-noop", "rfc4954/6/530-not-for-these", "NOOP and RSET get 530 before authentication", "submission",
          {"instead": lambda s, v, rest: b"530 5.7.0 authentication required\r\n" if v in ("NOOP", "RSET") and not s.user
           and s.service == "submission" else None}),
    Fault("starttls-second-auth-refused", "rfc3207/4.2/state-discarded", "AUTH after the handshake meets the authentication from before", "smtp",
          {"secured": _stay_authenticated,
           "instead": lambda s, v, rest: b"503 5.5.1 authenticated already\r\n" if v == "AUTH" and s.memory.get("was") else None}),
]  # fmt: skip
