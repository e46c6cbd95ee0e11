"""How far a run is: a line that renews itself on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

import pytest

from conformance.verdict.model import VERDICTS

_EVERY = 0.1  # seconds between two states on a terminal
_STEPS = 10  # lines in all elsewhere


class Progress:
    """A pytest plugin. Verdicts are counted when they come; items ask for theirs in the order of the files, and the
    first may be the last to be played. Under xdist, where they come in another process, by what its items report.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self.total = 0
        self.done = 0
        self.counts = dict.fromkeys(VERDICTS, 0)
        self.following = False  # by ``heard``
        self._told = 0.0
        self._step = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """No letter per scenario. What failed is told in full at the end."""
        if report.passed:
            return ("passed" if report.when == "call" else "", "", "")
        if report.skipped:
            return ("xfailed" if hasattr(report, "wasxfail") else "skipped", "", "")
        if report.when == "setup" and "\ndialogue:\n" not in report.longreprtext:
            return ("inconclusive", "", "")  # never played: the summary says it once for all
        return ("error" if report.when == "setup" else "failed", "", "")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.total = max(self.total, len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Any) -> None:
        self.total = max(self.total, len(ids))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "setup" or self.following:
            return
        verdict = next((str(value) for name, value in report.user_properties if name == "verdict"), "")
        if verdict:
            self._count(verdict)

    def heard(self, verdict: str) -> None:
        """One more verdict, whenever its item is going to ask for it. May be called from one other thread."""
        self.following = True
        self._count(verdict)

    def _count(self, verdict: str) -> None:
        self.counts[verdict] += 1
        self.done += 1
        now = time.monotonic()
        if self.live:
            if now - self._told > _EVERY or self.done == self.total:
                self._told = now
                self.stream.write("\r\x1b[2K" + self.line())
                self.stream.flush()
        elif self.done * _STEPS >= (self._step + 1) * self.total:
            self._step = self.done * _STEPS // max(1, self.total)
            self.stream.write(self.line() + "\n")
            self.stream.flush()

    def pytest_sessionfinish(self) -> None:
        if self.live and self.done:
            self.stream.write("\r\x1b[2K" + self.line() + "\n")
            self.stream.flush()

    def line(self) -> str:
        told = ", ".join(f"{count} {verdict}" for verdict, count in self.counts.items() if count)
        return f"{self.done}/{self.total} played: {told}"
