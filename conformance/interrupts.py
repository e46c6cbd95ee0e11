"""SIGINT is noted, and obeyed where nothing is lost by it.

A KeyboardInterrupt may come between any two instructions, a second one in the midst of what the first one set off. While
interrupts are noted, the places that wait call ``obey`` instead. Imports little: it must be ready before all the rest is.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any


class _Noted:
    def __init__(self) -> None:
        self.asked = False
        self.at_once = False  # in a loop of somebody else's that never calls ``obey``
        self.before: Any = None
        self.on = False

    def __call__(self, number: int, frame: object) -> None:
        self.asked = True
        if self.at_once:
            self.at_once = False
            raise KeyboardInterrupt


_noted = _Noted()


def note() -> None:
    """From here on. Does nothing in other threads than the first, where no signal is ever handled."""
    if not _noted.on:
        with contextlib.suppress(ValueError):
            _noted.before = signal.signal(signal.SIGINT, _noted)
            _noted.on = True


def release() -> None:
    """As it was before ``note``. Raises KeyboardInterrupt if one is due."""
    if _noted.on:
        signal.signal(signal.SIGINT, _noted.before)
        _noted.on = False
    asked, _noted.asked = _noted.asked, False
    if asked:
        raise KeyboardInterrupt


@contextlib.contextmanager
def noted() -> Iterator[None]:
    """``note``, and ``release`` without a word."""
    outermost = not _noted.on
    note()
    try:
        yield
    finally:
        if outermost:
            with contextlib.suppress(KeyboardInterrupt):
                release()


def asked() -> bool:
    return _noted.asked


def obey() -> None:
    """Raises KeyboardInterrupt if one was noted."""
    if _noted.asked:
        raise KeyboardInterrupt


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Inside, the first interrupt is obeyed where it comes."""
    if not _noted.on:
        yield
        return
    _noted.at_once = True
    try:
        obey()
        yield
    finally:
        _noted.at_once = False


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Inside, none comes; processes that are started inside never hear one."""
    if not _noted.on or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def deafen() -> None:
    """None is heard any more, up to the very end of the process."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
