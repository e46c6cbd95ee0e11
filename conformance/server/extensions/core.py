"""Extensions that are a keyword and little else: PIPELINING, SIZE, 8BITMIME, BINARYMIME, SMTPUTF8, ENHANCEDSTATUSCODES, HELP."""

from __future__ import annotations

import re

from conformance.server.extensions import Extension
from conformance.server.smtp_grammar import Syntax
from conformance.server.transaction import Transaction


class Pipelining(Extension):
    """RFC 2920: the session takes its input in order whatever the segmentation, so there is nothing to add."""

    rank = 10

    def offer(self) -> str:
        return "PIPELINING"


class Size(Extension):
    """RFC 1870."""

    rank = 11
    mail_parameters = {"SIZE": "size"}

    def offer(self) -> str:
        return f"SIZE {self.session.settings.max_size}"

    def size(self, mail: Transaction, value: str | None) -> None:
        if value is None or not re.fullmatch("[0-9]{1,20}", value):
            raise Syntax("501", "5.5.4", "SIZE wants up to 20 digits")
        if int(value) > self.session.settings.max_size:
            raise Syntax("552", "5.3.4", "the message is too big")


class EightBitMime(Extension):
    """RFC 6152; BINARYMIME (RFC 3030 section 3) is a value of the same parameter."""

    rank = 12
    mail_parameters = {"BODY": "body"}

    def offer(self) -> str:
        return "8BITMIME"

    def body(self, mail: Transaction, value: str | None) -> None:
        if value is None or value.upper() not in ("7BIT", "8BITMIME", "BINARYMIME"):
            raise Syntax("501", "5.5.4", "BODY is 7BIT, 8BITMIME or BINARYMIME")
        mail.body = value.upper()


class BinaryMime(Extension):
    rank = 13

    def offer(self) -> str:
        return "BINARYMIME"


class SmtpUtf8(Extension):
    """RFC 6531."""

    rank = 15
    mail_parameters = {"SMTPUTF8": "utf8"}

    def offer(self) -> str:
        return "SMTPUTF8"

    def utf8(self, mail: Transaction, value: str | None) -> None:
        if value is not None:
            raise Syntax("501", "5.5.4", "SMTPUTF8 takes no value")
        mail.utf8 = True


class EnhancedStatusCodes(Extension):
    """RFC 2034: ``SmtpSession.say`` puts them in."""

    rank = 16

    def offer(self) -> str:
        return "ENHANCEDSTATUSCODES"


class Help(Extension):
    rank = 30
    services = frozenset({"smtp", "submission", "smtps", "odmr"})

    def offer(self) -> str:
        return "HELP"


EXTENSIONS = [Pipelining, Size, EightBitMime, BinaryMime, SmtpUtf8, EnhancedStatusCodes, Help]
