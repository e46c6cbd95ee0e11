"""Who may open which mailbox when: accounts are borrowed, across tasks and across processes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
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
        self._changed = asyncio.Condition()

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

    @contextlib.asynccontextmanager
    async def borrow(self, scenario: Scenario) -> AsyncIterator[list[Borrowed]]:
        """The accounts that the scenario opens, exclusively. Those that only log in by SMTP share."""
        wanted = scenario.accounts
        exclusive = bool(scenario.seeded or scenario.reads_mail or scenario.family == "pop3")
        if not exclusive or not wanted:
            having = self.candidates(scenario) if {"certificate", "bearer"} & set(scenario.needs) else []
            yield (having + [one for one in self.all if one not in having])[:wanted]
            return
        candidates = self.candidates(scenario)
        candidates += [one for one in self.all if one not in candidates] if len(candidates) < wanted else []
        async with self._changed:
            while True:
                taken = self._take(candidates, wanted)
                if taken:
                    break
                if self.all[0].lock is None:
                    await self._changed.wait()
                else:  # another process may hold it
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), 0.02)
        try:
            yield taken
        finally:
            async with self._changed:
                for one in taken:
                    one.busy = False
                    if one.lock is not None:
                        one.lock.release()
                self._changed.notify_all()

    def _take(self, candidates: list[Borrowed], wanted: int) -> list[Borrowed]:
        taken: list[Borrowed] = []
        for one in candidates:
            if len(taken) == wanted:
                break
            if one.busy:
                continue
            if one.lock is not None:
                try:
                    one.lock.acquire(timeout=0)
                except Timeout:
                    continue
                one.contents = None  # another process may have used it meanwhile
            taken.append(one)
        if len(taken) < wanted:
            for one in taken:
                if one.lock is not None:
                    one.lock.release()
            return []
        for one in taken:
            one.busy = True
        return taken
