"""Paths and parameters of MAIL and RCPT: RFC 5321 sections 4.1.2 and 4.1.3, RFC 6531 section 3.3."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]"
_UTF8 = r"\u0080-\U0010ffff"
_LABEL = rf"[A-Za-z0-9{_UTF8}](?:[A-Za-z0-9{_UTF8}-]*[A-Za-z0-9{_UTF8}])?"
DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_DOT_STRING = re.compile(rf"(?:{_ATEXT[:-1]}{_UTF8}])+(?:\.(?:{_ATEXT[:-1]}{_UTF8}])+)*\Z")
_QUOTED = re.compile(rf'"(?:[\x20-\x21\x23-\x5b\x5d-\x7e{_UTF8}]|\\[\x20-\x7e])*"\Z')
_ROUTE = re.compile(rf"@{_LABEL}(?:\.{_LABEL})*(?:,@{_LABEL}(?:\.{_LABEL})*)*:")
_PARAMETER = re.compile(rf"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e{_UTF8}]+))?\Z")
_TAGGED = re.compile(r"[A-Za-z0-9-]*[A-Za-z0-9]:[\x21-\x5a\x5e-\x7e]+\Z")


class Syntax(Exception):
    """``code`` and text of the refusal."""

    def __init__(self, code: str, status: str, text: str) -> None:
        super().__init__(text)
        self.code, self.status, self.text = code, status, text


@dataclass(frozen=True)
class Path:
    local: str
    domain: str  # "" for the null path and for a bare postmaster

    @property
    def address(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain else self.local

    @property
    def mailbox(self) -> str:
        """The address with the quotes that its local part needs, and no others."""
        if not self.domain or _DOT_STRING.match(self.local):
            return self.address
        quoted = re.sub(r'(["\\])', r"\\\1", self.local)
        return f'"{quoted}"@{self.domain}'


def literal(text: str) -> bool:
    """Address literal, brackets included: 4.1.3."""
    if not (text.startswith("[") and text.endswith("]")):
        return False
    inner = text[1:-1]
    try:
        if inner[:5].upper() == "IPV6:":
            ipaddress.IPv6Address(inner[5:])
        elif re.fullmatch(r"\d{1,3}(?:\.\d{1,3}){3}", inner):
            return all(int(part) < 256 for part in inner.split("."))
        else:
            return bool(_TAGGED.match(inner)) and inner[:5].upper() != "IPV6:"
    except ValueError:
        return False
    return True


def domain_ok(text: str) -> bool:
    """4.1.2 Domain (at most 255 octets, labels of at most 63) or an address literal."""
    if text.startswith("["):
        return literal(text)
    if not DOMAIN.match(text):
        return False
    return len(text) <= 63 or (len(text.encode()) <= 255 and all(len(x) <= 63 for x in text.split(".")))


def unquote(local: str) -> str:
    """The local part that a quoted string stands for."""
    return re.sub(r"\\(.)", r"\1", local[1:-1]) if local.startswith('"') else local


def path(text: str, *, null: bool, postmaster: bool, utf8: bool, local_limit: int, limit: int) -> tuple[Path, str]:
    """The path at the start of ``text`` and what follows it. Raises Syntax."""
    if not text.startswith("<"):
        raise Syntax("501", "5.1.7" if null else "5.1.3", "a path stands in angle brackets")
    end = _closing(text)
    if end < 0:
        raise Syntax("501", "5.1.7" if null else "5.1.3", "the path is not closed")
    inner, rest = text[1:end], text[end + 1 :]
    if rest and not rest.startswith(" "):
        raise Syntax("501", "5.5.4", "a blank separates the path from its parameters")
    if not inner:
        if null:
            return Path("", ""), rest
        raise Syntax("501", "5.1.3", "an empty path is for MAIL only")
    if not inner.isascii() and not utf8:
        raise Syntax("550" if null else "553", "5.6.7", "non-ASCII addresses need SMTPUTF8")
    if postmaster and inner.lower() == "postmaster":
        return Path(inner, ""), rest
    if len(inner.encode()) + 2 > limit:
        raise Syntax("501", "5.1.7" if null else "5.1.3", "the path is too long")
    route = _ROUTE.match(inner)
    mailbox = inner[route.end() :] if route else inner  # source routes are taken and ignored: appendix C
    local, at, domain = mailbox.rpartition("@")
    good = bool(at) and bool(_DOT_STRING.match(local) or _QUOTED.match(local)) and domain_ok(domain)
    if not good:
        raise Syntax("501", "5.1.7" if null else "5.1.3", "the path is malformed")
    if len(local.encode()) > local_limit:
        raise Syntax("501", "5.1.7" if null else "5.1.3", "the local part is too long")
    return Path(unquote(local), domain), rest


def _closing(text: str) -> int:
    quoted, index = False, 1
    while index < len(text):
        char = text[index]
        if quoted and char == "\\":
            index += 1
        elif char == '"':
            quoted = not quoted
        elif char == ">" and not quoted:
            return index
        index += 1
    return -1


def parameters(text: str) -> dict[str, str | None]:
    """4.1.2 Mail-parameters. Raises Syntax for form and duplicates."""
    found: dict[str, str | None] = {}
    for word in text.split():
        match = _PARAMETER.match(word)
        if not match:
            raise Syntax("501", "5.5.4", "a parameter is malformed")
        key = match[1].upper()
        if key in found:
            raise Syntax("501", "5.5.4", f"{key} stands twice")
        found[key] = match[2]
    return found
