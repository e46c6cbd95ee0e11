"""Shows that scenarios can fail: each named fault must be flagged by a scenario of its requirement, and few others."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from conformance.scenario.model import Corpus, Scenario
from conformance.server.app import ReferenceServer
from conformance.server.base import Fault
from conformance.server.faults import FAULTS
from conformance.session.runner import Runner
from conformance.target import Target
from conformance.verdict.model import Outcome

_FLAGS = ("fail", "deviation")
_AT_ONCE = 4  # servers that run side by side


async def play(corpus: Corpus, scenarios: Sequence[Scenario], faults: Sequence[str]) -> dict[str, Outcome]:
    """Outcomes on a server of its own with these faults on."""
    server = ReferenceServer(faults=faults)
    await server.start()
    outcomes: dict[str, Outcome] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="mail-conformance-") as folder:
            path = Path(folder) / "target.toml"
            server.write_target(path)
            runner = Runner(Target.load(path), corpus)
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
    corpus: Corpus, scenarios: Sequence[Scenario], names: Sequence[str], tell: Callable[[str], None]
) -> int:
    """0 if the clean server is clean and every fault is caught by a scenario of its requirement; else 1.

    Against a fault the scenarios of its requirement's document and of their files are played. A fault whose
    requirement no chosen scenario cites is left out when scenarios are chosen, a survivor otherwise.
    """
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        tell(f"there is no fault {unknown[0]!r} (mail-conformance faults lists them)")
        return 2
    clean = await play(corpus, scenarios, [])
    wrong = sorted(name for name, one in clean.items() if one.verdict in (*_FLAGS, "inconclusive"))
    for name in wrong:
        tell(f"clean server flagged by {name}: {clean[name].verdict}: {clean[name].reason}")
    gate = asyncio.Semaphore(_AT_ONCE)
    survivors: list[str] = []
    caught: set[str] = set()
    chosen = [FAULTS[name] for name in names] or list(FAULTS.values())
    whole = len(scenarios) == len(corpus.scenarios)

    async def one(fault: Fault) -> None:
        citing = [s for s in scenarios if any(r.id == fault.requirement for r in s.requirements)]
        if not citing and not whole and not names:
            return
        files = {scenario.path for scenario in citing}
        played = [scenario for scenario in scenarios if scenario.path in files]
        async with gate:
            outcomes = await play(corpus, played, [fault.name])
        flagged = _flagged(outcomes, played) - set(wrong)
        right = {scenario.id for scenario in citing} & flagged
        caught.update(right)
        if not right:
            by = f"; flagged by {', '.join(sorted(flagged)[:3])}" if flagged else ""
            survivors.append(fault.name)
            tell(f"survivor: {fault.name} ({fault.requirement}): {fault.summary}{by}")
        elif len(flagged - right) > max(10, 3 * len(right)):
            tell(f"wide blame: {fault.name}: {len(right)} right, {len(flagged - right)} others")

    await asyncio.gather(*(one(fault) for fault in chosen))
    played_ids = {name for name, outcome in clean.items() if outcome.verdict == "pass"}
    unproven = len(played_ids - caught)
    tell(f"{len(chosen)} faults, {len(survivors)} survivors; {len(caught)} scenarios shown able to fail, "
         f"{unproven} that pass on the clean server not yet; clean server: {len(wrong)} flagged")  # fmt: skip
    return 1 if survivors or wrong else 0
