"""AUTH: RFC 4954. The mechanisms are in conformance/server/sasl.py."""

from __future__ import annotations

import base64

from conformance.server import sasl
from conformance.server.extensions import GREETED, Extension, Verb
from conformance.server.smtp_grammar import Syntax
from conformance.server.transaction import Transaction


class Auth(Extension):
    word = "AUTH"
    rank = 41
    profiles = frozenset({"default"})  # exchange_auth.py has Exchange's
    services = frozenset({"smtp", "submission", "smtps", "odmr"})
    verbs = {"AUTH": Verb("auth", GREETED, long=True)}
    mail_parameters = {"AUTH": "mail_auth"}

    def mechanisms(self) -> tuple[str, ...]:
        """Those on offer in the present phase."""
        anonymous = self.session.service == "smtp"  # who sends mail there need not log in anyway
        plaintext = self.session.settings.plaintext_auth
        return sasl.offered(self.session.channel, plaintext=plaintext, anonymous=anonymous)

    def offer(self) -> str | None:
        return None if self.session.user else "AUTH " + " ".join(self.mechanisms())

    def mail_auth(self, mail: Transaction, value: str | None) -> None:
        """RFC 4954 section 5. No client is trusted to name another submitter, so the value counts for nothing."""
        if value is None:
            raise Syntax("501", "5.5.4", "AUTH wants an address or <>")

    def auth(self, text: str) -> None:
        name, _blank, initial = text.partition(" ")
        name, session = name.upper(), self.session
        if session.greeted != "EHLO":
            session.say("503", "5.5.1", "EHLO first")
        elif session.user:
            session.say("503", "5.5.1", "authenticated already")
        elif not name:
            session.say("501", "5.5.4", f"{self.word} wants a mechanism")
        elif name not in self.mechanisms():
            session.say("504", "5.5.4", "no such mechanism")
        else:
            session.exchange = self._exchange(name)
            self._authenticate(initial.encode() if initial else None)

    def _exchange(self, name: str) -> sasl.SaslExchange:
        session = self.session
        return sasl.SaslExchange(name, session.world.accounts, session.settings.host, session.channel)

    def _shown(self, challenge: bytes) -> bytes:
        """What stands after 334."""
        return base64.b64encode(challenge)

    def _response(self, line: bytes, overlong: bool) -> None:
        self.session.verb = self.word
        line = self.session.hook("response", line)
        if overlong or len(line) > self.session.settings.auth_line - 2:
            self.session.say("500", "5.5.6", "the response is too long")
        elif line == b"*":
            self.session.say("501", "5.7.0", "cancelled")
        else:
            self._authenticate(line)

    def _authenticate(self, text: bytes | None) -> None:
        session = self.session
        assert session.exchange is not None
        try:
            response = None if text is None else sasl.decode(text)
            kind, value = session.exchange.step(response)
        except sasl.Malformed as error:
            session.say("501", "5.7.0" if isinstance(error, sasl.ServerFirst) else "5.5.2", str(error))
        except sasl.Refused:
            session.say("535", "5.7.8", "wrong credentials")
        else:
            if kind == "challenge":
                assert isinstance(value, bytes)
                session.put(b"334 " + self._shown(value) + b"\r\n")
                session.expect_line(session.settings.auth_line, self._response)
            else:
                session.user = str(value)
                session.say("235", "2.7.0", "authenticated")


EXTENSIONS = [Auth]
