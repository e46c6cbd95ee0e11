"""``mail-conformance run``: everything is checked first, then pytest plays, then the exit status is read."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance import interrupts
from conformance.cli import UsageError

if TYPE_CHECKING:
    from conformance.report.progress import Progress
    from conformance.scenario.model import Corpus
    from conformance.server.process import ServerProcess

# What pytest brings for test functions, which there are none of here.
_UNUSED = (
    "cacheprovider", "unraisableexception", "threadexception", "logging", "doctest", "unittest", "faulthandler", "stepwise",
    "tmpdir", "monkeypatch", "assertion", "recwarn", "pastebin", "setuponly", "setupplan", "junitxml", "subtests", "warnings",
)  # fmt: skip
_FOREIGN = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")


def run(options: argparse.Namespace) -> int:
    """Its exit status. Raises UsageError, ScenarioErrors, KeyboardInterrupt (before anything is played)."""
    with interrupts.noted():
        status = _prepared(options)
        return 130 if interrupts.asked() else status


def _prepared(options: argparse.Namespace) -> int:
    server = None
    if options.profile:
        if options.target:
            raise UsageError("--profile is the bundled server's: leave it out where there is a --target")
        if options.profile == "exchange":
            from conformance.server import sasl_spnego

            try:
                sasl_spnego.load()
            except sasl_spnego.Missing as error:
                raise UsageError(str(error)) from None
    if not options.target:
        from conformance.server.process import ServerProcess

        server = ServerProcess(profile=options.profile or "")  # gets ready while we load
    keeper = _Keeper(server)
    try:
        return _run(options, keeper)
    finally:
        if keeper.server is not None:
            keeper.server.stop()


def _run(options: argparse.Namespace, keeper: _Keeper) -> int:
    from conformance.report.compare import compare, read_results
    from conformance.report.record import RecordError, read_waivers
    from conformance.scenario.loader import corpus_root, load
    from conformance.scenario.select import SelectionError, select
    from conformance.target import Target, TargetError

    root = Path(options.scenarios) if options.scenarios else corpus_root()
    if options.connections is not None and options.connections < 1:
        raise UsageError("--connections is a number above 0")
    if not re.fullmatch("[0-9]+|auto|logical", options.workers):
        raise UsageError(f"-n {options.workers!r} is no number of processes")
    workers = options.workers if options.workers.strip("0") else ""
    if workers and find_spec("xdist") is None:
        raise UsageError("-n needs pytest-xdist (pip install pytest-xdist)")
    try:
        for name in options.target:
            Target.parse(name)
        baseline = read_results(Path(options.baseline)) if options.baseline else None
        if options.waivers:
            read_waivers(Path(options.waivers))
        if options.report:
            _folder(Path(options.report))
        keeper.corpus = load(root)
        if not select(keeper.corpus.scenarios, options.select):
            raise UsageError(f"no scenario matches {' or '.join(options.select) or 'anything'} (mail-conformance list)")
    except (SelectionError, TargetError, RecordError) as error:
        raise UsageError(str(error)) from None
    interrupts.obey()  # from here on reports are due
    code, records, trouble = _pytest(options, root, workers, keeper)
    if trouble:
        raise UsageError(trouble)
    if code == 2 or any(record.interrupted for record in records):  # pytest.ExitCode.INTERRUPTED
        return 130
    if not records:
        return 2
    if baseline is None:
        from conformance.report.record import exit_status

        return exit_status(records, options.level)
    bad = False
    for record in records:
        lines, worse = compare(baseline, record.data())
        about = f"{record.target.get('name', '')}: " if len(records) > 1 else ""
        print("\n".join(about + line for line in lines) or f"{about}nothing changed against the baseline")
        bad = bad or worse
    return int(bad)


def _folder(path: Path) -> None:
    """Raises UsageError where no report could be written in the end."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"{path}: no report can be written there: {error.strerror}") from None


def _pytest(options: argparse.Namespace, root: Path, workers: str, keeper: _Keeper) -> tuple[int, list[Any], str]:
    """(pytest's exit code, records, what went wrong in one line)."""
    with _undisturbed():
        import pytest

        from conformance import plugin
        from conformance.report.progress import Progress
        from conformance.state import ERROR

        gc.freeze()  # the corpus stays; looking through it again and again for garbage costs seconds
        gc.set_threshold(5_000, 20, 100)
        arguments = ["-q", "-s", "-rN", "--no-header", "--tb=short", "--continue-on-collection-errors", "-o", "addopts=",
                     "-c", str(Path(__file__).with_name("run.ini")), "--rootdir", str(root.resolve().parent),
                     "-W", "ignore::pytest.PytestAssertRewriteWarning", "-p", "conformance.plugin"]  # fmt: skip
        for name in _UNUSED:
            arguments += ["-p", f"no:{name}"]
        for key in ("target", "select"):
            arguments += [f"--conformance-{key}={value}" for value in getattr(options, key)]
        for key in ("level", "report", "baseline", "waivers", "connections", "scenarios", "profile"):
            if getattr(options, key) is not None:
                arguments.append(f"--conformance-{key}={getattr(options, key)}")
        arguments += [f"--conformance-{key}" for key in ("safe", "slow", "destructive") if getattr(options, key)]
        if workers:
            arguments += ["-p", "xdist", "-n", workers]
        keeper.progress = Progress()
        code = pytest.main([*arguments, str(root)], plugins=[keeper, keeper.progress])
        if keeper.config is None:
            return int(code), [], ""
        return int(code), plugin.records(keeper.config), keeper.config.stash.get(ERROR, "")


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Plugins and options that somebody uses for tests of his own have no say in a run."""
    kept = {name: os.environ.pop(name) for name in _FOREIGN if name in os.environ}
    before = os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
        os.environ.update(kept)


class _Keeper:
    """Hands the plugin what is loaded and started already, and keeps hold of the run's configuration."""

    def __init__(self, server: ServerProcess | None) -> None:
        self.server = server
        self.progress: Progress | None = None
        self.corpus: Corpus | None = None
        self.config: Any = None

    def pytest_sessionstart(self, session: Any) -> None:
        from conformance import plugin

        if not hasattr(session.config, "workerinput"):
            self.config = session.config
            assert self.progress is not None
            plugin.provide(session.config, self.corpus, self.server, self.progress.heard)
            self.server = None

    def pytest_runtest_protocol(self, item: Any) -> bool | None:
        """No plugin is here that wants the phases of an item."""
        report = item.brief() if hasattr(item, "brief") and not hasattr(item.config, "workerinput") else None
        if report is None:
            return None
        item.ihook.pytest_runtest_logreport(report=report)
        return True
