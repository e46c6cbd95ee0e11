"""What is played next: long scenarios first, mailboxes never idle."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from conformance.scenario.infer import flat
from conformance.scenario.model import Expect, Fetch, Scenario, Simple
from conformance.session.accounts import ASK_AGAIN, Borrowed, Pool

_DELIVERY = 0.1  # seconds, roughly, that reading a mailbox back costs
_SEED = 0.02
_PATIENT = 0.3  # a scenario that waits so long on purpose leaves the machine idle
_Key = tuple[tuple[object, ...], tuple[str, ...], bool]  # what it wants of an account, its mailbox, whether it waits


def seconds(scenario: Scenario, silence: float) -> float:
    """A rough guess how long a scenario lasts: what it waits on purpose, and mail that it reads or needs."""
    total = _SEED * len(scenario.mailbox)
    for step in flat(scenario.steps):
        if isinstance(step, Simple):
            if step.kind == "pause":
                total += step.seconds or 0
            elif step.kind in ("silent", "data-mode"):
                total += step.seconds or silence
        elif isinstance(step, Expect):
            if step.allows("silent"):
                total += silence
        elif isinstance(step, Fetch):
            total += _DELIVERY if step.least == step.most else 2 * _DELIVERY
    return total


def touches(scenario: Scenario) -> bool:
    """Whether the mailbox holds something else afterwards."""
    return "deletes" in scenario.effects or scenario.reads_mail


class Queue:
    """Scenarios that wait for their turn in so many ``lanes``; they come in the order in which they should begin.

    Those that must be alone in their mailboxes are kept by what they want of an account. Filling a mailbox costs a
    dozen sessions, so a mailbox that holds what a scenario wants goes to that one, and those that leave it so come first.

    Those that wait on purpose and the others advance side by side: the ones keep the machine busy while the others wait.
    """

    def __init__(self, pool: Pool, scenarios: Sequence[Scenario], lanes: int, silence: float = 0.0) -> None:
        """``silence``: seconds that the target is given to say nothing."""
        self.pool = pool
        self._patient = {one.id for one in scenarios if seconds(one, silence) >= _PATIENT}
        free = [one for one in scenarios if not pool.exclusive(one)]
        self.patient = deque(one for one in free if one.id in self._patient)
        self.brisk = deque(one for one in free if one.id not in self._patient)
        self.bound: dict[_Key, deque[Scenario]] = {}
        bound = [one for one in scenarios if pool.exclusive(one)]
        for scenario in sorted(bound, key=lambda one: one.seeded and touches(one)):
            key = pool.asks(scenario), scenario.mailbox, scenario.id in self._patient
            self.bound.setdefault(key, deque()).append(scenario)
        self._rank = {one.id: rank for rank, one in enumerate(scenarios)}
        self._most = max(1, lanes * 3 // 4)  # lanes for mailboxes, so that whoever waits for the others sees them move, too
        self._playing = 0
        self._share = len(self._patient) / max(1, len(scenarios))
        self._begun = 0
        self._begun_patient = 0
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def empty(self) -> bool:
        return not self.bound and not self.patient and not self.brisk

    def next(self) -> tuple[Scenario, list[Borrowed]] | None:
        """A scenario and its accounts; None if those left wait for accounts."""
        found = self._next(patient=False) if self._begun_patient > self._begun * self._share else None
        found = found or self._next(patient=True)
        if found:
            self._begun += 1
            self._begun_patient += found[0].id in self._patient
        return found

    def _next(self, *, patient: bool) -> tuple[Scenario, list[Borrowed]] | None:
        """``patient``: one that waits will do as well."""
        free = (patient and self.patient) or self.brisk
        if free and self._playing >= self._most:
            return self._next_free(free)
        holding = self.pool.holding()
        refused: set[tuple[object, ...]] = set()
        keys = [one for one in self.bound if patient or not one[2]]
        for key in sorted(keys, key=lambda k: (not (k[0][0] and k[1] in holding), self._rank[self.bound[k][0].id])):
            if key[0] in refused:  # it would ask for the same accounts
                continue
            accounts = self.pool.take(self.bound[key][0])
            if accounts:
                scenario = self.bound[key].popleft()
                if not self.bound[key]:
                    del self.bound[key]
                self._playing += 1
                return scenario, accounts
            refused.add(key[0])
        return self._next_free(free) if free else None

    def _next_free(self, free: deque[Scenario]) -> tuple[Scenario, list[Borrowed]]:
        scenario = free.popleft()
        return scenario, self.pool.shared_by(scenario)

    def done(self, scenario: Scenario, accounts: Sequence[Borrowed]) -> None:
        if self.pool.exclusive(scenario):
            self.pool.give_back(accounts)
            self._playing -= 1
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def changed(self) -> None:
        """Until an account may be free again."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        polls = any(one.lock is not None for one in self.pool.all)
        await asyncio.wait([waiter], timeout=ASK_AGAIN if polls else None)
