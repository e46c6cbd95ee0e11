"""NTLM, SPNEGO and Kerberos on the server's side, by pyspnego: what Exchange calls NTLM and GSSAPI.

Kerberos is there where python-gssapi is and a keytab is named by ``KRB5_KTNAME``; NTLM and SPNEGO need neither.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from conformance.server.sasl import Exchange, Malformed, Refused, SaslExchange

DOMAIN = "EXAMPLE"  # NetBIOS name of the domain; users may leave it out
_NTLM = b"NTLMSSP\0"
_SPNEGO = b"\x06\x06\x2b\x06\x01\x05\x05\x02"  # OID 1.3.6.1.5.5.2: RFC 4178 section 3
_KERBEROS = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"  # OID 1.2.840.113554.1.2.2: RFC 4121 section 4.1
_NO_LAYER = 1  # RFC 4752 section 3.3


class Missing(Exception):
    """The profile needs a package that is not installed."""


def load() -> Any:
    """pyspnego. Raises Missing, which says what to do."""
    try:
        import spnego
    except ImportError:
        raise Missing(
            "the exchange profile needs the package pyspnego: pip install 'mail-conformance[exchange]'"
        ) from None
    return spnego


@lru_cache(maxsize=4)
def _users(accounts: tuple[tuple[str, str], ...]) -> Any:
    """The file from which pyspnego takes passwords: DOMAIN:USER:PASSWORD."""
    file = tempfile.NamedTemporaryFile("w", prefix="mail-conformance-ntlm-")  # noqa: SIM115  # goes with the process
    file.writelines(f"{domain}:{user}:{password}\n" for domain in ("", DOMAIN) for user, password in accounts)
    file.flush()
    return file


@contextlib.contextmanager
def _passwords(accounts: Mapping[str, str]) -> Iterator[None]:
    """pyspnego finds its file by the environment alone; no session runs meanwhile."""
    before = os.environ.get("NTLM_USER_FILE")
    os.environ["NTLM_USER_FILE"] = _users(tuple(accounts.items())).name
    try:
        yield
    finally:
        if before is None:
            del os.environ["NTLM_USER_FILE"]
        else:
            os.environ["NTLM_USER_FILE"] = before


class _Acceptor:
    """One security context. ``step`` raises Malformed for what is no token, Refused for a token that proves nothing."""

    def __init__(self, accounts: Mapping[str, str], protocol: str) -> None:
        spnego = load()
        self.accounts = accounts
        options = spnego.NegotiateOptions.use_ntlm if protocol == "ntlm" else spnego.NegotiateOptions.none
        try:
            with _passwords(accounts):
                self.context = spnego.server(protocol=protocol, service="smtp", options=options)
        except (ImportError, spnego.exceptions.SpnegoError) as error:
            raise Refused(str(error)) from None

    def step(self, token: bytes) -> bytes:
        spnego = load()
        try:
            with _passwords(self.accounts):
                return self.context.step(token) or b""
        except spnego.exceptions.SpnegoError as error:
            raise Refused(str(error)) from None
        except Exception as error:  # pyspnego's parsers raise struct.error, KeyError, StopIteration … for what is no token
            raise Malformed(f"not a token: {type(error).__name__}") from None

    def user(self) -> str:
        """The account that the client has proved to be: ``DOMAIN\\user`` and ``user@REALM`` without the rest."""
        principal = str(self.context.client_principal or "")
        name = principal.rpartition("\\")[2].partition("@")[0].lower()
        if name not in self.accounts:
            raise Refused
        return name


def ntlm(accounts: Mapping[str, str]) -> Exchange:
    """MS-NLMP; MS-SMTPNTLM section 2.2.1. A NEGOTIATE and an AUTHENTICATE message, in this order."""
    token = yield b""
    if not token.startswith(_NTLM):
        raise Malformed("not an NTLM message")
    if token[8:12] != b"\x01\0\0\0":
        raise Refused("not a NEGOTIATE message")
    acceptor = _Acceptor(accounts, "ntlm")
    token = yield acceptor.step(token)
    if not token.startswith(_NTLM):
        raise Malformed("not an NTLM message")
    acceptor.step(token)
    return acceptor.user()


def gssapi(accounts: Mapping[str, str], *, layers: bool) -> Exchange:
    """SPNEGO as Exchange has it, or Kerberos alone; ``layers``: Kerberos ends with RFC 4752's security layers."""
    token = yield b""
    if not token.startswith(b"\x60") or not (_SPNEGO in token[:16] or _KERBEROS in token[:20]):
        raise Malformed("not a GSS-API token")
    kerberos = _SPNEGO not in token[:16]
    acceptor = _Acceptor(accounts, "kerberos" if kerberos else "negotiate")
    answer = acceptor.step(token)
    while not acceptor.context.complete:
        answer = acceptor.step((yield answer))
    if answer:
        rest = yield answer
        if rest:
            raise Malformed("nothing more was asked for")
    if kerberos and layers:
        yield from _layers(acceptor)
    return acceptor.user()


def _layers(acceptor: _Acceptor) -> Exchange:
    """RFC 4752 section 3.2: the layers on offer (none), the client's choice, its authorization identity."""
    spnego = load()
    context = acceptor.context
    answer = yield context.wrap(bytes([_NO_LAYER, 0, 0, 0]), encrypt=False).data
    try:
        chosen = context.unwrap(answer).data
    except (spnego.exceptions.SpnegoError, ValueError) as error:
        raise Malformed(f"not wrapped: {error}") from None
    if len(chosen) < 4 or chosen[0] != _NO_LAYER or any(chosen[1:4]):
        raise Refused("a security layer that was not offered")
    if chosen[4:].decode("utf-8", "replace").partition("@")[0] not in ("", acceptor.user()):
        raise Refused("another's identity")
    return ""


class SpnegoExchange(SaslExchange):
    """NTLM or GSSAPI; ``step`` as in SaslExchange. The client speaks first in both."""

    def __init__(self, mechanism: str, accounts: Mapping[str, str], *, layers: bool) -> None:
        self.mechanism = mechanism
        self._exchange = ntlm(accounts) if mechanism == "NTLM" else gssapi(accounts, layers=layers)
        self._challenge = next(self._exchange)
        self._begun = False
