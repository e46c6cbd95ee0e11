"""Faults at the boundaries of buffers, lines, copies and counts: RFC 5321 sections 2.4, 4.1 and 4.5."""

from __future__ import annotations

import re
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import header_as_sent

_TRAILING = re.compile(rb"(?i)(DATA|EHLO|HELO|MAIL|VRFY)\b.* \Z")


def _ends_in_long_line(s: Any, octets: bytes, sent: bytes) -> bytes:
    """Lines are read 511 octets at a time, and the piece behind may be a dot alone."""
    found = re.search(rb"(?:\A|\r\n)[^\r\n]{511}\.\r\n", octets)
    return octets[: found.end() - 3] + b"\r\n" if found else octets


def _says_more_after_long_line(s: Any, octets: bytes, sent: bytes) -> bytes:
    s.memory["long"] = re.search(rb"(?:\A|\r\n)[^\r\n]{1024}\.\r\n", octets) is not None
    return octets


def _two_replies(s: Any, octets: bytes, verb: str) -> bytes:
    return octets + b"500 5.5.2 what?\r\n" if verb == "DATA." and s.memory.pop("long", False) else octets


def _counts_addresses(s: Any, octets: bytes, sent: bytes) -> bytes:
    s.memory["addresses"] = octets.partition(b"\r\n\r\n")[0].count(b"@")
    return octets


def _many_addresses(s: Any, octets: bytes, verb: str) -> bytes:
    return b"550 5.5.3 too many addresses\r\n" if verb == "DATA." and s.memory.pop("addresses", 0) > 50 else octets


def _dot_in_piece(s: Any, octets: bytes, sent: bytes) -> bytes:
    return re.sub(rb"((?:\A|\r\n)[^\r\n]{512})\.", rb"\1", octets)


def _one_traced_copy(s: Any, octets: bytes, sent: bytes) -> bytes:
    again = s.memory.get("traced") is s.mail
    s.memory["traced"] = s.mail
    return sent if again else octets


def _cut_second_copy(s: Any, octets: bytes, sent: bytes) -> bytes:
    again = s.memory.get("copied") is s.mail
    s.memory["copied"] = s.mail
    return octets.rsplit(b"\r\n", 2)[0] + b"\r\n" if again else octets


def _lf_in_header(s: Any, octets: bytes, lines: list[bytes]) -> bytes:
    header, blank, content = octets.partition(b"\r\n\r\n")
    return header.replace(b"\r\n", b"\n") + blank + content if s.verb == "RETR" else octets


def _third_refused(s: Any, verb: str, rest: bytes) -> bytes | None:
    if verb != "MAIL":
        return None
    s.memory["messages"] = s.memory.get("messages", 0) + 1
    return b"452 4.3.1 enough for one session\r\n" if s.memory["messages"] > 2 else None


def _session_recipients(s: Any, verb: str, rest: bytes) -> bytes | None:
    if verb != "RCPT":
        return None
    s.memory["recipients"] = s.memory.get("recipients", 0) + 1
    return b"452 4.5.3 too many recipients\r\n" if s.memory["recipients"] > 100 else None


def _cleaned_name(s: Any, line: bytes) -> bytes:
    return re.sub(rb"[\x01-\x1f\x80-\xff]", b"", line) if line.startswith(b"EHLO") else line


def _verb_case(s: Any, line: bytes) -> bytes:
    return b"X" + line if line.startswith((b"help", b"expn")) else line


def _after_vrfy(s: Any, verb: str, rest: bytes) -> bytes | None:
    if verb == "VRFY":
        s.memory["verified"] = True
    elif verb == "MAIL" and s.memory.get("verified"):
        return b"503 5.5.1 bad sequence of commands\r\n"
    return None


def _stays(s: Any, verb: str) -> None:
    if verb == "QUIT" and s.memory.get("served"):
        s.closing = False


def _served(s: Any, octets: bytes, sent: bytes) -> bytes:
    s.memory["served"] = True
    return octets


def _odd_name(s: Any, verb: str, rest: bytes) -> bytes | None:
    if verb == "RCPT" and rest.startswith(b'TO:<""'):
        s.closing = True
        return b""
    return None


def _help_closes(s: Any, verb: str, rest: bytes) -> bytes | None:
    if verb == "HELP" and rest:
        s.closing = True
        return b""
    return None


def _helo_keeps(s: Any, verb: str, rest: bytes) -> bytes | None:
    if verb == "HELO" and s.mail.recipients:
        s.memory["kept by HELO"] = list(s.mail.recipients)
    return None


