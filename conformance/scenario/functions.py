"""The functions of the scenario language (scenarios/README.md lists them). Octets in, octets or numbers out."""

from __future__ import annotations

import base64 as _base64
import binascii
import datetime
import hashlib
import hmac
import re
from collections.abc import Callable

from conformance.protocol import ntlm, scram

Value = bytes | int


def octets(value: Value) -> bytes:
    """A value as it is put on the wire: numbers in decimal."""
    if isinstance(value, bytes):
        return value
    return str(int(value)).encode("ascii")


def _unbase64(text: Value) -> bytes:
    try:
        return _base64.b64decode(octets(text), validate=True)
    except binascii.Error as error:
        raise ValueError(f"{octets(text)[:40]!r} is not base64: {error}") from None


def _base64_of(text: Value) -> bytes:
    return _base64.b64encode(octets(text))


def _integer(value: Value) -> int:
    text = octets(value)
    if not re.fullmatch(rb"-?[0-9]+", text):
        raise ValueError(f"{text[:40]!r} is not a number")
    return int(text)


def plain(user: Value, password: Value) -> bytes:
    """RFC 4616 section 2: authorization identity empty."""
    return _base64_of(b"\0" + octets(user) + b"\0" + octets(password))


def cram(challenge: Value, user: Value, password: Value) -> bytes:
    """RFC 2195 section 2: user, a blank, HMAC-MD5 of the challenge in hexadecimal."""
    digest = hmac.new(octets(password), _unbase64(challenge), hashlib.md5).hexdigest()
    return _base64_of(octets(user) + b" " + digest.encode("ascii"))


def ntlm_response(challenge: Value, user: Value, password: Value) -> bytes:
    """The AUTHENTICATE message, base64, for a base64 CHALLENGE that answers NEGOTIATE: conformance/protocol/ntlm.py."""
    found = ntlm.Challenge(_unbase64(challenge))
    return _base64_of(ntlm.authenticate(found, octets(user).decode(), octets(password).decode()))


def ntlm_fault(challenge: Value) -> bytes:
    """Why a base64 text is no CHALLENGE message; empty if it is one."""
    try:
        ntlm.Challenge(_unbase64(challenge))
    except ValueError as error:
        return str(error).encode()
    return b""


def scram_final(mechanism: Value, password: Value, bare: Value, first: Value, without: Value) -> bytes:
    """SCRAM's client-final-message, base64, with a right proof over what the messages say: RFC 5802 section 3.

    ``bare``: the client-first-message without its GS2 header; ``first``: the server's first message, base64;
    ``without``: the client-final-message without the proof.
    """
    return _base64_of(_scram(mechanism, password, bare, first, without)[0])


def scram_answer(mechanism: Value, password: Value, bare: Value, first: Value, without: Value) -> bytes:
    """The server-final-message that a right proof earns, base64."""
    return _base64_of(_scram(mechanism, password, bare, first, without)[1])


def _scram(mechanism: Value, password: Value, bare: Value, first: Value, without: Value) -> tuple[bytes, bytes]:
    return scram.client_final(
        octets(mechanism).decode(), octets(password).decode(), octets(bare), _unbase64(first), octets(without)
    )


def apop(banner: Value, password: Value) -> bytes:
    """RFC 1939 section 7: MD5 of the greeting's timestamp and the shared secret."""
    match = re.search(rb"<[^<>@]*@?[^<>]*>", octets(banner))
    if not match:
        raise ValueError("the greeting has no timestamp in angle brackets")
    return hashlib.md5(match.group() + octets(password)).hexdigest().encode("ascii")


def _lines(text: Value) -> list[bytes]:
    parts = octets(text).split(b"\r\n")
    return parts[:-1] if parts and not parts[-1] else parts


def _line(text: Value, number: Value) -> bytes:
    lines = _lines(text)
    index = _integer(number)
    index = index - 1 if index > 0 else len(lines) + index
    return lines[index] if 0 <= index < len(lines) else b""


