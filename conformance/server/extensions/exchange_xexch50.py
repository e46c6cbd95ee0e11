"""XEXCH50: message properties between two Exchange servers (KB 812455, KB 843106). They are taken, and not kept."""

from __future__ import annotations

import re

from conformance.server.extensions import Extension, Verb
from conformance.server.extensions.exchange_auth import EXCHANGE

_ARGUMENTS = re.compile(r"([0-9]{1,10}) [0-9]{1,10}\Z")  # the size of the blob, and a number that nobody explains
COMMAND = 50  # octets, CRLF included
LARGEST = 1 << 30


class Xexch50(Extension):
    rank = 46
    profiles = EXCHANGE
    services = frozenset({"smtp"})
    verbs = {"XEXCH50": Verb("xexch50")}

    def offer(self) -> str:
        return "XEXCH50"

    def xexch50(self, text: str) -> None:
        """Every reply is at most 40 octets long."""
        session = self.session
        match = _ARGUMENTS.match(text)
        if not session.user:
            session.say("504", "5.7.4", "Need to authenticate first")
        elif session.state != "rcpt" or session.mail.chunked:
            session.say("503", "5.5.1", "after RCPT, before data")
        elif len("XEXCH50 ") + len(text) + 2 > COMMAND:
            session.say("500", "5.5.2", "line too long")
        elif not match:
            session.say("501", "5.5.4", "XEXCH50 size number")
        elif int(match[1]) > LARGEST:
            session.say("552", "5.3.4", "too big")
        else:
            session.say("354", "", "Send binary data")
            session.expect_octets(int(match[1]), lambda octets: None, self._taken)

    def _taken(self) -> None:
        self.session.verb = "XEXCH50."
        self.session.say("250", "2.0.0", "XEXCH50 OK")


EXTENSIONS = [Xexch50]
