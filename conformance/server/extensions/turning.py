"""ETRN (RFC 1985), ATRN (RFC 2645) and TURN (RFC 821), and the mail that waits for them."""

from __future__ import annotations

from conformance.server.extensions import GREETED, Extension, Verb
from conformance.server.queue import Held
from conformance.server.relay import Relay
from conformance.server.smtp_grammar import domain_ok
from conformance.server.transaction import Recipient, Transaction, received


class Hold(Extension):
    """Mail for a customer's domain is held until it is asked for: RFC 2645 section 4."""

    services = frozenset({"smtp", "submission", "smtps"})

    def accepted(self, mail: Transaction, octets: bytes) -> None:
        session = self.session
        found: dict[str, list[Recipient]] = {}
        for recipient in mail.recipients:
            if session.world.customer(recipient.path.domain):
                found.setdefault(recipient.path.domain.lower(), []).append(recipient)
        for domain, recipients in found.items():
            kind = "ESMTP" if session.greeted == "EHLO" else "SMTP"
            trace = received(
                mail, recipients[0].path, client=session.client, peer=session.peer, host=session.settings.host, kind=kind
            )
            addresses = [one.path.mailbox for one in recipients]
            session.world.queue.add(Held(domain, mail, addresses, trace + octets))


class Turning(Extension):
    """What ATRN and TURN have in common."""

    relay: Relay | None = None

    def turn_roles(self, domains: list[str]) -> None:
        """The success reply is said: from here the session is the client."""
        waiting = self.session.hook("waiting", self.session.world.queue.waiting(domains), domains)
        self.relay = Relay(self.session, waiting)
        self.session.reader = self.relay.advance

    def ended(self) -> None:
        if self.relay:
            self.relay.release()

    def domains(self) -> list[str]:
        """Those that the authenticated account has access to."""
        settings = self.session.settings
        return self.session.hook("domains", [settings.domain, f"{self.session.user}.{settings.dialup}"])  # type: ignore[no-any-return]


class Etrn(Extension):
    rank = 31
    services = frozenset({"smtp"})
    verbs = {"ETRN": Verb("etrn", GREETED)}

    def offer(self) -> str:
        return "ETRN"

    def etrn(self, text: str) -> None:
        """RFC 1985 section 5. The run is noted; whether the node can be reached is another matter."""
        session = self.session
        name = text[1:] if text[:1] in ("@", "#") else text
        if not name or (text[:1] != "#" and not domain_ok(name)) or " " in name:
            session.say("501", "5.5.4", "ETRN [@|#]node")
            return
        ours = f".{name.lower()}".endswith(f".{session.settings.domain}")
        if not ours and text[:1] != "#":
            session.say("459", "5.7.1", "that node is not allowed")
            return
        queue = session.world.queue
        count = queue.under(name) if text[:1] == "@" else len(queue.waiting([name]))
        if text[:1] == "#" or not count:
            session.say("251", "2.0.0", f"no messages are waiting for {name}")
        else:
            session.say("253", "2.0.0", f"{count} pending messages for {name} started")


class Atrn(Turning):
    rank = 31
    services = frozenset({"odmr"})
    verbs = {"ATRN": Verb("atrn", GREETED)}

    def offer(self) -> str:
        return "ATRN"

    def atrn(self, text: str) -> None:
        """RFC 2645 section 5.2.1."""
        session = self.session
        if not session.user:
            session.say("530", "5.7.0", "authentication required")
            return
        domains = [one.lower() for one in text.split(",")] if text else self.domains()
        if any(not domain_ok(one) or "." not in one or one.startswith("[") for one in domains):
            session.say("501", "5.5.4", "ATRN [domain{,domain}]")
        elif not set(domains) <= set(self.domains()):
            session.say("450", "4.7.0", "not your domain")
        elif not session.world.queue.waiting(domains) and not session.settings.empty_turn:
            session.say("453", "4.0.0", "you have no mail")
        else:
            session.say("250", "2.0.0", "now reversing the connection")
            self.turn_roles(domains)


class Turn(Turning):
    """RFC 5321 appendix F.1: only for a client that was authenticated, and by default not even then."""

    verbs = {"TURN": Verb("turn", bare=True)}

    def turn(self, text: str) -> None:
        session = self.session
        if not (session.settings.turn or session.world.profile == "exchange") or self.session.service == "odmr":
            session.say("502", "5.5.1", "not here")
        elif session.state not in ("new", "greeted"):
            session.say("503", "5.5.1", "a transaction is open")
        elif not session.user:
            session.say("502", "5.5.1", "not without authentication")
        else:
            session.say("250", "2.0.0", "now reversing the connection")
            self.turn_roles(self.domains()[1:])


EXTENSIONS = [Hold, Etrn, Atrn, Turn]
