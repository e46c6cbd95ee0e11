"""ETRN (RFC 1985), ATRN (RFC 2645) and TURN (RFC 821)."""

from __future__ import annotations

from conformance.server.extensions import GREETED, Extension, Verb
from conformance.server.smtp_grammar import domain_ok


class Etrn(Extension):
    rank = 31
    services = frozenset({"smtp"})
    verbs = {"ETRN": Verb("etrn", GREETED)}

    def offer(self) -> str:
        return "ETRN"

    def etrn(self, text: str) -> None:
        """RFC 1985 section 5. Mail is delivered at once, so no queue ever holds any."""
        name = text[1:] if text[:1] in ("@", "#") else text
        if not name or (text[:1] != "#" and not domain_ok(name)) or " " in name:
            self.session.say("501", "5.5.4", "ETRN [@|#]node")
        elif text[:1] == "#" or name.lower().endswith(self.session.settings.domain):
            self.session.say("251", "2.0.0", "no messages are waiting for that node")
        else:
            self.session.say("459", "5.7.1", "that node is not allowed")


class Atrn(Extension):
    rank = 31
    services = frozenset({"odmr"})
    verbs = {"ATRN": Verb("atrn", GREETED)}

    def offer(self) -> str:
        return "ATRN"

    def atrn(self, text: str) -> None:
        """RFC 2645 section 5.2. Nothing is queued here for a client to fetch, so the roles never turn."""
        session = self.session
        if not session.user:
            session.say("530", "5.7.0", "authentication required")
            return
        domains = text.split(",") if text else []
        if any(not domain_ok(one) or one.startswith("[") for one in domains):
            session.say("501", "5.5.4", "ATRN [domain{,domain}]")
        elif any(one.lower() != session.settings.domain for one in domains):
            session.say("450", "4.7.0", "not your domain")
        else:
            session.say("453", "4.0.0", "you have no mail")


class Turn(Extension):
    verbs = {"TURN": Verb("turn", bare=True)}

    def turn(self, text: str) -> None:
        self.session.say("502", "5.5.1", "not here")  # RFC 5321 appendix F.1


EXTENSIONS = [Etrn, Atrn, Turn]
