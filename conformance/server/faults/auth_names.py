"""Further faults of AUTH: mechanisms that are listed and not kept, AUTH in a group, short and empty credentials."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from conformance.server.base import PASSWORD, Fault
from conformance.server.faults._tools import Hooks

_OK = b"235 2.7.0 authenticated\r\n"
_NAMES = ("PLAIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")


def _says(octets: bytes, when: Callable[[Any, bytes], bool]) -> Hooks:
    return {"instead": lambda s, v, rest: octets if v == "AUTH" and s.greeted == "EHLO" and not s.user and when(s, rest) else None}


def _unknown(name: str) -> Hooks:
    """The mechanism is not known where the client leaves the first word to the server."""
    return _says(b"504 5.5.4 no such mechanism\r\n", lambda s, rest: rest.upper() == name.encode())


def _plain(when: Callable[[bytes, bytes], bool]) -> Hooks:
    """PLAIN succeeds with such a user and password."""

    def fits(s: Any, rest: bytes) -> bool:
        word, _blank, message = rest.partition(b" ")
        try:
            parts = base64.b64decode(message).split(b"\0")
        except ValueError:
            return False
        return word.upper() == b"PLAIN" and len(parts) == 3 and when(parts[1], parts[2])

    return _says(_OK, fits)


def _clear(s: Any, octets: bytes, verb: str) -> bytes:
    if verb != "AUTH" or not octets.startswith(b"334 ") or not s.exchange or s.exchange.mechanism != "CRAM-MD5":
        return octets
    return b"334 " + base64.b64decode(octets[4:]) + b"\r\n"


FAULTS = [
    *(Fault(f"auth-unkept-{name.lower()}", "rfc4954/3/listed-is-kept", f"{name} is listed, and unknown without an initial response", "smtp",
            _unknown(name)) for name in _NAMES),
    Fault("auth-alone", "rfc4954/4/pipelined", "AUTH behind another command of the same write is refused", "smtp",
          _says(b"503 5.5.1 AUTH stands alone\r\n", lambda s, rest: bool(s.out))),
    Fault("auth-listed-538", "rfc4954/6/no-538", "AUTH is listed before TLS, and refused there with 538", "smtp",
          _says(b"538 5.7.11 encryption is required\r\n", lambda s, rest: not s.tls)),
    Fault("auth-listed-530", "rfc4954/6/no-538", "AUTH is listed before TLS, and refused there with 530", "smtp",
          _says(b"530 5.7.0 issue a STARTTLS command first\r\n", lambda s, rest: not s.tls)),
    Fault("auth-cram-clear", "rfc4954/4/challenge-base64", "The challenge of CRAM-MD5 is not encoded", "smtp", {"reply": _clear}),
    Fault("auth-plain-shorter", "rfc4616/2/lengths-refused", "Any beginning of the password succeeds", "smtp",
          _plain(lambda user, password: bool(password) and PASSWORD.encode().startswith(password))),
    Fault("auth-plain-nobody", "rfc4616/2/no-identity", "A right password without a user name succeeds", "smtp",
          _plain(lambda user, password: not user and password == PASSWORD.encode())),
    Fault("submission-530-for-quit", "rfc4954/6/530-not-for-these", "QUIT gets 530 before authentication", "submission",
          {"instead": lambda s, v, rest: b"530 5.7.0 authentication required\r\n" if v == "QUIT" and not s.user
           and s.service == "submission" else None}),
]  # fmt: skip
