"""The ways into a POP3 mailbox: USER and PASS, AUTH, APOP (RFC 1939 sections 4 and 7, RFC 5034), with or without STLS first.

RFC 1939 section 4: no single one is required of all servers, so what works is learnt once per target.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from conformance.session.sasl import MECHANISMS, Credentials, SaslError, ServerFault

Say = Callable[[bytes, bytes], Awaitable[tuple[str, bytes]]]  # octets, what the transcript shows → status, text
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "LOGIN")


@dataclass(frozen=True)
class Way:
    method: str = "USER"  # USER, APOP or a SASL mechanism
    tls: bool = False  # STLS first


def timestamp(banner: bytes) -> bytes:
    """The banner's APOP challenge, empty if there is none."""
    found = re.search(rb"<[^<> ]+>", banner)
    return found[0] if found else b""


def candidates(offers: Mapping[str, Collection[str]], banner: bytes, plaintext: bool) -> list[Way]:
    """What to try, in this order. Without CAPA all that can be told from outside is the timestamp."""
    listed = {word.upper() for word in offers.get("SASL", ())}
    methods = ["USER"] if "USER" in offers or not offers else []
    methods += [name for name in _MECHANISMS if name in listed]
    methods += ["APOP"] if timestamp(banner) else []
    tries = [Way(method) for method in methods]
    if plaintext and "STLS" in offers:  # what is offered inside TLS may differ
        inside = list(dict.fromkeys(["USER", *methods, "PLAIN"]))
        tries += [Way(method, tls=True) for method in inside if method != "APOP"]
    return tries or [Way("USER"), Way("PLAIN")]


async def log_in(way: Way, user: str, password: str, banner: bytes, say: Say) -> str:
    """The last reply's status. TLS is the caller's affair. Raises TransportError as ``say`` does."""
    if way.method == "USER":
        line = b"USER " + user.encode()
        code, _text = await say(line, line)
        if code == "+OK":
            code, _text = await say(b"PASS " + password.encode(), b"PASS [secret]")
        return code
    if way.method == "APOP":
        digest = hashlib.md5(timestamp(banner) + password.encode()).hexdigest()
        line = b"APOP %s %s" % (user.encode(), digest.encode())
        code, _text = await say(line, line)
        return code
    exchange = MECHANISMS[way.method](Credentials(user, password, service="pop"))
    first = next(exchange)
    line = b"AUTH " + way.method.encode()
    code, text = await say(line, line)
    while code == "+":
        try:
            answer = first if first is not None else exchange.send(base64.b64decode(text.strip()))
        except (SaslError, ServerFault, StopIteration, binascii.Error):
            answer, code = None, "-ERR"
        first = None
        if answer is None:
            await say(b"*", b"*")
            break
        code, text = await say(base64.b64encode(answer), b"[secret]")
    return code
