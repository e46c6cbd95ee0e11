"""ESMTP extensions of the reference server, one module each: what EHLO lists, and the verbs and parameters that go with it.

Every module of this folder that has a list ``EXTENSIONS`` is found by itself. An extension is a class::

    class Size(Extension):
        def offer(self): return f"SIZE {self.session.settings.max_size}"      # the EHLO line, None: not in this phase
        mail_parameters = {"SIZE": "size"}                                     # parameter of MAIL → method
        verbs = {"ETRN": Verb("etrn", frozenset({"greeted"}))}                 # verb → method, states

One instance serves one session. Parameters are checked by ``method(mail, value)`` (MAIL) and
``method(mail, recipient, value)`` (RCPT), ``value`` None where there is no "="; they raise ``Syntax``. A verb's method takes the
argument as text. A verb or parameter that the session's phase does not offer is unknown (RFC 5321 sections 2.2.1 and 4.1.1.11).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from conformance.server.smtp import SmtpSession
    from conformance.server.transaction import Recipient, Transaction

GREETED = frozenset({"greeted"})
ANY = frozenset({"new", "greeted", "mail", "rcpt"})


@dataclass(frozen=True)
class Verb:
    """A command: ``method`` of its extension (of the session for the core's), the states in which it may come, and its form."""

    method: str
    states: frozenset[str] = ANY
    bare: bool = False  # takes no argument
    utf8: bool = False  # its argument may hold UTF-8
    long: bool = False  # its line may be longer than 512 octets


class Extension:
    """Base class: offers nothing, knows nothing."""

    rank: ClassVar[int] = 50  # place in the EHLO list
    profiles: ClassVar[frozenset[str]] = frozenset({"default", "exchange"})
    services: ClassVar[frozenset[str]] = frozenset({"smtp", "submission", "smtps", "odmr", "lmtp"})
    verbs: ClassVar[Mapping[str, Verb]] = {}
    mail_parameters: ClassVar[Mapping[str, str]] = {}
    rcpt_parameters: ClassVar[Mapping[str, str]] = {}

    def __init__(self, session: SmtpSession) -> None:
        self.session = session

    def offer(self) -> str | None:
        """The line of the EHLO list in the present phase, or None."""
        return None

    def knows(self, verb: str) -> bool:
        """Whether the verb exists in the present phase; else it is answered as unknown."""
        return verb in self.verbs

    def takes(self, parameter: str) -> bool:
        """Whether the parameter exists in the present phase; else it is refused as unknown."""
        return True

    def mail(self, mail: Transaction) -> None:
        """MAIL and all its parameters are well formed: what they mean together. Raises Syntax."""

    def recipient(self, mail: Transaction, recipient: Recipient) -> None:
        """Nothing else speaks against the recipient. Raises Syntax."""

    def examine(self, mail: Transaction, octets: bytes) -> bytes:
        """The whole message, as it is to be delivered. Raises Syntax to refuse it."""
        return octets

    def accepted(self, mail: Transaction, octets: bytes) -> None:
        """A message is taken; delivery follows."""

    def delivered(self, mail: Transaction, octets: bytes) -> None:
        """The message is in the mailboxes."""

    def clause(self, mail: Transaction) -> str:
        """A clause for the Received field (RFC 5321 section 4.4, Additional-Registered-Clauses), or ""."""
        return ""

    def report_fields(self, mail: Transaction) -> list[str]:
        """Per-message fields for the notifications about the message (RFC 3464 section 2.2)."""
        return []

    def secured(self) -> None:
        """TLS has begun: what the extension knew of the client is forgotten (RFC 3207 section 4.2)."""

    def ended(self) -> None:
        """The connection is gone."""


class Roster:
    """The extensions of a profile on a service, in the order of the EHLO list, and which of them have a say in what."""

    def __init__(self, profile: str, service: str) -> None:
        self.kinds = [one for one in _ALL if profile in one.profiles and service in one.services]
        self.verbs: dict[str, list[int]] = {}  # command → places in ``kinds``
        for place, kind in enumerate(self.kinds):
            for name in kind.verbs:
                self.verbs.setdefault(name, []).append(place)
        self.having = {
            method: [place for place, kind in enumerate(self.kinds) if getattr(kind, method) is not getattr(Extension, method)]
            for method in vars(Extension)
            if callable(getattr(Extension, method)) and not method.startswith("_")
        }


def _found() -> list[type[Extension]]:
    found: list[type[Extension]] = []
    for info in pkgutil.iter_modules(__path__):
        found += importlib.import_module(f"{__name__}.{info.name}").EXTENSIONS
    return sorted(found, key=lambda one: (one.rank, one.__name__))


_ALL = _found()
