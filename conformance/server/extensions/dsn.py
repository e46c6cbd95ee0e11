"""DSN: RFC 3461. Notifications go to senders who have a mailbox here; nothing leaves this machine."""

from __future__ import annotations

import re

from conformance.server.extensions import Extension
from conformance.server.notification import DELIVERED, FAILED, xtext_ok
from conformance.server.reporting import report
from conformance.server.smtp_grammar import Syntax
from conformance.server.transaction import Recipient, Transaction

_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY))*", re.I)
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+\Z")


class Dsn(Extension):
    rank = 17
    services = frozenset({"smtp", "submission", "smtps"})
    mail_parameters = {"RET": "ret", "ENVID": "envid"}
    rcpt_parameters = {"NOTIFY": "notify", "ORCPT": "orcpt"}

    def offer(self) -> str:
        return "DSN"

    # -- parameters: section 4; what is not valid is 501 (section 5.1) --------------------------

    def ret(self, mail: Transaction, value: str | None) -> None:
        if (value or "").upper() not in ("FULL", "HDRS"):
            raise Syntax("501", "5.5.4", "RET is FULL or HDRS")

    def envid(self, mail: Transaction, value: str | None) -> None:
        if not value or len(value) > 100 or not xtext_ok(value):
            raise Syntax("501", "5.5.4", "ENVID wants xtext")

    def notify(self, mail: Transaction, recipient: Recipient, value: str | None) -> None:
        if not _NOTIFY.fullmatch(value or ""):
            raise Syntax("501", "5.5.4", "NOTIFY is NEVER, or of SUCCESS, FAILURE, DELAY")

    def orcpt(self, mail: Transaction, recipient: Recipient, value: str | None) -> None:
        kind, semicolon, address = (value or "").partition(";")
        international = mail.utf8 and kind.lower() == "utf-8"  # RFC 6533 section 3
        well = semicolon and address and _ATOM.match(kind) and (international or xtext_ok(address))
        if not well or len(value or "") > 500:
            raise Syntax("501", "5.5.4", "ORCPT wants a type, a semicolon and xtext")

    # -- notifications: sections 5.2 and 6 ------------------------------------------------------

    def delivered(self, mail: Transaction, octets: bytes) -> None:
        local = [one for one in mail.recipients if one.user]
        customer = self.session.world.customer
        # Nothing leaves this machine, so the others fail; but those of customers wait for ATRN.
        others = [one for one in mail.recipients if not one.user and not customer(one.path.domain)]
        report(self.session, mail, octets, local, "SUCCESS", DELIVERED)
        report(self.session, mail, octets, others, "FAILURE", FAILED)


EXTENSIONS = [Dsn]
