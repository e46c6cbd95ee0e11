"""MTRK: RFC 3885. The certifier is taken; there is no tracking server (RFC 3887) to ask about it."""

from __future__ import annotations

import re

from conformance.server.extensions import Extension
from conformance.server.smtp_grammar import Syntax
from conformance.server.transaction import Transaction

# base64, whose padding cannot stand in a parameter's value (RFC 5321 section 4.1.2), and the seconds
_VALUE = re.compile(r"[A-Za-z0-9+/]{2,}(?::[0-9]{1,9})?\Z")


class Mtrk(Extension):
    rank = 25
    services = frozenset({"smtp", "submission", "smtps"})
    mail_parameters = {"MTRK": "certifier"}

    def offer(self) -> str:
        return "MTRK"

    def certifier(self, mail: Transaction, value: str | None) -> None:
        if not _VALUE.match(value or "") or len((value or "").partition(":")[0]) % 4 == 1:
            raise Syntax("501", "5.5.4", "MTRK wants base64, and perhaps a colon and seconds")

    def mail(self, mail: Transaction) -> None:
        if "MTRK" in mail.parameters and "ENVID" not in mail.parameters:
            raise Syntax("501", "5.5.4", "MTRK wants ENVID beside it")  # section 3.2


EXTENSIONS = [Mtrk]
