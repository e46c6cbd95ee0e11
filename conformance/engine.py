"""Plays scenarios in a background thread with an event loop of its own; outcomes are waited for one by one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance import interrupts
from conformance.report.record import Result, excuses, read_waivers, result_of
from conformance.scenario.model import Corpus, Scenario
from conformance.session.runner import Runner
from conformance.target import Target, TargetError
from conformance.verdict.model import Outcome

if TYPE_CHECKING:
    from conformance.server.process import ServerProcess


INTERRUPTED = "interrupted"  # under xdist, the file in the lock folder that ends the play of all workers


class EngineError(Exception):
    """The run cannot begin."""


class Engine:
    """``shared``: under xdist, the lock folder, the target file of the controller's server, this worker's number and how many there are.

    ``server``: the bundled server, if somebody has started it already; it is ours to stop.
    """

    def __init__(
        self, corpus: Corpus | None, options: dict[str, Any], shared: dict[str, str] | None = None,
        server: ServerProcess | None = None,
    ) -> None:  # fmt: skip
        self.corpus = corpus
        self.options = options
        self.shared = shared or {}
        self.runners: list[Runner] = []
        self.futures: dict[tuple[int, str], Future[Outcome]] = {}
        self.served: Path | None = None
        self.trouble: EngineError | None = None  # why nothing is played
        self.heard: Callable[[str], None] | None = None  # is told each verdict when it comes, in the thread
        self._over = threading.Event()  # all is played
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None
        self._server = server
        self._waivers: list[dict[str, Any]] | None = None
        self._stop = Path(self.shared["locks"]) / INTERRUPTED if "locks" in self.shared else None

    # -- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="conformance", daemon=True)
            self._thread.start()

    def serve(self) -> Path:
        """The target file of the bundled server, which runs beside us. Raises EngineError."""
        from conformance.server.process import ServerProcess

        if self.served is None:
            self._server = self._server or ServerProcess(profile=self.options.get("profile") or "")
            try:
                self.served = self._server.target()
            except RuntimeError as error:
                raise EngineError(str(error)) from None
        return self.served

    def start(self, scenarios: list[tuple[int, Scenario]]) -> None:
        """Raises EngineError when a target cannot be read."""
        assert self.corpus is not None
        names = list(self.options["target"]) or [self.shared.get("target") or str(self.serve())]
        locks = self.shared.get("locks")
        share = int(self.shared.get("worker", 0)), int(self.shared.get("workers", 1))
        try:
            targets = [Target.parse(name) for name in names]
        except TargetError as error:
            raise EngineError(str(error)) from None
        for target in targets:
            runner = Runner(
                target, self.corpus, connections=self.options["connections"], safe=self.options["safe"],
                lock_dir=Path(locks) if locks else None, share=share,
            )  # fmt: skip
            runner.slow = bool(self.options["slow"])
            runner.destructive = bool(self.options["destructive"])
            self.runners.append(runner)
        self._begin()
        self.futures = {(number, scenario.id): Future() for number, scenario in scenarios}
        asyncio.run_coroutine_threadsafe(self._play(scenarios), self._loop)

    async def _play(self, scenarios: list[tuple[int, Scenario]]) -> None:
        self._task = asyncio.current_task()
        try:
            for number, runner in enumerate(self.runners):
                mine = [scenario for which, scenario in scenarios if which == number]
                await runner.probe(mine)

                def told(scenario: Scenario, outcome: Outcome, number: int = number) -> None:
                    self.futures[number, scenario.id].set_result(outcome)
                    if self.heard is not None:
                        excused = outcome.verdict in ("fail", "deviation") and self.waive(result_of(scenario, outcome))
                        self.heard("waived" if excused else outcome.verdict)

                await runner.run(mine, told)
        except BaseException as error:
            for future in self.futures.values():
                if not future.done():
                    future.set_result(Outcome("inconclusive", f"the suite itself failed here: {error!r}"))
            if not isinstance(error, (Exception, asyncio.CancelledError)):
                raise
        finally:
            self._over.set()

    def wait(self) -> None:
        """Until all is played: who asks for outcome after outcome meanwhile takes the interpreter from the thread that plays."""
        while self.trouble is None and not self._over.wait(0.2):
            self._obey()

    def _obey(self) -> None:
        interrupts.obey()
        if self._stop is not None and self._stop.exists():
            raise KeyboardInterrupt

    def outcome(self, number: int, scenario: Scenario) -> Outcome:
        """Waits for it, in short steps so that an interrupt is obeyed at once. Raises EngineError."""
        if self.trouble is not None:
            raise self.trouble
        future = self.futures[number, scenario.id]
        while True:
            self._obey()
            try:
                return future.result(timeout=0.2)
            except TimeoutError:
                continue

    def finished(self, number: int, scenario: Scenario) -> Outcome | None:
        """The outcome if there is one by now."""
        future = self.futures.get((number, scenario.id))
        return future.result() if future is not None and future.done() else None

    def about(self, number: int) -> dict[str, Any]:
        """``target`` of results.json."""
        runner = self.runners[number]
        services = {name: one.port for name, one in runner.target.services.items()}
        return {
            "name": runner.target.name, "host": runner.target.host, "services": services,
            "greetings": runner.greetings, "capabilities": runner.capabilities,
        }  # fmt: skip

    def waive(self, result: Result) -> bool:
        """Whether the waiver file excuses this result; it is changed accordingly."""
        if self._waivers is None:
            self._waivers = read_waivers(Path(self.options["waivers"])) if self.options["waivers"] else []
        return excuses(self._waivers, result)

    def stop(self) -> None:
        if self._thread is not None:
            self._end()
        if self._server is not None:
            self._server.stop()
            self._server = None

    def _end(self) -> None:
        assert self._thread is not None

        async def end() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)

        try:
            asyncio.run_coroutine_threadsafe(end(), self._loop).result(5)
        except (TimeoutError, asyncio.CancelledError):
            pass
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        if not self._thread.is_alive():
            self._loop.close()
        self._thread = None
