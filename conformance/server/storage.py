"""Where accepted mail lies: in memory, or in a Maildir that survives a restart."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Message:
    """``uid`` is 1 to 70 octets of 0x21-0x7E and never used again (RFC 1939 section 7, UIDL)."""

    uid: str
    octets: bytes


class Mailbox:
    """One user's messages, oldest first. ``locked``: a POP3 session has it (RFC 1939 section 4)."""

    def __init__(self) -> None:
        self.locked = False
        self._messages: list[Message] = []
        self._count = itertools.count(1)
        self._epoch = f"{int(time.time()):x}"

    def add(self, octets: bytes) -> None:
        self._messages.append(Message(f"{self._epoch}.{next(self._count):x}", octets))

    def messages(self) -> list[Message]:
        return list(self._messages)

    def remove(self, uids: set[str]) -> None:
        self._messages = [one for one in self._messages if one.uid not in uids]


class MaildirMailbox(Mailbox):
    """Messages as files; the file's name is the unique id."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        for part in ("tmp", "new", "cur"):
            (folder / part).mkdir(parents=True, exist_ok=True)

    def add(self, octets: bytes) -> None:
        name = f"{time.time_ns():019d}.{os.getpid()}_{next(self._count)}"
        path = self.folder / "tmp" / name
        path.write_bytes(octets)
        path.rename(self.folder / "new" / name)

    def _paths(self) -> dict[str, Path]:
        found = {path.name.split(":")[0]: path for part in ("new", "cur") for path in (self.folder / part).iterdir()}
        return dict(sorted(found.items()))

    def messages(self) -> list[Message]:
        return [Message(name, path.read_bytes()) for name, path in self._paths().items()]

    def remove(self, uids: set[str]) -> None:
        for name, path in self._paths().items():
            if name in uids:
                path.unlink(missing_ok=True)


class Storage:
    """The mailboxes of all users. ``folder``: a Maildir for each below it; None keeps mail in memory."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._boxes: dict[str, Mailbox] = {}

    def mailbox(self, user: str) -> Mailbox:
        if user not in self._boxes:
            self._boxes[user] = MaildirMailbox(self._folder / user) if self._folder else Mailbox()
        return self._boxes[user]

    def deliver(self, user: str, octets: bytes) -> None:
        self.mailbox(user).add(octets)
