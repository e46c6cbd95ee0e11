"""Delivery status notifications as messages: RFC 3464 (fields), RFC 6522 (multipart/report), RFC 3461 section 6, RFC 6533."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from email.utils import formatdate

from conformance.server.transaction import Recipient, Transaction

_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")


def xtext_ok(text: str) -> bool:
    """RFC 3461 section 4: xchar and hexchar only, and what they stand for is printable ASCII (sections 4.2, 4.4)."""
    if not re.fullmatch(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*", text):
        return False
    return bool(re.fullmatch(r"[\t -~]*", decoded(text)))


def decoded(text: str) -> str:
    """What the xtext stands for."""
    return _HEXCHAR.sub(lambda match: chr(int(match[1], 16)), text)


def seven_bit(address: str) -> str:
    """utf-8-addr-xtext, the ASCII form of an address (RFC 6533 section 3)."""
    return "".join(one if one.isascii() and one not in "+= " else f"\\x{{{ord(one):02X}}}" for one in address)


@dataclass(frozen=True)
class Outcome:
    """What became of the message for the recipients of one notification."""

    action: str
    status: str
    sentence: str
    diagnostic: str = ""


DELIVERED = Outcome("delivered", "2.0.0", "was delivered to")
FAILED = Outcome("failed", "5.4.4", "could not be delivered to", "smtp; 550 5.4.4 no route to that host")


def conditions(recipient: Recipient) -> frozenset[str]:
    """NOTIFY's; without it FAILURE and DELAY hold (RFC 3461 section 4.1)."""
    value = recipient.parameters.get("NOTIFY")
    return frozenset((value or "FAILURE,DELAY").upper().split(","))


def notification(
    mail: Transaction, octets: bytes, recipients: list[Recipient], outcome: Outcome, *, host: str, fields: list[str], whole: bool
) -> bytes:
    """The message. ``fields``: further per-message fields; ``whole``: the original is returned whole, not its header alone."""
    assert mail.sender is not None
    boundary = secrets.token_hex(12)
    names = ", ".join(one.path.address for one in recipients)
    header, _blank, _content = octets.partition(b"\r\n\r\n")
    returned = octets if whole else header.removesuffix(b"\r\n") + b"\r\n"
    eight = any(octet > 127 for octet in returned)
    encoding = "Content-Transfer-Encoding: 8bit\r\n" if eight else ""
    kind = "message/rfc822" if whole else "text/rfc822-headers"
    if mail.utf8 and eight:  # RFC 6533 section 6
        kind = "message/global" if whole else "message/global-headers"
    blocks = ["\r\n".join(_per_message(mail, host, fields)), *(_per_recipient(one, outcome) for one in recipients)]
    text = (
        f"From: Mail Delivery System <postmaster@{host}>\r\n"
        f"To: <{mail.sender.address}>\r\n"
        f"Subject: Delivery status: {outcome.action}\r\n"
        f"Date: {formatdate()}\r\n"
        f"Message-ID: <{secrets.token_hex(12)}@{host}>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"\r\n{encoding}\r\n'
        f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        f"Your message {outcome.sentence}\r\n{names}\r\n\r\n"
        f"--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n" + "\r\n\r\n".join(blocks) + "\r\n\r\n"
        f"--{boundary}\r\nContent-Type: {kind}\r\n{encoding}\r\n"
    )
    return text.encode() + returned + f"\r\n--{boundary}--\r\n".encode()


def _per_message(mail: Transaction, host: str, fields: list[str]) -> list[str]:
    lines = [f"Reporting-MTA: dns; {host}", f"Arrival-Date: {formatdate(mail.began)}", *fields]
    envelope = mail.parameters.get("ENVID")
    return [f"Original-Envelope-Id: {decoded(envelope)}", *lines] if envelope else lines


def _per_recipient(one: Recipient, outcome: Outcome) -> str:
    final = one.path.address
    final = f"rfc822; {final}" if final.isascii() else f"utf-8; {seven_bit(final)}"
    lines = [f"Final-Recipient: {final}", f"Action: {outcome.action}", f"Status: {outcome.status}"]
    kind, _semicolon, original = (one.parameters.get("ORCPT") or "").partition(";")
    if original:
        original = seven_bit(original) if kind.lower() == "utf-8" else decoded(original)
        lines.insert(0, f"Original-Recipient: {kind}; {original}")
    if outcome.diagnostic:
        lines.append(f"Diagnostic-Code: {outcome.diagnostic}")
    return "\r\n".join(lines)
