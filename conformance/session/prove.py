"""Shows that scenarios can fail: each named fault must be flagged by a scenario of its requirement, and few others."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from conformance.scenario.model import Corpus, Scenario
from conformance.server.app import ReferenceServer, UnknownProfile
from conformance.server.base import Fault
from conformance.server.faults import FAULTS
from conformance.session.runner import Runner
from conformance.target import Target
from conformance.verdict.model import Outcome

_FLAGS = ("fail", "deviation")
_AT_ONCE = 4  # servers that run side by side


async def play(
    corpus: Corpus, scenarios: Sequence[Scenario], faults: Sequence[str], profile: str = ""
) -> dict[str, Outcome]:
    """Outcomes on a server of its own with these faults on."""
    server = ReferenceServer(faults=faults, profile=profile)
    await server.start()
    outcomes: dict[str, Outcome] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="mail-conformance-") as folder:
            path = Path(folder) / "target.toml"
            server.write_target(path)
            runner = Runner(Target.load(path), corpus)
            runner.destructive = True  # nothing is lost with this server
            await runner.probe(scenarios)
            await runner.run(scenarios, lambda scenario, outcome: outcomes.__setitem__(scenario.id, outcome))
    finally:
        await server.stop()
    return outcomes


def _ambient(outcomes: dict[str, Outcome], scenarios: Sequence[Scenario]) -> set[str]:
    """Scenarios that would tell of an ambient breach."""
    seen = {one.check for outcome in outcomes.values() for one in outcome.ambient}
    return {scenario.id for scenario in scenarios if scenario.ambient in seen}


def _flagged(outcomes: dict[str, Outcome], scenarios: Sequence[Scenario]) -> set[str]:
    return {name for name, one in outcomes.items() if one.verdict in _FLAGS} | _ambient(outcomes, scenarios)


async def prove(
    corpus: Corpus, scenarios: Sequence[Scenario], names: Sequence[str], tell: Callable[[str], None], *, profile: str = ""
) -> int:
    """0 if the clean server is clean and every fault is caught by a scenario of its requirement; else 1.

    A fault is played on a server of its profile; ``profile``: only faults of this one. Of a profile other than the default
    the clean server is asked for what its faults are about; ``run --profile`` plays the whole corpus on it.
    Against a fault the scenarios of its requirement's document and of their files are played. A fault whose
    requirement no chosen scenario cites is left out when scenarios are chosen, a survivor otherwise.
    """
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        tell(f"there is no fault {unknown[0]!r} (mail-conformance faults lists them)")
        return 2
    chosen = [FAULTS[name] for name in names] or list(FAULTS.values())
    chosen = [one for one in chosen if profile in ("", one.profile or "default")]
    clean: dict[str, dict[str, Outcome]] = {}  # profile → outcomes
    wrong: dict[str, set[str]] = {}
    for kind in sorted({one.profile for one in chosen}):
        cited = {one.requirement for one in chosen if one.profile == kind}
        files = {one.path for one in scenarios if any(r.id in cited for r in one.requirements)}
        played = [one for one in scenarios if not kind or one.path in files]
        try:
            clean[kind] = await play(corpus, played, [], kind)
        except UnknownProfile as error:
            if profile or names:
                tell(str(error))
                return 2
            tell(f"left out: {sum(one.profile == kind for one in chosen)} faults, because {error}")
            chosen = [one for one in chosen if one.profile != kind]
            continue
        wrong[kind] = {name for name, one in clean[kind].items() if one.verdict in (*_FLAGS, "inconclusive")}
        for name in sorted(wrong[kind]):
            tell(f"clean server flagged by {name}: {clean[kind][name].verdict}: {clean[kind][name].reason}")
    gate = asyncio.Semaphore(_AT_ONCE)
    survivors: list[str] = []
    caught: set[str] = set()
    whole = len(scenarios) == len(corpus.scenarios)

    async def one(fault: Fault) -> None:
        citing = [s for s in scenarios if any(r.id == fault.requirement for r in s.requirements)]
        if not citing and not whole and not names:
            return
        files = {scenario.path for scenario in citing}
        played = [scenario for scenario in scenarios if scenario.path in files]
        async with gate:
            outcomes = await play(corpus, played, [fault.name])
        flagged = _flagged(outcomes, played) - wrong[fault.profile]
        right = {scenario.id for scenario in citing} & flagged
        caught.update(right)
        if not right:
            by = f"; flagged by {', '.join(sorted(flagged)[:3])}" if flagged else ""
            survivors.append(fault.name)
            tell(f"survivor: {fault.name} ({fault.requirement}): {fault.summary}{by}")
        elif len(flagged - right) > max(10, 3 * len(right)):
            tell(f"wide blame: {fault.name}: {len(right)} right, {len(flagged - right)} others")

    await asyncio.gather(*(one(fault) for fault in chosen))
    passed = {name for outcomes in clean.values() for name, outcome in outcomes.items() if outcome.verdict == "pass"}
    unproven = len(passed - caught)
    flagged = sum(len(one) for one in wrong.values())
    tell(f"{len(chosen)} faults, {len(survivors)} survivors; {len(caught)} scenarios shown able to fail, "
         f"{unproven} that pass on the clean server not yet; clean server: {flagged} flagged")  # fmt: skip
    return 1 if survivors or flagged else 0
