"""Servers that want a pause between logins (LOGIN-DELAY: RFC 2449 sections 6.5 and 8.1.1).

They refuse a login that comes too soon after another of the same user. That says nothing of what a scenario is about, so
whoever logs in asks here first, and waits. What is announced alone costs no time: only who was seen to refuse is waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

from conformance.session.login import Say, Way, log_in

LONGEST = 30.0  # seconds that are waited for one login
PATIENCE = 600.0  # seconds from the first wait, after which a run waits no more
_SHORTEST = 0.5  # a delay is told in whole seconds: whoever lets in sooner than this has none
_MARGIN = 0.05  # the server's clock began when it said +OK


class Delayed(Exception):
    """A login came too soon: once more, from the beginning."""


class TooLong(Exception):
    """No waiting is sensible; the text is for the user."""


def too_soon(code: str, text: bytes) -> bool:
    return code == "-ERR" and text.upper().startswith((b"[LOGIN-DELAY]", b"[LOGIN-DELAY/"))


class LoginDelay:
    """What is known of one target's delay. ``seconds``: how long to wait after a login; 0: no login was refused for it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.announced: float | None = None
        self.accepted: float | None = None  # the shortest time after which a second login was let in
        self._last: dict[str, tuple[float, bool]] = {}  # user → when the last login was, and whether it surely was one
        self._until: float | None = None

    def announce(self, *listings: Mapping[str, tuple[str, ...]]) -> None:
        """From capability lists, the more accurate one last: RFC 2449 section 6.5."""
        for words in listings:
            number = (words.get("LOGIN-DELAY") or ("",))[0]
            if number.isascii() and number.isdigit():
                self.announced = float(number[:9])

    def knows(self, user: str) -> bool:
        return user in self._last

    def forget(self, user: str) -> None:
        """Another process may have logged in meanwhile."""
        self._last.pop(user, None)

    def entered(self, users: Iterable[str], *, surely: bool = False) -> None:
        """A login was accepted; ``surely``: of this user."""
        now = time.monotonic()
        for user in users:
            before, sure = self._last.get(user, (now, False))
            if surely and sure:
                self.accepted = min(now - before, self.accepted or now - before)
            self._last[user] = now, surely

    def refused(self, users: Iterable[str]) -> bool:
        """A login was refused with the code. Whether the delay can be the reason; then it is known a little better."""
        now = time.monotonic()
        asked = list(users)
        known = [self._last[user][0] for user in asked if user in self._last]
        since = now - max(known) if known else None
        if self.accepted is not None and (self.accepted < _SHORTEST if since is None else since > self.accepted + _MARGIN):
            return False
        self.enforce(2 * (since or 0.0))
        for user in asked:
            self._last.setdefault(user, (now, False))
        return True

    def enforce(self, least: float = 0.0) -> None:
        self.seconds = max(self.seconds, least, self.announced or 1.0)

    def left(self, users: Iterable[str]) -> float:
        """Seconds until these may log in."""
        if not self.seconds:
            return 0.0
        ends = [self._last[user][0] + self.seconds + _MARGIN for user in users if user in self._last]
        return max([one - time.monotonic() for one in ends], default=0.0)

    async def ready(self, users: Iterable[str]) -> float:
        """Waits until these may log in; how long that was. Raises TooLong."""
        left = self.left(users)
        if left <= 0:
            return 0.0
        now = time.monotonic()
        self._until = self._until or now + PATIENCE
        if left > LONGEST:
            raise TooLong(f"the target lets nobody log in again so soon (LOGIN-DELAY, {self.seconds:.0f} s or more): too long to be waited for")
        if now + left > self._until:
            raise TooLong(f"the target lets nobody log in again so soon (LOGIN-DELAY, {self.seconds:.0f} s), and this run has waited for {PATIENCE:.0f} s")
        await asyncio.sleep(left)
        return left

    async def log_in(self, way: Way, user: str, password: str, banner: bytes, say: Say) -> str:
        """As ``login.log_in``, when it may be. Raises Delayed, TooLong."""
        heard = [("", b"")]

        async def listening(octets: bytes, shown: bytes) -> tuple[str, bytes]:
            heard.append(await say(octets, shown))
            return heard[-1]

        await self.ready([user])
        code = await log_in(way, user, password, banner, listening)
        if code == "+OK":
            self.entered([user], surely=True)
        elif too_soon(*heard[-1]) and self.refused([user]):
            raise Delayed
        return code
