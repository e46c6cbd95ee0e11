"""Exchange's authentication: AUTH with GSSAPI and NTLM (MS-SMTPNTLM), and X-EXPS, which is AUTH under another name.

KB 812455 calls X-EXPS a proprietary command like AUTH, whose syntax is the mechanism's. Exchange 2003 lists both, each with a
line for parsers that know the mechanisms only behind an equals sign.
"""

from __future__ import annotations

import base64

from conformance.server import sasl
from conformance.server.extensions import GREETED, Extension, Verb
from conformance.server.extensions.auth import Auth
from conformance.server.sasl_spnego import SpnegoExchange

EXCHANGE = frozenset({"exchange"})
_MECHANISMS = ("GSSAPI", "NTLM", "LOGIN")


class OdmrAuth(Auth):
    """Exchange has no ATRN port; this one is RFC 2645's, which wants CRAM-MD5."""

    profiles = EXCHANGE
    services = frozenset({"odmr"})


class _Login(sasl.SaslExchange):
    """LOGIN has no standard; Exchange's clients may put the name into the command."""

    def step(self, response: bytes | None) -> tuple[str, bytes | str]:
        self._begun = self._begun or response is not None
        return super().step(response)


class ExchangeAuth(Auth):
    rank = 43
    profiles = EXCHANGE
    services = frozenset({"smtp", "submission", "smtps"})

    def mechanisms(self) -> tuple[str, ...]:
        known = self.session.channel.identity and self.word == "AUTH"  # by a certificate: RFC 8314 section 4.2
        return (*_MECHANISMS, "EXTERNAL") if known else _MECHANISMS

    def _exchange(self, name: str) -> sasl.SaslExchange:
        if name == "EXTERNAL":
            return super()._exchange(name)
        if name == "LOGIN":
            return _Login(name, self.session.world.accounts, self.session.settings.host)
        # RFC 4752's security layers belong to SASL's GSSAPI, so to AUTH alone.
        return SpnegoExchange(name, self.session.world.accounts, layers=self.word == "AUTH")

    def _shown(self, challenge: bytes) -> bytes:
        """A text for people stands where there is nothing to say yet: MS-SMTPNTLM section 2.2.1."""
        mechanism = self.session.exchange.mechanism if self.session.exchange else ""
        if not challenge and mechanism in ("NTLM", "GSSAPI"):
            return f"{mechanism} supported".encode()
        return base64.b64encode(challenge)


class XExps(ExchangeAuth):
    word = "X-EXPS"
    rank = 41
    verbs = {"X-EXPS": Verb("auth", GREETED, long=True)}
    mail_parameters = {}

    def offer(self) -> str | None:
        return None if self.session.user else "X-EXPS " + " ".join(self.mechanisms())


class _OldLine(Extension):
    profiles = EXCHANGE
    services = ExchangeAuth.services
    word = ""

    def offer(self) -> str | None:
        return None if self.session.user else f"{self.word}=LOGIN"


class XExpsLine(_OldLine):
    word = "X-EXPS"
    rank = 42


class AuthLine(_OldLine):
    word = "AUTH"
    rank = 44


EXTENSIONS = [OdmrAuth, ExchangeAuth, XExps, XExpsLine, AuthLine]
