"""What one pytest process keeps of a run, and the options that it was called with."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # at run time late, where they are needed: a project that merely has us installed pays nothing
    from conformance.engine import Engine
    from conformance.report.record import Record
    from conformance.scenario.model import Corpus, Scenario
    from conformance.server.process import ServerProcess

KEY = pytest.StashKey["State"]()
ERROR = pytest.StashKey[str]()  # why there are no reports, for the terminal
OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
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
        """Raises EngineError when nothing can be played, as the engine does from then on."""
        if self.engine is None:
            from conformance.engine import Engine, EngineError

            inputs = getattr(self.config, "workerinput", {})
            shared = dict(inputs.get("conformance", {}))
            if inputs:
                shared |= {"worker": inputs["workerid"].removeprefix("gw"), "workers": str(inputs["workercount"])}
            self.engine = Engine(self.corpus, options_of(self.config), shared, self.started)
            self.started = None
            self.engine.heard = self.heard
            try:
                self.engine.start(scenarios)
            except EngineError as error:
                self.engine.trouble = error
                raise
        return self.engine


def options_of(config: pytest.Config) -> dict[str, Any]:
    return {name: config.getoption(f"conformance_{name}") for name, _keywords in OPTIONS}
