"""The client side of SCRAM, which holds the server to what it owes: RFC 5802 sections 3 and 5, RFC 7677."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Generator
from typing import TYPE_CHECKING

from conformance.protocol import scram

if TYPE_CHECKING:
    from conformance.session.sasl import Credentials


class ServerFault(Exception):
    """What the server said breaks the mechanism."""


def header(mechanism: str, c: Credentials) -> tuple[bytes, bytes]:
    """The GS2 header and the channel binding data: section 6. ``n`` without -PLUS, so that no server must refuse it."""
    authzid = f"a={scram.escaped(c.authzid)}" if c.authzid else ""
    if not mechanism.endswith("-PLUS"):
        return f"n,{authzid},".encode(), b""
    kind = c.binding or next(iter(c.bindings), "")
    return f"p={kind},{authzid},".encode(), c.bindings[kind]


def exchange(mechanism: str, c: Credentials) -> Generator[bytes | None, bytes, None]:
    """Raises ServerFault; ``c.proven`` tells when the server has shown that it knows the password."""
    gs2, data = header(mechanism, c)
    nonce = base64.b64encode(secrets.token_bytes(18)).decode()
    bare = f"n={scram.escaped(c.user)},r={nonce}".encode()
    first = yield gs2 + bare
    while first.startswith(b"e="):  # the server refuses: an answer lets it finish
        first = yield b""
    try:
        theirs, _salt, _iterations = scram.server_first(first)
    except ValueError as error:
        raise ServerFault(f"the server's first message is not one of SCRAM: {error}") from None
    if not theirs.startswith(nonce) or theirs == nonce:
        raise ServerFault("the server's nonce does not begin with ours, or adds nothing to it")
    without = b"c=" + base64.b64encode(gs2 + data) + b",r=" + theirs.encode()
    try:
        final, right = scram.client_final(mechanism, c.password, bare, first, without)
    except ValueError as error:
        raise ServerFault(f"the server's first message cannot be used: {error}") from None
    answer = yield final
    while answer.startswith(b"e="):
        answer = yield b""
    if answer.split(b",")[0] != right:
        raise ServerFault("the server's signature is not the right one: it does not prove that it knows the password")
    c.proven.append(mechanism)
    yield b""
