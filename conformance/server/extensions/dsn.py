"""DSN: RFC 3461. Notifications go to senders who have a mailbox here; nothing leaves this machine."""

from __future__ import annotations

import re

from conformance.server.extensions import Extension
from conformance.server.notification import DELIVERED, FAILED, Outcome, conditions, notification, xtext_ok
from conformance.server.smtp_grammar import Syntax
from conformance.server.transaction import Recipient, Transaction, received

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
        others = [one for one in mail.recipients if not one.user]  # nothing leaves this machine, so they fail
        self._report(mail, octets, self._wanted(local, "SUCCESS"), DELIVERED)
        self._report(mail, octets, self._wanted(others, "FAILURE"), FAILED)

    def _wanted(self, recipients: list[Recipient], condition: str) -> list[Recipient]:
        hook = self.session.hook
        return [one for one in recipients if hook("notify", condition in conditions(one), condition, one)]

    def _report(self, mail: Transaction, octets: bytes, recipients: list[Recipient], outcome: Outcome) -> None:
        session, sender = self.session, mail.sender
        assert sender is not None
        # Section 5.2: never for the null reverse path, whatever the header says.
        to = session.hook("reports_to", sender, mail, octets)
        if not recipients or not to.domain or to.domain.lower() not in (session.settings.domain, session.settings.host):
            return
        user = session.world.user(to.local)
        if user is None:
            return
        # Section 4.3: the whole message at most where it failed; RFC 8689 section 5: not under REQUIRETLS.
        asked = (mail.parameters.get("RET") or "FULL").upper() == "FULL" and "REQUIRETLS" not in mail.parameters
        whole = session.hook("whole", asked and outcome is FAILED, mail, outcome)
        fields = [line for extension in session.extensions for line in extension.report_fields(mail)]
        host = session.settings.host
        report = notification(mail, octets, recipients, outcome, host=host, fields=fields, whole=whole)
        trace = received(Transaction(recipients=[]), to, client=host, peer=session.peer, host=host, kind="ESMTP")
        report = session.hook("report", b"Return-Path: <>\r\n" + trace + report, mail, recipients)
        if report is not None:
            session.world.storage.deliver(user, report)


EXTENSIONS = [Dsn]
