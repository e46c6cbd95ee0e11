"""Faults in PIPELINING, CHUNKING, BINARYMIME, STARTTLS, SIZE, 8BITMIME, LIMITS and rarer SASL mechanisms."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks as Hook
from conformance.server.faults._tools import content as _content
from conformance.server.faults._tools import says as _says

_CHUNK = re.compile(rb"(\d+)( LAST)?\s*", re.I)


def _keyword(old: str, new: str) -> Hook:
    return {"capabilities": lambda s, words: [new if word == old else word for word in words]}


def _flush(verb: bytes) -> Hook:
    """Input behind a refused ``verb`` is thrown away."""

    def reply(s: Any, octets: bytes, v: str) -> bytes:
        if v == verb.decode() and octets[:1] == b"5":
            s.buffer.clear()
        return octets

    return {"reply": reply}


def _listed(mechanism: str) -> Callable[..., list[str]]:
    return lambda s, words: [f"{word} {mechanism}" if word.startswith("AUTH ") else word for word in words]


def _mechanism(name: str, octets: bytes) -> Hook:
    """``name`` is listed, and every AUTH with it is answered with ``octets``."""
    return {
        "capabilities": _listed(name),
        "instead": lambda s, v, rest: octets if v == "AUTH" and rest.upper().startswith(name.encode()) else None,
    }


def _unread(s: Any, verb: str, rest: bytes) -> bytes | None:
    """A chunk out of sequence is refused, and its octets stay in the stream."""
    return b"503 5.5.1 bad sequence of commands\r\n" if verb == "BDAT" and s.state != "rcpt" else None


def _wrapped(line: bytes) -> bytes:
    """Chunk sizes are kept in 32 bits."""
    match = re.fullmatch(rb"(?i)BDAT (\d+)(.*)", line)
    return b"BDAT %d%s" % (int(match[1]) & 0xFFFFFFFF, match[2]) if match else line


def _late(s: Any, verb: str, rest: bytes) -> bytes | None:
    """The reply to a chunk is sent before its octets have come."""
    match = _CHUNK.fullmatch(rest)
    if verb != "BDAT" or s.state != "rcpt" or not match or not int(match[1]) or len(s.buffer) >= int(match[1]):
        return None
    return b"250 2.0.0 ok\r\n"


def _lenient(line: bytes) -> bytes:
    """What is behind the size is not looked at, and a size without digits is zero."""
    match = re.fullmatch(rb"(?i)BDAT ?[+-]?(\d*)(.*)", line)
    return b"BDAT %d%s" % (int(match[1] or b"0"), b" LAST" if match[2] else b"") if match else line


def _kept_chunks(s: Any, verb: str, rest: bytes) -> bytes | None:
    """RSET forgets the envelope, but not the chunks."""
    if verb == "RSET":
        s.memory["chunks"] = bytes(s.mail.chunks)
    elif verb == "BDAT" and s.memory.get("chunks"):
        s.mail.chunks[:0] = s.memory.pop("chunks")
    return None


def _dots(s: Any, octets: bytes, sent: bytes) -> bytes:
    return octets.replace(b"\r\n.", b"\r\n")


def _data_after_chunk(s: Any, verb: str, rest: bytes) -> bytes | None:
    if verb == "DATA":
        s.mail.chunked = False
    return None


def _data_for_binary(s: Any, verb: str, rest: bytes) -> bytes | None:
    if verb == "DATA":
        s.mail.body = "7BIT"
    return None


def _empty_last(s: Any, verb: str, rest: bytes) -> bytes | None:
    return b"501 5.5.4 a chunk is not empty\r\n" if verb == "BDAT" and rest.startswith(b"0 ") else None


def _parameter(pattern: bytes, octets: bytes) -> Hook:
    return _says("MAIL", octets, lambda s, rest: re.search(pattern, rest) is not None)


def _unparsed(pattern: bytes) -> Hook:
    """A parameter that should be refused is dropped from the line."""
    return {"command": lambda s, line: re.sub(pattern, b"", line) if line.upper().startswith(b"MAIL") else line}


def _keeps(*names: str) -> Hook:
    """TLS leaves something of what was known before: ``kept`` is greeted, client, user, mail."""

    def secured(s: Any, kept: tuple[Any, ...]) -> None:
        for name, value in zip(("greeted", "client", "user", "mail"), kept, strict=True):
            if name in names:
                setattr(s, name, value)

    return {"secured": secured, "states": lambda s, allowed, v: allowed | {"mail", "rcpt"} if v == "STARTTLS" else allowed}


def _always_offered(s: Any, words: list[str]) -> list[str]:
    return [*words, "STARTTLS"] if s.tls else words


def _swapped(s: Any, octets: bytes, verb: str) -> bytes:
    """Of a group's replies RSET's overtakes."""
    if verb == "RSET" and s.out:
        earlier = bytes(s.out)
        s.out.clear()
        return octets + earlier
    return octets


def _merged(s: Any, octets: bytes, verb: str) -> bytes:
    """NOOP in a group gets no reply."""
    return b"" if verb == "NOOP" and s.out else octets




_FIVE = b"555 5.5.4 parameter not known\r\n"
_ARGUMENT = b"501 5.5.4 syntax error\r\n"
_OK = b"250 2.0.0 ok\r\n"

_TABLE: tuple[tuple[str, str, str, Hook], ...] = (
    ("pipelining-parameter", "rfc2920/3.2/keyword-without-parameters", "PIPELINING carries a parameter",
     _keyword("PIPELINING", "PIPELINING 100")),
    ("pipelining-order", "rfc2920/3.2/order", "The reply to RSET overtakes", {"reply": _swapped}),
    ("pipelining-swallowed", "rfc2920/3.2/one-reply-each", "NOOP in a group gets no reply", {"reply": _merged}),
    ("pipelining-flushed", "rfc2920/3.2/no-flush-of-input", "Input behind a refused recipient is lost", _flush(b"RCPT")),
    ("chunking-parameter", "rfc3030/2/chunking-without-parameters", "CHUNKING carries a parameter",
     _keyword("CHUNKING", "CHUNKING 1")),
    ("chunking-unread", "rfc3030/2/refused-chunk-consumed", "A refused chunk runs as commands", {"instead": _unread}),
    ("chunking-wrapped", "rfc3030/2/exact-octets", "Chunk sizes are kept in 32 bits",
     {"command": lambda s, line: _wrapped(line)}),
    ("chunking-early", "rfc3030/2/reply-per-chunk", "The reply comes before the octets", {"instead": _late}),
    ("chunking-lenient", "rfc3030/2/size-syntax", "Sizes without digits, and any word behind them, are taken",
     {"command": lambda s, line: _lenient(line)}),
    ("chunking-no-size", "rfc3030/2/missing-size", "BDAT without a size is taken",
     _says("BDAT", _OK, lambda s, rest: not rest.strip())),
    ("chunking-rset", "rfc3030/2/rset-discards", "RSET keeps the chunks", {"instead": _kept_chunks}),
    ("chunking-dots", "rfc3030/2/no-dot-handling", "Dots of chunks are taken off", {"content": _dots}),
    ("chunking-data", "rfc3030/2/data-and-bdat", "DATA is taken after BDAT", {"instead": _data_after_chunk}),
    ("chunking-empty-last", "rfc3030/2/zero-last", "BDAT 0 LAST is refused", {"instead": _empty_last}),
    ("chunking-case", "rfc3030/2/case", "last in lower case is not known",
     _says("BDAT", _ARGUMENT, lambda s, rest: b"last" in rest)),
    ("chunking-lost", "rfc3030/2/last-ends", "A message of chunks is not delivered",
     {"content": lambda s, octets, sent: None if s.verb == "BDAT" else octets}),
    ("binarymime-alone", "rfc3030/3/binarymime-needs-chunking", "BINARYMIME is offered without CHUNKING",
     {"capabilities": lambda s, words: [word for word in words if word != "CHUNKING"]}),
    ("binarymime-refused", "rfc3030/3/body-binarymime", "BODY=BINARYMIME is refused", _parameter(rb"BINARYMIME", _FIVE)),
    ("binarymime-data", "rfc3030/3/data-with-binarymime", "DATA goes with BINARYMIME", {"instead": _data_for_binary}),
    ("binarymime-nul", "rfc3030/3/octets-kept", "NUL gets lost", _content(lambda octets: octets.replace(b"\0", b""))),
    ("starttls-parameter", "rfc3207/4/keyword-without-parameters", "STARTTLS carries a parameter",
     _keyword("STARTTLS", "STARTTLS REQUIRED")),
    ("starttls-argument", "rfc3207/4/no-parameters", "An argument is taken",
     {"command": lambda s, line: line[:8] if line.upper().startswith(b"STARTTLS ") else line}),
    ("starttls-again", "rfc3207/4.2/not-offered-under-tls", "STARTTLS is still offered inside TLS",
     {"capabilities": _always_offered}),
    ("starttls-twice", "rfc3207/4/second-starttls", "STARTTLS inside TLS gets 220",
     _says("STARTTLS", b"220 2.0.0 go ahead\r\n", lambda s, rest: bool(s.tls))),
    ("starttls-keeps-name", "rfc3207/4.2/state-discarded", "EHLO from before TLS still counts", _keeps("greeted", "client")),
    ("starttls-keeps-mail", "rfc3207/4.2/transaction-discarded", "The transaction survives the handshake",
     _keeps("greeted", "client", "mail")),
    ("starttls-keeps-buffer", "rfc3207/4.2/input-discarded", "Octets from the clear run inside TLS",
     {"clear_buffer": lambda s, nothing, octets: bytearray(octets)}),
    ("starttls-refused", "rfc3207/4/ready", "starttls in lower case is not known",
     {"command": lambda s, line: b"XSTARTTLS" if line == b"starttls" else line}),
    ("size-parameter", "rfc1870/3/keyword-parameter", "SIZE carries a unit",
     {"capabilities": lambda s, words: ["SIZE 20M" if word.startswith("SIZE ") else word for word in words]}),
    ("size-refused", "rfc1870/4/size-accepted", "SIZE=0 is refused", _parameter(rb"SIZE=0\b", _ARGUMENT)),
    ("size-case", "rfc1870/4/case", "size in lower case is not known", _parameter(rb" size=", _FIVE)),
    ("size-junk", "rfc1870/6.1/not-number", "A value that is no number is not looked at",
     _unparsed(rb"(?i) SIZE=\d*[^\d ]\S*")),
    ("size-empty", "rfc1870/6.1/no-value", "An empty value is taken", _unparsed(rb"(?i) SIZE=$")),
    ("8bitmime-parameter", "rfc6152/2/keyword-without-parameters", "8BITMIME carries a parameter",
     _keyword("8BITMIME", "8BITMIME YES")),
    ("8bitmime-refused", "rfc6152/2/body-8bitmime", "BODY=8BITMIME is refused", _parameter(rb"BODY=8BITMIME", _FIVE)),
    ("7bit-refused", "rfc6152/2/body-7bit", "BODY=7BIT is refused", _parameter(rb"BODY=7BIT", _FIVE)),
    ("8bitmime-case", "rfc6152/2/case", "body= in lower case is not known", _parameter(rb" body=| BODY=8bit", _FIVE)),
    ("8bitmime-value", "rfc6152/2/unknown-value", "Any BODY value is taken", _unparsed(rb" BODY=9BIT")),
    ("8bitmime-stripped", "rfc6152/3/octets-kept", "The high bit gets lost",
     _content(lambda octets: bytes(octet & 0x7F for octet in octets))),
    ("auth-gssapi-text", "rfc4752/3/client-first", "The challenge of GSSAPI is a text",
     _mechanism("GSSAPI", b"334 GSSAPI supported\r\n")),
)  # fmt: skip


FAULTS = [Fault(f"ext-{name}", requirement, summary, "smtp", hooks) for name, requirement, summary, hooks in _TABLE]
FAULTS += [
    Fault("ext-size-actual", "rfc1870/6.2/actual-size-refused", "The announced size is not kept", "smtp",
          {"capabilities": lambda s, words: ["SIZE 100000" if word.startswith("SIZE ") else word for word in words]}),
]  # fmt: skip
