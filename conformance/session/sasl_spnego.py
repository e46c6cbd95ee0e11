"""The client side of NTLM and GSSAPI: MS-NLMP by conformance/protocol/ntlm.py, Kerberos and SPNEGO by pyspnego."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from conformance.protocol import ntlm as messages

if TYPE_CHECKING:
    from conformance.session.sasl import Credentials

Exchange = Generator[bytes | None, bytes, None]


class Unplayable(Exception):
    """This machine, or this target file, lacks something that the mechanism needs."""


def ntlm(c: Credentials) -> Exchange:
    """MS-SMTPNTLM section 3.1: the reply to the bare command is a text for people, and ignored."""
    yield None
    challenge = messages.Challenge((yield messages.NEGOTIATE))
    if c.told is not None:
        c.told.append(challenge.domain)
    yield messages.authenticate(challenge, c.user, c.password, c.domain)


def _client(c: Credentials, protocol: str) -> Any:
    try:
        import spnego
    except ImportError:
        raise Unplayable("GSSAPI needs the package pyspnego (pip install 'mail-conformance[exchange]')") from None
    try:
        # RFC 4752 section 3.1: the layers' messages are wrapped, so integrity is asked for.
        asked = spnego.ContextReq.mutual_auth | spnego.ContextReq.integrity | spnego.ContextReq.sequence_detect
        user, password = (None, None) if protocol == "kerberos" else (c.user, c.password)
        return spnego.client(
            user, password, hostname=c.host, service=c.service, protocol=protocol, context_req=asked
        )
    except (ImportError, spnego.exceptions.SpnegoError) as error:
        raise Unplayable(f"GSSAPI cannot be spoken here: {str(error).splitlines()[0]}") from None


def _tokens(client: Any) -> Exchange:
    """The context's tokens, until it is complete; its last one may be empty."""
    import spnego

    try:
        token = client.step()
    except spnego.exceptions.SpnegoError as error:
        raise Unplayable(f"no Kerberos ticket for this target: {str(error).splitlines()[0]}") from None
    try:
        while True:
            challenge = yield token or b""
            token = client.step(challenge)
            if client.complete and not token:
                return
    except (spnego.exceptions.SpnegoError, ValueError, KeyError) as error:
        raise messages.NtlmError(str(error)) from error


def gssapi(c: Credentials) -> Exchange:
    """RFC 4752 section 3.1, with a ticket that is there (kinit); no security layer is chosen."""
    client = _client(c, "kerberos")
    yield from _tokens(client)
    offered = client.unwrap((yield b"")).data
    if len(offered) != 4 or not offered[0] & 1:
        raise messages.NtlmError("the server does not offer to go on without a security layer")
    yield client.wrap(b"\x01\0\0\0" + c.authzid.encode(), encrypt=False).data


def exps_gssapi(c: Credentials) -> Exchange:
    """SPNEGO, as X-EXPS has it: Kerberos where there is a ticket, else NTLM inside; no layers follow."""
    yield None
    yield from _tokens(_client(c, "negotiate"))


MECHANISMS: dict[str, Callable[[Credentials], Exchange]] = {
    "NTLM": ntlm, "GSSAPI": gssapi, "X-EXPS GSSAPI": exps_gssapi,
}  # fmt: skip
