"""Faults in DSN: RFC 3461's parameters and rules, and the notifications of RFC 3464."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks as Hook
from conformance.server.faults._tools import report as _report
from conformance.server.smtp_grammar import Path

_OK = {"MAIL": b"250 2.1.0 sender ok\r\n", "RCPT": b"250 2.1.5 recipient ok\r\n"}
_BAD = b"501 5.5.4 bad parameter\r\n"


def takes(verb: str, pattern: bytes) -> Hook:
    """Such a command is accepted unseen."""
    return {"instead": lambda s, v, rest: _OK[verb] if v == verb and re.search(pattern, rest) else None}


def refuses(verb: str, pattern: bytes, answer: bytes = _BAD) -> Hook:
    return {"instead": lambda s, v, rest: answer if v == verb and re.search(pattern, rest) else None}


def _notify(change: Callable[[bool, str, dict[str, Any]], bool]) -> Hook:
    """Whether a recipient's parameters ask for the condition."""
    return {"notify": lambda s, wanted, condition, one: change(wanted, condition, one.parameters)}


def _raw(s: Any, octets: bytes, mail: Any, recipients: Any) -> bytes:
    """What MAIL and RCPT gave is put in as it came, in xtext."""
    envelope = (mail.parameters.get("ENVID") or "").encode()
    octets = re.sub(rb"(?m)^(Original-Envelope-Id: )[^\r]*", lambda m: m[1] + envelope, octets)
    original = (recipients[0].parameters.get("ORCPT") or "").encode()
    return re.sub(rb"(?m)^(Original-Recipient: )[^\r]*", lambda m: m[1] + original, octets)


def _lower(name: bytes) -> Hook:
    pattern = re.compile(rb"(?m)^(" + name + rb": )([^\r]*)")
    return {"report": lambda s, octets, mail, recipients: pattern.sub(lambda m: m[1] + m[2].lower(), octets)}


def _to_author(s: Any, to: Path, mail: Any, octets: bytes) -> Path:
    """Messages of the null sender are reported to an address of the header."""
    match = re.search(rb"(?im)^(?:From|Sender|Reply-To):.*<([^@>\r]+)@([^>\r]+)>", octets)
    if to.domain or not match:
        return to
    mail.sender = Path(match[1].decode(), match[2].decode())
    return Path(match[1].decode(), match[2].decode())


def _everyone(s: Any, octets: bytes, mail: Any, recipients: Any) -> bytes:
    groups = [b"\r\n\r\nFinal-Recipient: rfc822; %s\r\nAction: delivered\r\nStatus: 2.0.0" % one.path.address.encode()
              for one in mail.recipients if one not in recipients]  # fmt: skip
    return re.sub(rb"(\r\nStatus: [0-9.]+)", lambda m: m[1] + b"".join(groups), octets, count=1)


def _swapped(s: Any, octets: bytes, mail: Any, recipients: Any) -> bytes:
    """The delivery status comes first."""
    match = re.search(rb'(?m)^\tboundary="(\w+)"', octets)
    assert match
    parts = octets.split(b"--%s\r\n" % match[1])
    return (b"--%s\r\n" % match[1]).join([parts[0], parts[2], parts[1], *parts[3:]])


def _lasting(s: Any, verb: str) -> None:
    """NOTIFY and ENVID of the last transaction hold for the next."""
    mail = s.mail
    if verb == "RCPT":
        for one in mail.recipients:
            one.parameters = {**s.memory.get("rcpt", {}), **one.parameters}
            s.memory["rcpt"] = one.parameters


def _mixed(s: Any, verb: str, rest: bytes) -> bytes | None:
    """What NOTIFY says is gathered over all recipients, as OpenSMTPD 7 does."""
    told = verb == "RCPT" and b"NOTIFY=NEVER" in rest and any(one.parameters.get("NOTIFY", "NEVER") != "NEVER" for one in s.mail.recipients)
    return b"553 5.5.4 NEVER goes with nothing else\r\n" if told else None


def _lost(s: Any, octets: bytes, sent: bytes) -> bytes | None:
    return None if any(one.parameters.get("NOTIFY") == "NEVER" for one in s.mail.recipients) else octets


