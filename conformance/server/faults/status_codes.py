"""Faults in the form, the place and the meaning of enhanced status codes: RFC 2034, RFC 3463, RFC 5248."""

from __future__ import annotations

import re

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks
from conformance.server.faults._tools import reply as _reply
from conformance.server.faults._tools import turns as _turns
from conformance.server.faults.esmtp_status import STATUS

_REFUSED = re.compile(rb"(?m)^(5[0-9]{2}[- ])5\.([0-9]+)\.([0-9]+) ")


def _without(verb: str) -> Hooks:
    """Replies of success to the verb have no status code."""
    return _reply(verb, lambda octets: STATUS.sub(rb"\1", octets) if octets[:1] == b"2" else octets)


def _refusals(new: bytes) -> Hooks:
    """The status codes of refusals."""
    return {"reply": lambda s, octets, verb: _REFUSED.sub(new, octets)}


def _unknown(new: bytes) -> Hooks:
    """Those of unknown commands."""
    return _reply("XQZZY", lambda octets: _REFUSED.sub(new, octets))


def _second_line(line: bytes) -> Hooks:
    """Replies have two lines."""

    def change(octets: bytes) -> bytes:
        if octets[:1] not in b"25" or octets[3:4] != b" " or not STATUS.match(octets):
            return octets
        return octets[:3] + b"-" + octets[4:] + octets[:3] + b" " + line + b"\r\n"

    return {"reply": lambda s, octets, verb: change(octets)}


_TABLE: tuple[tuple[str, str, str, Hooks], ...] = (
    ("keyword", "rfc2034/3/keyword-without-parameter", "The keyword has a parameter",
     {"capabilities": lambda s, words: [word + " RFC3463" if word == "ENHANCEDSTATUSCODES" else word for word in words]}),
    *((f"no-{verb.strip('.').lower()}", "rfc2034/4/success-has-code", f"Replies of success to {verb} have no status code", _without(verb))
      for verb in ("RSET", "MAIL", "RCPT", "VRFY", "QUIT", "DATA.")),
    ("no-space", "rfc2034/3/code-followed-by-space", "A colon follows the status codes",
     {"reply": lambda s, octets, verb: re.sub(rb"^(2.. 2\.\d\.\d) ", rb"\1: ", octets)}),
    ("leading-zero", "rfc3463/2/no-leading-zeros", "The parts of status codes have leading zeros", _refusals(rb"\g<1>5.0\2.\3 ")),
    ("two-digits", "rfc3463/2/no-leading-zeros", "An unknown command has a detail of two digits, 01", _unknown(rb"\g<1>5.\2.0\3 ")),
    ("four-digits", "rfc3463/2/at-most-three-digits", "An unknown command has a detail of four digits", _unknown(rb"\g<1>5.\2.100\3 ")),
    ("class-6", "rfc3463/2/known-class", "An unknown command has the class 6", _unknown(rb"\g<1>6.\2.\3 ")),
    ("two-parts", "rfc3463/2/syntax", "An unknown command has a status without a detail", _unknown(rb"\g<1>5.\2 ")),
    ("dashes", "rfc2034/4/status-code-syntax", "Dashes stand between the parts of an unknown command's status", _unknown(rb"\g<1>5-\2-\3 ")),
    ("number-sign", "rfc2034/4/status-code-syntax", "A number sign stands before an unknown command's status", _unknown(rb"\g<1>#5.\2.\3 ")),
    ("own-detail", "rfc5248/2.4/registered-codes", "Details are numbers of the server's own", _refusals(rb"\g<1>5.\2.77 ")),
    ("own-subject", "rfc5248/2.4/registered-codes", "Refusals are of a subject that nobody has registered", _refusals(rb"\g<1>5.9.\3 ")),
    ("rcpt-class", "rfc2034/4/class-agrees", "An accepted recipient has the class 4", _turns("RCPT", b"250 2.1.5", b"250 4.1.5")),
    ("mail-class", "rfc2034/4/class-agrees", "An accepted sender has the class 5", _turns("MAIL", b"250 2.1.0", b"250 5.1.0")),
    ("greeting", "rfc2034/4/not-in-greeting", "The greeting has a status code", _turns("GREETING", b"220 ", b"220 2.0.0 ")),
    ("ehlo", "rfc2034/4/not-in-ehlo", "EHLO is answered with a status code",
     _reply("EHLO", lambda octets: octets.replace(b"250-", b"250-2.0.0 ", 1))),
    ("helo", "rfc2034/4/not-in-ehlo", "HELO is answered with a status code", _turns("HELO", b"250 ", b"250 2.0.0 ")),
    ("bare-line", "rfc2034/4/each-line", "The second line of a reply has no status code", _second_line(b"see the manual")),
    ("other-line", "rfc2034/4/each-line", "The second line of a reply has a status code of its own", _second_line(b"2.7.0 see the manual")),
    ("unknown", "rfc3463/3.6/invalid-command", "An unknown command has the status 5.5.4", _turns("XQZZY", b"5.5.1", b"5.5.4")),
    ("sequence", "rfc3463/3.6/invalid-command", "A bad sequence has the status 5.5.2", {"reply": lambda s, octets, verb: octets.replace(b"503 5.5.1", b"503 5.5.2")}),
    ("no-kind", "rfc3463/3.6/syntax-error", "Errors of syntax have the status of a refusal by policy",
     {"reply": lambda s, octets, verb: re.sub(rb"^501 5\.\d\.\d", b"501 5.7.1", octets)}),
    ("mailbox", "rfc3463/3.2/bad-mailbox", "An unknown recipient has the status 5.3.0", _turns("RCPT", b"550 5.1.1", b"550 5.3.0")),
)  # fmt: skip
FAULTS = [Fault(f"code-{name}", requirement, summary, "smtp", hooks) for name, requirement, summary, hooks in _TABLE]
