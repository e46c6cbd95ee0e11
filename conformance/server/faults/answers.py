"""Faults in the codes and the form of replies: RFC 5321 sections 4.2, 4.3, 4.5.1 and 7.3, RFC 1123 section 5.2.10."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import turns as _text
from conformance.server.smtp_grammar import Path

Hook = dict[str, Callable[..., Any]]
_NO = b"502 5.5.1 not implemented\r\n"
_SEQUENCE = b"503 5.5.1 bad sequence of commands\r\n"


def _says(verbs: str, octets: bytes, when: Callable[[Any, bytes], bool] = lambda s, rest: True) -> Hook:
    return {"instead": lambda s, v, rest: octets if v in verbs.split() and when(s, rest) else None}


def _code(verbs: str, old: bytes, new: bytes) -> Hook:
    return {"reply": lambda s, octets, v: new + octets[3:] if v in verbs.split() and octets[:3] == old else octets}


def _in_mail(s: Any, rest: bytes) -> bool:
    return s.state in ("mail", "rcpt")


def _unknown(octets: bytes) -> Hook:
    return {"reply": lambda s, o, v: octets if o.startswith(b"500 5.5.1") else o}


def _short_verb(s: Any, line: bytes) -> bytes:
    """Verbs are told apart by their first three letters."""
    word, blank, rest = line.partition(b" ")
    return b"NOOP" + blank + rest if word.upper().startswith(b"NOO") else line


def _first_four(s: Any, line: bytes) -> bytes:
    return line[:4] if line.upper().startswith((b"NOOP", b"RSET")) and line[4:5].isalpha() else line


def _begins_all_the_same(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "MAIL" and octets.startswith(b"555") and s.mail.sender is None:
        s.mail.sender = Path("", "")
    return octets


def _remember(s: Any, octets: bytes, sent: bytes) -> bytes:
    s.memory["refused?"] = octets
    return octets


def _delivers_all_the_same(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "DATA." and octets[:1] == b"5":
        for recipient in s.mail.recipients:
            s.world.storage.deliver(recipient.user, s.memory.get("refused?", b""))
    return octets


def _keep_line(s: Any, line: bytes) -> bytes:
    s.memory["line"] = line
    return line


def _echo(s: Any, octets: bytes, verb: str) -> bytes:
    """What is refused is said again, as it came."""
    line = s.memory.get("line", b"")
    return octets[:-2] + b" (your command was: " + line + b")\r\n" if octets[:1] == b"5" and line else octets


def _echo_unknown(s: Any, octets: bytes, verb: str) -> bytes:
    return octets[:-2] + b": " + s.memory.get("line", b"") + b"\r\n" if octets.startswith(b"500 5.5.1") else octets


def _bare(text: bytes) -> Hook:
    """Codes without text, wherever nothing needs one."""

    def reply(s: Any, octets: bytes, verb: str) -> bytes:
        if verb in ("GREETING", "EHLO", "HELO", "LHLO", "AUTH", "DATA.", "BDAT") or octets.count(b"\r\n") > 1:
            return octets
        return octets[:3] + text + b"\r\n"

    return {"reply": reply}


def _closes_on_digits(s: Any, octets: bytes, verb: str) -> bytes:
    if not verb.isdigit():
        return octets
    s.closing = True
    return b""


def _own_codes(s: Any, octets: bytes, verb: str) -> bytes:
    """Success is 200 and every error 599, as another protocol has it."""
    if verb in ("NOOP", "VRFY", "HELP"):
        return b"200" + octets[3:]
    return b"599" + octets[3:] if octets[:1] == b"5" and (not s.greeted) else octets


_CASES: tuple[tuple[str, str, str, Hook], ...] = (
    ("noop-200", "4.3.2/noop-codes", "NOOP gets 200", _code("NOOP", b"250", b"200")),
    ("quit-250", "4.3.2/quit-codes", "QUIT gets 250", _code("QUIT", b"221", b"250")),
    ("help-250", "4.3.2/help-codes", "HELP gets 250", _code("HELP", b"214", b"250")),
    ("vrfy-214", "4.3.2/vrfy-codes", "VRFY gets 214", _code("VRFY", b"250", b"214")),
    ("expn-214", "4.3.2/expn-codes", "EXPN gets 214", _says("EXPN", b"214 2.1.5 no lists here\r\n")),
    ("mail-251", "4.3.2/mail-codes", "MAIL gets 251", _code("MAIL", b"250", b"251")),
    ("again-220", "4.3.2/ehlo-codes", "EHLO and HELO get 220 when they are given again",
     _says("EHLO HELO", b"220 mx.example.test again\r\n", lambda s, rest: bool(s.greeted))),
    ("rcpt-252", "4.3.2/rcpt-codes", "RCPT gets 252, as if it were VRFY", _code("RCPT", b"250", b"252")),
    ("rcpt-521", "4.3.2/rcpt-codes", "RCPT is refused with 521", _code("RCPT", b"550", b"521")),
    ("early-data-550", "4.3.2/data-codes", "DATA without recipients gets 550", _code("DATA", b"503", b"550")),
    ("data-350", "4.3.2/data-codes", "DATA gets 350, as FTP has it", _code("DATA", b"354", b"350")),
    ("end-251", "4.3.2/data-end-codes", "The end of the data gets 251", _code("DATA.", b"250", b"251")),
    ("unknown-505", "4.2.1/no-invented-codes", "Unknown commands get 505", _unknown(b"505 5.5.1 what?\r\n")),
    ("unknown-505-listed", "4.2/listed-codes-only", "Unknown commands get 505", _unknown(b"505 5.5.1 what?\r\n")),
    ("unknown-502", "4.2.4/500-not-recognised", "Commands that nobody knows get 502", _unknown(_NO)),
    ("unknown-250", "4.2.2/500-unrecognised", "Commands that nobody knows get 250", _unknown(b"250 2.0.0 ok\r\n")),
    ("unknown-501", "3.8/unknown-command-500", "Commands that nobody knows get 501", _unknown(b"501 5.5.4 what?\r\n")),
    ("unknown-closes", "3.8/unknown-command-no-close", "An unknown verb of digits closes the connection",
     {"reply": _closes_on_digits}),
    ("three-letters", "2.2.2/registered-verbs-only", "Verbs are known by their first three letters", {"command": _short_verb}),
    ("four-letters", "4.2.4/500-not-recognised", "Letters behind the fourth of a verb are not read", {"command": _first_four}),
    ("arguments-500", "4.2.2/501-arguments", "Errors in MAIL's argument get 550", _code("MAIL", b"501", b"550")),
    ("sequence-501", "4.2.2/503-sequence", "A command out of order gets 501",
     {"reply": lambda s, o, v: b"501" + o[3:] if o[:3] == b"503" else o}),
    ("parameter-550", "4.2.1/504-for-parameter", "An unknown parameter gets 550", _code("MAIL", b"555", b"550")),
    ("noop-503", "4.5.1/noop", "NOOP within a transaction gets 503", _says("NOOP", _SEQUENCE, _in_mail)),
    ("noop-502", "4.3.2/required-commands-recognised", "NOOP within a transaction gets 502", _says("NOOP", _NO, _in_mail)),
    ("rset-502", "4.5.1/rset", "RSET within a transaction gets 502", _says("RSET", _NO, _in_mail)),
    ("rcpt-502", "4.5.1/rcpt", "RCPT gets 502", _says("RCPT", _NO)),
    ("quit-503", "4.5.1/quit", "QUIT within a transaction gets 503", _says("QUIT", _SEQUENCE, _in_mail)),
    ("ehlo-502", "4.5.1/ehlo", "EHLO gets 502", _says("EHLO", _NO)),
    ("helo-502", "4.5.1/helo", "HELO gets 502", _says("HELO", _NO)),
    ("mail-502", "4.5.1/mail", "MAIL gets 530", _says("MAIL", b"530 5.7.0 authentication required\r\n")),
    ("vrfy-500", "4.5.1/vrfy", "VRFY gets 500", _says("VRFY", b"500 5.5.1 not recognised\r\n")),
    ("vrfy-all", "7.3/no-false-verification", "VRFY confirms every name", _code("VRFY", b"550", b"250")),
    ("vrfy-none", "7.3/no-constant-550", "VRFY knows nobody", _says("VRFY", b"550 5.1.1 not a user here\r\n")),
    ("vrfy-502", "7.3/disabled-252", "VRFY is disabled with 502", _says("VRFY", _NO)),
    ("no-postmaster", "4.5.1/postmaster", "There is no postmaster",
     _says("RCPT", b"550 5.1.1 no such user\r\n", lambda s, rest: b"postmaster@" in rest)),
    ("postmaster-case", "4.5.1/postmaster-any-case", "Postmaster is known in lower case only",
     _says("RCPT", b"550 5.1.1 no such user\r\n", lambda s, rest: re.search(rb"[pP][a-zA-Z]*[A-Z]\w*@", rest) is not None)),
    ("postmaster-alone", "4.5.1/postmaster-without-domain", "Postmaster needs a domain",
     _says("RCPT", b"550 5.1.1 no such user\r\n", lambda s, rest: b"postmaster>" in rest.lower())),
    ("refused-mail-begins", "4.2.1/5yz-means-not-done", "A refused MAIL begins a transaction", {"reply": _begins_all_the_same}),
    ("listed-502", "4.2.4/listed-keyword-works", "What is listed is not implemented",
     _says("HELP ETRN STARTTLS BDAT VRFY EXPN AUTH", _NO, lambda s, rest: b"PLAIN " not in rest)),
    ("listed-555", "4.2.4/listed-keyword-works", "The parameters of what is listed are not known",
     _says("MAIL", b"555 5.5.4 not known\r\n", lambda s, rest: b"> " in rest)),
    ("noop-150", "4.2.1/no-1yz", "NOOP gets 150", _code("NOOP", b"250", b"150")),
    ("refused-delivered", "4.2.5/5yz-no-delivery", "What is refused for its hops is delivered",
     {"unstuff": _remember, "reply": _delivers_all_the_same}),
    ("greeting-name", "4.2/greeting-names-domain", "The greeting has stars in place of a name",
     _text("GREETING", b"mx.example.test", b"*****")),
    ("greeting-200", "4.3.1/greeting-220", "The greeting is 200", _code("GREETING", b"220", b"200")),
    ("echo", "4.5.3.1.5/reply-512", "Refusals repeat the command", {"command": _keep_line, "reply": _echo}),
    ("echo-unknown", "4.2/text-is-printable", "Unknown commands are repeated as they came",
     {"command": _keep_line, "reply": _echo_unknown}),
    ("bare-codes", "4.2/no-bare-codes", "Replies have no text", _bare(b" ")),
    ("bare-codes-no-space", "4.2.1/space-without-text", "Replies have no text and no space", _bare(b"")),
    ("data-now", "4.3.2/data-argument-501", "DATA with an argument gets 503", _code("DATA", b"501", b"503")),
    ("rset-now", "4.3.2/rset-argument-501", "RSET with an argument gets 500", _code("RSET", b"501", b"500")),
    ("quit-now", "4.3.2/quit-argument-501", "QUIT with an argument gets 500", _code("QUIT", b"501", b"500")),
)  # fmt: skip

FAULTS = [Fault(f"answer-{name}", f"rfc5321/{requirement}", summary, "smtp", hooks) for name, requirement, summary, hooks in _CASES] + [
    Fault("answer-own-codes", "rfc1123/5.2.10/listed-codes-only", "Codes are those of another protocol", "smtp", {"reply": _own_codes}),
]  # fmt: skip
