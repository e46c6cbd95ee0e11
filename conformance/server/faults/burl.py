"""Faults in BURL: RFC 4468."""

from __future__ import annotations

import re
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks as Hook

_OK = b"250 2.5.0 ok\r\n"


def _takes(pattern: bytes, state: str = "") -> Hook:
    return {"instead": lambda s, v, rest: _OK if v == "BURL" and re.search(pattern, rest) and state in ("", s.state) else None}


def _unseen(s: Any, verb: str, rest: bytes) -> bytes | None:
    """A URL that cannot be resolved fails, and the transaction goes on."""
    return b"554 5.6.6 not found\r\n" if verb == "BURL" and s.state == "rcpt" else None


def _forgets(s: Any, verb: str) -> None:
    if verb == "RCPT" and s.buffer.startswith(b"BURL"):
        s.buffer.clear()


def _empty(s: Any, verb: str, rest: bytes) -> bytes | None:
    """What cannot be resolved counts as an empty text."""
    if verb != "BURL" or s.state != "rcpt":
        return None
    s.finish(b"Subject: %s\r\n\r\n\r\n" % rest)
    return b""


_TABLE: tuple[tuple[str, str, str, Hook], ...] = (
    ("keyword", "rfc4468/3.5/keyword-arguments", "The keyword lists pop",
     {"capabilities": lambda s, words: ["BURL imap pop" if word.startswith("BURL") else word for word in words]}),
    ("seven-bit", "rfc4468/4/8bitmime", "8BITMIME is not offered", {"capabilities": lambda s, words: [w for w in words if w != "8BITMIME"]}),
    ("before-login", "rfc4468/3.1/after-login", "BURL needs no login", {"instead": lambda s, v, rest: _OK if v == "BURL" and not s.user else None}),
    ("before-mail", "rfc4468/3.1/after-rcpt", "BURL goes without MAIL", _takes(b"", "greeted")),
    ("before-rcpt", "rfc4468/3.1/after-rcpt", "BURL goes without RCPT", _takes(b"", "mail")),
    ("no-recipients", "rfc4468/3.2/no-recipients", "BURL succeeds without recipients", _takes(b"", "mail")),
    ("any", "rfc4468/3.5/grammar", "BURL takes anything", _takes(b"")),
    ("marker", "rfc4468/3.5/grammar", "BURL takes any marker", _takes(rb"UID=1 (FIRST|LAST LAST)")),
    ("unresolved", "rfc4468/3.2/fetch-fails", "What cannot be resolved is delivered empty", {"instead": _empty}),
    ("goes-on", "rfc4468/3.2/whole-transaction-fails", "The transaction survives a URL that fails", {"instead": _unseen}),
    ("pipelined-lost", "rfc4468/3.2/pipelined", "A BURL that came with the RCPT before it is lost", {"after": _forgets}),
    ("submit-user", "rfc4468/3.3/submit-user", "The user's name in the URL is not looked at", _takes(rb"submit\+not-")),
)  # fmt: skip
FAULTS = [Fault(f"burl-{name}", requirement, summary, "submission", hooks) for name, requirement, summary, hooks in _TABLE]
