"""Whose turn it is: long scenarios first, mailboxes used again for what they hold, nobody alone in two places."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.scenario.loader import load
from conformance.scenario.model import Corpus, Scenario
from conformance.session.accounts import Borrowed, Pool
from conformance.session.queue import Queue, seconds, touches
from conformance.session.runner import Runner
from conformance.target import Account, Limits, Target


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load()


def pool(count: int, locks: Path | None = None, share: tuple[int, int] = (0, 1)) -> Pool:
    accounts = tuple(Account(f"u{n}", "p", f"u{n}@example.test") for n in range(count))
    return Pool(Target("t", "h", {}, accounts=accounts), locks, share)


def seeded(corpus: Corpus, *, touching: bool) -> list[Scenario]:
    return [one for one in corpus.scenarios if one.seeded and one.mailbox and touches(one) is touching and one.accounts == 1]


def test_everything_is_played_once(corpus: Corpus) -> None:
    queue = Queue(pool(3), corpus.scenarios, 4)
    held: list[tuple[Scenario, list[Borrowed]]] = []
    played: list[str] = []
    while not queue.empty:
        found = queue.next()
        if found is None or len(held) == 4:
            assert held, "nothing is played and nothing can be"
            queue.done(*held.pop(0))
        if found is not None:
            scenario, accounts = found
            alone = [one for other, taken in held if queue.pool.exclusive(other) for one in taken]
            if queue.pool.exclusive(scenario):
                assert len(accounts) == scenario.accounts and not [one for one in accounts if one in alone]
            held.append(found)
            played.append(scenario.id)
    assert sorted(played) == sorted(one.id for one in corpus.scenarios)


def test_a_mailbox_is_used_again(corpus: Corpus) -> None:
    first = seeded(corpus, touching=False)[0]
    alike = replace(first, id="x/alike")
    other = replace(first, id="x/other", mailbox=(*first.mailbox, *first.mailbox))
    queue = Queue(pool(1), [first, other, alike], 4)
    scenario, accounts = queue.next() or pytest.fail("nothing to play")
    accounts[0].contents = scenario.mailbox
    assert queue.next() is None
    queue.done(scenario, accounts)
    assert (queue.next() or pytest.fail("nothing to play"))[0] is alike


def test_what_leaves_a_mailbox_alone_comes_first(corpus: Corpus) -> None:
    gentle = seeded(corpus, touching=False)[0]
    rough = replace(gentle, id="x/rough", effects=gentle.effects | {"deletes"})
    queue = Queue(pool(1), [rough, gentle], 4)
    assert (queue.next() or pytest.fail("nothing to play"))[0] is gentle


def test_lanes_are_left_for_scenarios_without_mailboxes(corpus: Corpus) -> None:
    bound = [replace(seeded(corpus, touching=False)[0], id=f"x/{n}") for n in range(8)]
    free = [one for one in corpus.scenarios if one.service == "smtp" and not one.accounts][:8]
    queue = Queue(pool(8), [*bound, *free], 4)
    taken = [queue.next() for _number in range(4)]
    assert sum(1 for one in taken if one and one[0].family == "pop3") == 3


def test_what_waits_and_what_works_advance_side_by_side(corpus: Corpus) -> None:
    free = [one for one in corpus.scenarios if not pool(4).exclusive(one) and "slow" not in one.effects]
    waiting = [one for one in free if seconds(one, 0.5) >= 0.5][:20]
    working = [one for one in free if seconds(one, 0.5) == 0][:60]
    queue = Queue(pool(4), [*waiting, *working], 8, 0.5)
    order = [found[0] for found in iter(queue.next, None)]
    assert {one.id for one in order} == {one.id for one in (*waiting, *working)}
    for count in (8, 16, 40, 60):
        assert abs(sum(one in waiting for one in order[:count]) - count / 4) <= 1, count


def test_waits_are_counted(corpus: Corpus) -> None:
    by_id = {one.id: one for one in corpus.scenarios}
    slow = by_id["pop3/autologout/two-seconds-are-survived"]
    assert seconds(slow, 0.4) >= 2
    assert seconds(by_id["smtp/rcpt/before-mail"], 0.4) == 0


def test_another_process_has_it(corpus: Corpus, tmp_path: Path) -> None:
    here, there = pool(1, tmp_path), pool(1, tmp_path)
    scenario = seeded(corpus, touching=False)[0]
    taken = here.take(scenario)
    assert taken and not there.take(scenario)

    async def wait() -> bool:
        queue = Queue(there, [scenario], 4)
        assert queue.next() is None
        here.give_back(taken)
        await asyncio.wait_for(queue.changed(), 5)
        return queue.next() is not None

    assert asyncio.run(wait())


def test_processes_rather_take_their_own_share(corpus: Corpus, tmp_path: Path) -> None:
    here, there = pool(4, tmp_path, (0, 2)), pool(4, tmp_path, (1, 2))
    scenario = seeded(corpus, touching=False)[0]
    assert [here.take(scenario)[0].account.user for _number in range(3)] == ["u0", "u2", "u1"]
    assert [one.account.user for one in there.take(scenario)] == ["u3"] and not there.take(scenario)


def test_contents_are_known_until_another_process_has_had_the_mailbox(corpus: Corpus, tmp_path: Path) -> None:
    here, there = pool(1, tmp_path), pool(1, tmp_path)
    scenario = seeded(corpus, touching=False)[0]
    taken = here.take(scenario)
    taken[0].contents = scenario.mailbox
    here.give_back(taken)
    again = here.take(scenario)
    assert again[0].contents == scenario.mailbox
    here.give_back(again)
    there.give_back(there.take(scenario))
    assert here.take(scenario)[0].contents is None


def test_connections_are_for_all_processes(corpus: Corpus) -> None:
    target = Target("t", "h", {}, limits=Limits(connections=16))
    assert [Runner(target, corpus, share=(0, count)).connections for count in (1, 4, 32)] == [16, 4, 1]
