"""STARTTLS: RFC 3207."""

from __future__ import annotations

from conformance.server.extensions import GREETED, Extension, Verb


class StartTls(Extension):
    rank = 40
    services = frozenset({"smtp", "submission", "smtps", "odmr"})
    verbs = {"STARTTLS": Verb("starttls", GREETED)}

    def offer(self) -> str | None:
        return None if self.session.tls else "STARTTLS"

    def starttls(self, text: str) -> None:
        session = self.session
        if session.greeted != "EHLO":
            session.say("503", "5.5.1", "STARTTLS is for ESMTP sessions")
        elif text:
            session.say("501", "5.5.4", "STARTTLS takes no argument")  # RFC 3207 section 4
        elif session.tls:
            session.say("503", "5.5.1", "TLS is on already")
        else:
            session.say("220", "2.0.0", "go ahead")
            session.starttls = True


EXTENSIONS = [StartTls]