def _values(header: Value, name: Value) -> list[bytes]:
    wanted = octets(name).lower()
    found: list[bytes] = []
    current: list[bytes] | None = None
    collected: list[list[bytes]] = []
    for line in octets(header).splitlines():
        if line[:1] in (b" ", b"\t"):
            if current is not None:
                current.append(line)
            continue
        label, colon, value = line.partition(b":")
        current = [value] if colon and label.strip().lower() == wanted else None
        if current is not None:
            collected.append(current)
    for parts in collected:
        found.append(b"".join(parts).strip())
    return found


def _field(header: Value, name: Value, number: Value = 1) -> bytes:
    values = _values(header, name)
    index = _integer(number) - 1
    return values[index] if 0 <= index < len(values) else b""


def _split(text: Value, separator: Value, number: Value) -> bytes:
    parts = octets(text).split(octets(separator))
    index = _integer(number) - 1
    return parts[index] if 0 <= index < len(parts) else b""


def _matches(text: Value, pattern: Value) -> bool:
    return re.search(octets(pattern), octets(text)) is not None


_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_DATE = re.compile(rb"\b([0-9]{1,2})\s+(" + b"|".join(_MONTHS) + rb")\s+([0-9]{4})\b")


def _weekday(text: Value) -> bytes:
    """Name of the day on which the last date of a text falls: RFC 5322 section 3.3."""
    found = _DATE.findall(octets(text))
    if not found:
        return b""
    day, month, year = found[-1]
    try:
        number = datetime.date(int(year), _MONTHS.index(month) + 1, int(day)).weekday()
    except ValueError:
        return b""
    return b"Mon Tue Wed Thu Fri Sat Sun".split()[number]


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "base64": _base64_of,
    "unbase64": _unbase64,
    "hex": lambda x: octets(x).hex().upper().encode("ascii"),
    "md5": lambda x: hashlib.md5(octets(x)).hexdigest().encode("ascii"),
    "upper": lambda x: octets(x).upper(),
    "lower": lambda x: octets(x).lower(),
    "len": lambda x: len(octets(x)),
    "int": _integer,
    "str": octets,
    "plain": plain,
    "cram": cram,
    "apop": apop,
    "ntlm": ntlm_response,
    "ntlmfault": ntlm_fault,
    "ntlmtold": lambda c: ntlm.Challenge(_unbase64(c)).told().encode(),
    "scram": scram_final,
    "scramanswer": scram_answer,
    "saslname": lambda x: scram.escaped(octets(x).decode()).encode(),
    "local": lambda a: octets(a).rpartition(b"@")[0],
    "domainof": lambda a: octets(a).rpartition(b"@")[2],
    "contains": lambda x, y: octets(y) in octets(x),
    "starts": lambda x, y: octets(x).startswith(octets(y)),
    "ends": lambda x, y: octets(x).endswith(octets(y)),
    "count": lambda x, y: octets(x).count(octets(y)),
    "matches": _matches,
    "line": _line,
    "lines": lambda x: len(_lines(x)),
    "field": _field,
    "fields": lambda h, n: len(_values(h, n)),
    "split": _split,
    "weekday": _weekday,
    "sub": lambda x, a, b: octets(x)[_integer(a) : _integer(b)],
}
# These look at the session, so the player provides them.
PLAYER_FUNCTIONS = {"offers": (1, 2), "parameter": (1, 1), "seed": (1, 1), "seedbody": (1, 1), "binding": (1, 1)}

_TWO = ("contains", "starts", "ends", "count", "matches", "line", "fields", "plain", "apop")
ARITY: dict[str, tuple[int, int]] = {
    **dict.fromkeys(FUNCTIONS, (1, 1)),
    **dict.fromkeys(_TWO, (2, 2)),
    "cram": (3, 3),
    "ntlm": (3, 3),
    "scram": (5, 5),
    "scramanswer": (5, 5),
    "split": (3, 3),
    "sub": (3, 3),
    "field": (2, 3),
    **PLAYER_FUNCTIONS,
}
