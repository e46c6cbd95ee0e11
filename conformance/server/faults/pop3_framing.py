"""Faults of POP3 in how octets become commands, and commands answers (RFC 1939 section 3, RFC 2449 sections 4 and 6.6)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from conformance.server.faults._tools import Hooks
from conformance.server.faults._tools import line as _read
from conformance.server.faults.pop3_sessions import _splits_long_lines, pop
from conformance.server.pop3 import STATES

_R = "rfc1939/"


def _received(change: Callable[[bytes], bytes]) -> Hooks:
    """What comes in is changed, but for the responses of an exchange."""
    return {"received": lambda s, octets: octets if s.exchange else change(octets)}


def _rewrite(pattern: bytes, new: bytes) -> Hooks:
    return _read(lambda line: re.sub(pattern, new, line))


def _bare_cr(session: Any, octets: bytes) -> bytes:
    """A CR ends a line; the LF after it is dropped, be it in another segment."""
    if session.exchange:
        return octets
    if session.memory.pop("cr", False):
        octets = octets.removeprefix(b"\n")
    session.memory["cr"] = octets.endswith(b"\r")
    return re.sub(rb"\r\n?", b"\r\n", octets)


def _bare_lf(session: Any, octets: bytes) -> bytes:
    before = session.memory.get("lf", b"")
    session.memory["lf"] = octets[-1:]
    if before == b"\r" and octets.startswith(b"\n"):
        return b"\n" + re.sub(rb"(?<!\r)\n", b"\r\n", octets[1:])
    return re.sub(rb"(?<!\r)\n", b"\r\n", octets)


def _echo(session: Any, octets: bytes, verb: str) -> bytes:
    """An answer to something long repeats all of it, and more."""
    said = session.memory.get("said", b"").strip()
    one_line = octets.endswith(b"\r\n") and octets.count(b"\r\n") == 1
    return octets[:-2] + b", you said: " + said[:300] * 2 + b"\r\n" if one_line and len(said) > 200 and verb != "PASS" else octets


def _notes_said(session: Any, octets: bytes) -> bytes:
    session.memory["said"] = octets
    return octets


def _unknown_is_noop(session: Any, verb: str, rest: bytes) -> bytes | None:
    plain = verb.isascii() and verb.isprintable() and 0 < len(verb) < 20
    return b"+OK\r\n" if plain and verb not in STATES and verb not in ("XYZ", "XYZZ", "XLANG", "XMARK") else None


def _only_at_the_right_place(session: Any, octets: bytes, verb: str) -> bytes:
    """After a refusal the session ends: programmers' habit of giving up on errors."""
    logins = ("USER", "PASS", "APOP", "AUTH") if session.state == "authorization" else ()
    if octets.startswith(b"-ERR") and (verb not in logins or octets.startswith(b"-ERR wrong number")) and verb in STATES:
        session.closing = True
    return octets


def _drops_batch(session: Any, octets: bytes, verb: str) -> bytes:
    if octets.startswith(b"-ERR"):
        session.buffer.clear()
    return octets


def _deletes_later(session: Any, verb: str) -> None:
    """DELE in a batch is put off until the batch is over."""
    if verb == "DELE" and session.buffer:
        session.deleted.clear()


def _digits(line: bytes) -> bytes:
    """Whatever Unicode calls a digit is one."""
    text = line.decode("utf-8", "replace")
    return "".join(str(unicodedata.digit(c, -1)) if unicodedata.digit(c, -1) >= 0 else c for c in text).encode()


def _octal(line: bytes) -> bytes:
    return re.sub(rb" 0([0-7]+)$", lambda m: b" %d" % int(m[1], 8), line)


def _python_number(line: bytes) -> bytes:
    """int() takes underscores, and quotes are stripped first."""
    return re.sub(rb'^(\w+) "?([0-9_]+)"?$', lambda m: m[1] + b" %d" % int(m[2].replace(b"_", b"")), line)


def _first_by_mistake(line: bytes) -> bytes:
    """atoi() of a word is 0, and 0 is the first of an array."""
    return re.sub(rb"^(RETR|LIST|DELE|UIDL|TOP) ([a-z]+|[*])(?= |$)", rb"\1 1", line)


