"""Faults in the extensions of extensions/timing.py, policy.py and tracking.py, and in what is not offered."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks as Hook
from conformance.server.faults._tools import report as _report
from conformance.server.faults.dsn import refuses, takes


def _offers(keyword: str, line: str) -> Hook:
    """The line of the EHLO list in the keyword's place."""
    return {"capabilities": lambda s, words: [line if word.split()[0] == keyword else word for word in words]}


def _adds(line: str, when: Callable[[Any], bool] = lambda s: True) -> Hook:
    return {"capabilities": lambda s, words: [*words, line] if when(s) else words}


def _without(pattern: bytes, verb: bytes = b"MAIL") -> Hook:
    """Such parameters are cut off a command, so they are taken and count for nothing."""
    return {"command": lambda s, line: re.sub(pattern, b"", line) if line.upper().startswith(verb) else line}


def _clause(old: bytes, new: bytes) -> Hook:
    return {"content": lambda s, octets, sent: re.sub(rb"(?i)\r\n\tpriority " + old, new, octets, count=1)}


def _status(old: bytes, new: bytes, pattern: bytes) -> Hook:
    """In the reply to a MAIL that matches."""

    def command(s: Any, line: bytes) -> bytes:
        s.memory["line"] = line
        return line

    return {"command": command,
            "reply": lambda s, o, v: o.replace(old, new) if re.search(pattern, s.memory.get("line", b"")) else o}  # fmt: skip


def _expired(s: Any, octets: bytes, sent: bytes) -> bytes | None:
    """A message whose BY time is over is thrown away."""
    return None if str(s.mail.parameters.get("BY", "")).startswith("-") else octets


def _kept_hold(s: Any, verb: str) -> None:
    """The hold of a transaction that was given up holds for the next."""
    if verb == "MAIL":
        s.mail.hold = max(s.mail.hold, s.memory.get("hold", 0.0))
        s.memory["hold"] = s.mail.hold


def _counted(s: Any, verb: str, rest: bytes) -> bytes | None:
    """Every recipient counts as a domain."""
    s.memory["rcpt"] = s.memory.get("rcpt", 0) + (verb == "RCPT")
    return b"452 4.5.3 too many domains\r\n" if verb == "RCPT" and s.memory["rcpt"] > 4 else None


def _field_first(s: Any, line: bytes) -> bytes:
    return re.sub(rb" RRVS=\S+", b"", line) if b"RRVS=2034" in line and line.startswith(b"RCPT") else line


