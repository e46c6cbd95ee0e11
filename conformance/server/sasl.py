"""The server side of SASL, shared by SMTP AUTH (RFC 4954) and POP3 AUTH (RFC 5034)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Generator, Mapping

import scramp

MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
PLAINTEXT = ("PLAIN", "LOGIN")
# A mechanism yields challenges, is sent responses, and returns the user or raises Refused.
Exchange = Generator[bytes, bytes, str]


class Refused(Exception):
    """Wrong credentials."""


class Malformed(Exception):
    """A response that does not have the mechanism's form."""


def decode(text: bytes) -> bytes:
    """RFC 4954 section 4: strict base64; ``=`` alone is the empty initial response."""
    if text == b"=":
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Malformed("not base64") from None


def _verified(accounts: Mapping[str, str], user: str, password: str, authzid: str = "") -> str:
    known = accounts.get(user)
    right = known is not None and hmac.compare_digest(known.encode(), password.encode())
    if not right or authzid not in ("", user):
        raise Refused
    return user


def _texts(octets: bytes, count: int) -> list[str]:
    try:
        parts = octets.decode("utf-8").split("\0")
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    if len(parts) != count:
        raise Malformed("wrong number of parts")
    return parts


def plain(accounts: Mapping[str, str], host: str) -> Exchange:
    authzid, user, password = _texts((yield b""), 3)
    return _verified(accounts, user, password, authzid)


def login(accounts: Mapping[str, str], host: str) -> Exchange:
    (user,) = _texts((yield b"Username:"), 1)
    (password,) = _texts((yield b"Password:"), 1)
    return _verified(accounts, user, password)


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


def _scram(name: str):  # type: ignore[no-untyped-def]
    def exchange(accounts: Mapping[str, str], host: str) -> Exchange:
        mechanism = scramp.ScramMechanism(name)
        found: list[str] = []

        def lookup(user: str) -> tuple[bytes, bytes, bytes, int]:
            if user not in accounts:
                raise Refused
            found.append(user)
            return mechanism.make_auth_info(accounts[user], iteration_count=4096)  # type: ignore[no-any-return]

        server = mechanism.make_server(lookup)
        try:
            server.set_client_first((yield b"").decode())
            server.set_client_final((yield server.get_server_first().encode()).decode())
            yield server.get_server_final().encode()
        except scramp.ScramException as error:
            # scramp wraps what the look-up raises: an unknown user is refused as a wrong password is (RFC 4954 section 6).
            wrong = isinstance(error.__cause__ or error.__context__, Refused) or "proof" in str(error).lower()
            raise (Refused if wrong else Malformed)(str(error)) from None
        except (UnicodeDecodeError, ValueError, IndexError, KeyError) as error:
            raise Malformed(str(error)) from None
        return found[0]

    return exchange


_TABLE = {
    "PLAIN": plain,
    "LOGIN": login,
    "CRAM-MD5": cram_md5,
    "SCRAM-SHA-1": _scram("SCRAM-SHA-1"),
    "SCRAM-SHA-256": _scram("SCRAM-SHA-256"),
}


class SaslExchange:
    """One exchange. ``step`` gives ("challenge", octets) or ("success", user); raises Refused, Malformed."""

    def __init__(self, mechanism: str, accounts: Mapping[str, str], host: str) -> None:
        self.mechanism = mechanism
        self._exchange: Exchange = _TABLE[mechanism](accounts, host)
        self._challenge = next(self._exchange)
        self._begun = False

    def step(self, response: bytes | None) -> tuple[str, bytes | str]:
        """``response`` None: nothing was said yet."""
        if response is None and not self._begun:
            self._begun = True
            return "challenge", self._challenge
        if not self._begun and self._challenge:
            raise Malformed("the server speaks first in this mechanism")
        self._begun = True
        try:
            return "challenge", self._exchange.send(response or b"")
        except StopIteration as stop:
            return "success", stop.value
