"""Faults of the exchange profile in what it does with rubbish: tokens that are none, arguments that are missing, clients that leave."""

from __future__ import annotations

from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks

_BOTH = ("AUTH", "X-EXPS")


def _refusal(mechanism: str, answer: bytes) -> Hooks:
    """Every refusal in this mechanism reads otherwise."""

    def reply(s: Any, octets: bytes, verb: str) -> bytes:
        if verb not in _BOTH or not octets.startswith(b"5") or not s.exchange or s.exchange.mechanism != mechanism:
            return octets
        return answer

    return {"reply": reply}


def _dead(s: Any, octets: bytes, verb: str) -> bytes:
    """Once the service has died, nobody is greeted."""
    if verb == "GREETING" and getattr(s.world, "died", False):
        s.closing = True
        return b""
    return octets


def _dies_of_length(s: Any, octets: bytes, verb: str) -> bytes:
    if verb in _BOTH and octets.startswith(b"500 5.5.6"):
        s.world.died = s.closing = True
        return b""
    return _dead(s, octets, verb)


def _dies_with_client(s: Any, nothing: None) -> None:
    if s.verb == "XEXCH50" and s.reader:
        s.world.died = True


def _without_size(s: Any, verb: str, rest: bytes) -> bytes | None:
    lacks = not rest.split() or rest.startswith(b" ")
    return b"250 XEXCH50 OK\r\n" if verb == "XEXCH50" and s.user and lacks else None


def _early(s: Any, verb: str, rest: bytes) -> bytes | None:
    return b"334 NTLM supported\r\n" if verb == "AUTH" and rest.upper() == b"NTLM" and s.greeted != "EHLO" else None


_GARBAGE = "ms-smtpntlm/3.2.5/garbage-refused"
_TABLE: tuple[tuple[str, str, str, Hooks], ...] = (
    ("ntlm-garbage-250", _GARBAGE, "A refused NTLM exchange is answered 250", _refusal("NTLM", b"250 ok\r\n")),
    ("ntlm-long-token-kills", _GARBAGE, "An over-long token ends the service", {"reply": _dies_of_length}),
    ("ntlm-before-ehlo", "rfc4954/4/esmtp-session", "AUTH NTLM begins without EHLO", {"instead": _early}),
    ("gssapi-garbage-250", "kb812455/x-exps/garbage", "A torn GSSAPI token is answered 250", _refusal("GSSAPI", b"250 ok\r\n")),
    ("xexch50-abandoned-kills", "kb812455/xexch50/abandoned", "A client that leaves in the octets ends the service",
     {"reply": _dead, "ended": _dies_with_client}),
    ("xexch50-no-numbers", "kb812455/xexch50/argument-syntax", "XEXCH50 without its numbers is answered 250",
     {"instead": _without_size}),
    ("xexch50-no-size", "kb812455/xexch50/size-syntax", "XEXCH50 without a size is answered 250", {"instead": _without_size}),
)  # fmt: skip
FAULTS = [Fault(name, requirement, summary, "smtp", hooks, profile="exchange") for name, requirement, summary, hooks in _TABLE]
