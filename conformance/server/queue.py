"""Mail that is held for customers until they ask for it: ATRN, TURN (RFC 2645 section 4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from conformance.server.transaction import Transaction


@dataclass(eq=False)
class Held:
    """One message for one domain. ``busy``: a session is about to send it."""

    domain: str
    mail: Transaction
    recipients: list[str]
    octets: bytes
    busy: bool = False
    body: str = field(default="7BIT")

    @property
    def sender(self) -> str:
        assert self.mail.sender is not None
        return self.mail.sender.mailbox

    @property
    def eight_bit(self) -> bool:
        return any(octet > 127 for octet in self.octets)


class Queue:
    """Oldest first. A message leaves it when every recipient was accepted or refused for good."""

    def __init__(self) -> None:
        self._held: list[Held] = []

    def add(self, held: Held) -> None:
        self._held.append(held)

    def waiting(self, domains: Iterable[str]) -> list[Held]:
        wanted = {domain.lower() for domain in domains}
        return [one for one in self._held if one.domain in wanted and not one.busy]

    def under(self, suffix: str) -> int:
        """How many wait for a domain and all below it."""
        name = suffix.lower()
        return sum(one.domain == name or one.domain.endswith("." + name) for one in self._held)

    def remove(self, held: Held) -> None:
        if held in self._held:
            self._held.remove(held)
