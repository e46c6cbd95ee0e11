"""Who may open which mailbox when: accounts are borrowed, across tasks and across processes."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from conformance.scenario.infer import flat
from conformance.scenario.model import Receive, Scenario
from conformance.target import Account, Target

ASK_AGAIN = 0.05  # seconds after which an account that another process held may be free


def queued(scenario: Scenario) -> bool:
    """Whether the mail that is held for an account is fetched or counted."""
    return any(isinstance(step, Receive) for step in flat(scenario.steps)) or bool({"odmr_domain", "held_address"} & scenario.names)


class Borrowed:
    """An account on loan. ``contents``: the seeds that its mailbox is known to hold, None if unknown.

    ``folder``: where processes that share the accounts keep their locks, and a file that tells who had it last.
    """

    def __init__(self, account: Account, number: int, folder: Path | None, holder: str) -> None:
        self.account = account
        self.lock = FileLock(folder / f"account-{number}.lock") if folder else None
        self.busy = False
        self.foreign = False  # another process has had it meanwhile
        self.contents: tuple[str, ...] | None = None
        self.seeds: list[bytes] = []
        self._last = folder / f"account-{number}.last" if folder else None
        self._holder = holder
        self._not_before = 0.0

    def acquire(self) -> bool:
        """False if another process has it, or had it a moment ago: asking costs more than it seems."""
        if self.lock is None:
            return True
        if time.monotonic() < self._not_before:
            return False
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            self._not_before = time.monotonic() + ASK_AGAIN
            return False
        assert self._last is not None
        if not self._last.exists() or self._last.read_text() != self._holder:
            self.contents, self.foreign = None, True
            self._last.write_text(self._holder)
        return True

    def release(self) -> None:
        if self.lock is not None:
            self.lock.release()


class Pool:
    """Accounts that the target file names as recipients are kept for deliveries where there are others.

    ``share``: of the processes that use these accounts, which one this is and how many there are. Each rather takes
    its own share, and of the others what is free.
    """

    def __init__(self, target: Target, lock_dir: Path | None, share: tuple[int, int] = (0, 1)) -> None:
        named = {target.mail.get(key, "").lower() for key in ("recipient", "second_recipient")}
        holder = secrets.token_hex(8)
        self.all = [Borrowed(account, number, lock_dir, holder) for number, account in enumerate(target.accounts)]
        mine, count = share
        self._others = {id(one) for number, one in enumerate(self.all) if number % count != mine}
        self.delivery = [one for one in self.all if one.account.address.lower() in named]
        self.mailboxes = [one for one in self.all if one not in self.delivery]
        self.shared = not self.delivery or not self.mailboxes

    def candidates(self, scenario: Scenario) -> list[Borrowed]:
        """For mail that is read back any account with an address; for mailboxes rather not the recipients'. Where the
        scenario asks for a token, a certificate or a queue, only accounts that have one."""
        if queued(scenario):  # else one account, so that no two scenarios fetch from one queue at a time
            return [one for one in self.all if one.account.odmr_domain] or self.all[: scenario.accounts]
        if "certificate" in scenario.needs:
            return [one for one in self.all if one.account.certificate]
        if "bearer" in scenario.needs:
            return [one for one in self.all if one.account.bearer]
        if scenario.seeded:
            return self.mailboxes or self.all
        if scenario.reads_mail:
            return [one for one in self.all if one.account.address] or self.all
        if scenario.family == "pop3":
            return self.mailboxes or self.all
        return self.all

    def exclusive(self, scenario: Scenario) -> bool:
        """Whether the scenario must be alone in the mailboxes of its accounts. Those that only log in by SMTP share."""
        return bool(scenario.accounts and (scenario.seeded or scenario.reads_mail or scenario.family == "pop3" or queued(scenario)))

    def asks(self, scenario: Scenario) -> tuple[object, ...]:
        """What decides which accounts ``take`` gives; the first: whether it fills a mailbox."""
        having = tuple(sorted({"certificate", "bearer"} & set(scenario.needs)))
        return scenario.seeded, scenario.reads_mail, scenario.accounts, scenario.family, queued(scenario), having

    def shared_by(self, scenario: Scenario) -> list[Borrowed]:
        """The accounts of a scenario that need not be alone."""
        having = self.candidates(scenario) if {"certificate", "bearer"} & set(scenario.needs) else []
        return (having + [one for one in self.all if one not in having])[: scenario.accounts]

    def give_back(self, taken: Sequence[Borrowed]) -> None:
        for one in taken:
            one.busy = False
            one.release()

    @contextlib.asynccontextmanager
    async def probing(self) -> AsyncIterator[None]:
        """Holds the accounts that probing opens, lest another process empties a mailbox under it."""
        opened = {id(one): one for one in (self.all[:1] + [one for one in self.all if one.account.address][:1])}
        held: list[Borrowed] = []
        try:
            for one in opened.values():
                while not one.acquire():
                    await asyncio.sleep(ASK_AGAIN)
                held.append(one)
            yield
        finally:
            for one in held:
                one.release()

    def holding(self) -> set[tuple[str, ...]]:
        """What the free mailboxes are known to hold."""
        return {one.contents for one in self.all if one.contents is not None and not one.busy}

    def take(self, scenario: Scenario) -> list[Borrowed]:
        """Accounts for the scenario alone, until they are given back; none if they cannot be had now."""
        wanted = scenario.accounts
        candidates = self.candidates(scenario)
        if len(candidates) < wanted:
            candidates = candidates + [one for one in self.all if one not in candidates]
        free = [one for one in candidates if not one.busy]
        if len(free) < wanted:
            return []
        if scenario.seeded:  # rather the right contents, rather not somebody else's
            free.sort(key=lambda one: (0 if one.contents == scenario.mailbox else 1 if one.contents is None else 2, id(one) in self._others))
        else:
            free.sort(key=lambda one: (id(one) in self._others, one.contents is not None))
        taken: list[Borrowed] = []
        for one in free:
            if len(taken) == wanted:
                break
            if one.acquire():
                taken.append(one)
        if len(taken) < wanted:
            self.give_back(taken)
            return []
        for one in taken:
            one.busy = True
        return taken