_TABLE: tuple[tuple[str, str, str, Hook], ...] = (
    ("keyword", "rfc3461/3/keyword-without-parameter", "The keyword has a parameter",
     {"capabilities": lambda s, words: ["DSN 1.0" if word == "DSN" else word for word in words]}),
    ("mail-refused", "rfc3461/5.1/mail-unaffected", "MAIL with RET is answered with 555", refuses("MAIL", rb"(?i) RET=", b"555 5.5.4 no\r\n")),
    ("mail-251", "rfc3461/5.1/mail-unaffected", "MAIL with ENVID is answered with 251", refuses("MAIL", rb"ENVID=[^ ]+$", b"251 2.1.0 ok\r\n")),
    ("mail-null", "rfc3461/5.1/mail-unaffected", "RET with the null sender is refused", refuses("MAIL", rb"<> RET")),
    ("envid-hexchar", "rfc3461/5.1/mail-unaffected", "An ENVID with a hexchar is refused", refuses("MAIL", rb"ENVID=\S*\+2B")),
    ("envid-alnum", "rfc3461/5.1/mail-unaffected", "ENVID takes letters and digits only", refuses("MAIL", rb"ENVID=\w*[;,/!]")),
    ("envid-short", "rfc3461/5.4/parameter-lengths", "ENVID is limited to 64 characters", refuses("MAIL", rb"ENVID=\S{65}")),
    ("ret-case", "rfc3461/4.3/ret-case-insensitive", "RET wants upper case", refuses("MAIL", rb"RET=[A-Z]*[a-z]")),
    ("ret-any", "rfc3461/4.3/ret-values", "RET takes any value", takes("MAIL", rb"RET=(BODY|HDR\b|FULLY|FULL,)")),
    ("ret-valueless", "rfc3461/4.3/ret-values", "RET goes without a value", takes("MAIL", rb" RET(=| |$)(?!HDRS|FULL)")),
    ("ret-code", "rfc3461/4.3/ret-values", "A wrong RET value is answered with 550", refuses("MAIL", rb"RET=BODY", b"550 5.5.4 no\r\n")),
    ("envid-any", "rfc3461/4/xtext", "ENVID takes any octets", takes("MAIL", rb"ENVID=a\+(?![0-9A-F]{2})")),
    ("envid-valueless", "rfc3461/4.4/envid-value", "ENVID goes without a value", takes("MAIL", rb" ENVID(?:=?$| )")),
    ("mail-twice", "rfc3461/4.5/mail-duplicate", "The last of two RETs counts", takes("MAIL", rb"RET=.*RET=")),
    ("envid-twice", "rfc3461/4.5/mail-duplicate", "The last of two ENVIDs counts", takes("MAIL", rb"(?i)ENVID=.*ENVID=")),
    ("rcpt-refused", "rfc3461/5.1/rcpt-unaffected", "RCPT with NOTIFY is answered with 555", refuses("RCPT", rb"NOTIFY=", b"555 5.5.4 no\r\n")),
    ("rcpt-never", "rfc3461/5.1/rcpt-unaffected", "NOTIFY=NEVER is refused by policy", refuses("RCPT", rb"NOTIFY=NEVER$", b"550 5.7.1 no\r\n")),
    ("rcpt-success", "rfc3461/5.1/rcpt-unaffected", "NOTIFY=SUCCESS is refused by policy", refuses("RCPT", rb"NOTIFY=SUCCESS", b"550 5.7.1 no\r\n")),
    ("orcpt-refused", "rfc3461/5.1/rcpt-unaffected", "ORCPT is refused", refuses("RCPT", rb"ORCPT=rfc822;[^ ]*$", b"555 5.5.4 no\r\n")),
    ("orcpt-rfc822", "rfc3461/5.1/rcpt-unaffected", "ORCPT takes the type rfc822 in lower case only",
     refuses("RCPT", rb"(?i:ORCPT)=(?!rfc822)[\w]+;")),
    ("unknown-accepted", "rfc3461/5.1/rcpt-unaffected", "NOTIFY=NEVER gets any recipient accepted", takes("RCPT", rb"nobody.*NOTIFY=NEVER")),
    ("notify-case", "rfc3461/4.1/notify-case-insensitive", "NOTIFY wants upper case", refuses("RCPT", rb"NOTIFY=[A-Z]*[a-z]")),
    ("notify-any", "rfc3461/4.1/notify-values", "NOTIFY takes any value", takes("RCPT", rb"NOTIFY(?!=(SUCCESS|FAILURE|DELAY|NEVER)(,|$| ))")),
    ("notify-first-only", "rfc3461/4.1/notify-values", "Only the first value of NOTIFY is looked at",
     takes("RCPT", rb"NOTIFY=(SUCCESS|FAILURE|DELAY),.*(SOMETIMES|ALWAYS)")),
    ("notify-never-with", "rfc3461/4.1/never-alone", "NEVER goes with other values", takes("RCPT", rb"(?i)NOTIFY=(NEVER,|[A-Z,]*,NEVER)")),
    ("orcpt-any", "rfc3461/4.2/orcpt-syntax", "ORCPT takes anything", takes("RCPT", rb"ORCPT")),
    ("orcpt-hex", "rfc3461/4.2/orcpt-syntax", "Hexchars of ORCPT are not looked at", takes("RCPT", rb"ORCPT=\S*\+(?![0-9A-F]{2})")),
    ("orcpt-short", "rfc3461/5.4/parameter-lengths", "ORCPT is limited to 256 characters", refuses("RCPT", rb"ORCPT=\S{257}")),
    ("rcpt-line", "rfc3461/5.4/parameter-lengths", "RCPT is limited to 512 octets",
     refuses("RCPT", rb".{506}", b"500 5.5.2 line too long\r\n")),
    ("rcpt-twice", "rfc3461/4.5/rcpt-duplicate", "The last of two NOTIFYs counts", takes("RCPT", rb"NOTIFY=.*NOTIFY=|ORCPT=.*ORCPT=")),
    ("swapped", "rfc3461/2/parameters-of-commands", "MAIL takes NOTIFY and ORCPT", takes("MAIL", rb"NOTIFY=|ORCPT=")),
    ("swapped-rcpt", "rfc3461/2/parameters-of-commands", "RCPT takes RET and ENVID", takes("RCPT", rb"RET=|ENVID=")),
    ("keyword-case", "rfc3461/5.1/rcpt-unaffected", "Parameters want upper case", refuses("RCPT", rb"notify=", b"555 5.5.4 no\r\n")),
    ("notify-lost", "rfc5321/4.2.5/2yz-delivers", "Messages with NOTIFY get lost",
     {"content": lambda s, octets, sent: None if any("NOTIFY" in one.parameters for one in s.mail.recipients) else octets}),
    ("never-lost", "rfc5321/4.2.5/2yz-delivers", "Messages with NOTIFY=NEVER get lost", {"content": _lost}),
    ("no-report", "rfc3461/5.2.3/success-reported", "No delivery is reported",
     _notify(lambda wanted, condition, given: wanted and condition != "SUCCESS")),
    ("success-alone", "rfc3461/5.2.3/success-reported", "SUCCESS counts only where it stands alone",
     _notify(lambda wanted, condition, given: wanted and (condition != "SUCCESS" or given.get("NOTIFY") == "SUCCESS"))),
    ("report-first", "rfc3461/5.2.3/success-reported", "Only the first of several deliveries is reported",
     {"notify": lambda s, wanted, condition, one: wanted and one is s.mail.recipients[0]}),
    ("report-twice", "rfc3461/5.2.3/success-reported", "A delivery is reported twice",
     {"report": lambda s, octets, mail, rcpts: s.world.storage.deliver(mail.sender.local, octets) or octets}),
    ("always", "rfc3461/5.2.3/success-not-reported", "Every delivery is reported", _notify(lambda wanted, condition, given: True)),
    ("failure-as-success", "rfc3461/5.2.3/success-not-reported", "NOTIFY=FAILURE gets deliveries reported",
     _notify(lambda wanted, condition, given: wanted or "FAILURE" in (given.get("NOTIFY") or ""))),
    ("default-success", "rfc3461/5.2.3/success-not-reported", "Deliveries are reported without NOTIFY",
     _notify(lambda wanted, condition, given: wanted or "NOTIFY" not in given)),
    ("never-reports", "rfc3461/5.2.3/success-not-reported", "NEVER is ignored", _notify(lambda wanted, c, given: wanted or given.get("NOTIFY") == "NEVER")),
    ("kept", "rfc3461/5.2.3/success-not-reported", "NOTIFY holds for later transactions too", {"after": _lasting}),
    ("never-mixed", "rfc3461/4.1/for-one-recipient", "NEVER is refused after another recipient's NOTIFY", {"instead": _mixed}),
    ("no-failure", "rfc3461/5.2.6/failures", "A failure is reported as delayed for ever", _report(rb"^Status: 5", b"Status: 2")),
    ("failure-always", "rfc3461/5.2.6/failures-not-reported", "Failures are reported whatever NOTIFY says",
     _notify(lambda wanted, condition, given: wanted or condition == "FAILURE")),
    ("null-sender", "rfc3461/5.2/null-sender-no-dsn", "Messages of the null sender are reported to the author", {"reports_to": _to_author}),
    ("everyone", "rfc3461/5.2.8/only-those-asked", "All recipients are reported once one is", {"report": _everyone}),
    ("ret-ignored", "rfc3461/4.3/ret-meaning", "The whole message is returned always", {"whole": lambda s, whole, mail, outcome: True}),
    ("ret-full", "rfc3461/6.2/full-message", "Never more than the header is returned", {"whole": lambda s, whole, mail, outcome: False}),
    ("success-full", "rfc3461/4.3/success-headers-only", "RET=FULL returns delivered messages too",
     {"whole": lambda s, whole, mail, outcome: whole or mail.parameters.get("RET") == "FULL"}),
    ("return-path", "rfc3461/6.1/null-return-path", "Notifications come from postmaster",
     _report(rb"^Return-Path: <>", b"Return-Path: <postmaster@mx.example.test>")),
    ("not-mime", "rfc3461/6.2/multipart-report", "A notification is a plain text",
     _report(rb"^Content-Type: multipart/report[^\r]*\r\n\t[^\r]*", b"Content-Type: text/plain")),
    ("mixed", "rfc3461/6.2/multipart-report", "A notification is multipart/mixed", _report(rb"multipart/report", b"multipart/mixed")),
    ("report-type", "rfc6522/3/parameters", "The report-type is missing", _report(rb" report-type=delivery-status;", b"")),
    ("mime-version", "rfc3461/6.2/multipart-report", "MIME-Version is missing", _report(rb"^MIME-Version[^\n]*\n", b"")),
    ("parts-swapped", "rfc3464/2/second-part", "The delivery status comes first", {"report": _swapped}),
    ("part-type", "rfc3464/2/second-part", "The delivery status is text/plain", _report(rb"^Content-Type: message/delivery-status", b"Content-Type: text/plain")),
    ("not-closed", "rfc3461/6.2/multipart-report", "The last delimiter is missing", _report(rb"\r\n--\w+--\r\n", b"\r\n")),
    ("encoded", "rfc3464/2.1/seven-bit", "The delivery status is labelled as base64",
     _report(rb"^(Content-Type: message/delivery-status\r\n)", rb"\1Content-Transfer-Encoding: base64\r\n")),
    ("one-group", "rfc3464/2.1/groups", "No empty line divides the fields", _report(rb"\r\n\r\n(Original-Recipient|Final-Recipient)", rb"\r\n\1")),
    ("to-postmaster", "rfc3464/2/addressed-to-return-path", "The header names postmaster as the addressee", _report(rb"^To: [^\r]*", b"To: <postmaster@example.test>")),
    ("no-mta", "rfc3461/6.3/reporting-mta", "Reporting-MTA is missing", _report(rb"^Reporting-MTA[^\n]*\n", b"")),
    ("mta-type", "rfc3461/6.3/reporting-mta", "Reporting-MTA has no type", _report(rb"^Reporting-MTA: dns; ", b"Reporting-MTA: ")),
    ("no-final", "rfc3461/6.3/final-recipient", "Final-Recipient is missing", _report(rb"^Final-Recipient[^\n]*\n", b"")),
    ("final-orcpt", "rfc3461/6.3/final-recipient", "Final-Recipient is the original one",
     _report(rb"^(Original-Recipient: )([^\r]*)\r\nFinal-Recipient: [^\r]*", rb"\1\2\r\nFinal-Recipient: \2")),
    ("final-type", "rfc3461/6.3/final-recipient", "Final-Recipient has no type", _report(rb"^Final-Recipient: rfc822; ", b"Final-Recipient: ")),
    ("no-action", "rfc3461/6.3/action", "Action is missing", _report(rb"^Action[^\n]*\n", b"")),
    ("action-failed", "rfc3464/2.3.3/action-present", "A delivery is reported as failed", _report(rb"^Action: delivered", b"Action: failed")),
    ("no-status", "rfc3461/6.3/status", "Status is missing", _report(rb"^Status[^\n]*\n", b"")),
    ("status-class", "rfc3464/2.3.4/status-agrees", "A delivery is reported with 5.0.0", _report(rb"^Status: 2.0.0", b"Status: 5.0.0")),
    ("status-reply", "rfc3464/2.3.4/status-agrees", "Status is a reply code", _report(rb"^Status: 2.0.0", b"Status: 250")),
    ("no-envid", "rfc3461/6.3/original-envelope-id", "Original-Envelope-Id is missing", _report(rb"^Original-Envelope-Id[^\n]*\n", b"")),
    ("raw", "rfc3461/6.3/original-envelope-id", "ENVID and ORCPT are put in as xtext", {"report": _raw}),
    ("raw-orcpt", "rfc3461/6.3/original-recipient", "ORCPT is put in as xtext", {"report": _raw}),
    ("envid-lower", "rfc3464/2.2.1/case-kept", "The envelope id loses its case", _lower(b"Original-Envelope-Id")),
    ("envid-invented", "rfc3461/6.3/no-original-envelope-id", "An envelope id is made up",
     {"report": lambda s, o, mail, r: o if "ENVID" in mail.parameters else o.replace(b"Reporting-MTA", b"Original-Envelope-Id: 1\r\nReporting-MTA", 1)}),
    ("orcpt-utf8", "rfc6533/3/orcpt-utf8", "ORCPT does not know the type utf-8", refuses("RCPT", rb"ORCPT=utf-8;")),
    ("orcpt-8-bit", "rfc6533/3/orcpt-utf8", "ORCPT wants ASCII", refuses("RCPT", rb"ORCPT=utf-8;[^\x80-\xff]*[\x80-\xff]")),
    ("report-8-bit", "rfc6533/3/seven-bit-form", "A delivery status in 7 bits holds UTF-8",
     {"report": lambda s, o, mail, r: o.replace(rb"\x{FC}", "ü".encode())}),
    ("submission", "rfc3461/5.1/mail-unaffected", "The port of submission does not know RET and ENVID",
     {"instead": lambda s, v, rest: b"555 5.5.4 no\r\n" if s.service == "submission" and b" RET" in rest else None}),
    ("no-orcpt", "rfc3461/6.3/original-recipient", "Original-Recipient is missing", _report(rb"^Original-Recipient[^\n]*\n", b"")),
    ("orcpt-lower", "rfc3461/6.3/original-recipient", "The original recipient loses its case", _lower(b"Original-Recipient")),
    ("orcpt-retyped", "rfc3461/6.3/original-recipient", "The type of ORCPT is always rfc822", _report(rb"^Original-Recipient: \w+;", b"Original-Recipient: rfc822;")),
    ("orcpt-invented", "rfc3461/6.3/no-original-recipient", "Original-Recipient repeats the address of RCPT",
     {"report": lambda s, o, mail, r: o if "ORCPT" in r[0].parameters
      else re.sub(rb"(?m)^Final-Recipient: ([^\r]*)", rb"Original-Recipient: \1\r\nFinal-Recipient: \1", o)}),
)  # fmt: skip
FAULTS = [Fault(f"dsn-{name}", requirement, summary, "smtp", hooks) for name, requirement, summary, hooks in _TABLE]
