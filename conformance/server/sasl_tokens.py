"""Mechanisms without a password: OAUTHBEARER (RFC 7628), XOAUTH2, EXTERNAL (RFC 4422 appendix A), ANONYMOUS (RFC 4505)."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import stringprep
from collections.abc import Mapping

from conformance.protocol import scram
from conformance.server.channel import Channel
from conformance.server.sasl_base import Exchange, Malformed, Refused, prepared, texts

ANONYMOUS = "anonymous"  # the user that anyone becomes
_PAIR = re.compile(rb"([A-Za-z]+)=([\t\r\n -~]*)", re.S)
_FORBIDDEN = (  # RFC 4505 section 3
    stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4, stringprep.in_table_c5,
    stringprep.in_table_c6, stringprep.in_table_c8, stringprep.in_table_c9,
)  # fmt: skip


def bearer_token(user: str, password: str) -> str:
    """The token that an authorization server would have issued."""
    return hashlib.sha256(f"token of {user}: {password}".encode()).hexdigest()[:40]


def _pairs(octets: bytes) -> dict[str, str]:
    """kvpairs, each ended by its separator; the last one of a name counts."""
    found: dict[str, str] = {}
    for part in octets.split(b"\x01")[:-1]:
        pair = _PAIR.fullmatch(part)
        if not pair:
            raise Malformed("not a key and a value")
        found[pair[1].decode().lower()] = pair[2].decode()
    return found


def _owner(accounts: Mapping[str, str], authorization: str) -> str | None:
    """Whom a bearer token was issued to; the scheme is taken in any case of letters (RFC 7628 section 4)."""
    scheme, _blank, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return None
    for user, password in accounts.items():
        if hmac.compare_digest(bearer_token(user, password).encode(), token.strip().encode()):
            return user
    return None


def _failure(**members: str) -> bytes:
    return json.dumps(members).encode()


def oauthbearer(accounts: Mapping[str, str], host: str, channel: Channel) -> Exchange:
    response = yield b""
    if response == b"\x01":  # section 3.1: only the answer to an error
        raise Refused
    head, separator, rest = response.partition(b"\x01")
    gs2 = re.fullmatch(rb"([ny]|p=[^,]*),(?:a=([^,]+))?,", head)
    if not gs2 or not separator or not rest.endswith(b"\x01"):
        raise Malformed("not an OAUTHBEARER response")
    try:
        authzid = prepared(scram.unescaped((gs2[2] or b"").decode("utf-8")))
    except ValueError:
        raise Malformed("not UTF-8") from None
    pairs = _pairs(rest[:-1])
    owner = _owner(accounts, pairs.get("auth", ""))
    ours = pairs.get("host", host).lower() in (host, "localhost", "127.0.0.1", "::1")  # section 3.2
    theirs = authzid in ("", owner) or not channel.checks("oauth-authzid")
    if owner is None or not theirs or not ours:
        yield _failure(status="invalid_token" if pairs.get("auth") else "invalid_request", scope="mail")
        raise Refused  # section 3.2.3: whatever the answer is
    return owner


def xoauth2(accounts: Mapping[str, str], host: str, channel: Channel) -> Exchange:
    """As the field has it: like OAUTHBEARER, with the user's name in front and an empty answer to the error."""
    match = re.fullmatch(rb"user=([^\x01]*)\x01auth=([^\x01]*)\x01\x01", (yield b""))
    if not match:
        raise Malformed("not an XOAUTH2 response")
    user, authorization = match[1].decode("utf-8", "replace"), match[2].decode("utf-8", "replace")
    owner = _owner(accounts, authorization)
    if owner is None or (owner != user and channel.checks("xoauth2-user")):
        yield _failure(status="400", schemes="bearer", scope="mail")
        raise Refused
    return user


def external(accounts: Mapping[str, str], host: str, channel: Channel) -> Exchange:
    (authzid,) = texts((yield b""), 1)
    if channel.identity not in accounts:
        raise Refused
    if prepared(authzid) not in ("", channel.identity) and channel.checks("external-authzid"):
        raise Refused
    return channel.identity


def anonymous(accounts: Mapping[str, str], host: str, channel: Channel) -> Exchange:
    """The trace is an address, or an opaque text of up to 255 characters, or nothing."""
    try:
        trace = (yield b"").decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    if any(test(char) for char in trace for test in _FORBIDDEN):
        raise Malformed("a prohibited character")
    if ("@" in trace and not re.fullmatch(r"[^@\s]+@[^@\s]+", trace)) or len(trace) > 255:
        raise Malformed("neither an address nor a text without an at sign")
    return ANONYMOUS
