"""Further faults in the parameters of MAIL and RCPT: what is not offered, and FUTURERELEASE, SIZE, BODY, LIMITS, MT-PRIORITY, RRVS."""

from __future__ import annotations

import re
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks
from conformance.server.faults.dsn import refuses, takes

_UNOFFERED = re.compile(rb" (RET|ENVID|SIZE|BY|HOLDFOR|MT-PRIORITY|SOLICIT|MTRK|AUTH|XQZUNKNOWN)=\S+$| REQUIRETLS$")


def _passes_over(pattern: re.Pattern[bytes], service: str) -> Hooks:
    """Parameters that are not offered are dropped."""

    def command(s: Any, line: bytes) -> bytes:
        return pattern.sub(b"", line) if s.service == service and line.upper().startswith(b"MAIL") else line

    return {"command": command}


def _closes(pattern: bytes) -> Hooks:
    """Such a MAIL ends the session."""

    def instead(s: Any, verb: str, rest: bytes) -> bytes | None:
        if verb != "MAIL" or not re.search(pattern, rest):
            return None
        s.closing = True
        return b""

    return {"instead": instead}


def _notify_sticks(s: Any, wanted: bool, condition: str, one: Any) -> bool:
    """What one recipient's NOTIFY asks for holds for all."""
    return wanted or any(condition in (other.parameters.get("NOTIFY") or "").upper() for other in s.mail.recipients)


def _at_declared(s: Any, octets: bytes, verb: str) -> bytes:
    """What is bigger than declared is too big."""
    declared = (s.mail.parameters.get("SIZE") or "") if verb == "DATA." and octets.startswith(b"250") else ""
    return b"552 5.3.4 more than was declared\r\n" if declared.isdigit() and int(declared) < 50 else octets


def _counts_recipients(s: Any, verb: str, rest: bytes) -> bytes | None:
    """MAIL after a transaction with a recipient is refused."""
    if verb == "RCPT":
        s.memory["had a recipient"] = True
    return b"452 4.5.3 one transaction only\r\n" if verb == "MAIL" and s.memory.get("had a recipient") else None


_BAD = b"501 5.5.2 bad priority\r\n"
_TABLE: tuple[tuple[str, str, str, str, Hooks], ...] = (
    ("lmtp-passes-over", "lmtp", "rfc5321/4.1.1.11/mail-unknown-parameter-555", "Unknown parameters of MAIL are passed over",
     _passes_over(_UNOFFERED, "lmtp")),
    ("passes-over", "smtp", "rfc5321/4.1.1.11/mail-unknown-parameter-555", "Parameters of old extensions are passed over",
     _passes_over(re.compile(rb" CONNEG$| TRANSID=\S+$"), "smtp")),
    ("hold-lower-case", "submission", "rfc4865/4.2/valid-accepted", "The parameter in lower case is unknown",
     refuses("MAIL", rb" holdfor=", b"555 5.5.4 not known\r\n")),
    ("hold-no-calendar", "submission", "rfc4865/4.2/date-refused", "Months and hours beyond the last are taken",
     takes("MAIL", rb"HOLDUNTIL=\d{4}-13-|HOLDUNTIL=\S+T25:")),
    ("hold-until-twice", "submission", "rfc4865/4.2/more-than-one-refused", "The last of two dates counts", takes("MAIL", rb"HOLDUNTIL=.*HOLDUNTIL=")),
    ("hold-date-code", "submission", "rfc4865/4.2/501", "A date beyond the bound is answered with 552",
     refuses("MAIL", rb"HOLDUNTIL=9999", b"552 5.5.4 too late\r\n")),
    ("hold-two-code", "submission", "rfc4865/4.2/501", "Two intervals are answered with 555",
     refuses("MAIL", rb"HOLDFOR=.*HOLDFOR=", b"555 5.5.4 one is enough\r\n")),
    ("hold-date-status", "submission", "rfc4865/4.2/5.5.4", "A date beyond the bound has the status 5.7.1",
     refuses("MAIL", rb"HOLDUNTIL=9999", b"501 5.7.1 too late\r\n")),
    ("hold-two-status", "submission", "rfc4865/4.2/5.5.4", "Two intervals have the status 5.5.2",
     refuses("MAIL", rb"HOLDFOR=.*HOLDFOR=", b"501 5.5.2 one is enough\r\n")),
    ("size-not-zero", "smtp", "rfc1870/4/size-accepted", "A declared size below 2,000 is refused",
     refuses("MAIL", rb" SIZE=(1|1000)$", b"501 5.5.4 no message is so small\r\n")),
    ("size-exact", "smtp", "rfc1870/6.3/declaration-not-limit", "A message that is bigger than declared gets 552", {"reply": _at_declared}),
    ("size-twice", "smtp", "rfc1870/6.1/duplicate", "SIZE given twice ends the session", _closes(rb" SIZE=\d+ SIZE=")),
    ("body-twice", "smtp", "rfc6152/2/duplicate", "BODY given twice ends the session", _closes(rb" BODY=\w+ BODY=")),
    ("limits-one-transaction", "smtp", "rfc9422/4.1/mailmax-kept", "A transaction that had a recipient is the last", {"instead": _counts_recipients}),
    ("priority-not-negative", "smtp", "rfc6710/4.1/valid-accepted", "Priorities above 0 are refused", refuses("MAIL", rb"MT-PRIORITY=[1-9]$", _BAD)),
    ("priority-not-zero", "smtp", "rfc6710/4.1/valid-accepted", "0 is refused", refuses("MAIL", rb"MT-PRIORITY=0$", _BAD)),
    ("priority-unknown", "smtp", "rfc6710/4.1/valid-accepted", "The parameter is listed and unknown",
     refuses("MAIL", rb"MT-PRIORITY=4$", b"555 5.5.4 parameter not known\r\n")),
    ("notify-sticks", "smtp", "rfc3461/4.1/for-one-recipient", "NOTIFY of one recipient holds for all", {"notify": _notify_sticks}),
    ("success-whole", "smtp", "rfc3461/4.3/success-headers-only", "A notification of success holds the whole message whatever RET says",
     {"whole": lambda s, whole, mail, outcome: True}),
    ("rrvs-reject", "smtp", "rfc7293/5.1/owner-unchanged", "The action R is not known", refuses("RCPT", rb"RRVS=2034\S+;R$")),
)  # fmt: skip
FAULTS = [Fault(f"more-{name}", requirement, summary, service, hooks) for name, service, requirement, summary, hooks in _TABLE]