FAULTS = [
    pop("pop3-segment-is-command", _R + "3/commands-end-in-crlf", "whatever a segment brings is a whole command", _received(lambda o: o if o.endswith(b"\r\n") else o.rstrip(b"\r\n") + b"\r\n")),
    pop("pop3-bare-cr", _R + "3/commands-end-in-crlf", "a bare carriage return ends a command", {"received": _bare_cr}),
    pop("pop3-bare-lf", _R + "3/bare-lf-is-no-command-end", "a bare line feed ends a command", {"received": _bare_lf}),
    pop("pop3-line-split-128", "rfc2449/4/command-of-255-octets", "what exceeds 128 octets is the next command", _splits_long_lines(128)),
    pop("pop3-unknown-is-noop", _R + "3/unknown-command", "a command that nobody knows is taken as NOOP", {"instead": _unknown_is_noop}),
    pop("pop3-answer-repeats-command", "rfc2449/4/response-of-512-octets", "an answer to something long repeats it twice", {"received": _notes_said, "reply": _echo}),
    pop("pop3-overlong-ignored", _R + "3/invalid-syntax", "a line that is too long is thrown away without an answer", {"reply": lambda s, o, v: b"" if o.startswith(b"-ERR the line is too long") else o}),
    pop("pop3-leading-space", _R + "3/single-space-separates", "blanks before the keyword are skipped", _read(lambda line: line.lstrip(b" "))),
    pop("pop3-control-octets-skipped", _R + "3/invalid-syntax", "control octets and octets beyond ASCII are skipped", _read(lambda line: re.sub(rb"[^ -~]", b"", line))),
    pop("pop3-number-of-the-language", _R + "3/invalid-syntax", "a number may hold underscores, and stand in quotes", _read(_python_number)),
    pop("pop3-number-octal", _R + "4/decimal", "a leading zero makes a number octal", _read(_octal)),
    pop("pop3-foreign-digits", _R + "3/invalid-syntax", "digits of any script are digits", _read(_digits)),
    pop("pop3-word-is-first", _R + "3/invalid-syntax", "a word in place of a message number is the first message", _read(_first_by_mistake)),
    pop("pop3-number-hex", _R + "3/invalid-syntax", "a number may be hexadecimal, or have a fraction", _rewrite(rb"^(RETR|LIST|DELE|UIDL) (?:0x0*([0-9])|([0-9]+)[.][0-9]*)$", rb"\1 \2\3")),
    pop("pop3-top-count-letters", _R + "7/top-line-count-not-negative", "letters in the line count of TOP are skipped", _read(lambda line: re.sub(rb"^(TOP [0-9]+) ([0-9]*)[a-z]+$", lambda m: m[1] + b" " + (m[2] or b"0"), line))),
    pop("pop3-extra-arguments", _R + "3/excess-arguments", "arguments too many of RSET, TOP and USER are ignored", _rewrite(rb"^(RSET|TOP [^ ]+ [^ ]+|USER [^ ]+) .*", rb"\1")),
    pop("pop3-dot-after-one-line", _R + "3/one-response-per-command", "a dot follows the answers to STAT and RSET", {"reply": lambda s, o, v: o + b".\r\n" if v in ("STAT", "RSET") and o.startswith(b"+OK") else o}),
    pop("pop3-auth-after-user-hangs", _R + "3/one-response-per-command", "AUTH after USER is not answered", {"instead": lambda s, v, r: b"" if v == "AUTH" and s.name else None}),
    pop("pop3-user-again-hangs", _R + "7/user-not-after-success", "USER after USER is not answered", {"instead": lambda s, v, r: b"" if v == "USER" and s.name else None}),
    pop("pop3-error-ends-session", _R + "3/error-keeps-session", "a refused command ends the session", {"reply": _only_at_the_right_place}),
    pop("pop3-late-auth-and-stls", _R + "3/authorization-command-in-transaction", "AUTH and STLS are accepted after the login", {"instead": lambda s, v, r: (b"+ \r\n" if v == "AUTH" else b"+OK begin\r\n") if v in ("AUTH", "STLS") and s.box else None}),
    pop("pop3-error-drops-batch", "rfc2449/6.6/pipelined-commands-in-turn", "what was sent together with a refused command is dropped", {"reply": _drops_batch}),
    pop("pop3-login-drops-batch", "rfc2449/6.6/pipelined-commands-in-turn", "what was sent together with PASS is dropped", {"after": lambda s, v: s.buffer.clear() if v == "PASS" else None}),
    pop("pop3-dele-after-batch", "rfc2449/6.6/pipelined-commands-in-turn", "DELE takes effect once nothing waits to be read", {"after": _deletes_later}),
    pop("pop3-auth-line-of-100", "rfc5034/4/initial-response", "an AUTH command of more than 100 octets is refused", {"command": lambda s, line: b"AUTH TOO LONG" if line[:5].upper() == b"AUTH " and len(line) > 100 else line}),
]  # fmt: skip