_ERA = b"RRVS=1970"
_TABLE: tuple[tuple[str, str, str, Hook], ...] = (
    # DELIVERBY
    ("by-keyword", "rfc2852/2/keyword-parameter", "The least time has a unit", _offers("DELIVERBY", "DELIVERBY 60s")),
    ("by-unknown", "rfc2852/4/valid-accepted", "BY is not known", refuses("MAIL", rb" BY=", b"501 5.5.4 no\r\n")),
    ("by-trace", "rfc2852/4/valid-accepted", "The trace letter is not known", refuses("MAIL", rb"BY=\S+[NRnr][Tt]", b"501 5.5.4 no\r\n")),
    ("by-case", "rfc2852/4/valid-accepted", "Modes want upper case", refuses("MAIL", rb"BY=\S+;[nr]", b"501 5.5.4 no\r\n")),
    ("by-plus", "rfc2852/4/valid-accepted", "A plus sign is refused", refuses("MAIL", rb"BY=\+", b"501 5.5.4 no\r\n")),
    ("by-digits", "rfc2852/4/valid-accepted", "Times end at eight digits", refuses("MAIL", rb"BY=\d{9}", b"501 5.5.4 no\r\n")),
    ("by-past", "rfc2852/4/past-with-notify", "Mode N wants a time to come", refuses("MAIL", rb"BY=(-|0;)\S*N", b"501 5.5.4 no\r\n")),
    ("by-past-return", "rfc2852/4/return-needs-positive", "Mode R takes any time", takes("MAIL", rb"BY=([+-]?0|-\d+);[Rr]")),
    ("by-past-code", "rfc2852/4/return-needs-positive", "Mode R with a past time is answered with 554",
     refuses("MAIL", rb"BY=([+-]?0|-\d+);[Rr]", b"554 5.4.7 expired\r\n")),
    ("by-past-status", "rfc2852/4/return-needs-positive-status", "Mode R with a past time has the status 5.4.7",
     _status(b"501 5.5.4", b"501 5.4.7", rb"BY=0;R")),
    ("by-least", "rfc2852/3/min-by-time-kept", "The announced least time is not kept", takes("MAIL", rb"BY=59;R")),
    ("by-least-code", "rfc2852/3/min-by-time-kept", "A time below the least is answered with 501", refuses("MAIL", rb"BY=59;R")),
    ("by-least-one-off", "rfc2852/3/min-by-time-enough", "The announced least time itself is refused",
     refuses("MAIL", rb"BY=60;R", b"555 5.4.7 too soon\r\n")),
    ("by-least-notify", "rfc2852/3/min-by-time-mode-r-only", "The least time counts for mode N too",
     refuses("MAIL", rb"BY=59;N", b"555 5.4.7 too soon\r\n")),
    ("by-any", "rfc2852/4/value-needed", "BY takes anything", takes("MAIL", rb" BY(=| |$)(?!([+-]?\d{1,9});[NRnr][Tt]?( |$))")),
    ("by-mode", "rfc2852/4/value-needed", "The mode may be missing", takes("MAIL", rb"BY=\d+;?$")),
    ("by-long", "rfc2852/4/value-needed", "Times of ten digits are taken", takes("MAIL", rb"BY=\d{10}")),
    ("by-lost", "rfc2852/4.1.3/notify-still-delivers", "What is late already is thrown away", {"content": _expired}),
    ("by-lost-return", "rfc2852/4.1.1/delivered", "Messages in mode R get lost",
     {"content": lambda s, o, sent: None if (s.mail.parameters.get("BY") or "").endswith("R") else o}),
    ("by-no-date", "rfc2852/4.1/report-dates", "Deliver-By-Date is missing", _report(rb"^Deliver-By-Date[^\n]*\n", b"")),
    ("by-no-arrival", "rfc2852/4.1/report-dates", "Arrival-Date is missing", _report(rb"^Arrival-Date[^\n]*\n", b"")),
    # MT-PRIORITY
    ("priority-keyword", "rfc6710/7/keyword-parameter", "The keyword lists two policies", _offers("MT-PRIORITY", "MT-PRIORITY MIXER STANAG4406")),
    ("priority-signed", "rfc6710/4.1/valid-accepted", "Priorities below 0 are refused", refuses("MAIL", rb"MT-PRIORITY=-", b"501 5.5.2 no\r\n")),
    ("priority-nine", "rfc6710/4.1/valid-accepted", "9 is refused", refuses("MAIL", rb"MT-PRIORITY=9$", b"501 5.5.2 no\r\n")),
    ("priority-ten", "rfc6710/4.1/bad-value-refused", "10 is taken", takes("MAIL", rb"MT-PRIORITY=-?10")),
    ("priority-any", "rfc6710/4.1/bad-value-refused", "MT-PRIORITY takes anything", takes("MAIL", rb"MT-PRIORITY(=| |$)(?!(-?[1-9]|0)( |$))")),
    ("priority-python", "rfc6710/4.1/bad-value-refused", "Any integer from -9 to 9 is taken, however written",
     takes("MAIL", rb"MT-PRIORITY=([+]\d|0\d|-0)")),
    ("priority-twice", "rfc6710/4.1/duplicate-refused", "The last of two priorities counts", takes("MAIL", rb"MT-PRIORITY=.*MT-PRIORITY=")),
    ("priority-no-clause", "rfc6710/4.1/received-clause", "The Received field does not tell the priority", _clause(rb"-?\d", b"")),
    ("priority-wrong-clause", "rfc6710/4.1/received-clause", "The Received field tells 0 always", _clause(rb"-?\d", b"\r\n\tpriority 0")),
    ("priority-untrusted", "rfc6710/4.1/untrusted-not-raised", "Everybody gets the priority asked for",
     {"priority": lambda s, priority, wanted: wanted}),
    ("priority-no-number", "rfc6710/4.1/altered-status", "X.3.6 comes without the new priority",
     {"reply": lambda s, o, v: re.sub(rb"2\.3\.6 -?\d is", b"2.3.6 lowered is", o)}),
    ("priority-no-field", "rfc6758/3.1/header-field", "The header field does not count",
     {"priority": lambda s, priority, wanted: priority if "MT-PRIORITY" in s.mail.parameters or s.mail.sender is None else 0}),
    ("priority-field-first", "rfc6710/4.1/parameter-is-priority", "The parameter does not count", _without(rb" MT-PRIORITY=-2")),
    # REQUIRETLS
    ("requiretls-keyword", "rfc8689/2/keyword", "The keyword has a parameter", _offers("REQUIRETLS", "REQUIRETLS TLS1.2")),
    ("requiretls-refused", "rfc8689/2/accepted-under-tls", "The parameter is not known", refuses("MAIL", rb"REQUIRETLS$", b"555 5.5.4 no\r\n")),
    ("requiretls-case", "rfc8689/2/accepted-under-tls", "The parameter wants upper case", refuses("MAIL", rb"requiretls$", b"555 5.5.4 no\r\n")),
    ("requiretls-null", "rfc8689/5/null-sender", "The null sender may not require TLS", refuses("MAIL", rb"<> REQUIRETLS", b"550 5.7.30 no\r\n")),
    ("requiretls-value", "rfc8689/2/no-value", "The parameter takes any value", takes("MAIL", rb"REQUIRETLS=")),
    ("requiretls-rcpt", "rfc8689/2/mail-parameter", "RCPT takes the parameter", takes("RCPT", rb"REQUIRETLS")),
    ("requiretls-clear", "rfc8689/2/tls-needed", "It is listed and taken without TLS",
     _adds("REQUIRETLS", lambda s: not s.tls) | _without(rb" REQUIRETLS$")),
    ("requiretls-field", "rfc8689/4.1/field-ignored", "The parameter and the field together are refused",
     {"content": lambda s, o, sent: None if b"TLS-Required:" in sent and "REQUIRETLS" in s.mail.parameters else o}),
    ("requiretls-bounce", "rfc8689/5/bounce-header-only", "The notification returns the whole message",
     {"whole": lambda s, whole, mail, outcome: whole or "REQUIRETLS" in mail.parameters}),
    # LIMITS
    ("limits-empty", "rfc9422/3/keyword-has-limits", "LIMITS carries no limit", _offers("LIMITS", "LIMITS")),
    ("limits-syntax", "rfc9422/3/limit-syntax", "Limits are separated by semicolons", _offers("LIMITS", "LIMITS RCPTMAX=100; MAILMAX=25")),
    ("limits-twice", "rfc9422/3/named-once", "RCPTMAX is announced twice", _offers("LIMITS", "LIMITS RCPTMAX=100 RCPTMAX=120")),
    ("limits-rcptmax-zero", "rfc9422/4.2/rcptmax-syntax", "RCPTMAX is zero", _offers("LIMITS", "LIMITS RCPTMAX=0")),
    ("limits-mailmax-word", "rfc9422/4.1/mailmax-syntax", "MAILMAX is a word", _offers("LIMITS", "LIMITS MAILMAX=none")),
    ("limits-domains-bare", "rfc9422/4.3/rcptdomainmax-syntax", "RCPTDOMAINMAX has no value", _offers("LIMITS", "LIMITS RCPTDOMAINMAX")),
    ("limits-rcptmax-exceeded", "rfc9422/4.2/rcptmax-not-exceeded", "More recipients than RCPTMAX are taken", _offers("LIMITS", "LIMITS RCPTMAX=50")),
    ("limits-rcptmax-early", "rfc9422/4.2/rcptmax-kept", "Fewer recipients than RCPTMAX are taken", _offers("LIMITS", "LIMITS RCPTMAX=101")),
    ("limits-mailmax-exceeded", "rfc9422/4.1/mailmax-not-exceeded", "More transactions than MAILMAX are taken", _offers("LIMITS", "LIMITS MAILMAX=20")),
    ("limits-mailmax-early", "rfc9422/4.1/mailmax-kept", "The last transaction of MAILMAX is refused", _offers("LIMITS", "LIMITS MAILMAX=26")),
    ("limits-domains-early", "rfc9422/4.3/rcptdomainmax-kept", "Fewer domains than RCPTDOMAINMAX are taken", _offers("LIMITS", "LIMITS RCPTDOMAINMAX=5")),
    ("limits-domains-exceeded", "rfc9422/4.3/rcptdomainmax-not-exceeded", "More domains than RCPTDOMAINMAX are taken",
     _offers("LIMITS", "LIMITS RCPTDOMAINMAX=2")),
    ("limits-domains-recipients", "rfc9422/4.3/rcptdomainmax-kept", "RCPTDOMAINMAX counts recipients", {"instead": _counted}),
    # RRVS
    ("rrvs-keyword", "rfc7293/3.1/keyword", "The keyword has a parameter", _offers("RRVS", "RRVS C R")),
    ("rrvs-refused", "rfc7293/5.1/owner-unchanged", "The parameter is refused", refuses("RCPT", rb"RRVS=2034\S+Z$", b"555 5.5.4 no\r\n")),
    ("rrvs-offset", "rfc7293/5.1/owner-unchanged", "Times want the zone Z", refuses("RCPT", rb"RRVS=\S+[+-]\d\d:\d\d$")),
    ("rrvs-action", "rfc7293/5.1/owner-unchanged", "The action is not known", refuses("RCPT", rb"RRVS=2034\S+;C$")),
    ("rrvs-ignored", "rfc7293/5.1/owner-changed", "The time is not looked at", takes("RCPT", _ERA)),
    ("rrvs-continue", "rfc7293/5.1/owner-changed", "The action C gets everybody accepted", takes("RCPT", _ERA + rb".*;C")),
    ("rrvs-code", "rfc7293/5.1/owner-changed", "Another owner is answered with 553", refuses("RCPT", rb"alice.*" + _ERA + b"|" + _ERA, b"553 5.7.17 no\r\n")),
    ("rrvs-status", "rfc7293/15.3/status", "Another owner is told with 5.1.1",
     {"reply": lambda s, o, v: o.replace(b"550 5.7.17", b"550 5.1.1")}),
    ("rrvs-role", "rfc7293/5.1/role-accounts", "Role accounts are looked at too", refuses("RCPT", b"postmaster.*" + _ERA, b"550 5.7.17 no\r\n")),
    ("rrvs-any", "rfc7293/3.1/grammar", "RRVS takes anything", takes("RCPT", rb"RRVS")),
    ("rrvs-fraction", "rfc7293/3.1/grammar", "Fractions of seconds are taken", takes("RCPT", rb"RRVS=\S+\.5Z")),
    ("rrvs-date", "rfc7293/3.1/grammar", "A date without a time is taken", takes("RCPT", rb"RRVS=2034-04-03$")),
    ("rrvs-any-action", "rfc7293/3.1/grammar", "The action may be anything", takes("RCPT", rb"RRVS=2034\S+;(X|CR|$)")),
    ("rrvs-mail", "rfc7293/3.1/rcpt-parameter", "MAIL takes the parameter", takes("MAIL", rb"RRVS=")),
    ("rrvs-field-ignored", "rfc7293/5.2/field-owner-changed", "The header field does not count",
     {"ownership": lambda s, right, wanted: right or s.verb == "DATA."}),
    ("rrvs-field-any", "rfc7293/5.2/field-discarded", "Any message with the field is thrown away",
     {"content": lambda s, o, sent: None if re.search(rb"(?i)^Subject", sent) and s.memory.get("field") else o,
      "unstuff": lambda s, o, sent: s.memory.__setitem__("field", b"Require-Recipient" in o) or o}),
    ("rrvs-field-valid", "rfc7293/5.2/field-owner-unchanged", "A field gets the message thrown away even if it holds",
     {"content": lambda s, o, sent: None if s.memory.get("field") else o,
      "unstuff": lambda s, o, sent: s.memory.__setitem__("field", b"Apr 2034" in o) or o}),
    ("rrvs-field-first", "rfc7293/5/parameter-before-field", "The field counts before the parameter", {"command": _field_first}),
    # NO-SOLICITING
    ("solicit-keyword", "rfc3865/2/keyword-parameter", "Classes stand apart", _offers("NO-SOLICITING", "NO-SOLICITING net.example:ADV org.example:X")),
    ("solicit-refused", "rfc3865/2.3/parameter", "SOLICIT is not known", refuses("MAIL", rb"SOLICIT=example", b"555 5.5.4 no\r\n")),
    ("solicit-list", "rfc3865/2.3/parameter", "SOLICIT takes one class only", refuses("MAIL", rb"SOLICIT=\w[^ ,]+,\w[^ ,]+$")),
    ("solicit-short", "rfc3865/2.3/parameter", "MAIL lines end at 512 octets", refuses("MAIL", rb".{506}", b"500 5.5.2 line too long\r\n")),
    ("solicit-any", "rfc3865/2.3/parameter-grammar", "SOLICIT takes anything", takes("MAIL", rb"SOLICIT(?!=(?:org|example)[^,; ]*(,example[^,; ]*)?$)")),
    ("solicit-all", "rfc3865/2.3/consistent-policy", "Any class gets a message refused",
     {"instead": lambda s, v, rest: b"550 5.7.1 not wanted\r\n" if v == "RCPT" and "SOLICIT" in s.mail.parameters else None}),
    ("solicit-ignored", "rfc3865/2.3/announced-not-delivered", "The announced class is delivered",
     {"unwanted": lambda s, found: []}),
    ("solicit-field-ignored", "rfc3865/2.3/announced-not-delivered", "The field does not count",
     {"unwanted": lambda s, found: [] if s.verb == "DATA." else found}),
    ("solicit-no-echo", "rfc3865/2.4/refusal-echo", "The refusal does not name the class",
     {"reply": lambda s, o, v: re.sub(rb"SOLICIT=\S+ is", b"that is", o)}),
    # MTRK
    ("mtrk-keyword", "rfc3885/2/keyword-without-parameter", "The keyword has a parameter", _offers("MTRK", "MTRK 86400")),
    ("mtrk-refused", "rfc3885/3.1/certifier", "The certifier is refused", refuses("MAIL", rb"MTRK=A")),
    ("mtrk-seconds", "rfc3885/3.1/certifier", "Seconds are refused", refuses("MAIL", rb"MTRK=\S+:\d")),
    ("mtrk-any", "rfc3885/3.1/certifier-grammar", "MTRK takes anything", takes("MAIL", rb"MTRK")),
    ("mtrk-time", "rfc3885/3.1/certifier-grammar", "The time is not looked at", takes("MAIL", rb"MTRK=A[^:]*:(?!\d{1,9} )")),
    ("mtrk-orcpt", "rfc3885/2/envid-and-orcpt", "ORCPT is refused", refuses("RCPT", rb"ORCPT=", b"555 5.5.4 no\r\n")),
    # what is not offered
    ("not-offered-mail", "rfc5321/4.1.1.11/mail-unknown-parameter-555", "Unknown parameters of MAIL are passed over",
     _without(rb" (REQUIRETLS|HOLDFOR=\S+|HOLDUNTIL=\S+|XVERP=\S+|VERP)$")),
    ("not-offered-rcpt", "rfc5321/4.1.1.11/rcpt-unknown-parameter-555", "Unknown parameters of RCPT are passed over",
     _without(rb" (CONPERM|CONNEG)$", b"RCPT")),
    ("not-offered-xclient", "rfc5321/4.2.2/500-unrecognised", "Anybody may say XCLIENT",
     {"instead": lambda s, v, rest: b"220 mx.example.test ESMTP ready\r\n" if v == "XCLIENT" else None}),
    ("not-offered-xforward", "rfc5321/4.2.2/500-unrecognised", "Anybody may say XFORWARD",
     {"instead": lambda s, v, rest: b"250 2.0.0 ok\r\n" if v == "XFORWARD" else None}),
    ("burl-elsewhere", "rfc4468/3.1/submission-only", "BURL is listed on the port of SMTP", _adds("BURL imap")),
    ("burl-after-auth", "rfc4468/3.1/submission-only", "BURL is listed on the port of SMTP after AUTH", _adds("BURL imap", lambda s: bool(s.user))),
    ("hold-elsewhere", "rfc4865/4.2/submission-only", "FUTURERELEASE is listed on the port of SMTP",
     _adds("FUTURERELEASE 3600 2035-01-01T00:00:00Z", lambda s: s.service == "smtp")),
)  # fmt: skip

