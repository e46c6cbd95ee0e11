"""Faults in trace fields and in what happens to header and text: RFC 5321 sections 3.3, 3.7, 4.4, 4.5, 6 and 7.2, RFC 5322, RFC 1123 section 5.2."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks
from conformance.server.faults._tools import content as _content

_BLANK = b"\r\n\r\n"


def _trace(old: bytes, new: bytes) -> Hooks:
    """Our own Received field is changed: the first one of the message."""

    def change(s: Any, octets: bytes, sent: bytes) -> bytes:
        own = octets[: len(octets) - len(sent)] if octets.endswith(sent) else octets
        return re.sub(old, new, own, count=1) + octets[len(own) :]

    return {"content": change}


def _adds(field: bytes) -> Hooks:
    """A field is added behind ours."""
    return {"content": lambda s, octets, sent: octets[: len(octets) - len(sent)] + field + b"\r\n" + sent}


def _line(old: bytes, new: bytes) -> Hooks:
    return _content(lambda octets: re.sub(old, new, octets))


def _refuses(pattern: bytes) -> Hooks:
    """A message whose octets (dots taken off) match is refused and not delivered."""

    def look(s: Any, octets: bytes, sent: bytes) -> bytes:
        s.memory["refused"] = re.search(pattern, octets) is not None
        return octets

    return _refusing(look)


def _refusing(look: Callable[[Any, bytes, bytes], bytes]) -> Hooks:
    def reply(s: Any, octets: bytes, verb: str) -> bytes:
        return b"554 5.6.0 not with such a message\r\n" if verb == "DATA." and s.memory.pop("refused", False) else octets

    return {"unstuff": look, "reply": reply, "content": lambda s, octets, sent: None if s.memory.get("refused") else octets}


def _counts_stuffing(s: Any, octets: bytes, sent: bytes) -> bytes:
    s.memory["refused"] = re.search(rb"[^\r\n]{999}", sent) is not None
    return octets


def _recipients(s: Any) -> bytes:
    return b", ".join(one.path.address.encode() for one in s.mail.recipients)


def _for_all(s: Any, octets: bytes, sent: bytes) -> bytes:
    if len(s.mail.recipients) < 2:
        return octets
    return re.sub(rb"( id \w+)", rb"\1\r\n\tfor <" + _recipients(s).replace(b", ", b">,\r\n\t<") + rb">", octets, count=1)


def _names_all(name: bytes) -> Hooks:
    return {"content": lambda s, octets, sent: octets[: len(octets) - len(sent)] + name + b": " + _recipients(s) + b"\r\n" + sent}


def _to_is_envelope(s: Any, octets: bytes, sent: bytes) -> bytes:
    return re.sub(rb"(?im)^To:[^\n]*\n(?:[ \t][^\n]*\n)*", b"To: " + _recipients(s) + b"\r\n", octets, count=1)


def _refolded(s: Any, octets: bytes, sent: bytes) -> bytes:
    """All header fields but ours are unfolded, runs of blanks are made one."""
    header, blank, text = sent.partition(_BLANK)
    header = re.sub(rb"[ \t]{2,}", b" ", re.sub(rb"\r\n[ \t]+", b" ", header))
    return octets[: len(octets) - len(sent)] + header + blank + text


def _trace_below(s: Any, octets: bytes, sent: bytes) -> bytes:
    """Our Received field stands below all others."""
    own = octets[: len(octets) - len(sent)]
    path, received = own.split(b"\r\n", 1)
    header, _blank, text = sent.partition(_BLANK)
    return path + b"\r\n" + header + b"\r\n" + received + b"\r\n" + text


def _path_below(s: Any, octets: bytes, sent: bytes) -> bytes:
    """Return-Path stands below Received."""
    own = octets[: len(octets) - len(sent)]
    path, received = own.split(b"\r\n", 1)
    return received + path + b"\r\n" + sent


def _client_path(s: Any, octets: bytes, sent: bytes) -> bytes:
    s.memory["their path"] = re.match(rb"(?i)(?:.+\r\n)*?(Return-Path:.*\r\n)", sent)
    return octets


def _their_path(s: Any, octets: bytes, sent: bytes) -> bytes:
    found = s.memory.get("their path")
    return re.sub(rb"Return-Path:.*\r\n", found[1], octets, count=1) if found else octets


def _note_copy(s: Any, octets: bytes, sent: bytes) -> bytes:
    s.memory.setdefault("copies", []).append((s.mail.recipients[0].user, octets))
    return octets


def _again(s: Any, nothing: None) -> None:
    """The acknowledgement of a message is taken to be lost where no QUIT came."""
    for user, octets in s.memory.get("copies", ()) if s.verb == "DATA." else ():
        s.world.storage.deliver(user, octets)


def _squared(s: Any, octets: bytes, sent: bytes) -> bytes:
    """Each recipient's copy goes to all of them."""
    for one in s.mail.recipients[1:]:
        s.world.storage.deliver(one.user, octets)
    return octets


