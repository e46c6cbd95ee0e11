"""Faults in TLS itself, its certificate, and in what STARTTLS leads to: RFC 3207, 7817, 8996, 9325."""

from __future__ import annotations

from typing import Any

from conformance.server.base import Fault, TlsLayer
from conformance.server.faults._tools import Hooks


def _stays(s: Any, verb: str) -> None:
    """STARTTLS is answered, and nothing comes of it."""
    if verb == "STARTTLS":
        s.starttls = False


def _lost_inside(s: Any, octets: bytes, sent: bytes) -> bytes | None:
    return None if s.tls and s.service == "smtp" else octets


def _greeted_once(s: Any, verb: str, rest: bytes) -> bytes | None:
    """The second EHLO inside TLS is refused."""
    if verb != "EHLO" or not s.tls or s.service != "smtp":
        return None
    before, s.memory["inside"] = s.memory.get("inside"), True
    return b"503 5.5.1 no second EHLO\r\n" if before else None


def _short_inside(s: Any, words: list[str]) -> list[str]:
    """Inside TLS the second list is empty."""
    if not s.tls or s.service != "smtp":
        return words
    before, s.memory["listed"] = s.memory.get("listed"), True
    return [] if before else words


_HOOKS: tuple[tuple[str, str, str, Hooks], ...] = (
    ("starttls-not-begun", "rfc3207/4/ready", "STARTTLS gets 220, and no handshake follows", {"after": _stays}),
    ("starttls-mail-lost", "rfc3207/4/ready", "What comes inside TLS is not delivered", {"content": _lost_inside}),
    ("starttls-one-ehlo", "rfc3207/4.2/ehlo-after-tls", "A second EHLO inside TLS gets 503", {"instead": _greeted_once}),
    ("starttls-list-once", "rfc3207/4.2/ehlo-after-tls", "A second EHLO inside TLS gets no list", {"capabilities": _short_inside}),
)  # fmt: skip
_OLD = "ALL:@SECLEVEL=0"
_LAYERS: tuple[tuple[str, str, str, TlsLayer], ...] = (
    ("tls-1-0", "rfc8996/4/no-tls-1.0", "TLS 1.0 is negotiated", TlsLayer(oldest="TLSv1", ciphers=_OLD)),
    ("tls-1-1", "rfc8996/5/no-tls-1.1", "TLS 1.1 is negotiated", TlsLayer(oldest="TLSv1_1", ciphers=_OLD)),
    ("tls-1-3-only", "rfc9325/3.1.1/tls-1.2", "TLS 1.2 is not negotiated", TlsLayer(oldest="TLSv1_3")),
    ("tls-1-2-only", "rfc9325/3.1.1/tls-1.3", "TLS 1.3 is not negotiated", TlsLayer(newest="TLSv1_2")),
    ("tls-other-name", "rfc7817/3/certificate-names", "The certificate names another host", TlsLayer(names=("www.example.test",))),
    ("tls-1-1-at-most", "rfc8314/4/access-tls-1-2", "Nothing newer than TLS 1.1 is known", TlsLayer(oldest="TLSv1", newest="TLSv1_1", ciphers=_OLD)),
    ("tls-1-0-access", "rfc8314/4/access-old-tls-refused", "TLS 1.0 is negotiated", TlsLayer(oldest="TLSv1", ciphers=_OLD)),
    ("tls-cbc", "rfc8314/4/access-ciphers", "Only cipher suites with CBC are known",
     TlsLayer(newest="TLSv1_2", ciphers="ECDHE-ECDSA-AES128-SHA256")),
    ("tls-other-name-access", "rfc2595/2.4/certificate-name", "The certificate names another host", TlsLayer(names=("www.example.test",))),
    ("tls-own-issuer", "rfc7817/3/certificate-names", "The certificate is of an issuer that nobody knows", TlsLayer(trusted=False)),
)  # fmt: skip
FAULTS = [Fault(name, requirement, summary, "smtp", hooks) for name, requirement, summary, hooks in _HOOKS]
FAULTS += [Fault(name, requirement, summary, settings={"tls": layer}) for name, requirement, summary, layer in _LAYERS]
