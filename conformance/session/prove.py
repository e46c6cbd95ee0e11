"""Shows that scenarios can fail: each named fault must be flagged by a scenario of its requirement, and few others."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from conformance.scenario.infer import flat
from conformance.scenario.loader import load
from conformance.scenario.model import Corpus, Open, Scenario
from conformance.server.app import ReferenceServer, UnknownProfile
from conformance.server.base import Fault
from conformance.server.faults import FAULTS
from conformance.session.runner import Runner
from conformance.target import Target
from conformance.verdict.model import Outcome

_FLAGS = ("fail", "deviation")
_AT_ONCE = 6  # servers that run side by side in one process
_BATCH = 24  # faults that a process is given at a time


async def watch(
    corpus: Corpus, scenarios: Sequence[Scenario], faults: Sequence[str], profile: str = ""
) -> tuple[dict[str, Outcome], list[str]]:
    """Outcomes on a server of its own with these faults on, and what was raised in its sessions."""
    server = ReferenceServer(faults=faults, profile=profile)
    await server.start()
    outcomes: dict[str, Outcome] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="mail-conformance-") as folder:
            path = Path(folder) / "target.toml"
            server.write_target(path)
            runner = Runner(Target.load(path), corpus)
            runner.destructive = True  # nothing is lost with this server
            await runner.probe(scenarios, only=set(_services(scenarios)))
            await runner.run(scenarios, lambda scenario, outcome: outcomes.__setitem__(scenario.id, outcome))
    finally:
        await server.stop()
    return outcomes, server.crashes


async def play(
    corpus: Corpus, scenarios: Sequence[Scenario], faults: Sequence[str], profile: str = ""
) -> dict[str, Outcome]:
    """Outcomes on a server of its own with these faults on."""
    return (await watch(corpus, scenarios, faults, profile))[0]


def _services(scenarios: Sequence[Scenario]) -> Iterator[str]:
    """What the scenarios connect to; mail comes and goes by SMTP and POP3."""
    yield from ("smtp", "pop3")
    for scenario in scenarios:
        yield scenario.service
        yield from (need.removeprefix("service ") for need in scenario.needs if need.startswith("service "))
        yield from (step.service for step in flat(scenario.steps) if isinstance(step, Open) and step.service)


def _ambient(outcomes: dict[str, Outcome], scenarios: Sequence[Scenario]) -> set[str]:
    """Scenarios that would tell of an ambient breach."""
    seen = {one.check for outcome in outcomes.values() for one in outcome.ambient}
    return {scenario.id for scenario in scenarios if scenario.ambient in seen}


def _flagged(outcomes: dict[str, Outcome], scenarios: Sequence[Scenario]) -> set[str]:
    return {name for name, one in outcomes.items() if one.verdict in _FLAGS} | _ambient(outcomes, scenarios)


async def prove(
    corpus: Corpus, scenarios: Sequence[Scenario], names: Sequence[str], tell: Callable[[str], None], *,
    profile: str = "", unproven: bool = False,
) -> int:  # fmt: skip
    """0 if the clean server is clean, every fault is caught by a scenario of its requirement, and nothing crashes; else 1.

    A fault is played on a server of its profile; ``profile``: only faults of this one. Of a profile other than the default
    the clean server is asked for what its faults are about; ``run --profile`` plays the whole corpus on it.
    Against a fault the scenarios of its requirement's document and of their files are played. A fault whose
    requirement no chosen scenario cites is left out when scenarios are chosen, a survivor otherwise; one that none of
    the chosen scenarios flags, though others cite its requirement as well, is left undecided. What seems to survive is
    played once more, alone.
    ``unproven``: tell also the scenarios that pass on the clean server and that no fault played has made fail,
    those of a MAY apart.
    """
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        tell(f"there is no fault {unknown[0]!r} (mail-conformance faults lists them)")
        return 2
    chosen = [FAULTS[name] for name in names] or list(FAULTS.values())
    chosen = [one for one in chosen if profile in ("", one.profile or "default")]
    try:
        for kind in {one.profile for one in chosen}:
            ReferenceServer(profile=kind)
    except UnknownProfile as error:
        if profile or names:
            tell(str(error))
            return 2
        tell(f"left out: {sum(bool(one.profile) for one in chosen)} faults, because {error}")
        chosen = [one for one in chosen if not one.profile]
    whole = len(scenarios) == len(corpus.scenarios)
    tasks = [(fault, _cited(fault, scenarios)) for fault in chosen]
    tasks = [(fault, citing) for fault, citing in tasks if citing or whole or names]
    ids = None if whole else [scenario.id for scenario in scenarios]
    batches = [[fault.name for fault, _citing in tasks[at : at + _BATCH]] for at in range(0, len(tasks), _BATCH)]
    processes = max(1, min(len(batches), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))
    survivors: list[str] = []
    doubtful: list[tuple[Fault, list[Scenario]]] = []
    undecided = 0
    crashed: set[str] = set()  # what ends a session by a mistake of its own shows nothing of what it is to show

    def crash(name: str, crashes: Sequence[str]) -> None:
        if crashes:
            crashed.add(name)
            tell(f"crash: {name}: {crashes[0]}" + (f" and {len(crashes) - 1} more" if len(crashes) > 1 else ""))

    caught: set[str] = set()
    loop = asyncio.get_running_loop()
    clean: dict[str, dict[str, Outcome]] = {}  # profile → outcomes
    wrong: dict[str, set[str]] = {}
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _quietly) as pool:
        try:
            futures = [loop.run_in_executor(pool, _batch, corpus.root, ids, batch) for batch in batches]
            for kind in sorted({fault.profile for fault, _citing in tasks}):
                files = {one.path for fault, citing in tasks if fault.profile == kind for one in citing}
                compared = [one for one in scenarios if one.path in files] if names or kind else scenarios
                clean[kind], crashes = await watch(corpus, compared, [], kind)
                crash("clean server", crashes)
                wrong[kind] = {name for name, one in clean[kind].items() if one.verdict in (*_FLAGS, "inconclusive")}
                for name in sorted(wrong[kind]):
                    tell(f"clean server flagged by {name}: {clean[kind][name].verdict}: {clean[kind][name].reason}")
            for future in asyncio.as_completed(futures):
                for name, all_flagged, crashes in await future:
                    crash(name, crashes)
                    fault, citing = next(task for task in tasks if task[0].name == name)
                    flagged = all_flagged - wrong[fault.profile]
                    right = {scenario.id for scenario in citing} & flagged
                    caught.update(right)
                    if not right and not (whole or names) and len(_cited(fault, corpus.scenarios)) > len(citing):
                        undecided += 1  # scenarios that were not chosen are there for it, too
                    elif not right:
                        doubtful.append((fault, citing))
                    elif len(flagged - right) > max(10, 3 * len(right)):
                        tell(f"wide blame: {name}: {len(right)} right, {len(flagged - right)} others")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for fault, citing in doubtful:  # once more, alone: among many servers a premise may have failed for want of time
        all_flagged, crashes = await _against(corpus, scenarios, fault)
        crash(fault.name, crashes)
        flagged = all_flagged - wrong[fault.profile]
        right = {scenario.id for scenario in citing} & flagged
        caught.update(right)
        if not right:
            by = f"; flagged by {', '.join(sorted(flagged)[:3])}" if flagged else ""
            survivors.append(fault.name)
            tell(f"survivor: {fault.name} ({fault.requirement}): {fault.summary}{by}")
    notes = {scenario.id for scenario in scenarios if scenario.requirements[0].grade == "pass"}  # a MAY cannot be broken
    passed = {name for outcomes in clean.values() for name, outcome in outcomes.items() if outcome.verdict == "pass"} - notes
    for scenario in scenarios:  # alone, too: a fault may break what others of its file begin with, and so this one's premise
        if scenario.id in passed - caught:
            for fault, citing in tasks:
                if scenario in citing and _flagged(await play(corpus, [scenario], [fault.name]), [scenario]):
                    caught.add(scenario.id)
                    break
    if unproven:
        for name in sorted(passed - caught):
            tell(f"unproven: {name}")
    false = sum(len(one) for one in wrong.values())
    if undecided:
        tell(f"left undecided: {undecided} faults that other scenarios than the chosen ones are there for, too")
    tell(f"{len(tasks)} faults, {len(survivors)} survivors; {len(caught)} scenarios shown able to fail, "
         f"{len(passed - caught)} that pass on the clean server not yet; clean server: {false} flagged" + (f"; {len(crashed)} crash" if crashed else ""))  # fmt: skip
    return 1 if survivors or false or crashed else 0


def _cited(fault: Fault, scenarios: Sequence[Scenario]) -> list[Scenario]:
    return [scenario for scenario in scenarios if any(one.id == fault.requirement for one in scenario.requirements)]


async def _against(corpus: Corpus, scenarios: Sequence[Scenario], fault: Fault) -> tuple[set[str], list[str]]:
    """What flags a fault among all of the files that cite its requirement, and what was raised in its sessions."""
    files = {scenario.path for scenario in _cited(fault, scenarios)}
    played = [scenario for scenario in scenarios if scenario.path in files]
    outcomes, crashes = await watch(corpus, played, [fault.name])
    return _flagged(outcomes, played), crashes


def _quietly() -> None:
    """An interrupt ends a process of the pool without a word: the first process says what there is to say."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


_LOADED: dict[Path, Corpus] = {}  # in a process of the pool


def _batch(root: Path, ids: Sequence[str] | None, names: Sequence[str]) -> list[tuple[str, set[str], list[str]]]:
    """Runs in a process of its own: what each of these faults makes the scenarios flag."""
    corpus = _LOADED.get(root) or _LOADED.setdefault(root, load(root))
    wanted = None if ids is None else set(ids)
    scenarios = [one for one in corpus.scenarios if wanted is None or one.id in wanted]

    async def all_of_them() -> list[tuple[str, set[str], list[str]]]:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> tuple[str, set[str], list[str]]:
            async with gate:
                return name, *await _against(corpus, scenarios, FAULTS[name])

        return await asyncio.gather(*(one(name) for name in names))

    return asyncio.run(all_of_them())