def _reply_each(s: Any, octets: bytes, verb: str) -> bytes:
    return octets * len(s.mail.recipients) if verb == "DATA." and s.mail.recipients else octets


_CASES: tuple[tuple[str, str, str, Hooks], ...] = (
    # the Received field
    ("trace-no-from", "4.4/received-from", "Received has no FROM clause", _trace(rb"from \S+ \(\[[^)]*\)\r\n\t", b"")),
    ("trace-no-date", "4.4/received-semicolon-date", "Received has no date", _trace(rb";\r\n\t.*\r\n", b"\r\n")),
    ("trace-two-digit-year", "4.4/received-no-obsolete-date", "Received has a year of two digits", _trace(rb" 20(\d\d) ", rb" \1 ")),
    ("trace-no-address", "4.4/received-from-address", "Received does not tell the client's address", _trace(rb" \(\[[^)]*\)", b"")),
    ("trace-by-first", "4.4/received-clause-order", "Received begins with its BY clause",
     _trace(rb"(from \S+ \S+)\r\n\t(by \S+)", rb"\2\r\n\t\1")),
    ("trace-iso-date", "rfc5322/3.3/date-syntax", "Received has the date of another standard",
     _trace(rb"\w{3}, (\d\d) \w{3} (\d{4}) (\S+) \+0000", rb"\2-11-\1T\3Z")),
    ("trace-protocol", "4.4/received-registered-protocol", "Received has a protocol of its own", _trace(rb"with \S+", b"with HTTP")),
    ("trace-link", "4.4/received-registered-link", "Received has a link of its own", _trace(rb"(by \S+)", rb"\1 via pigeon")),
    ("trace-empty-id", "4.4/received-id-value", "Received has an ID clause without a value", _trace(rb"id \w+", b"id")),
    ("trace-clauses", "4.4/received-registered-clauses", "Received has a clause of its own", _trace(rb"(\]\))", rb"\1 using TLS")),
    ("trace-no-name", "4.4/received-from-helo-name", "Received has the client's address in place of its name",
     _trace(rb"from \S+ \((\[\S+\])\)", rb"from \1 (\1)")),
    ("trace-no-name-1123", "rfc1123/5.2.8/received-from", "Received has the client's address in place of its name",
     _trace(rb"from \S+ \((\[\S+\])\)", rb"from \1 (\1)")),
    ("trace-for-all", "4.4/received-for-one-path", "Received names all recipients", {"content": _for_all}),
    ("trace-envelope-to", "7.2/no-recipient-list-in-header", "A field names all recipients", _names_all(b"X-Envelope-To")),
    ("trace-apparently-to", "7.2/no-apparently-to", "Apparently-To names all recipients", _names_all(b"Apparently-To")),
    ("trace-below", "4.4/received-only-on-top", "Received stands below the header", {"content": _trace_below}),
    ("trace-refolds", "4.4/received-not-changed", "The header is folded anew", {"content": _refolded}),
    ("trace-not-ascii", "2.3.1/headers-are-ascii", "A field is added in UTF-8", _adds("X-Scanner: geprüft".encode())),
    ("trace-long-line", "rfc5322/2.1.1/line-998", "A field of 1100 octets is added", _adds(b"X-Scanner: " + b"x" * 1100)),
    ("trace-unfolded", "rfc5322/2.1.1/line-78", "Received is one line", _trace(rb"\r\n\tby(.*)\r\n\t(.*)\r\n\t", rb" by\1 \2 ")),
    ("trace-field-name", "rfc5322/2.2/field-syntax", "A field is added whose name has a blank", _adds(b"X Scanner: yes")),
    ("trace-year-1123", "rfc1123/5.2.14/four-digit-years", "Received has a year of two digits", _trace(rb" 20(\d\d) ", rb" \1 ")),
    # the return path
    ("path-null-replaced", "4.5.5/null-path-kept", "The null path becomes the postmaster's",
     _trace(rb"Return-Path: <>", b"Return-Path: <postmaster@example.test>")),
    ("path-twice", "4.4/one-return-path", "Return-Path is put in twice", _trace(rb"(Return-Path: .*\r\n)", rb"\1\1")),
    ("path-below", "4.4/return-path-first", "Return-Path stands below Received", {"content": _path_below}),
    ("path-of-client", "4.4/return-path-is-reverse-path", "A Return-Path that the client sent takes the place of ours",
     {"unstuff": _client_path, "content": _their_path}),
    ("path-read", "2.3.11/local-part-opaque", "The percent sign of a foreign local part is read",
     _trace(rb"(Return-Path: <.*?)%(.*?)@", rb"\1@")),
    # the header and the text
    ("header-to-envelope", "7.2/header-not-altered-by-envelope", "To is made of the envelope", {"content": _to_is_envelope}),
    ("header-completed", "6.4/no-fixes-by-relay", "Date and Message-ID are made up",
     _adds(b"Date: Thu, 1 Jan 2026 10:00:00 +0000\r\nMessage-ID: <1@example.test>")),
    ("header-date-form", "rfc5322/3.3/date-syntax", "A Date of another form is made up", _adds(b"Date: 2026-01-01 10:00:00")),
    ("header-bad-date", "6.2/faults-do-not-prevent-delivery", "A message with a faulty date is refused", _refuses(rb"(?m)^Date: no date")),
    ("header-checked", "3.3/no-reject-for-header-defects", "A message whose header has faults is refused",
     _refuses(rb"(?m)\AX-Nothing:|^Subject:.*\r\nSubject:|^Content-Type: multipart/\w+\r|^Date: [a-z]|^To: <<")),
    ("header-resent-checked", "3.3/no-reject-for-resent", "A message with incomplete Resent- fields is refused",
     _refuses(rb"(?m)^Resent-To:")),
    ("header-trace-checked", "3.7.2/no-reject-for-trace", "A Received field without FROM is refused", _refuses(rb"(?m)^Received: by")),
    ("header-recipients", "4.5.3.1.8/header-recipients-not-counted", "A header of more than 100 recipients is refused",
     _refuses(rb"\A(?:[^\r]+\r\n)*?To:[^@]*(?:@[^@]+){100}@")),
    ("text-stuffing-counts", "4.5.3.1.6/stuffing-dot-not-counted", "The dot of transparency counts", _refusing(_counts_stuffing)),
    ("text-wrapped", "4.5.3.1.6/text-1000", "Lines are broken at 512 octets", _line(rb"([^\r\n]{512})(?=[^\r\n])", rb"\1\r\n")),
    ("text-leading-blanks", "4.5.2/spaces-and-tabs-kept", "Blanks at line starts get lost", _line(rb"\r\n[ \t]+(?=\w+\r\nend)", b"\r\n")),
    ("text-trailing-dot", "4.5.2/other-dots-kept", "A dot at the end of a line gets lost", _line(rb"(?<=\w)\.\r\n", b"\r\n")),
    ("text-dot-behind-blank", "4.5.2/other-dots-kept", "A dot behind blanks gets lost", _line(rb"(?m)^([ \t]+)\.", rb"\1")),
    ("text-from-unquoted", "4.5.2/transformations-reversible", "A bracket before From gets lost", _line(rb"\r\n>From ", b"\r\nFrom ")),
    ("text-last-lines", "4.5.2/transformations-reversible", "Empty lines at the end get lost", _line(rb"(\r\n){2,}\Z", b"\r\n")),
    ("text-lower-case", "4.5.2/all-ascii-delivered", "The text is put into lower case", _line(rb"aBcDeF.*", b"abcdefghijklmnop")),
    ("text-escaped", "4.5.2/all-ascii-delivered", "Ampersand and brackets become entities", _line(rb"&", b"&amp;")),
    ("text-no-tabs", "4.1.1.4/any-ascii", "Tabs become blanks", _line(rb"\t", b"        ")),
    ("text-dots-1123", "rfc1123/5.2.11/transparency", "No dot is taken off", {"unstuff": lambda s, octets, sent: sent}),
    # copies
    ("copies-two", "rfc1047/3/duplicate-only-when-unacknowledged", "A message is delivered again when the connection is lost behind it",
     {"content": _note_copy, "ended": _again}),
    ("copies-squared", "3.3/rcpt-any-number-of-times", "Each recipient gets a copy for each recipient", {"content": _squared}),
    ("copies-reply-each", "4.1.1.4/no-partial-failure", "The end of the data has a reply for each recipient", {"reply": _reply_each}),
)  # fmt: skip

FAULTS = [
    Fault(name, requirement if requirement.startswith("rfc") else f"rfc5321/{requirement}", summary, "smtp", hooks)
    for name, requirement, summary, hooks in _CASES
] + [
    Fault("loop-at-twenty", "rfc5321/6.3/loop-threshold", "Twenty Received fields are a loop", "smtp", settings={"max_hops": 20}),
]  # fmt: skip
