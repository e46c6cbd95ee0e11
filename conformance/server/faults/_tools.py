"""What several modules of faults are made with. Has no list of faults itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Hooks = dict[str, Callable[..., Any]]


def says(verb: str, octets: bytes, when: Callable[[Any, bytes], bool] = lambda s, rest: True) -> Hooks:
    """In place of the server's reply to ``verb``: ``octets``, where ``when`` holds."""
    return {"instead": lambda s, v, rest: octets if v == verb and when(s, rest) else None}


def turns(verb: str, old: bytes, new: bytes) -> Hooks:
    """In a reply to ``verb`` the octets ``old`` become ``new``."""
    return {"reply": lambda s, octets, v: octets.replace(old, new) if v == verb else octets}


def capabilities(change: Callable[[Any, list[str]], list[str]]) -> Hooks:
    """The EHLO or CAPA list is changed."""
    return {"capabilities": change}


def content(change: Callable[[bytes], bytes | None]) -> Hooks:
    """What is delivered is changed (None: nothing is)."""
    return {"content": lambda s, octets, sent: change(octets)}


def report(old: bytes, new: bytes, flags: int = re.M) -> Hooks:
    """In every notification."""
    return {"report": lambda s, octets, mail, recipients: re.sub(old, new, octets, count=1, flags=flags)}


def instead(verb: str, answer: bytes, state: str = "", rest: bytes | None = None) -> Hooks:
    """The answer to a verb, in one state, with one argument (None: with any)."""

    def found(session: Any, word: str, argument: bytes) -> bytes | None:
        fits = word == verb and (not state or session.state == state) and (rest is None or argument == rest)
        return answer if fits else None

    return {"instead": found}


def reply(verb: str, change: Callable[[bytes], bytes]) -> Hooks:
    """The reply to a verb is changed."""
    return {"reply": lambda s, octets, word: change(octets) if word == verb else octets}


def header_as_sent(octets: bytes, sent: bytes) -> bytes:
    """A message from whose header no dot is taken off."""
    head, blank, _rest = sent.partition(b"\r\n\r\n")
    return head + blank + octets.partition(b"\r\n\r\n")[2] if blank else octets


def line(change: Callable[[bytes], bytes]) -> Hooks:
    """A command is read otherwise than it came."""
    return {"command": lambda s, octets: change(octets)}


def whole_lines(s: Any, octets: bytes) -> bytes:
    """What one read from the socket brings is taken for whole lines, outside of data."""
    return octets if s.reader or octets.endswith(b"\r\n") else octets + b"\r\n"


def forgets_user(s: Any, octets: bytes) -> bytes:
    """A login ends with this."""
    s.user = ""
    return octets


def closes(s: Any, octets: bytes) -> bytes:
    """The server hangs up after this."""
    s.closing = True
    return octets


def keeps_user(s: Any, kept: Any) -> None:
    """TLS does not end a login."""
    s.user = kept[2]
