"""The server side of SCRAM: RFC 5802, RFC 7677, channel binding by section 6, RFC 5929 and RFC 9266."""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from conformance.protocol import scram
from conformance.server.channel import Channel
from conformance.server.sasl_base import Exchange, Malformed, Refused, prepared

ITERATIONS = 4096  # section 5.1
_SECRET = secrets.token_bytes(16)  # of this process: the salts depend on it, so that they are stable and unguessable


@lru_cache(maxsize=4096)
def salt_of(user: str) -> bytes:
    """The same for a user in every exchange, whether the user is known or not: otherwise it would tell."""
    return hmac.digest(_SECRET, user.encode("utf-8", "surrogatepass"), "sha256")[:16]


@dataclass(frozen=True)
class First:
    """A client-first-message: section 7."""

    header: bytes  # the GS2 header as it was sent
    flag: str  # n, y or p
    binding: str  # after p=
    authzid: str
    user: str
    nonce: str
    bare: bytes


def client_first(message: bytes, channel: Channel) -> First:
    """Raises Refused for what must fail, Malformed for what has not the form."""
    parts = message.split(b",", 2)
    if len(parts) != 3:
        raise Malformed("no GS2 header")
    flag, authzid, bare = parts
    cbind = re.fullmatch(rb"([ny])|p=([A-Za-z0-9.-]+)" + (b"" if channel.checks("flag") else b"|.*"), flag)
    try:
        if not cbind or not re.fullmatch(rb"(?s)(a=.+)?", authzid):
            raise ValueError("not a GS2 header")
        found = scram.attributes(bare)
        if found[0][0] == "m":  # section 5.1: no extension is known
            if channel.checks("extension"):
                raise Refused
            found = found[1:]
        if [name for name, _value in found[:2]] != ["n", "r"]:
            raise ValueError("not user and nonce")
        if any(name in "ancmrspivE" for name, _value in found[2:]):
            raise ValueError("an attribute out of place")
        user, acting = _name(found[0][1], channel), _name(authzid[2:].decode("utf-8"), channel)
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    except ValueError as error:
        raise Malformed(str(error)) from None
    if not re.fullmatch(r"[!-+\--~]+", found[1][1]):
        raise Malformed("a nonce of other characters")
    return First(
        flag + b"," + authzid + b",", flag[:1].decode(), (cbind[2] or b"").decode(), prepared(acting), prepared(user),
        found[1][1], bare,
    )  # fmt: skip


def _name(text: str, channel: Channel) -> str:
    if not channel.checks("name-encoding"):
        return re.sub("=([0-9A-Fa-f]{2})|=", lambda found: chr(int(found[1], 16)) if found[1] else "", text)
    return scram.unescaped(text)


def bound(first: First, plus: bool, channel: Channel) -> bytes:
    """The channel binding data that the ``c=`` attribute must hold. Raises Refused: section 6."""
    if first.flag == "y" and channel.bindings and channel.checks("y-flag"):
        raise Refused  # the list of mechanisms was changed on the way
    if first.flag == "p" and first.binding not in channel.bindings:
        if channel.checks("binding-type"):
            raise Refused
    elif channel.checks("y-flag") and plus != (first.flag == "p"):
        raise Refused
    return channel.bindings.get(first.binding, b"")


def same(first: First, data: bytes, given: str, channel: Channel) -> bool:
    """Whether the ``c=`` attribute is the one that the server would have written: section 6."""
    if given == base64.b64encode(first.header + data).decode():
        return True
    try:
        header = base64.b64decode(given, validate=True).startswith(first.header)
    except ValueError:
        return False
    return not channel.checks("binding-data" if header else "binding-header")


def client_final(message: bytes, channel: Channel) -> tuple[bytes, list[tuple[str, str]], bytes]:
    """What precedes the proof, its attributes, and the proof."""
    without, mark, encoded = message.rpartition(b",p=")
    try:
        found = scram.attributes(without)
        given = base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise Malformed(str(error)) from None
    if not mark or [name for name, _value in found[:2]] != ["c", "r"]:
        raise Malformed("not channel binding, nonce and proof")
    if any(name == "m" for name, _value in found) and channel.checks("extension"):
        raise Refused
    return without, found, given


def mechanism(name: str) -> Callable[[Mapping[str, str], str, Channel], Exchange]:
    plus, digest = name.endswith("-PLUS"), scram.hash_of(name)

    def exchange(accounts: Mapping[str, str], host: str, channel: Channel) -> Exchange:
        first = client_first((yield b""), channel)
        data = bound(first, plus, channel)
        nonce = first.nonce + base64.b64encode(secrets.token_bytes(18)).decode()
        salt = salt_of(first.user)
        reply = f"r={nonce},s={base64.b64encode(salt).decode()},i={ITERATIONS}".encode()
        without, found, given = client_final((yield reply), channel)
        # An unknown user is refused where a wrong proof is, so that names cannot be found out.
        known = first.user in accounts
        keys = scram.keys(digest, accounts.get(first.user, secrets.token_hex(8)), salt, ITERATIONS)
        message = scram.auth_message(first.bare, reply, without)
        if not same(first, data, found[0][1], channel):
            raise Refused
        if channel.checks("nonce") and found[1][1] != nonce:
            raise Refused
        if not known or not (scram.proves(keys, message, given) or not channel.checks("proof")):
            raise Refused
        if first.authzid not in ("", first.user) and channel.checks("scram-authzid"):
            raise Refused
        if (yield b"v=" + base64.b64encode(scram.signature(keys, message))):
            raise Malformed("nothing is left to be said")
        return first.user

    return exchange
