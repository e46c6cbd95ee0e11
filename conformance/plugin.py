"""The pytest plugin: one item per scenario. Harmless where it is merely installed: no scenario file, no effect.

Scenarios are played overlapped by a background thread (conformance.engine); an item waits for its own outcome.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.engine import Engine, EngineError
from conformance.gather import gather, nothing_played
from conformance.report.record import Record, RecordError, Result, exit_status, result_of
from conformance.report.terminal import summary_lines
from conformance.report.write import explain
from conformance.scenario.errors import ScenarioErrors
from conformance.scenario.loader import corpus_root, load
from conformance.scenario.model import Corpus, Scenario
from conformance.scenario.select import SelectionError, select

_ASIDE = ("openings.yaml", "seeds.yaml")
_KEY = pytest.StashKey["State"]()
_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("target", {"action": "append", "default": [], "metavar": "FILE|URL", "help": "what to test (repeatable)"}),
    ("level", {"choices": ("must", "should"), "default": "must", "help": "should: deviations fail too"}),
    ("select", {"action": "append", "default": [], "metavar": "EXPR", "help": "scenarios to play"}),
    ("report", {"metavar": "DIR", "default": None, "help": "folder for results.json, junit.xml, report.html"}),
    ("baseline", {"metavar": "results.json", "default": None, "help": "fail only for what got worse"}),
    ("waivers", {"metavar": "FILE", "default": None, "help": "known failures (TOML)"}),
    ("safe", {"action": "store_true", "default": False, "help": "only scenarios without side effects"}),
    ("slow", {"action": "store_true", "default": False, "help": "also scenarios that wait for minutes"}),
    ("destructive", {"action": "store_true", "default": False, "help": "also probes that may end a faulty server"}),
    ("connections", {"type": int, "default": None, "metavar": "N", "help": "sessions at a time"}),
    ("profile", {"choices": ("default", "exchange"), "default": None, "help": "of the bundled server"}),
    ("scenarios", {"metavar": "DIR", "default": None, "help": "another folder of scenario files"}),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "mail conformance")
    for name, keywords in _OPTIONS:
        group.addoption(f"--conformance-{name}", dest=f"conformance_{name}", **keywords)


class State:
    """What one pytest process keeps. In xdist's controller no engine runs; it gathers."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        other = config.getoption("conformance_scenarios")
        self.root = (Path(other) if other else corpus_root()).resolve()
        self._corpus: Corpus | None = None
        self._chosen: dict[Path, list[Scenario]] | None = None
        self.engine: Engine | None = None
        self.server: Engine | None = None
        self.gathered: dict[tuple[int, str], dict[str, Any]] = {}
        self.records: list[Record] = []
        self.interrupted = False
        self.folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def corpus(self) -> Corpus:
        if self._corpus is None:
            self._corpus = load(self.root)
        return self._corpus

    @property
    def chosen(self) -> dict[Path, list[Scenario]]:
        """File → the selected scenarios in it."""
        if self._chosen is None:
            self._chosen = {}
            resolved: dict[Path, Path] = {}
            for one in select(self.corpus.scenarios, self.config.getoption("conformance_select")):
                path = resolved.get(one.path) or resolved.setdefault(one.path, one.path.resolve())
                self._chosen.setdefault(path, []).append(one)
        return self._chosen

    def start(self, scenarios: list[tuple[int, Scenario]]) -> Engine:
        if self.engine is None:
            inputs = getattr(self.config, "workerinput", {})
            self.engine = Engine(self.corpus, options_of(self.config), shared=inputs.get("conformance"))
            self.engine.start(scenarios)
        return self.engine


def options_of(config: pytest.Config) -> dict[str, Any]:
    return {name: config.getoption(f"conformance_{name}") for name, _keywords in _OPTIONS}


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_KEY] = State(config)
    for marker in ("must", "should", "may", "smtp", "esmtp", "lmtp", "pop3", "submission", "smtps", "odmr", "pop3s"):
        config.addinivalue_line("markers", f"{marker}: mail conformance scenarios")
    if config.pluginmanager.hasplugin("xdist"):
        from conformance.distribute import Distribute

        config.pluginmanager.register(Distribute(config.stash[_KEY]), "conformance-distribute")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix != ".yaml" or file_path.name in _ASIDE:
        return None
    root = parent.config.stash[_KEY].root
    resolved = file_path.resolve()
    if root not in resolved.parents or resolved.parent == root / "requirements":
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


