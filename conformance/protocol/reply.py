"""Replies of SMTP and POP3, sans I/O: lenient enough to go on, strict enough to tell what was wrong.

SMTP, RFC 5321 section 4.2: ``Reply-line = *( code "-" [text] CRLF ) code [ SP text ] CRLF``.
POP3, RFC 1939 section 3: ``+OK``/``-ERR``, optional text; multi-line replies end with a line of one dot.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field

from conformance.verdict.model import Ambient

# RFC 5321 section 4.2: the second digit is 0-5; the text is HT, SP and visible ASCII.
_STRICT = re.compile(rb"[2-5][0-5][0-9](?:[ -][\t\x20-\x7e]*)?\Z")
_STRICT_UTF8 = re.compile(rb"[2-5][0-5][0-9](?:[ -][\t\x20-\x7e\x80-\xff]*)?\Z")
_PLAIN = re.compile(rb"([2-5][0-5][0-9])(?:[ -]([\t\x20-\x7e]*))?\r\n\Z")  # a strict line with its end, as nearly all are
_LOOSE = re.compile(rb"([0-9]{3})([ -]?)(.*)\Z", re.S)
_POP3 = re.compile(rb"(\+OK|-ERR)(?: (.*))?\Z", re.S)
_POP3_TEXT = re.compile(rb"[^\0]*\Z")  # RFC 1939 says no more of the text
SMTP_LINE = 512  # RFC 5321 section 4.5.3.1.5, CRLF included
POP3_LINE = 512  # RFC 1939 section 3


@dataclass
class Reply:
    """One whole reply. ``code`` is "" if none could be read. ``octets``: as received."""

    code: str
    texts: list[bytes]
    octets: bytes
    elapsed: float = 0.0
    block: list[bytes] | None = None  # POP3: the lines before the final dot, without line ends, stuffed
    raw: bytes = b""  # POP3: their octets
    breaches: list[Ambient] = field(default_factory=list)

    @property
    def text(self) -> bytes:
        return self.texts[0] if self.texts else b""

    @property
    def body(self) -> bytes:
        """POP3: the un-stuffed octets. SMTP: the texts, joined by CRLF."""
        if self.block is None:
            return b"\r\n".join(self.texts)
        parts = self.raw.split(b"\r\n")
        return b"\r\n".join(part[1:] if part.startswith(b".") else part for part in parts)


def _ends(line: bytes, breaches: list[Ambient]) -> bytes:
    """The line without its end; tells of LF alone and of a CR inside."""
    if line.endswith(b"\r\n"):
        bare = line[:-2]
    elif line.endswith(b"\n"):
        bare = line[:-1]
        breaches.append(Ambient("crlf", "a reply line ends in LF without CR", show(line)))
    else:
        bare = line
    if b"\r" in bare or b"\n" in bare:
        breaches.append(Ambient("crlf", "a reply line holds a bare CR", show(line)))
    return bare


def last_line(line: bytes) -> bool:
    """Whether this SMTP line ends its reply."""
    return line[3:4] != b"-"


def smtp_reply(lines: list[bytes], *, utf8: bool = False) -> Reply:
    """From the raw lines of one reply. ``utf8``: the session may carry UTF-8 in replies (RFC 6531 section 3.7.4)."""
    breaches: list[Ambient] = []
    texts: list[bytes] = []
    codes: list[str] = []
    for line in lines:
        plain = _PLAIN.match(line)
        if plain and len(line) <= SMTP_LINE:
            codes.append(plain[1].decode())
            texts.append(plain[2] or b"")
            continue
        bare = _ends(line, breaches)
        match = _LOOSE.match(bare)
        if not (_STRICT_UTF8 if utf8 else _STRICT).match(bare.translate(None, b"\r\n")):  # CR and LF have been told already
            breaches.append(Ambient("grammar", "a reply line does not have the form of one", show(line)))
        if len(line) > SMTP_LINE and not line.startswith(b"334 "):  # a challenge may be longer: RFC 4954 section 4
            breaches.append(Ambient("length", f"a reply line has {len(line)} octets, more than 512", show(line[:80])))
        codes.append(match[1].decode() if match else "")
        texts.append(match[3] if match else bare)
    if len(set(codes)) > 1:
        joined = ", ".join(codes)
        breaches.append(Ambient("one-code", f"one reply carries several codes: {joined}", show(b"".join(lines))))
    return Reply(codes[-1] if codes else "", texts, b"".join(lines), breaches=breaches)


def pop3_reply(line: bytes) -> Reply:
    """From the raw status line. ``+`` alone is a SASL continuation (RFC 5034 section 4)."""
    breaches: list[Ambient] = []
    bare = _ends(line, breaches)
    match = _POP3.match(bare)
    if match:
        code, text = match[1].decode(), match[2] or b""
    elif bare == b"+" or bare.startswith(b"+ "):
        code, text = "+", bare[2:]
        return Reply(code, [text], line, breaches=breaches)
    else:
        upper = bare[:4].upper()
        code = "+OK" if upper.startswith(b"+OK") else "-ERR" if upper.startswith(b"-ERR") else ""
        text = bare[len(code) :].lstrip()
        breaches.append(Ambient("grammar", "a reply begins with neither +OK nor -ERR", show(line)))
    if not _POP3_TEXT.match(text):
        breaches.append(Ambient("grammar", "a reply holds NUL", show(line)))
    if len(line) > POP3_LINE:
        breaches.append(Ambient("length", f"a reply line has {len(line)} octets, more than 512", show(line[:80])))
    return Reply(code, [text], line, breaches=breaches)


def keywords(lines: list[bytes]) -> dict[str, tuple[str, ...]]:
    """EHLO's or CAPA's list: keyword in upper case → parameters as sent (RFC 5321 section 4.1.1.1)."""
    return dict(_keywords(tuple(lines)))


@functools.lru_cache(256)  # a target says the same few lists again and again
def _keywords(lines: tuple[bytes, ...]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        words = line.decode("utf-8", "replace").split()
        if words:
            found[words[0].upper()] = tuple(words[1:])
    return found


def show(octets: bytes, limit: int = 400) -> str:
    """Octets as inert ASCII."""
    cut = octets[:limit]
    text = cut.decode("latin-1").encode("unicode_escape").decode("ascii")
    return text + (f"… ({len(octets)} octets)" if len(octets) > limit else "")
