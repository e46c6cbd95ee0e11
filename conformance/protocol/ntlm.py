"""NTLM's three messages as a client sees them, sans I/O: MS-NLMP sections 2.2.1 and 3.3.2 (NTLMv2).

The suite has its own, because it must be able to say anything: a late, foreign or torn AUTHENTICATE message too.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable

SIGNATURE = b"NTLMSSP\0"
# UNICODE, OEM, REQUEST_TARGET, NTLM, ALWAYS_SIGN, EXTENDED_SESSIONSECURITY, VERSION, 128, 56: neither signs nor seals.
_FLAGS = 0xA2088207
_NTLM, _TARGET_INFO = 0x00000200, 0x00800000
_VERSION = b"\x0a\x00\x61\x4a\x00\x00\x00\x0f"
NEGOTIATE = SIGNATURE + struct.pack("<II", 1, _FLAGS) + bytes(16) + _VERSION  # the only type 1 that the suite sends
# AV pairs, section 2.2.2.1
_NAMES = {
    1: "NetBIOS host", 2: "NetBIOS domain", 3: "DNS host", 4: "DNS domain", 5: "DNS forest",
}  # fmt: skip
_AV_FLAGS, _AV_TIME = 6, 7


class NtlmError(ValueError):
    """A message that is no CHALLENGE message; says why."""


class Challenge:
    """The type 2 message: section 2.2.1.2. Raises NtlmError."""

    def __init__(self, octets: bytes) -> None:
        if octets[:8] != SIGNATURE:
            raise NtlmError("it does not begin with NTLMSSP and NUL")
        if len(octets) < 32:
            raise NtlmError(f"it has only {len(octets)} octets")
        (kind,) = struct.unpack_from("<I", octets, 8)
        if kind != 2:
            raise NtlmError(f"its type is {kind}, not 2")
        self.octets = octets
        (self.flags,) = struct.unpack_from("<I", octets, 20)
        self.nonce = octets[24:32]
        if not self.flags & _NTLM:
            raise NtlmError("the flag NEGOTIATE_NTLM is not set")
        if not any(self.nonce):
            raise NtlmError("its challenge is all zero")
        self.target = _text(self._field(12, "target name"), unicode=bool(self.flags & 1))
        info = self._field(40, "target information") if self.flags & _TARGET_INFO and len(octets) >= 48 else b""
        if self.flags & _TARGET_INFO and len(octets) < 48:
            raise NtlmError("target information is announced and missing")
        self.pairs = _pairs(info)

    def _field(self, at: int, name: str) -> bytes:
        length, _room, offset = struct.unpack_from("<HHI", self.octets, at)
        if length and offset + length > len(self.octets):
            raise NtlmError(f"the {name} lies outside the message")
        return self.octets[offset : offset + length]

    def told(self) -> str:
        """What it gives away, in one line."""
        found = [f"{name} {_text(self.pairs[key])}" for key, name in _NAMES.items() if self.pairs.get(key)]
        return ", ".join(found) or (f"target {self.target}" if self.target else "nothing")

    @property
    def domain(self) -> str:
        return _text(self.pairs.get(2, b"")) or (self.target if self.flags & 0x10000 else "")


def _pairs(info: bytes) -> dict[int, bytes]:
    pairs: dict[int, bytes] = {}
    at = 0
    while at < len(info):
        if at + 4 > len(info):
            raise NtlmError("the target information does not end with its end mark")
        key, length = struct.unpack_from("<HH", info, at)
        if key == 0:
            return pairs
        if at + 4 + length > len(info):
            raise NtlmError("an item of the target information is longer than what is there")
        pairs[key] = info[at + 4 : at + 4 + length]
        at += 4 + length
    if info:
        raise NtlmError("the target information does not end with its end mark")
    return pairs


def _text(octets: bytes, *, unicode: bool = True) -> str:
    return octets.decode("utf-16-le" if unicode else "latin-1", "replace")


def split_user(name: str) -> tuple[str, str]:
    r"""Domain and user of ``DOMAIN\user``; other forms (plain, user@domain) are a user without a domain."""
    domain, backslash, user = name.rpartition("\\")
    return (domain, user) if backslash else ("", name)


def authenticate(challenge: Challenge, user: str, password: str, domain: str = "") -> bytes:
    """The type 3 message: section 2.2.1.3, with the NTLMv2 response of section 3.3.2, after NEGOTIATE."""
    own, user = split_user(user)
    domain = own or domain
    key = _hmac(md4(password.encode("utf-16-le")), (user.upper() + domain).encode("utf-16-le"))
    ours = secrets.token_bytes(8)
    pairs = dict(challenge.pairs)
    stamped = _AV_TIME in pairs
    if stamped:  # section 3.1.5.1.2: then a MIC is sent, and said to be
        (flags,) = struct.unpack("<I", pairs.get(_AV_FLAGS, bytes(4))[:4].ljust(4, b"\0"))
        pairs[_AV_FLAGS] = struct.pack("<I", flags | 2)
    info = b"".join(struct.pack("<HH", number, len(value)) + value for number, value in pairs.items()) + bytes(4)
    blob = b"\x01\x01" + bytes(6) + pairs.get(_AV_TIME, bytes(8)) + ours + bytes(4) + info + bytes(4)
    proof = _hmac(key, challenge.nonce + blob)
    lm = bytes(24) if stamped else _hmac(key, challenge.nonce + ours) + ours
    encoding = "utf-16-le" if challenge.flags & 1 else "latin-1"
    fields = [lm, proof + blob, *(text.encode(encoding, "replace") for text in (domain, user, "CONFORMANCE")), b""]
    head, offset = SIGNATURE + struct.pack("<I", 3), 88
    for field in fields:
        head += struct.pack("<HHI", len(field), len(field), offset)
        offset += len(field)
    head += struct.pack("<I", challenge.flags & _FLAGS | _TARGET_INFO & challenge.flags) + _VERSION
    payload = b"".join(fields)
    mic = bytes(16)
    if stamped:
        mic = _hmac(_hmac(key, proof), NEGOTIATE + challenge.octets + head + mic + payload)
    return head + mic + payload


def _hmac(key: bytes, octets: bytes) -> bytes:
    return hmac.new(key, octets, hashlib.md5).digest()


def md4(octets: bytes) -> bytes:
    """RFC 1320; today's OpenSSL no longer has it."""
    mask = 0xFFFFFFFF
    state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]
    padded = octets + b"\x80" + bytes(-(len(octets) + 9) % 64) + struct.pack("<Q", 8 * len(octets))
    rounds: tuple[tuple[Callable[[int, int, int], int], int, tuple[int, ...], tuple[int, ...]], ...] = (
        (lambda x, y, z: x & y | ~x & z, 0, tuple(range(16)), (3, 7, 11, 19)),
        (lambda x, y, z: x & y | x & z | y & z, 0x5A827999, (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), (3, 5, 9, 13)),
        (lambda x, y, z: x ^ y ^ z, 0x6ED9EBA1, (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15), (3, 9, 11, 15)),
    )  # fmt: skip
    for at in range(0, len(padded), 64):
        words = struct.unpack_from("<16I", padded, at)
        a, b, c, d = state
        for mix, constant, order, shifts in rounds:
            for step, index in enumerate(order):
                value = (a + mix(b, c, d) + words[index] + constant) & mask
                shift = shifts[step % 4]
                a, b, c, d = d, (value << shift | value >> 32 - shift) & mask, b, c
        state = [(old + new) & mask for old, new in zip(state, (a, b, c, d))]
    return struct.pack("<4I", *state)
