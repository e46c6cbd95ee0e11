"""X-LINK2STATE: link states between two Exchange servers, in chunks (KB 812455). They are taken, and not kept.

No public source gives the replies, so these are RFC 5321's.
"""

from __future__ import annotations

import re

from conformance.server.extensions import Extension, Verb
from conformance.server.extensions.exchange_auth import EXCHANGE

_CHUNK = re.compile(r"(?:(FIRST|NEXT|LAST) )?CHUNK=.*\Z", re.I)
COMMAND = 1024  # octets, CRLF included; the replies' bound too


class Link2State(Extension):
    rank = 45
    profiles = EXCHANGE
    services = frozenset({"smtp"})
    verbs = {"X-LINK2STATE": Verb("link2state", long=True)}
    begun = False  # a FIRST came, and no LAST yet

    def offer(self) -> str:
        return "X-LINK2STATE"

    def link2state(self, text: str) -> None:
        session = self.session
        match = _CHUNK.match(text)
        mark = (match[1] or "").upper() if match else ""
        if len("X-LINK2STATE ") + len(text) + 2 > COMMAND:
            session.say("500", "5.5.2", "line too long")
        elif not session.user:
            session.say("530", "5.7.0", "authentication required")  # since MS05-021
        elif not match:
            session.say("501", "5.5.4", "X-LINK2STATE [FIRST|NEXT|LAST] CHUNK=data")
        elif mark in ("", "NEXT") and not self.begun:
            session.say("503", "5.5.1", "FIRST comes first")
        else:
            self.begun = mark != "LAST"
            session.say("250", "2.0.0", "chunk taken")

    def secured(self) -> None:
        self.begun = False


EXTENSIONS = [Link2State]
