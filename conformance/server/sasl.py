"""The server side of SASL, shared by SMTP AUTH (RFC 4954) and POP3 AUTH (RFC 5034)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping

from conformance.server import sasl_scram, sasl_tokens
from conformance.server.channel import Channel
from conformance.server.sasl_base import Exchange, Malformed, Refused, ServerFirst, texts, verified

__all__ = ["MECHANISMS", "PLAINTEXT", "Channel", "Exchange", "Malformed", "Refused", "SaslExchange", "ServerFirst", "decode", "offered"]
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
PLAINTEXT = ("PLAIN", "LOGIN")


def decode(text: bytes) -> bytes:
    """RFC 4954 section 4: strict base64; ``=`` alone is the empty initial response."""
    if text == b"=":
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Malformed("not base64") from None


def plain(accounts: Mapping[str, str], host: str) -> Exchange:
    authzid, user, password = texts((yield b""), 3)
    return verified(accounts, user, password, authzid)


def login(accounts: Mapping[str, str], host: str) -> Exchange:
    (user,) = texts((yield b"Username:"), 1)
    (password,) = texts((yield b"Password:"), 1)
    return verified(accounts, user, password)


def cram_md5(accounts: Mapping[str, str], host: str) -> Exchange:
    """RFC 2195 section 2."""
    challenge = f"<{secrets.token_hex(8)}@{host}>".encode()
    user, blank, digest = (yield challenge).rpartition(b" ")
    if not blank or len(digest) != 32:
        raise Malformed("not a CRAM-MD5 response")
    password = accounts.get(user.decode("utf-8", "replace"), secrets.token_hex(8))
    right = hmac.new(password.encode(), challenge, hashlib.md5).hexdigest().encode()
    if not hmac.compare_digest(right, digest.lower()) or user.decode("utf-8", "replace") not in accounts:
        raise Refused
    return user.decode()


_TABLE: dict[str, Callable[[Mapping[str, str], str], Exchange]] = {
    "PLAIN": plain,
    "LOGIN": login,
    "CRAM-MD5": cram_md5,
}
# These look at the channel too.
_BOUND: dict[str, Callable[[Mapping[str, str], str, Channel], Exchange]] = {
    **{name: sasl_scram.mechanism(name) for name in (
        "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS",
    )},
    "OAUTHBEARER": sasl_tokens.oauthbearer,
    "XOAUTH2": sasl_tokens.xoauth2,
    "EXTERNAL": sasl_tokens.external,
    "ANONYMOUS": sasl_tokens.anonymous,
}  # fmt: skip


def offered(channel: Channel, *, plaintext: bool = True, anonymous: bool = False) -> tuple[str, ...]:
    """The mechanisms of the present phase. ``plaintext``: without TLS too, which RFC 4954 section 4 advises against;
    ``anonymous``: where it gives nobody more than he has (RFC 4505 section 5)."""
    found = tuple(name for name in MECHANISMS if plaintext or channel.secure or name not in PLAINTEXT)
    if channel.bindings:  # RFC 5802 section 6
        found += ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS")
    if channel.secure:  # RFC 7628 section 3: a token is nothing for the clear
        found += ("OAUTHBEARER", "XOAUTH2")
    if channel.identity:  # RFC 8314 section 4.2
        found += ("EXTERNAL",)
    return (*found, "ANONYMOUS") if anonymous else found


class SaslExchange:
    """One exchange. ``step`` gives ("challenge", octets) or ("success", user); raises Refused, Malformed."""

    def __init__(
        self, mechanism: str, accounts: Mapping[str, str], host: str, channel: Channel | None = None
    ) -> None:  # fmt: skip
        self.mechanism = mechanism
        if mechanism in _BOUND:
            self._exchange = _BOUND[mechanism](accounts, host, channel or Channel())
        else:
            self._exchange = _TABLE[mechanism](accounts, host)
        self._challenge = next(self._exchange)
        self._begun = False

    def step(self, response: bytes | None) -> tuple[str, bytes | str]:
        """``response`` None: nothing was said yet."""
        if response is None and not self._begun:
            self._begun = True
            return "challenge", self._challenge
        if not self._begun and self._challenge:
            raise ServerFirst("the server speaks first in this mechanism")
        self._begun = True
        try:
            return "challenge", self._exchange.send(response or b"")
        except StopIteration as stop:
            return "success", stop.value
