"""Channel bindings for TLS: RFC 5929 (tls-unique, tls-server-end-point) and RFC 9266 (tls-exporter). Sans I/O.

Python's ssl has tls-unique alone, which TLS 1.3 does not define. The exporter's secret is what OpenSSL writes to a key
log, which is kept in anonymous memory here and never on a disk.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
import re
from collections.abc import Callable

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

UNIQUE, EXPORTER, END_POINT = "tls-unique", "tls-exporter", "tls-server-end-point"
_SECRET = re.compile(rb"(?m)^EXPORTER_SECRET [0-9a-fA-F]+ ([0-9a-fA-F]+)$")


@functools.lru_cache(256)
def end_point(certificate: bytes) -> bytes:
    """RFC 5929 section 4.1: the hash of the server's certificate (DER) by its signature's hash, SHA-256 in place of MD5
    and SHA-1. b"" where the signature has none, for which the type is undefined."""
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return b""
    if algorithm is None:
        return b""
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    return hashlib.new(name, certificate).digest()


def _expand_label(secret: bytes, name: str, label: bytes, context: bytes, length: int) -> bytes:
    """HKDF-Expand-Label: RFC 8446 section 7.1. One block is enough here."""
    label = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(label)]) + label + bytes([len(context)]) + context
    return hmac.digest(secret, info + b"\x01", name)[:length]


def exporter(secret: bytes) -> bytes:
    """RFC 9266 section 2 by RFC 8446 section 7.5, from TLS 1.3's exporter secret."""
    name = {32: "sha256", 48: "sha384"}[len(secret)]
    empty = hashlib.new(name, b"").digest()
    derived = _expand_label(secret, name, b"EXPORTER-Channel-Binding", empty, len(secret))
    return _expand_label(derived, name, b"exporter", empty, 32)


class KeyLog:
    """Where OpenSSL leaves the exporter's secret. ``path`` is "" where a system has no such memory."""

    def __init__(self) -> None:
        self._fd = -1
        self.path = ""
        if hasattr(os, "memfd_create"):
            self._fd = os.memfd_create("tls-keys")
            path = f"/proc/self/fd/{self._fd}"
            self.path = path if os.path.exists(path) else ""

    def clear(self) -> None:
        """Before every step of a handshake, so that what is then in the log belongs to it."""
        if self.path:
            os.ftruncate(self._fd, 0)

    def secret(self) -> bytes:
        """The exporter's secret of the step that was just taken, or b""."""
        found = _SECRET.search(os.pread(self._fd, 1 << 16, 0)) if self.path else None
        self.clear()
        return bytes.fromhex(found[1].decode()) if found else b""

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def bindings(
    version: str | None, unique: Callable[[str], bytes | None], certificate: bytes | None, secret: bytes
) -> dict[str, bytes]:
    """The bindings of one connection, the best one first: RFC 9266 section 3 makes it depend on the version of TLS."""
    found: dict[str, bytes] = {}
    if version == "TLSv1.3":
        found[EXPORTER] = exporter(secret) if secret else b""
    elif version:
        found[UNIQUE] = unique(UNIQUE) or b""
    found[END_POINT] = end_point(certificate) if certificate else b""
    return {name: octets for name, octets in found.items() if octets}
