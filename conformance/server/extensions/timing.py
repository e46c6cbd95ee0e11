"""When mail is delivered: DELIVERBY (RFC 2852), FUTURERELEASE (RFC 4865), MT-PRIORITY (RFC 6710 and 6758)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

from conformance.server.extensions import Extension
from conformance.server.smtp_grammar import Syntax
from conformance.server.transaction import Transaction

_BY = re.compile(r"([+-]?[0-9]{1,9});([NR])(T?)\Z", re.I)
_SECONDS = re.compile(r"[1-9][0-9]{0,8}\Z")
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z", re.I)
_PRIORITY = re.compile(r"-?[1-9]\Z|0\Z")
_FIELD = re.compile(rb"(?im)^MT-Priority:[ \t]*(-?[1-9]|0)[ \t]*(?:\([^()\r\n]*\))?[ \t]*\r?$")
_SUBMITTED = frozenset({"smtp", "submission", "smtps"})


def by_time(mail: Transaction) -> int | None:
    """The seconds of the BY parameter, if there is one."""
    match = _BY.match(mail.parameters.get("BY") or "")
    return int(match[1]) if match else None


def timestamp(text: str | None) -> datetime | None:
    """RFC 3339's date-time in UTC, or None."""
    if not text or not _UTC.match(text):
        return None
    try:
        return datetime.fromisoformat(re.sub(r"\.\d+", "", text.upper()).replace("Z", "+00:00"))
    except ValueError:
        return None


class DeliverBy(Extension):
    rank = 18
    services = _SUBMITTED
    mail_parameters = {"BY": "by"}

    def offer(self) -> str:
        return f"DELIVERBY {self.session.settings.min_by_time}"

    def by(self, mail: Transaction, value: str | None) -> None:
        match = _BY.match(value or "")
        if not match:
            raise Syntax("501", "5.5.4", "BY wants seconds, a semicolon and a mode")
        seconds, returns = int(match[1]), match[2].upper() == "R"
        if returns and seconds <= 0:
            raise Syntax("501", "5.5.4", "mode R wants a time to come")  # section 4
        if returns and seconds < self.session.settings.min_by_time:
            raise Syntax("555", "5.4.7", "that is too soon")  # section 3

    def report_fields(self, mail: Transaction) -> list[str]:
        seconds = by_time(mail)
        return [] if seconds is None else [f"Deliver-By-Date: {formatdate(mail.began + seconds)}"]  # section 5


class FutureRelease(Extension):
    """Section 4.2: on the submission port only."""

    rank = 19
    services = frozenset({"submission"})
    mail_parameters = {"HOLDFOR": "hold_for", "HOLDUNTIL": "hold_until"}

    def _latest(self) -> datetime:
        seconds = timedelta(seconds=self.session.settings.max_hold)
        return datetime.now(UTC).replace(microsecond=0) + seconds

    def offer(self) -> str:
        return f"FUTURERELEASE {self.session.settings.max_hold} {self._latest():%Y-%m-%dT%H:%M:%SZ}"

    def hold_for(self, mail: Transaction, value: str | None) -> None:
        if not _SECONDS.match(value or "") or int(value or 0) > self.session.settings.max_hold:
            raise Syntax("501", "5.5.4", "HOLDFOR wants seconds, within the limit")
        mail.hold = float(value or 0)

    def hold_until(self, mail: Transaction, value: str | None) -> None:
        wanted = timestamp(value)
        if wanted is None or wanted > self._latest():
            raise Syntax("501", "5.5.4", "HOLDUNTIL wants a time in UTC, within the limit")
        mail.hold = (wanted - datetime.now(UTC)).total_seconds()
        if mail.hold <= 0:
            raise Syntax("501", "5.5.4", "that time is over")

    def mail(self, mail: Transaction) -> None:
        if "HOLDFOR" in mail.parameters and "HOLDUNTIL" in mail.parameters:
            raise Syntax("501", "5.5.4", "one of HOLDFOR and HOLDUNTIL")  # section 4.2
        seconds = by_time(mail)
        if mail.hold and seconds is not None and mail.hold > seconds:
            raise Syntax("501", "5.5.4", "the release is later than the delivery")  # section 5.2.2

    def report_fields(self, mail: Transaction) -> list[str]:
        if value := mail.parameters.get("HOLDFOR"):
            return [f"Future-Release-Request: for;{value}"]
        if value := mail.parameters.get("HOLDUNTIL"):
            return [f"Future-Release-Request: until;{value}"]
        return []


class MtPriority(Extension):
    rank = 20
    services = _SUBMITTED
    mail_parameters = {"MT-PRIORITY": "priority"}

    def offer(self) -> str:
        return "MT-PRIORITY MIXER"

    def priority(self, mail: Transaction, value: str | None) -> None:
        if not _PRIORITY.match(value or ""):
            raise Syntax("501", "5.5.2", "MT-PRIORITY is a number from -9 to 9")
        self._set(mail, int(value or 0))
        if mail.priority != int(value or 0):
            mail.answer = ("2.3.6", f"{mail.priority} is the new priority of the message")

    def _set(self, mail: Transaction, wanted: int) -> None:
        """Section 4.1: who has not logged in gets no more than 0."""
        mail.priority = self.session.hook("priority", wanted if self.session.user else min(wanted, 0), wanted)

    def examine(self, mail: Transaction, octets: bytes) -> bytes:
        fields = _FIELD.findall(octets.partition(b"\r\n\r\n")[0])
        if mail.priority is None and len(fields) == 1:  # RFC 6758 section 3.1
            self._set(mail, int(fields[0]))
        return octets

    def clause(self, mail: Transaction) -> str:
        return "" if mail.priority is None else f"\r\n\tpriority {mail.priority}"


EXTENSIONS = [DeliverBy, FutureRelease, MtPriority]
