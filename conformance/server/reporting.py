"""Who is sent a notification, and what of the message goes with it: RFC 3461 sections 4 to 6, RFC 5321 section 6.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from conformance.server.notification import DELIVERED, Outcome, conditions, notification
from conformance.server.transaction import Recipient, Transaction, received

if TYPE_CHECKING:
    from conformance.server.smtp import SmtpSession


def report(
    session: SmtpSession, mail: Transaction, octets: bytes, recipients: Sequence[Recipient], condition: str, outcome: Outcome
) -> None:
    """One notification about those recipients that asked for this ``condition`` of NOTIFY, where the sender has a mailbox here."""
    told = [one for one in recipients if session.hook("notify", condition in conditions(one), condition, one)]
    sender = mail.sender
    assert sender is not None
    # RFC 3461 section 5.2: never for the null reverse path, whatever the header says.
    to = session.hook("reports_to", sender, mail, octets)
    if not told or not to.domain or to.domain.lower() not in (session.settings.domain, session.settings.host):
        return
    user = session.world.user(to.local)
    if user is None:
        return
    # Section 4.3: the whole message at most where it failed; RFC 8689 section 5: not under REQUIRETLS.
    asked = (mail.parameters.get("RET") or "FULL").upper() == "FULL" and "REQUIRETLS" not in mail.parameters
    whole = session.hook("whole", asked and outcome.action != DELIVERED.action, mail, outcome)
    fields = [line for extension in session.having("report_fields") for line in extension.report_fields(mail)]
    host = session.settings.host
    text = notification(mail, octets, told, outcome, host=host, fields=fields, whole=whole)
    trace = received(Transaction(recipients=[]), to, client=host, peer=session.peer, host=host, kind="ESMTP")
    text = session.hook("report", b"Return-Path: <>\r\n" + trace + text, mail, told)
    if text is not None:
        session.world.storage.deliver(user, text)
