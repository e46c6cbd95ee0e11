"""What one mail transaction holds, and the trace fields that delivery puts in front (RFC 5321 sections 3.3 and 4.4)."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field

from conformance.server.smtp_grammar import Path


@dataclass
class Recipient:
    """``user`` is the mailbox here, "" where the address is another host's. ``parameters``: those of RCPT, as given."""

    path: Path
    user: str
    parameters: dict[str, str | None] = field(default_factory=dict)


@dataclass
class Transaction:
    """One mail transaction (RFC 5321 section 3.3). ``parameters``: those of MAIL, as given."""

    sender: Path | None = None
    recipients: list[Recipient] = field(default_factory=list)
    parameters: dict[str, str | None] = field(default_factory=dict)
    body: str = "7BIT"
    utf8: bool = False
    chunks: bytearray = field(default_factory=bytearray)
    chunked: bool = False  # a BDAT came: DATA is out of sequence (RFC 3030 section 2)
    refused: bool = False  # a chunk was refused: the rest of the message is too
    answer: tuple[str, str] = ("2.1.0", "sender ok")  # what the 250 to MAIL says
    hold: float = 0.0  # seconds until delivery
    priority: int | None = None  # RFC 6710
    began: float = field(default_factory=time.time)


def without_return_path(octets: bytes) -> bytes:
    """Final delivery leaves one Return-Path, ours: RFC 5321 section 4.4."""
    header, blank, content = octets.partition(b"\r\n\r\n")
    if b"return-path:" not in header.lower():
        return octets
    header = re.sub(rb"(?im)^Return-Path:[^\n]*\n?(?:[ \t][^\n]*\n?)*", b"", header + b"\r\n")
    return header.removesuffix(b"\r\n") + blank + content if header else content if not blank else b"\r\n" + content


def return_path(mail: Transaction) -> bytes:
    assert mail.sender is not None
    return f"Return-Path: <{mail.sender.mailbox}>\r\n".encode()


def received(mail: Transaction, to: Path, *, client: str, peer: str, host: str, kind: str, clauses: str = "") -> bytes:
    """One Received field; ``kind`` is its with-protocol type."""
    stamp = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())
    one = ""
    if len(mail.recipients) == 1 and to.domain and not re.search(r'[\s"()<>,;:\\]', to.local):
        one = f"\r\n\tfor <{to.address}>"
    return (
        f"Received: from {client} ([{peer}])\r\n"
        f"\tby {host} with {kind} id {secrets.token_hex(6)}{one}{clauses};\r\n\t{stamp}\r\n"
    ).encode()
