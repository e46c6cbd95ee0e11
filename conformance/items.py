"""Scenario files and scenarios as pytest knows them: one item each, which waits for its own outcome."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from conformance import interrupts
from conformance.state import KEY

if TYPE_CHECKING:  # at run time late, where they are needed: a project that merely has us installed pays nothing
    from conformance.engine import Engine
    from conformance.report.record import Result
    from conformance.scenario.model import Scenario
    from conformance.verdict.model import Outcome


class ScenarioFile(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        from conformance.scenario.errors import ScenarioErrors
        from conformance.scenario.select import SelectionError

        interrupts.obey()
        state = self.config.stash[KEY]
        try:
            chosen = state.chosen.get(self.path.resolve(), [])
        except (ScenarioErrors, SelectionError) as error:
            raise self.CollectError(str(error)) from None
        targets = max(1, len(self.config.getoption("conformance_target")))
        for scenario in chosen:
            for number in range(targets):
                name = scenario.id if targets == 1 else f"{scenario.id}[target {number + 1}]"
                yield ScenarioItem.from_parent(self, name=name, scenario=scenario, number=number)


class Broken(Exception):
    """A scenario that failed, or that proved nothing."""


class ScenarioItem(pytest.Item):
    def __init__(self, *, scenario: Scenario, number: int, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.scenario = scenario
        self.number = number
        self.result: Result | None = None
        self.payload = ""
        words = {scenario.service, scenario.family, scenario.command, scenario.extension, *scenario.effects}
        words |= {scenario.id.split("/")[0], scenario.level.split()[0]}
        known = self.config.stash[KEY].markers
        if known is None:
            return
        for word in words:
            if word:
                marker = word.lower().replace("-", "_").replace(" ", "_").replace("=", "_")
                if marker not in known:
                    known.add(marker)
                    self.config.addinivalue_line("markers", f"{marker}: mail conformance scenarios")
                self.add_marker(marker)

    def setup(self) -> None:
        from conformance.engine import EngineError
        from conformance.report.text import explain

        try:
            result = self.settle()
        except EngineError as error:
            pytest.fail(str(error), pytrace=False)
        if result["verdict"] == "waived":
            pytest.xfail(result["reason"])
        if result["verdict"] == "not-applicable":
            pytest.skip(result["reason"])
        if result["verdict"] == "inconclusive":
            pytest.fail(explain(result), pytrace=False)  # in setup: pytest calls it an error

    def settle(self) -> Result:
        """Its result, once it was played. Raises EngineError when nothing can be."""
        if self.result is None:
            engine = self._engine()
            self.note(engine, engine.outcome(self.number, self.scenario))
        assert self.result is not None
        return self.result

    def _engine(self) -> Engine:
        """What plays; it begins here if it has not. Raises EngineError."""
        state = self.config.stash[KEY]
        return state.engine or state.start([(one.number, one.scenario) for one in self._mine()])

    def brief(self) -> pytest.TestReport | None:
        """All that its phases would report, in one: they cost a millisecond. None if nothing can be played.

        All items of a session or none: pytest sets up and takes down what two items that have phases share.
        """
        from conformance.engine import EngineError
        from conformance.report.text import explain

        try:
            self._engine().wait()
            result = self.settle()
        except EngineError:
            return None
        path, line, verdict = self.nodeid.partition("::")[0], self.scenario.line, result["verdict"]
        where = path, line - 1, self.name
        if verdict == "not-applicable":
            return pytest.TestReport(self.nodeid, where, {}, "skipped", (path, line, f"Skipped: {result['reason']}"), "setup")
        if verdict == "waived":
            return pytest.TestReport(self.nodeid, where, {}, "skipped", None, "setup", wasxfail=f"reason: {result['reason']}")
        if verdict == "inconclusive":
            return pytest.TestReport(self.nodeid, where, {}, "failed", explain(result), "setup")
        if self._broken(result):
            return pytest.TestReport(self.nodeid, where, {}, "failed", explain(result), "call")
        return pytest.TestReport(self.nodeid, where, {}, "passed", None, "call")

    def note(self, engine: Engine, outcome: Outcome) -> None:
        """Keeps the result for the reports."""
        from conformance.report.record import result_of

        self.result = result_of(self.scenario, outcome)
        engine.waive(self.result)
        ambient = [[one.check, one.reason, one.evidence, self.scenario.id] for one in outcome.ambient]
        payload = {"number": self.number, "result": self.result, "ambient": ambient,
                   "target": engine.about(self.number)}  # fmt: skip
        if _shard(self.config) is None:
            self.config.stash[KEY].gathered[self.number, self.scenario.id] = payload
        else:
            self.payload = json.dumps(payload, default=list)  # goes to the controller with the report
        first = self.scenario.requirements[0]
        self.user_properties += [
            ("requirement", " ".join(one.id for one in self.scenario.requirements)), ("level", first.level),
            ("rfc", f"{first.document} section {first.section}"), ("verdict", self.result["verdict"]),
        ]  # fmt: skip

    def _mine(self) -> list[ScenarioItem]:
        """What this process will play."""
        mine = [one for one in self.session.items if isinstance(one, ScenarioItem)]
        shard = _shard(self.config)
        return [one for one in mine if shard is None or _shard_of(one, shard[1]) == _shard_of(self, shard[1])]

    def runtest(self) -> None:
        from conformance.report.text import explain

        assert self.result is not None
        if self._broken(self.result):
            raise Broken(explain(self.result))

    def _broken(self, result: Result) -> bool:
        broken = ("fail", "deviation") if self.config.getoption("conformance_level") == "should" else ("fail",)
        return result["verdict"] in broken

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, Broken):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        return self.path, self.scenario.line - 1, self.name


def _shard(config: pytest.Config) -> tuple[int, int] | None:
    inputs = getattr(config, "workerinput", None)
    return (0, int(inputs["workercount"])) if inputs else None


def _shard_of(item: ScenarioItem, count: int) -> int:
    from conformance.distribute import shard

    return shard(item.nodeid, count)
