"""Faults in the order of commands, in limits, and in the number, time and form of replies: RFC 5321 sections 2.1 to 2.4, 4.1.4, 4.2, 4.3 and 4.5."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks, capabilities
from conformance.server.faults._tools import says as _says
from conformance.server.faults._tools import turns as _turns
from conformance.server.smtp_grammar import Path
from conformance.server.transaction import Recipient

_OK = b"250 2.0.0 ok\r\n"
_NO = b"502 5.5.1 not implemented\r\n"
_SEQUENCE = b"503 5.5.1 bad sequence of commands\r\n"
_LONG = b"500 5.5.2 line too long\r\n"
_TWO = b"250 2.1.5 <alice@example.test>\r\n250 2.1.5 <bob@example.test>\r\n"


def _reply(change: Callable[[bytes], bytes], *verbs: str) -> Hooks:
    return {"reply": lambda s, octets, verb: change(octets) if not verbs or verb in verbs else octets}


def _unanswered(verb: str, start: bytes = b"") -> Hooks:
    """Replies to ``verb`` that begin so are not sent."""
    return {"reply": lambda s, octets, word: b"" if word == verb and octets.startswith(start) else octets}


def _ends(when: Callable[[Any, str, bytes], bool]) -> Hooks:
    """Without a word the session ends."""

    def instead(s: Any, verb: str, rest: bytes) -> bytes | None:
        if not when(s, verb, rest):
            return None
        s.closing = True
        return b""

    return {"instead": instead}


def _third_unknown(s: Any, verb: str, rest: bytes) -> bool:
    if s.known(verb)[1] is None:
        s.memory["unknown"] = s.memory.get("unknown", 0) + 1
    return int(s.memory.get("unknown", 0)) > 2


def _any_refusal(s: Any, octets: bytes, verb: str) -> bytes:
    """What is refused outside a transaction undoes EHLO."""
    if octets[:1] == b"5" and s.state == "greeted":
        s.greeted = ""
    return octets


def _directly_behind(s: Any, verb: str, rest: bytes) -> bytes | None:
    """MAIL stands directly behind the first EHLO or HELO."""
    before, s.memory["before"] = s.memory.get("before", ""), verb
    if verb in ("EHLO", "HELO"):
        s.memory["hellos"] = s.memory.get("hellos", 0) + 1
    wrong = before in ("NOOP", "RSET") or s.memory.get("hellos", 0) > 1
    return _SEQUENCE if verb == "MAIL" and s.state == "greeted" and wrong else None


def _early_recipient(s: Any, verb: str, rest: bytes) -> None:
    """A RCPT that is refused for lack of MAIL is kept all the same."""
    if verb == "RCPT" and s.state == "greeted":
        s.memory["early"] = [Recipient(Path("alice", s.settings.domain), "alice")]


def _keeps_recipients(s: Any, verb: str, rest: bytes) -> None:
    if verb == "RSET" and s.mail.recipients:
        s.memory["early"] = list(s.mail.recipients)


def _early_joins(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "MAIL" and octets.startswith(b"250"):
        s.mail.recipients.extend(s.memory.pop("early", ()))
    return octets


def _fifth(s: Any, verb: str, rest: bytes) -> bytes | None:
    return b"452 4.5.3 too many recipients\r\n" if verb == "RCPT" and len(s.mail.recipients) > 3 else None


def _blank_counts(s: Any, line: bytes) -> bytes:
    s.memory["blank"] = line.endswith(b" ")
    return line


def _blank_told(s: Any, octets: bytes, verb: str) -> bytes:
    return octets.replace(b"500 5.5.1", b"501 5.5.4") if s.memory.get("blank") else octets


_OPEN: dict[int, set[int]] = {}  # world → the sessions that said EHLO


def _counts_open(s: Any, octets: bytes, verb: str) -> bytes:
    sessions = _OPEN.setdefault(id(s.world), set())
    if verb == "EHLO":
        sessions.add(id(s))
    return b"" if verb == "GREETING" and sessions else octets


def _gone(s: Any, nothing: None) -> None:
    _OPEN.get(id(s.world), set()).discard(id(s))


_CASES: tuple[tuple[str, str, str, Hooks], ...] = (
    # the order of commands
    ("order-data-any-time", "3.3/data-without-rcpt-refused", "DATA is taken in any state",
     _says("DATA", _OK, lambda s, rest: s.state in ("new", "greeted"))),
    ("order-mail-directly", "4.1.4/order-restarts", "MAIL is taken directly behind the first EHLO only", {"instead": _directly_behind}),
    ("order-refusal-forgets", "4.1.4/out-of-order-keeps-state", "Any refusal undoes EHLO", {"reply": _any_refusal}),
    ("order-early-rcpt", "4.1.4/out-of-order-keeps-state", "A RCPT refused for lack of MAIL counts",
     {"instead": _early_recipient, "reply": _early_joins}),
    ("order-rset-half", "4.1.1.5/discards-recipients", "RSET discards the sender only", {"instead": _keeps_recipients, "reply": _early_joins}),
    ("order-rset-outside", "4.1.1.5/250", "RSET outside a transaction gets 503",
     _says("RSET", _SEQUENCE, lambda s, rest: s.state == "greeted")),
    ("order-helo-no-mail", "F.3/helo-processed", "After HELO no recipient is taken",
     _says("RCPT", b"550 5.7.1 say EHLO\r\n", lambda s, rest: s.greeted == "HELO")),
    ("order-soml-unlisted", "F.6/send-listed", "SOML and SAML work, but are not listed",
     {"instead": lambda s, verb, rest: _OK if verb in ("SOML", "SAML") else None}),
    ("order-turn-unlisted", "4.1.1.1/optional-commands-listed", "TURN works, but is not listed", _says("TURN", _OK)),
    ("order-vrfy-listed", "4.2.4/listed-keyword-works", "VRFY is listed and not implemented",
     capabilities(lambda s, words: [*words, "VRFY"]) | _says("VRFY", _NO)),
    # limits
    ("limit-command-line", "4.5.3.1.4/command-512", "Command lines end at 200 octets",
     {"instead": lambda s, verb, rest: _LONG if verb == "NOOP" and len(rest) > 190 else None}),
    ("limit-ehlo-name", "4.5.3.1.2/domain-255", "An EHLO name ends at 190 octets",
     _says("EHLO", b"501 5.5.4 the name is too long\r\n", lambda s, rest: len(rest) > 190)),
    ("limit-too-long-twice", "4.5.3.1.9/limit-answered", "A line too long is answered for each of its pieces",
     _reply(lambda octets: octets * 2 if octets == _LONG else octets)),
    ("limit-too-long-silent", "4.5.3.1.9/limit-answered", "A line too long is not answered",
     _reply(lambda octets: b"" if octets == _LONG else octets)),
    ("limit-five-recipients", "3.3/rcpt-any-number-of-times", "The fifth RCPT is refused", {"instead": _fifth}),
    ("limit-552", "4.5.3.1.10/too-many-452", "Recipients beyond the limit are refused for good",
     _reply(lambda octets: octets.replace(b"452 4.5.3", b"552 5.5.3"), "RCPT")),
    # the number of replies and their time
    ("reply-none-to-empty", "4.2/one-reply-per-command", "An empty line gets no answer", _says("", b"")),
    ("reply-third-unknown", "4.2/one-reply-per-command", "The third unknown command ends the session", _ends(_third_unknown)),
    ("reply-eight-bit-verb", "2.4/non-ascii-commands-rejected", "A verb with octets beyond ASCII ends the session",
     _ends(lambda s, verb, rest: "\ufffd" in verb)),
    ("reply-text-behind-literal", "4.2/one-reply-per-command", "Text behind a literal ends the session",
     _ends(lambda s, verb, rest: verb == "EHLO" and b"] " in rest)),
    ("reply-two-blanks", "4.2/one-reply-per-command", "A second blank behind MAIL ends the session",
     _ends(lambda s, verb, rest: verb == "MAIL" and rest.startswith(b" "))),
    ("reply-each-name", "4.2/one-reply-per-command", "VRFY and EXPN have a reply for each user that a name may mean",
     {"instead": lambda s, verb, rest: _TWO if verb in ("VRFY", "EXPN") and rest and b"@" not in rest else None}),
    ("reply-rset-none", "2.1/reply-to-each-command", "RSET within a transaction gets no answer",
     _says("RSET", b"", lambda s, rest: s.state in ("mail", "rcpt"))),
    ("reply-end-none", "6.1/quick-end-of-data", "The end of the data gets no answer", _unanswered("DATA.")),
    ("reply-rcpt-none", "rfc1123/5.2.7/rcpt-in-time", "RCPT gets no answer", _unanswered("RCPT", b"250")),
    ("reply-noop-twice", "4.2/one-reply-per-command", "NOOP is answered twice", _reply(lambda octets: octets * 2, "NOOP")),
    ("greeting-one-session", "rfc1123/5.3.1.2/several-connections", "A connection is not greeted while another session is on",
     {"reply": _counts_open, "ended": _gone}),
    # the form of replies
    ("form-greeting-bare", "2.3.7/replies-are-code-and-text", "The greeting is a code", _turns("GREETING", b"220 mx.example.test ESMTP ready", b"220")),
    ("form-lf-in-list", "2.3.8/no-other-generated-terminator", "The lines of the EHLO list end in LF",
     _reply(lambda octets: octets[:-2].replace(b"\r\n", b"\n") + b"\r\n", "EHLO")),
    ("form-lf", "4.2/reply-line-ends-crlf", "The lines of the EHLO list end in LF",
     _reply(lambda octets: octets[:-2].replace(b"\r\n", b"\n") + b"\r\n", "EHLO")),
    ("form-two-codes", "4.2.1/same-code", "The last line of the EHLO list has a code of its own",
     _reply(lambda octets: re.sub(rb"(?m)^250 ", b"251 ", octets), "EHLO")),
    ("form-ehlo-200", "rfc1123/5.2.10/listed-codes-only", "EHLO gets 200", _reply(lambda octets: octets.replace(b"250", b"200"), "EHLO")),
    ("form-blank-501", "4.1.1/trailing-space-tolerated", "An unknown command with a blank behind it gets 501",
     {"command": _blank_counts, "reply": _blank_told}),
)  # fmt: skip

_LIMITS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("limit-local-part", "4.5.3.1.1/local-part-64", "Local parts end at 32 octets", {"local_part": 32}),
    ("limit-path", "4.5.3.1.3/path-256", "Paths end at 200 octets", {"path": 200}),
    ("limit-content", "4.5.3.1.7/content-64k", "Messages end at 60000 octets", {"max_size": 60_000}),
    ("limit-size-1123", "rfc1123/5.3.8/size-64k", "Messages end at 60000 octets", {"max_size": 60_000}),
)

FAULTS = [
    Fault(name, requirement if requirement.startswith("rfc") else f"rfc5321/{requirement}", summary, "smtp", hooks)
    for name, requirement, summary, hooks in _CASES
] + [
    Fault(name, requirement if requirement.startswith("rfc") else f"rfc5321/{requirement}", summary, "smtp", settings=settings)
    for name, requirement, summary, settings in _LIMITS
]  # fmt: skip
