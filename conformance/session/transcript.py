"""The timestamped dialogue of one play while it grows: inert ASCII, without secrets."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Iterable
from typing import TypeVar

from conformance.protocol.reply import show
from conformance.verdict.model import Dialogue, stamp

_MAX_ENTRIES = 2000
_Text = TypeVar("_Text", str, bytes)


class Redactor:
    """Takes secrets out of text, plain or inside base64."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found: set[str] = set()
        for secret in secrets:
            found |= {secret, secret.upper(), secret.lower(), secret.swapcase()}
            if len(secret) > 4:  # scenarios send wrong passwords that are nearly right
                found |= {secret[:-1], secret[1:]}
        self._secrets = sorted(found - {""}, key=len, reverse=True)
        self._shown = [(secret, show(secret.encode())) for secret in self._secrets]
        self._octets = [secret.encode() for secret in self._secrets]
        # Nearly no line holds one, so what all forms of a secret have in common is looked for first.
        self._cores = _cores(word.casefold() for pair in self._shown for word in pair)
        self._core_octets = _cores(one.lower() for one in self._octets)
        shortest = min((len(one) for one in self._octets), default=1)
        self._base64 = re.compile(f"[A-Za-z0-9+/]{{{-(-shortest * 4 // 3)},}}={{0,2}}")  # long enough to hold one
        self._lines: dict[bytes, str] = {}

    def __call__(self, text: str) -> str:
        folded = text.casefold()
        for core in self._cores:
            if core in folded:
                for secret, shown in self._shown:
                    text = text.replace(secret, "[secret]").replace(shown, "[secret]")
                break
        return self._base64.sub(self._inside, text) if self._secrets else text

    def line(self, octets: bytes) -> str:
        """One line as inert ASCII without secrets. Dialogues repeat themselves, so the answers are kept for a while."""
        found = self._lines.get(octets)
        if found is None:
            if len(self._lines) > 4000:
                self._lines.clear()
            found = self._lines[octets] = self(show(octets))
        return found

    def _inside(self, match: re.Match[str]) -> str:
        token = match.group()
        padded = token + "=" * (-len(token.rstrip("=")) % 4) if "=" not in token else token
        try:
            decoded = base64.b64decode(padded, validate=True)
        except (binascii.Error, ValueError):
            return token
        lower = decoded.lower()
        for core in self._core_octets:
            if core in lower:
                return "[secret]" if any(secret in decoded for secret in self._octets) else token
        return token


def _cores(words: Iterable[_Text]) -> list[_Text]:
    """Those words that hold none of the others."""
    found: list[_Text] = []
    for word in sorted(set(words), key=len):
        if not any(core in word for core in found):
            found.append(word)
    return found


class Transcript:
    """Grows to a ``Dialogue``; bounded."""

    def __init__(self, redact: Redactor) -> None:
        self._entries: list[str] = []
        self._redact = redact
        self._start = time.monotonic()

    def add(self, side: str, octets: bytes, name: str = "", tls: bool = False) -> None:
        """One entry per line; ``name`` marks another connection than the main one."""
        prefix = ("[TLS] " if tls else "") + (f"@{name} " if name else "")
        room = min(_MAX_ENTRIES // 10, _MAX_ENTRIES - len(self._entries))
        head = stamp(time.monotonic() - self._start, side) + prefix
        for line in octets.split(b"\n", room)[:room]:
            if line:
                self._entries.append(head + self._redact.line(line.removesuffix(b"\r")))

    def remark(self, text: str) -> None:
        if len(self._entries) < _MAX_ENTRIES:
            self._entries.append(stamp(time.monotonic() - self._start, "-") + self._redact.line(text.encode("utf-8")))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def dialogue(self) -> Dialogue:
        return Dialogue.of(self._entries)