_HELD: tuple[tuple[str, str, str, Hook], ...] = (
    ("keyword", "rfc4865/3/keyword-parameters", "The keyword has no date", _offers("FUTURERELEASE", "FUTURERELEASE 86400")),
    ("keyword-date", "rfc4865/3/keyword-parameters", "The date is not RFC 3339's", _offers("FUTURERELEASE", "FUTURERELEASE 86400 20350101000000Z")),
    ("refused", "rfc4865/4.2/valid-accepted", "HOLDFOR is not known", refuses("MAIL", rb"HOLDFOR=1$", b"555 5.5.4 no\r\n")),
    ("until-refused", "rfc4865/4.2/valid-accepted", "HOLDUNTIL is not known", refuses("MAIL", rb"HOLDUNTIL=\S+$", b"555 5.5.4 no\r\n")),
    ("bound-early", "rfc4865/4.2/valid-accepted", "The announced interval itself is refused", refuses("MAIL", rb"HOLDFOR=86400$")),
    ("bound", "rfc4865/4.2/interval-refused", "The announced interval is no bound", takes("MAIL", rb"HOLDFOR=\d{5}")),
    ("any", "rfc4865/4.2/interval-refused", "HOLDFOR takes anything", takes("MAIL", rb"HOLDFOR(=| |$)(?![1-9]\d*( |$))")),
    ("zero", "rfc4865/4.2/interval-refused", "HOLDFOR takes 0", takes("MAIL", rb"HOLDFOR=0")),
    ("date-bound", "rfc4865/4.2/date-refused", "The announced date is no bound", takes("MAIL", rb"HOLDUNTIL=9999")),
    ("date-any", "rfc4865/4.2/date-refused", "HOLDUNTIL takes anything", takes("MAIL", rb"HOLDUNTIL(=| |$)(?!\d{4}-[01]\d-\d\dT[0-2]\d:)")),
    ("date-form", "rfc4865/4.2/date-refused", "Dates are taken in part", takes("MAIL", rb"HOLDUNTIL=\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d|Z))?$")),
    ("two", "rfc4865/4.2/more-than-one-refused", "The last of two intervals counts", takes("MAIL", rb"HOLDFOR=.*HOLDFOR=")),
    ("both", "rfc4865/4.2/more-than-one-refused", "HOLDFOR and HOLDUNTIL go together", takes("MAIL", rb"HOLDFOR=.*HOLDUNTIL=|HOLDUNTIL=.*HOLDFOR=")),
    ("code", "rfc4865/4.2/501", "A bad interval is answered with 554", refuses("MAIL", rb"HOLDFOR=soon", b"554 5.5.4 no\r\n")),
    ("code-bound", "rfc4865/4.2/501", "A too long interval is answered with 552", refuses("MAIL", rb"HOLDFOR=86401", b"552 5.5.4 no\r\n")),
    ("status", "rfc4865/4.2/5.5.4", "A bad interval has the status 5.5.2", refuses("MAIL", rb"HOLDFOR=soon", b"501 5.5.2 no\r\n")),
    ("not-held", "rfc4865/4.2/held-for", "HOLDFOR counts for nothing", _without(rb" HOLDFOR=3600$")),
    ("not-held-until", "rfc4865/4.2/held-until", "HOLDUNTIL counts for nothing", _without(rb" HOLDUNTIL=\S+$")),
    ("kept", "rfc4865/3/no-default", "The hold outlives its transaction", {"after": _kept_hold}),
    ("after-by", "rfc4865/5.2.2/later-than-deliver-by", "A release after the time of DELIVERBY is taken", _without(rb" BY=\S+")),
    ("after-by-code", "rfc4865/5.2.2/501", "A release after the time of DELIVERBY is answered with 555",
     refuses("MAIL", rb"HOLDFOR=3600 BY=60", b"555 5.5.4 no\r\n")),
    ("with-by", "rfc4865/4.2/valid-accepted", "DELIVERBY does not go with a hold", refuses("MAIL", rb"HOLDFOR=1 BY=9")),
    ("no-request", "rfc4865/5.1.2/future-release-request", "Future-Release-Request is missing", _report(rb"^Future-Release-Request[^\n]*\n", b"")),
    ("no-arrival", "rfc4865/5.1.2/arrival-date", "Arrival-Date is missing", _report(rb"^Arrival-Date[^\n]*\n", b"")),
)  # fmt: skip
FAULTS = [Fault(f"param-{name}", requirement, summary, "smtp", hooks) for name, requirement, summary, hooks in _TABLE]
FAULTS += [Fault(f"hold-{name}", requirement, summary, "submission", hooks) for name, requirement, summary, hooks in _HELD]
