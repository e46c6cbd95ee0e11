"""Faults of POP3 that leave a command of no use at all (RFC 1939): nothing that depends on it may then hide them."""

from __future__ import annotations

from conformance.server.faults._tools import Hooks, closes, instead, reply
from conformance.server.faults.pop3_sessions import pop

_R = "rfc1939/"


def _endless(verb: str) -> Hooks:
    """The answer lacks the line of one dot."""
    return reply(verb, lambda octets: octets.removesuffix(b".\r\n") if octets.startswith(b"+OK") else octets)


def _closes(verb: str) -> Hooks:
    """The server is gone after half of the answer."""
    return {"reply": lambda s, octets, v: closes(s, octets[: len(octets) // 2]) if v == verb and octets.startswith(b"+OK") else octets}


def _refused(verb: str) -> Hooks:
    return instead(verb, b"-ERR not today\r\n", "transaction")


FAULTS = [
    pop("pop3-retr-endless", _R + "3/multi-line-terminator", "the answer to RETR has no end", _endless("RETR")),
    pop("pop3-list-endless", _R + "5/list-all-multi-line", "the answer to LIST has no end", _endless("LIST")),
    pop("pop3-top-endless", _R + "7/top-header-blank-lines", "the answer to TOP has no end", _endless("TOP")),
    pop("pop3-uidl-endless", _R + "7/uidl-all-multi-line", "the answer to UIDL has no end", _endless("UIDL")),
    pop("pop3-retr-refused", _R + "5/retr-multi-line", "RETR is refused", _refused("RETR")),
    pop("pop3-list-refused", _R + "5/list-all-multi-line", "LIST is refused", _refused("LIST")),
    pop("pop3-dele-refused", _R + "5/dele-marks", "DELE is refused", _refused("DELE")),
    pop("pop3-dele-closes", _R + "5/dele-marks", "DELE ends the connection", {"reply": lambda s, o, v: closes(s, b"") if v == "DELE" else o}),
    pop("pop3-retr-closes", _R + "5/retr-whole-message", "the connection ends in the middle of a message", _closes("RETR")),
]  # fmt: skip