def _kept_by_helo(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "MAIL" and octets.startswith(b"250") and "kept by HELO" in s.memory:
        s.mail.recipients.extend(s.memory.pop("kept by HELO"))
    return octets


def _few_fields(s: Any, octets: bytes, sent: bytes) -> bytes:
    header, blank, content = octets.partition(b"\r\n\r\n")
    return b"\r\n".join(header.split(b"\r\n")[:100]) + blank + content


def _acts_all_the_same(s: Any, octets: bytes, verb: str) -> bytes:
    if verb in ("RSET", "DATA", "QUIT") and octets.startswith(b"501"):
        s.reset()
    return octets


_CASES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("end-in-long-line", "4.1.1.4/end-is-crlf-dot-crlf", "A dot behind 511 octets of a line ends the data",
     {"unstuff": _ends_in_long_line}),
    ("end-in-longer-line", "4.1.1.4/end-is-crlf-dot-crlf", "A dot behind 1024 octets of a line ends the data",
     {"unstuff": _says_more_after_long_line, "reply": _two_replies}),
    ("many-addresses", "3.3/no-reject-for-header-defects", "A message whose header names many addresses is refused",
     {"unstuff": _counts_addresses, "reply": _many_addresses}),
    ("dot-in-long-line", "4.5.2/other-dots-kept", "A dot behind 512 octets of a line is taken off", {"unstuff": _dot_in_piece}),
    ("first-empty-line-lost", "4.5.2/transformations-reversible", "An empty first line is lost",
     {"unstuff": lambda s, octets, sent: octets.removeprefix(b"\r\n")}),
    ("million-cut", "4.2.5/2yz-delivers", "Messages are cut at a million octets",
     {"content": lambda s, octets, sent: octets[:1_000_000]}),
    ("large-lost", "4.2.5/2yz-delivers", "Messages of more than half a million octets are lost",
     {"content": lambda s, octets, sent: octets if len(octets) < 500_000 else None}),
    ("one-traced-copy", "4.4/received-inserted", "The first recipient's copy alone has trace fields", {"content": _one_traced_copy}),
    ("second-copy-cut", "2.1/one-copy-for-several-recipients", "The copies after the first lack the last line",
     {"content": _cut_second_copy}),
    ("third-message-refused", "2.1/several-transactions", "The third message of a session is refused", {"instead": _third_refused}),
    ("session-recipients", "4.5.3.1.8/100-recipients", "The recipients of a whole session are limited to 100",
     {"instead": _session_recipients}),
    ("name-cleaned", "2.4/non-ascii-commands-rejected", "EHLO drops octets that no name has", {"command": _cleaned_name}),
    ("name-cleaned-of-controls", "2.3.5/labels-letters-digits-hyphens", "EHLO drops control characters", {"command": _cleaned_name}),
    ("blank-refused", "4.1.1/trailing-space-tolerated", "A blank behind some commands is an argument",
     {"command": lambda s, line: line + b"x" if _TRAILING.match(line) else line}),
    ("help-upper-case", "2.4/verbs-case-insensitive", "HELP and EXPN are known in capitals only", {"command": _verb_case}),
    ("vrfy-blocks", "4.1.1.6/no-effect-on-buffers", "After VRFY no transaction can be made", {"instead": _after_vrfy}),
    ("quit-stays-after-mail", "4.1.1.10/closes", "After a message QUIT leaves the connection open",
     {"after": _stays, "content": _served}),
    ("odd-name-drops", "4.2/one-reply-per-command", "An empty quoted name ends the session", {"instead": _odd_name}),
    ("header-line-cut", "4.5.3.1.6/text-1000", "Header lines are cut at 900 octets",
     {"unstuff": lambda s, octets, sent: re.sub(rb"(?m)^(X-[^\r\n]{898})[^\r\n]*", rb"\1", octets)}),
    ("hundred-fields", "4.5.3.1.7/content-64k", "Header fields beyond a hundred are lost", {"content": _few_fields}),
    ("first-dots-kept", "4.5.2/receiver-unstuffs", "No dot is taken off the first line",
     {"unstuff": lambda s, octets, sent: b"." + octets if sent.startswith(b"..") else octets}),
    ("header-dots-kept", "4.5.2/receiver-unstuffs", "No dot is taken off the lines of the header", {"unstuff": lambda s, octets, sent: header_as_sent(octets, sent)}),
    ("dot-behind-lf-lost", "4.5.2/other-dots-kept", "A dot behind a bare LF is taken off, and the LF repaired",
     {"unstuff": lambda s, octets, sent: re.sub(rb"(?<!\r)\n\.?", b"\r\n", octets)}),
    ("refused-rset-resets", "4.1.4/out-of-order-keeps-state", "RSET is refused for its argument, and resets",
     {"reply": _acts_all_the_same}),
    ("help-argument-closes", "3.8/no-close-without-cause", "HELP with an argument ends the session", {"instead": _help_closes}),
    ("helo-keeps-recipients", "4.1.1.1/clears-transaction", "Recipients survive HELO", {"instead": _helo_keeps, "reply": _kept_by_helo}),
    ("bare-lf-lost", "4.1.1.4/no-bare-lf-lines", "Bare LF in the data gets lost",
     {"unstuff": lambda s, octets, sent: re.sub(rb"(?<!\r)\n", b"", octets)}),
)

FAULTS = [Fault(name, f"rfc5321/{requirement}", summary, "smtp", hooks) for name, requirement, summary, hooks in _CASES] + [
    Fault("lf-in-header", "rfc5322/2.2/crlf", "Header lines come back with a bare LF", "pop3", {"block": _lf_in_header}),
]  # fmt: skip
