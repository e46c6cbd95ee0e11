"""Who may open which mailbox when: accounts are borrowed, across tasks and across processes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from conformance.scenario.model import Scenario
from conformance.target import Account, Target


class Borrowed:
    """An account on loan. ``contents``: the seeds that its mailbox is known to hold, None if unknown."""

    def __init__(self, account: Account, lock: FileLock | None) -> None:
        self.account = account
        self.lock = lock
        self.busy = False
        self.contents: tuple[str, ...] | None = None
        self.seeds: list[bytes] = []


class Pool:
    """Accounts that the target file names as recipients are kept for deliveries where there are others."""

    def __init__(self, target: Target, lock_dir: Path | None) -> None:
        named = {target.mail.get(key, "").lower() for key in ("recipient", "second_recipient")}
        self.all = [
            Borrowed(account, FileLock(lock_dir / f"account-{index}.lock") if lock_dir else None)
            for index, account in enumerate(target.accounts)
        ]
        self.delivery = [one for one in self.all if one.account.address.lower() in named]
        self.mailboxes = [one for one in self.all if one not in self.delivery]
        self.shared = not self.delivery or not self.mailboxes

    def candidates(self, scenario: Scenario) -> list[Borrowed]:
        """For mail that is read back any account with an address; for mailboxes rather not the recipients'. Where the
        scenario asks for a token or a certificate, only accounts that have one."""
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
        return bool(scenario.accounts and (scenario.seeded or scenario.reads_mail or scenario.family == "pop3"))

    def shared_by(self, scenario: Scenario) -> list[Borrowed]:
        """The accounts of a scenario that need not be alone."""
        having = self.candidates(scenario) if {"certificate", "bearer"} & set(scenario.needs) else []
        return (having + [one for one in self.all if one not in having])[: scenario.accounts]

    def give_back(self, taken: Sequence[Borrowed]) -> None:
        for one in taken:
            one.busy = False
            if one.lock is not None:
                one.lock.release()

    @contextlib.asynccontextmanager
    async def probing(self) -> AsyncIterator[None]:
        """Holds the accounts that probing opens, lest another process empties a mailbox under it."""
        opened = {id(one): one for one in (self.all[:1] + [one for one in self.all if one.account.address][:1])}
        locks = [one.lock for one in opened.values() if one.lock is not None]
        held: list[FileLock] = []
        try:
            for lock in locks:
                while True:
                    try:
                        lock.acquire(timeout=0)
                        break
                    except Timeout:
                        await asyncio.sleep(0.02)
                held.append(lock)
            yield
        finally:
            for lock in held:
                lock.release()

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
            free.sort(key=lambda one: 0 if one.contents == scenario.mailbox else 1 if one.contents is None else 2)
        else:
            free.sort(key=lambda one: one.contents is not None)
        taken: list[Borrowed] = []
        for one in free:
            if len(taken) == wanted:
                break
            if one.lock is not None:
                try:
                    one.lock.acquire(timeout=0)
                except Timeout:
                    continue
                one.contents = None  # another process may have used it meanwhile
            taken.append(one)
        if len(taken) < wanted:
            self.give_back(taken)
            return []
        for one in taken:
            one.busy = True
        return taken
