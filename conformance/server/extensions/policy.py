"""What a site asks of its clients: REQUIRETLS (RFC 8689), LIMITS (RFC 9422), RRVS (RFC 7293), NO-SOLICITING (RFC 3865)."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime

from conformance.server.extensions import Extension
from conformance.server.smtp_grammar import Path, Syntax
from conformance.server.transaction import Recipient, Transaction

_SUBMITTED = frozenset({"smtp", "submission", "smtps"})


class RequireTls(Extension):
    """RFC 8689 section 2: it needs TLS, so it is offered only there. Mail stays on this machine, so that is all."""

    rank = 21
    services = _SUBMITTED
    mail_parameters = {"REQUIRETLS": "require_tls"}

    def offer(self) -> str | None:
        return "REQUIRETLS" if self.session.tls else None

    def takes(self, parameter: str) -> bool:
        return self.session.tls

    def require_tls(self, mail: Transaction, value: str | None) -> None:
        if value is not None:
            raise Syntax("501", "5.5.4", "REQUIRETLS takes no value")


class Limits(Extension):
    """RFC 9422 section 4: MAIL commands and recipient domains of a session, RCPT commands of a transaction."""

    rank = 22
    services = _SUBMITTED

    def offer(self) -> str:
        settings = self.session.settings
        return (f"LIMITS MAILMAX={settings.max_transactions} RCPTMAX={settings.max_recipients} "
                f"RCPTDOMAINMAX={settings.max_domains}")  # fmt: skip

    def mail(self, mail: Transaction) -> None:
        count = self.session.counts["mail"] = self.session.counts.get("mail", 0) + 1
        if count > self.session.settings.max_transactions:
            raise Syntax("452", "4.5.3", "too many transactions in this session")

    def recipient(self, mail: Transaction, recipient: Recipient) -> None:
        domains = self.session.domains | {recipient.path.domain.lower() or self.session.settings.domain}
        if len(domains) > self.session.settings.max_domains:
            raise Syntax("452", "4.5.3", "too many domains in this session")
        self.session.domains = domains


class Rrvs(Extension):
    """RFC 7293. All mailboxes here have had their owners since one day; role accounts are nobody's (section 5.1)."""

    rank = 23
    services = _SUBMITTED
    rcpt_parameters = {"RRVS": "valid_since"}
    _VALUE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d))(?:;([CR]))?\Z", re.I)
    _FIELD = re.compile(rb"(?im)^Require-Recipient-Valid-Since:([^\n]*\n?(?:[ \t][^\n]*\n?)*)")
    _SINCE = datetime.fromisoformat("2020-01-01T00:00:00+00:00")
    _ROLES = frozenset({"postmaster", "abuse", "noc", "security", "hostmaster", "webmaster", "info", "support"})

    def offer(self) -> str:
        return "RRVS"

    def valid_since(self, mail: Transaction, recipient: Recipient, value: str | None) -> None:
        match = self._VALUE.match(value or "")
        try:
            wanted = datetime.fromisoformat(match[1].upper().replace("Z", "+00:00")) if match else None
        except ValueError:
            wanted = None
        if wanted is None:
            raise Syntax("501", "5.5.4", "RRVS wants a time, and perhaps ;C or ;R")
        self._check(recipient.path, wanted)

    def _check(self, path: Path, wanted: datetime) -> None:
        local = path.domain.lower() in (self.session.settings.domain, self.session.settings.host)
        if path.local.lower() in self._ROLES or not local or self.session.world.user(path.local) is None:
            return
        if not self.session.hook("ownership", wanted >= self._SINCE, wanted):
            raise Syntax("550", "5.7.17", "the mailbox has another owner since")

    def examine(self, mail: Transaction, octets: bytes) -> bytes:
        """Section 5.2: the field counts for recipients without the parameter, and goes before delivery."""
        header, blank, content = octets.partition(b"\r\n\r\n")
        if b"require-recipient-valid-since:" not in header.lower():
            return octets
        asked = {one.path.address.lower(): one for one in mail.recipients if "RRVS" not in one.parameters}
        for value in self._FIELD.findall(header + b"\r\n"):
            address, _semicolon, date = value.decode("utf-8", "replace").partition(";")
            found = asked.get(address.strip().lower())
            try:
                wanted = parsedate_to_datetime(date.strip())
            except (TypeError, ValueError):
                continue
            if found and wanted.tzinfo:
                self._check(found.path, wanted)
        return self._FIELD.sub(b"", header + b"\r\n").removesuffix(b"\r\n") + blank + content


class NoSoliciting(Extension):
    """RFC 3865. A class that is announced is refused (section 2.3), by the parameter and by the header field."""

    rank = 24
    services = _SUBMITTED
    mail_parameters = {"SOLICIT": "solicit"}
    unwanted = ("net.example:ADV",)
    _KEYWORDS = re.compile(r"[A-Za-z][A-Za-z0-9._:-]*(?:,[A-Za-z][A-Za-z0-9._:-]*)*\Z")
    _FIELD = re.compile(rb"(?im)^Solicitation:[ \t]*([^\r\n]*)")

    def offer(self) -> str:
        return "NO-SOLICITING " + ",".join(self.unwanted)

    def solicit(self, mail: Transaction, value: str | None) -> None:
        if not value or len(value) > 1000 or not self._KEYWORDS.match(value):
            raise Syntax("501", "5.5.4", "SOLICIT wants keywords with commas between them")

    def _refuse(self, keywords: str) -> None:
        found = [one for one in self.unwanted if one in [word.strip() for word in keywords.split(",")]]
        if found := self.session.hook("unwanted", found):
            raise Syntax("550", "5.7.1", f"SOLICIT={','.join(found)} is not wanted here")  # section 2.4

    def recipient(self, mail: Transaction, recipient: Recipient) -> None:
        self._refuse(mail.parameters.get("SOLICIT") or "")

    def examine(self, mail: Transaction, octets: bytes) -> bytes:
        for value in self._FIELD.findall(octets.partition(b"\r\n\r\n")[0]):
            self._refuse(value.decode("utf-8", "replace"))
        return octets


EXTENSIONS = [RequireTls, Limits, Rrvs, NoSoliciting]
