"""The pytest plugin: one item per scenario. Harmless where it is merely installed: no scenario file, no effect.

Scenarios are played overlapped by a background thread (conformance.engine); an item waits for its own outcome.
"""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance import interrupts
from conformance.items import ScenarioFile, ScenarioItem
from conformance.state import ERROR, KEY, OPTIONS, State, options_of

if TYPE_CHECKING:  # at run time late, where they are needed: a project that merely has us installed pays nothing
    from conformance.report.record import Record
    from conformance.scenario.model import Corpus
    from conformance.server.process import ServerProcess

_ASIDE = ("openings.yaml", "seeds.yaml")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "mail conformance")
    for name, keywords in OPTIONS:
        group.addoption(f"--conformance-{name}", dest=f"conformance_{name}", **keywords)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[KEY] = State(config)
    for marker in ("must", "should", "may", "smtp", "esmtp", "lmtp", "pop3", "submission", "smtps", "odmr", "pop3s"):
        config.addinivalue_line("markers", f"{marker}: mail conformance scenarios")
    if config.pluginmanager.hasplugin("xdist") and config.getoption("dist", "no") != "no":
        from conformance.distribute import Distribute

        config.pluginmanager.register(Distribute(config.stash[KEY]), "conformance-distribute")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix != ".yaml" or file_path.name in _ASIDE:
        return None
    root = parent.config.stash[KEY].root
    resolved = file_path.resolve()
    if root not in resolved.parents or resolved.parent == root / "requirements":
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


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
    _CURRENT.append(session.config.stash[KEY])


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
    state = session.config.stash[KEY]
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
    state = session.config.stash[KEY]
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
        if state.engine.trouble is not None:
            state.config.stash[ERROR] = str(state.engine.trouble)
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


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    state = config.stash[KEY]
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
    return config.stash[KEY].records


def provide(config: pytest.Config, corpus: Corpus | None, server: ServerProcess | None, heard: Callable[[str], None]) -> None:
    """What ``mail-conformance run`` has at hand already, and who is to be told each verdict when it comes."""
    state = config.stash[KEY]
    state.heard = heard
    state._corpus, state.started, state.markers, state.asked_for = corpus, server, None, True
