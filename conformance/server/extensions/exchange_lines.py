"""Lines of Exchange 2003's EHLO list that stand for commands of RFC 821, which need no extension."""

from __future__ import annotations

from conformance.server.extensions import Extension
from conformance.server.extensions.exchange_auth import EXCHANGE


class _Line(Extension):
    profiles = EXCHANGE
    services = frozenset({"smtp"})
    word = ""

    def offer(self) -> str | None:
        return self.word if self.session.known(self.word)[1] else None


class TurnLine(_Line):
    rank = 5
    word = "TURN"


class VrfyLine(_Line):
    rank = 17
    word = "VRFY"


EXTENSIONS = [TurnLine, VrfyLine]
