"""Faults in SMTPUTF8: RFC 6531."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks
from conformance.server.faults._tools import turns as _turns
from conformance.server.faults.dsn import refuses, takes

_EIGHT = rb"[\x80-\xff]"
_ASKED = re.compile(rb"(?i) SMTPUTF8")
_SYNTAX = b"501 5.1.7 bad sender address\r\n"
_RIGHT = b"250 2.1.0 sender ok\r\n"


def _keyword(change: Callable[[list[str]], list[str]]) -> Hooks:
    return {"capabilities": lambda s, words: change(words)}


def _sender(when: Callable[[str], bool]) -> Hooks:
    """Such senders are a syntax error, though the parameter is given."""

    def instead(s: Any, verb: str, rest: bytes) -> bytes | None:
        found = re.search(r"<(.*)>", rest.decode("utf-8", "replace"))
        asked = verb == "MAIL" and found and _ASKED.search(rest) and not found[1].isascii()
        return _SYNTAX if asked and found and when(found[1]) else None

    return {"instead": instead}


def _decoded(errors: str) -> Hooks:
    """A MAIL that is not UTF-8 is taken where a lenient decoder makes something of it."""

    def instead(s: Any, verb: str, rest: bytes) -> bytes | None:
        if verb != "MAIL":
            return None
        try:
            rest.decode("utf-8")
        except UnicodeDecodeError:
            try:
                rest.decode("utf-8", errors)
            except UnicodeDecodeError:
                return None
            return _RIGHT
        return None

    return {"instead": instead}


def _overlong(s: Any, verb: str, rest: bytes) -> bytes | None:
    return _RIGHT if verb == "MAIL" and re.search(rb"[\xc0\xc1][\x80-\xbf]", rest) else None


def _recipient_sticks(s: Any, verb: str, rest: bytes) -> bytes | None:
    """Once the parameter was given, non-ASCII recipients are taken in the whole session."""
    if verb == "MAIL" and _ASKED.search(rest):
        s.memory["utf8 once"] = True
    elif verb == "RCPT" and re.search(_EIGHT, rest) and s.memory.get("utf8 once") and not s.mail.utf8:
        return b"250 2.1.5 recipient ok\r\n"
    return None


def _unasked_recipient(s: Any, verb: str, rest: bytes) -> bytes | None:
    return b"250 2.1.5 recipient ok\r\n" if verb == "RCPT" and re.search(_EIGHT, rest) and not s.mail.utf8 else None


def _echo(s: Any, verb: str, rest: bytes) -> bytes | None:
    """The refusal of a recipient repeats it."""
    if verb != "RCPT" or not re.search(_EIGHT, rest) or s.mail.utf8:
        return None
    return b"553 5.1.3 " + rest[3:] + b" is not ASCII\r\n"


def _delivered(change: Callable[[bytes, bytes], bytes]) -> Hooks:
    """What a transaction with the parameter delivers, and what was sent."""
    return {"content": lambda s, octets, sent: change(octets, sent) if s.mail.utf8 else octets}


def _header(change: Callable[[bytes], bytes]) -> Hooks:
    def changed(octets: bytes, sent: bytes) -> bytes:
        header, blank, content = octets.partition(b"\r\n\r\n")
        return change(header) + blank + content

    return _delivered(changed)


def _marked(octets: bytes, sent: bytes) -> bytes:
    header, blank, content = octets.partition(b"\r\n\r\n")
    return header + blank + b"\xef\xbb\xbf" + content


_TABLE: tuple[tuple[str, str, str, Hooks], ...] = (
    ("keyword", "3.1/keyword-without-parameter", "The keyword has a parameter",
     _keyword(lambda words: ["SMTPUTF8 UTF8" if word == "SMTPUTF8" else word for word in words])),
    ("without-8bitmime", "3.1/announces-8bitmime", "8BITMIME is not offered with it",
     _keyword(lambda words: [word for word in words if word != "8BITMIME"])),
    ("needs-body", "3.1/parameter-accepted", "The parameter wants BODY=8BITMIME beside it",
     refuses("MAIL", rb"(?i)<[\x21-\x7e]*> SMTPUTF8$", b"501 5.5.4 BODY=8BITMIME is missing\r\n")),
    ("lower-case", "3.1/parameter-accepted", "The parameter in lower case is unknown",
     refuses("MAIL", rb" smtputf8", b"555 5.5.4 not known\r\n")),
    ("null-sender", "3.1/parameter-accepted", "The null sender may not have the parameter",
     refuses("MAIL", rb"<> SMTPUTF8", b"501 5.5.4 not with <>\r\n")),
    ("not-with-body", "3.6/with-8bitmime", "The parameter does not go with BODY=8BITMIME",
     refuses("MAIL", rb"BODY=8BITMIME SMTPUTF8|SMTPUTF8 BODY=8BITMIME", b"501 5.5.4 one or the other\r\n")),
    ("not-with-binary", "3.6/with-binarymime", "The parameter does not go with BODY=BINARYMIME",
     refuses("MAIL", rb"BODY=BINARYMIME SMTPUTF8", b"501 5.5.4 one or the other\r\n")),
    ("value", "3.4/no-value", "The parameter takes any value", takes("MAIL", rb" SMTPUTF8=")),
    ("sender-refused", "3.2/utf8-mailbox-accepted", "A non-ASCII sender is a syntax error with the parameter too",
     _sender(lambda path: True)),
    ("latin-only", "3.2/utf8-mailbox-accepted", "Only the characters of Latin-1 are known", _sender(lambda path: max(path) > "\xff")),
    ("three-octets", "3.2/utf8-mailbox-accepted", "Characters of four octets are not known", _sender(lambda path: max(path) > "\uffff")),
    ("quoted-ascii", "3.2/utf8-mailbox-accepted", "A quoted local part is to be ASCII", _sender(lambda path: path.startswith('"'))),
    ("domain-ascii", "3.2/utf8-mailbox-accepted", "A domain is to be ASCII",
     _sender(lambda path: not path.rpartition("@")[2].isascii())),
    ("recipient-refused", "3.2/utf8-mailbox-accepted", "A non-ASCII recipient is a syntax error with the parameter too",
     refuses("RCPT", _EIGHT, b"501 5.1.3 bad recipient address\r\n")),
    ("recipient-unparsed", "3.2/utf8-mailbox-accepted", "A non-ASCII recipient is a malformed path with the parameter too",
     {"instead": lambda s, v, rest: b"553 5.1.3 malformed address\r\n" if v == "RCPT" and re.search(_EIGHT, rest) and s.mail.utf8 else None}),
    ("sender-unasked", "3.4/needs-parameter", "A non-ASCII sender needs no parameter", takes("MAIL", _EIGHT + rb"[^ ]*>$")),
    ("recipient-unasked", "3.4/needs-parameter", "A non-ASCII recipient needs no parameter", {"instead": _unasked_recipient}),
    ("recipient-sticks", "3.4/one-transaction", "Recipients of later transactions may be non-ASCII too", {"instead": _recipient_sticks}),
    ("not-checked", "3.3/utf8-well-formed", "What is not UTF-8 is replaced", _decoded("replace")),
    ("surrogates", "3.3/utf8-well-formed", "Surrogates are taken", _decoded("surrogatepass")),
    ("overlong", "3.3/utf8-well-formed", "Overlong forms are taken", {"instead": _overlong}),
    ("marked", "3.2/unchanged-otherwise", "A byte order mark is put in front of the content", _delivered(_marked)),
    ("header-replaced", "3.6/header-utf8-kept", "Header fields are made ASCII with question marks",
     _header(lambda header: re.sub(rb"[\xc0-\xff][\x80-\xbf]+", b"?", header))),
    ("header-encoded", "3.6/header-utf8-kept", "Subjects become encoded words",
     _header(lambda header: re.sub(rb"(?m)^(Subject: )([^\r]*[\x80-\xff][^\r]*)", rb"\1=?utf-8?q?\2?=", header)
             .decode("ascii", "backslashreplace").replace("\\x", "=").encode())),
    ("trace", "3.7.3/trace-with", "The Received field says ESMTP", _header(lambda header: header.replace(b"with UTF8SMTP", b"with ESMTP", 1))),
    ("vrfy", "3.7.4.2/vrfy-parameter", "VRFY does not know the parameter",
     refuses("VRFY", rb" SMTPUTF8$", b"501 5.5.4 one name\r\n")),
    ("vrfy-value", "3.7.4.2/vrfy-no-value", "VRFY takes the parameter with a value",
     {"instead": lambda s, v, rest: b"250 2.1.5 <alice@example.test>\r\n" if v == "VRFY" and b" SMTPUTF8=" in rest else None}),
    ("refusal-echoed", "3.7.4.2/replies-ascii", "The refusal of a recipient repeats it", {"instead": _echo}),
    ("expn-reply", "3.7.4.2/replies-ascii", "EXPN answers in UTF-8 unasked", _turns("EXPN", b"no such list", "keine Liste für Sie".encode())),
)  # fmt: skip
FAULTS = [Fault(f"utf8-{name}", f"rfc6531/{requirement}", summary, "smtp", hooks) for name, requirement, summary, hooks in _TABLE]
