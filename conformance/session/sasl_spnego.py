"""The client side of NTLM and GSSAPI: MS-NLMP by conformance/protocol/ntlm.py, Kerberos and SPNEGO by pyspnego."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from conformance.protocol import ntlm as messages
from conformance.session.sasl_scram import ServerFault

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


def _short(error: Exception) -> str:
    """Without the paths of this machine."""
    return str(error).splitlines()[0].partition(", Minor")[0][:120]


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
        raise Unplayable(f"GSSAPI cannot be spoken here: {_short(error)}") from None


def _tokens(client: Any) -> Exchange:
    """The context's tokens, until it is complete; its last one may be empty."""
    import spnego

    try:
        token = client.step()
    except spnego.exceptions.SpnegoError as error:
        raise Unplayable(f"there is no Kerberos ticket for this target (kinit): {_short(error)}") from None
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
    token = yield b""
    try:
        offered = client.unwrap(token).data
    except Exception as error:  # python-gssapi's errors have no common base that can be had without it
        raise ServerFault(f"the message that announces the security layers is not wrapped: {error}") from error
    if len(offered) != 4 or not offered[0] & 7:
        raise ServerFault(f"the security layers are not announced in four octets: {offered[:8]!r}")
    if not offered[0] & 1:
        raise Unplayable("the server asks for a security layer, which the suite does not speak")
    yield client.wrap(b"\x01\0\0\0" + c.authzid.encode(), encrypt=False).data


def exps_gssapi(c: Credentials) -> Exchange:
    """SPNEGO, as X-EXPS has it: Kerberos where there is a ticket, else NTLM inside; no layers follow."""
    yield None
    yield from _tokens(_client(c, "negotiate"))
    yield b""


MECHANISMS: dict[str, Callable[[Credentials], Exchange]] = {
    "NTLM": ntlm, "GSSAPI": gssapi, "X-EXPS GSSAPI": exps_gssapi,
}  # fmt: skip
