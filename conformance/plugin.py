"""The pytest plugin: one item per scenario. Harmless where it is merely installed: no scenario file, no effect.

Scenarios are played overlapped by a background thread (conformance.engine); an item waits for its own outcome.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance import interrupts

if TYPE_CHECKING:  # at run time late, where they are needed: a project that merely has us installed pays nothing
    from conformance.engine import Engine
    from conformance.report.record import Record, Result
    from conformance.scenario.model import Corpus, Scenario
    from conformance.server.process import ServerProcess
    from conformance.verdict.model import Outcome

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
        self.began = time.time()
        self._root: Path | None = None
        self._corpus: Corpus | None = None
        self._chosen: dict[Path, list[Scenario]] | None = None
        self.engine: Engine | None = None
        self.server: Engine | None = None
        self.started: ServerProcess | None = None  # the bundled server, where ``run`` has started it already
        self.gathered: dict[tuple[int, str], dict[str, Any]] = {}
        self.records: list[Record] = []
        self.interrupted = False
        self.asked_for = False  # by ``run``: reports are due whatever happens
        self.heard: Callable[[str], None] | None = None  # wants each verdict as soon as there is one
        self.markers: set[str] | None = set()  # known ones; None: nobody asks for any
        self.folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def root(self) -> Path:
        if self._root is None:
            from conformance.scenario.source import corpus_root

            other = self.config.getoption("conformance_scenarios")
            self._root = (Path(other) if other else corpus_root()).resolve()
        return self._root

    @property
    def corpus(self) -> Corpus:
        if self._corpus is None:
            from conformance.scenario.loader import load

            self._corpus = load(self.root)
        return self._corpus

    @property
    def chosen(self) -> dict[Path, list[Scenario]]:
        """File → the selected scenarios in it."""
        if self._chosen is None:
            from conformance.scenario.select import select

            self._chosen = {}
            resolved: dict[Path, Path] = {}
            for one in select(self.corpus.scenarios, self.config.getoption("conformance_select")):
                path = resolved.get(one.path) or resolved.setdefault(one.path, one.path.resolve())
                self._chosen.setdefault(path, []).append(one)
        return self._chosen

    @property
    def concerned(self) -> bool:
        """Whether what pytest was called for can have scenarios in it."""
        paths = [Path(argument.partition("::")[0]).resolve() for argument in self.config.args]
        return any(path == self.root or path in self.root.parents or self.root in path.parents for path in paths)

    def stop_workers(self) -> None:
        from conformance.engine import INTERRUPTED

        assert self.folder is not None
        (Path(self.folder.name) / INTERRUPTED).touch()

    def start(self, scenarios: list[tuple[int, Scenario]]) -> Engine:
        if self.engine is None:
            from conformance.engine import Engine

            inputs = getattr(self.config, "workerinput", {})
            shared = dict(inputs.get("conformance", {}))
            if inputs:
                shared |= {"worker": inputs["workerid"].removeprefix("gw"), "workers": str(inputs["workercount"])}
            self.engine = Engine(self.corpus, options_of(self.config), shared, self.started)
            self.started = None
            self.engine.heard = self.heard
            self.engine.start(scenarios)
        return self.engine


def options_of(config: pytest.Config) -> dict[str, Any]:
    return {name: config.getoption(f"conformance_{name}") for name, _keywords in _OPTIONS}


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_KEY] = State(config)
    for marker in ("must", "should", "may", "smtp", "esmtp", "lmtp", "pop3", "submission", "smtps", "odmr", "pop3s"):
        config.addinivalue_line("markers", f"{marker}: mail conformance scenarios")
    if config.pluginmanager.hasplugin("xdist") and config.getoption("dist", "no") != "no":
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
        from conformance.scenario.errors import ScenarioErrors
        from conformance.scenario.select import SelectionError

        interrupts.obey()
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
        self.payload = ""
        words = {scenario.service, scenario.family, scenario.command, scenario.extension, *scenario.effects}
        words |= {scenario.id.split("/")[0], scenario.level.split()[0]}
        known = self.config.stash[_KEY].markers
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

        state = self.config.stash[_KEY]
        try:
            engine = state.engine or state.start([(one.number, one.scenario) for one in self._mine()])
        except EngineError as error:
            pytest.fail(str(error), pytrace=False)
        outcome = engine.outcome(self.number, self.scenario)
        waived = self.note(engine, outcome)
        assert self.result is not None
        if waived:
            pytest.xfail(self.result["reason"])
        if outcome.verdict == "not-applicable":
            pytest.skip(outcome.reason)
        if outcome.verdict == "inconclusive":
            pytest.fail(explain(self.result), pytrace=False)  # in setup: pytest calls it an error

    def note(self, engine: Engine, outcome: Outcome) -> bool:
        """Keeps the result for the reports. Whether it is waived."""
        from conformance.report.record import result_of

        self.result = result_of(self.scenario, outcome)
        waived = engine.waive(self.result)
        ambient = [[one.check, one.reason, one.evidence, self.scenario.id] for one in outcome.ambient]
        payload = {"number": self.number, "result": self.result, "ambient": ambient,
                   "target": engine.about(self.number)}  # fmt: skip
        if _shard(self.config) is None:
            self.config.stash[_KEY].gathered[self.number, self.scenario.id] = payload
        else:
            self.payload = json.dumps(payload, default=list)  # goes to the controller with the report
        first = self.scenario.requirements[0]
        self.user_properties += [
            ("requirement", " ".join(one.id for one in self.scenario.requirements)), ("level", first.level),
            ("rfc", f"{first.document} section {first.section}"), ("verdict", self.result["verdict"]),
        ]  # fmt: skip
        return waived

    def _mine(self) -> list[ScenarioItem]:
        """What this process will play."""
        mine = [one for one in self.session.items if isinstance(one, ScenarioItem)]
        shard = _shard(self.config)
        return [one for one in mine if shard is None or _shard_of(one, shard[1]) == _shard_of(self, shard[1])]

    def runtest(self) -> None:
        from conformance.report.text import explain

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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "setup" and isinstance(item, ScenarioItem) and item.payload:
        report.conformance = item.payload  # type: ignore[attr-defined]
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    told = getattr(report, "conformance", "")
    if told and _CURRENT and not hasattr(_CURRENT[-1].config, "workerinput"):
        from conformance.verdict.model import Dialogue

        payload = json.loads(told)
        payload["result"]["transcript"] = Dialogue(payload["result"]["transcript"])
        _CURRENT[-1].gathered[payload["number"], payload["result"]["id"]] = payload


_CURRENT: list[State] = []


def pytest_sessionstart(session: pytest.Session) -> None:
    _CURRENT.append(session.config.stash[_KEY])


def pytest_keyboard_interrupt() -> None:
    if _CURRENT:
        _CURRENT[-1].interrupted = True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    if not session.config.pluginmanager.hasplugin("conformance-distribute"):
        return (yield)
    with interrupts.at_once():  # xdist's controller waits for its workers and for nothing else
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """A further interrupt costs no reports."""
    state = session.config.stash[_KEY]
    state.interrupted = state.interrupted or interrupts.asked()
    if not (state.asked_for or state.engine or state.folder):
        return (yield)  # somebody else's session
    with _in_peace():
        if state.interrupted and state.folder:
            state.stop_workers()
        return (yield)


@pytest.hookimpl(specname="pytest_sessionfinish", trylast=True)
def pytest_sessionfinish_reports(session: pytest.Session) -> None:
    """Ends what plays and writes the reports, before the terminal's summary."""
    state = session.config.stash[_KEY]
    if state in _CURRENT:
        _CURRENT.remove(state)
    worker = hasattr(session.config, "workerinput")
    if state.engine:
        if state.interrupted and not worker:  # what was played already counts, though nobody had asked for it yet
            for item in session.items:
                if isinstance(item, ScenarioItem) and item.result is None:
                    outcome = state.engine.finished(item.number, item.scenario)
                    if outcome:
                        item.note(state.engine, outcome)
        state.engine.stop()
    if state.server:
        state.server.stop()
    if state.started:
        state.started.stop()
    if worker or not (state.gathered or state.interrupted) or session.config.getoption("collectonly", False):
        return
    if not (state.gathered or state.asked_for or state.folder or any(isinstance(item, ScenarioItem) for item in session.items)):
        return  # somebody else's session
    from conformance.gather import gather, nothing_played
    from conformance.report.record import RecordError

    options = options_of(session.config)
    try:
        state.records = gather(state.corpus, state.gathered, options, state.began, interrupted=state.interrupted)
        if not state.records:  # interrupted before the first outcome: an empty report is one, too
            state.records = nothing_played(state.corpus, options, state.began)
    except (RecordError, OSError) as error:
        state.config.stash[ERROR] = str(error)


@contextlib.contextmanager
def _in_peace() -> Iterator[None]:
    """Without interrupts, where they are not noted anyway."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


ERROR = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    state = config.stash[_KEY]
    level = config.getoption("conformance_level")
    for record in state.records:
        from conformance.report.terminal import summary_lines

        terminalreporter.section(f"conformance of {record.target.get('name', '')}")
        for line in summary_lines(record, level):
            terminalreporter.line(line)
    if config.stash.get(ERROR, ""):
        terminalreporter.line(config.stash[ERROR], red=True)


def records(config: pytest.Config) -> list[Record]:
    """What was played, once the session is over."""
    return config.stash[_KEY].records


def provide(config: pytest.Config, corpus: Corpus | None, server: ServerProcess | None, heard: Callable[[str], None]) -> None:
    """What ``mail-conformance run`` has at hand already, and who is to be told each verdict when it comes."""
    state = config.stash[_KEY]
    state.heard = heard
    state._corpus, state.started, state.markers, state.asked_for = corpus, server, None, True
