"""Faults in enhanced status codes: RFC 2034, command by command and phase by phase."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault

STATUS = re.compile(rb"(?m)^([245][0-9]{2}[- ])[245]\.[0-9]+\.[0-9]+ ")


def _without(when: Callable[[Any, bytes, str], bool]) -> dict[str, Callable[..., bytes]]:
    """Replies without their status code."""
    return {"reply": lambda s, octets, verb: STATUS.sub(rb"\1", octets) if when(s, octets, verb) else octets}


def _verb(*verbs: str, code: bytes = b"") -> dict[str, Callable[..., bytes]]:
    return _without(lambda s, octets, verb: verb in verbs and octets.startswith(code))


def _later(s: Any, octets: bytes, verb: str) -> bool:
    if verb == "DATA." and octets.startswith(b"250"):
        s.memory["had-one"] = True
        return False
    return bool(s.memory.get("had-one"))


FAULTS = [
    Fault("status-bdat", "rfc2034/4/success-has-code", "Replies to BDAT have no status code", "smtp", _verb("BDAT", code=b"2")),
    Fault("status-bdat-refused", "rfc2034/4/permanent-has-code", "Refusals of BDAT have no status code", "smtp", _verb("BDAT", code=b"5")),
    Fault("status-starttls", "rfc2034/4/success-has-code", "220 to STARTTLS has no status code", "smtp", _verb("STARTTLS")),
    Fault("status-etrn", "rfc2034/4/success-has-code", "Replies to ETRN have no status code", "smtp", _verb("ETRN")),
    Fault("status-help", "rfc2034/4/success-has-code", "Replies to HELP have no status code", "smtp", _verb("HELP")),
    Fault("status-expn", "rfc2034/4/success-has-code", "Replies to EXPN have no status code", "smtp", _verb("EXPN")),
    Fault("status-552", "rfc2034/4/permanent-has-code", "552 has no status code", "smtp", _verb("MAIL", code=b"552")),
    Fault("status-refused-recipient", "rfc2034/4/permanent-has-code", "Refusals of RCPT have no status code", "smtp", _verb("RCPT", code=b"5")),
    Fault("status-auth", "rfc2034/4/success-has-code", "Replies to AUTH have no status code", "smtp", _verb("AUTH", "AUTH.")),
    Fault("status-helo", "rfc2034/4/without-ehlo", "After HELO replies have no status code", "smtp",
          _without(lambda s, octets, verb: s.greeted == "HELO")),
    Fault("status-tls", "rfc2034/4/success-has-code", "In TLS replies have no status code", "smtp", _without(lambda s, octets, verb: s.tls)),
    Fault("status-first-transaction", "rfc2034/4/success-has-code", "After the first message replies have no status code", "smtp",
          _without(_later)),
]  # fmt: skip