class ScenarioFile(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        state = self.config.stash[_KEY]
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
        words = {scenario.service, scenario.family, scenario.command, scenario.extension, *scenario.effects}
        words |= {scenario.id.split("/")[0], scenario.level.split()[0]}
        for word in words:
            if word:
                marker = word.lower().replace("-", "_").replace(" ", "_").replace("=", "_")
                self.config.addinivalue_line("markers", f"{marker}: mail conformance scenarios")
                self.add_marker(marker)

    def setup(self) -> None:
        state = self.config.stash[_KEY]
        try:
            engine = state.engine or state.start([(one.number, one.scenario) for one in self._mine()])
        except EngineError as error:
            pytest.fail(str(error), pytrace=False)
        outcome = engine.outcome(self.number, self.scenario)
        self.result = result_of(self.scenario, outcome)
        waived = engine.waive(self.number, self.result)
        ambient = [[one.check, one.reason, one.evidence, self.scenario.id] for one in outcome.ambient]
        payload = {"number": self.number, "result": self.result, "ambient": ambient,
                   "target": engine.about(self.number)}  # fmt: skip
        self.user_properties.append(("conformance", json.dumps(payload)))
        if waived:
            pytest.xfail(self.result["reason"])
        if outcome.verdict == "not-applicable":
            pytest.skip(outcome.reason)
        if outcome.verdict == "inconclusive":
            pytest.fail(explain(self.result), pytrace=False)  # in setup: pytest calls it an error

    def _mine(self) -> list[ScenarioItem]:
        """What this process will play."""
        mine = [one for one in self.session.items if isinstance(one, ScenarioItem)]
        shard = _shard(self.config)
        return [one for one in mine if shard is None or _shard_of(one, shard[1]) == _shard_of(self, shard[1])]

    def runtest(self) -> None:
        assert self.result is not None
        verdict = self.result["verdict"]
        strict = self.config.getoption("conformance_level") == "should"
        if verdict == "fail" or (verdict == "deviation" and strict):
            raise Broken(explain(self.result))

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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Scenarios that gather ambient findings come last, so that they have all of them."""
    items.sort(key=lambda item: isinstance(item, ScenarioItem) and bool(item.scenario.ambient))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "setup" and _CURRENT:
        for name, value in report.user_properties:
            if name == "conformance":
                payload = json.loads(str(value))
                _CURRENT[-1].gathered[payload["number"], payload["result"]["id"]] = payload


_CURRENT: list[State] = []


def pytest_sessionstart(session: pytest.Session) -> None:
    _CURRENT.append(session.config.stash[_KEY])


def pytest_keyboard_interrupt() -> None:
    if _CURRENT:
        _CURRENT[-1].interrupted = True


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    state = session.config.stash[_KEY]
    if state in _CURRENT:
        _CURRENT.remove(state)
    if state.engine:
        state.engine.stop()
    if state.server:
        state.server.stop()
    if hasattr(session.config, "workerinput") or not (state.gathered or (state.engine and state.interrupted)):
        return
    try:
        state.records = gather(state.corpus, state.gathered, options_of(session.config), interrupted=state.interrupted)
        if not state.records and state.engine:  # interrupted before the first outcome: an empty report is one, too
            state.records = nothing_played(state.corpus, state.engine, options_of(session.config))
    except (RecordError, OSError) as error:
        state.config.stash[ERROR] = str(error)


ERROR = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    state = config.stash[_KEY]
    level = config.getoption("conformance_level")
    for record in state.records:
        terminalreporter.section(f"conformance of {record.target.get('name', '')}")
        for line in summary_lines(record, level):
            terminalreporter.line(line)
    if config.stash.get(ERROR, ""):
        terminalreporter.line(config.stash[ERROR], red=True)


def status(config: pytest.Config) -> int | None:
    """``run``'s exit status; None if nothing was played."""
    state = config.stash[_KEY]
    return exit_status(state.records, config.getoption("conformance_level")) if state.records else None
