"""A target that wants a pause between logins (RFC 2449 sections 6.5 and 8.1.1) is waited for, and not for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance.scenario.loader import load
from conformance.scenario.model import Corpus
from conformance.server.app import ReferenceServer
from conformance.session import delay
from conformance.session.delay import LoginDelay, TooLong
from conformance.session.runner import Runner
from conformance.target import Target
from conformance.verdict.model import Outcome

NAMES = [
    "pop3/pass/retry", "pop3/pipelining/login-in-one-write", "pop3/response-codes/in-use", "pop3/retr/header-too",
    "pop3/auth/cancel-then-login-clear", "pop3/apop/right-digest", "pop3/locks/retry-after-lock",
]  # fmt: skip


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load()


class Pausing:
    """Makes the reference server refuse a login sooner than so many seconds after another."""

    def __init__(self, seconds: float, announced: str, refusal: bytes) -> None:
        self.seconds = seconds
        self.announced = announced
        self.refusal = refusal
        self.refusals = 0
        self.last: dict[str, float] = {}

    def reply(self, session: Any, octets: bytes, verb: str) -> bytes:
        if verb not in ("PASS", "APOP", "AUTH") or not session.box or not octets.startswith(b"+OK"):
            return octets
        now = time.monotonic()
        if now - self.last.get(session.user, -1e9) < self.seconds:
            session.release()
            self.refusals += 1
            return self.refusal
        self.last[session.user] = now
        return octets

    def hooks(self) -> dict[str, list[Any]]:
        more = [f"LOGIN-DELAY {self.announced}"] if self.announced else []
        return {"reply": [self.reply], "capabilities": [lambda session, words: [*words, *more]]}


def play(corpus: Corpus, names: Sequence[str], pausing: Pausing, folder: Path) -> dict[str, Outcome]:
    async def run() -> dict[str, Outcome]:
        server = ReferenceServer(accounts=4)
        server.world.hooks_of["pop3"] = pausing.hooks()
        await server.start()
        outcomes: dict[str, Outcome] = {}
        try:
            server.write_target(folder / "target.toml")
            runner = Runner(Target.load(folder / "target.toml"), corpus)
            chosen = [one for one in corpus.scenarios if one.id in names]
            await runner.probe(chosen, only={"smtp", "pop3"})
            await runner.run(chosen, lambda scenario, outcome: outcomes.__setitem__(scenario.id, outcome))
        finally:
            await server.stop()
        return outcomes

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("announced", "refusal"),
    [
        ("1", b"-ERR [LOGIN-DELAY] wait a little\r\n"),
        ("", b"-ERR [LOGIN-DELAY] wait a little\r\n"),  # it is learnt from the first refusal
        ("1", b"-ERR not yet\r\n"),  # the code is not required
    ],
)
def test_a_short_delay_is_waited_for(corpus: Corpus, tmp_path: Path, announced: str, refusal: bytes) -> None:
    outcomes = play(corpus, NAMES, Pausing(0.9, announced, refusal), tmp_path)
    assert len(outcomes) == len(NAMES)
    assert {name: one.reason for name, one in outcomes.items() if one.verdict != "pass"} == {}
    assert not [one for outcome in outcomes.values() for one in outcome.ambient]


@pytest.mark.parametrize("announced", ["7200", ""])
def test_a_delay_of_hours_is_named(
    corpus: Corpus, tmp_path: Path, announced: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delay, "LONGEST", 1.5)
    begun = time.monotonic()
    outcomes = play(corpus, NAMES, Pausing(7200, announced, b"-ERR [LOGIN-DELAY] wait\r\n"), tmp_path)
    assert time.monotonic() - begun < 30
    assert {one.verdict for one in outcomes.values()} <= {"pass", "not-applicable"}
    assert any("LOGIN-DELAY" in one.reason for one in outcomes.values())


def test_an_announced_delay_that_nobody_enforces_costs_nothing(corpus: Corpus, tmp_path: Path) -> None:
    begun = time.monotonic()
    outcomes = play(corpus, NAMES, Pausing(0, "20", b""), tmp_path)
    assert {one.verdict for one in outcomes.values()} == {"pass"}
    assert time.monotonic() - begun < 15


def test_the_code_where_there_is_no_delay_is_no_reason_to_wait(corpus: Corpus, tmp_path: Path) -> None:
    """Of a server that lets in at once, LOGIN-DELAY to a wrong password is a mistake, and judged."""
    pausing = Pausing(0, "", b"")
    wrong = pausing.hooks()
    wrong["reply"] = [lambda s, octets, verb: octets.replace(b"[AUTH]", b"[LOGIN-DELAY]") if verb == "PASS" else octets]
    pausing.hooks = lambda: wrong  # type: ignore[method-assign]
    begun = time.monotonic()
    outcomes = play(corpus, ["pop3/response-codes/auth-on-wrong-password-clear"], pausing, tmp_path)
    assert [one.verdict for one in outcomes.values()] in (["fail"], ["deviation"])
    assert time.monotonic() - begun < 10


def test_what_a_refusal_tells() -> None:
    known = LoginDelay()
    assert known.left(["alice"]) == 0
    known.entered(["alice"], surely=True)
    assert known.refused(["alice"])
    assert 0.9 < known.left(["alice"]) < 1.1
    assert known.left(["bob"]) == 0
    known.forget("alice")
    assert known.left(["alice"]) == 0
    known.announce({"LOGIN-DELAY": ("short",)}, {"LOGIN-DELAY": ("900", "USER")})
    known.enforce()
    known.entered(["alice"])
    with pytest.raises(TooLong, match="900 s"):
        asyncio.run(known.ready(["alice"]))


def test_a_run_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delay, "PATIENCE", 0.5)
    known = LoginDelay()
    known.entered(["alice"])
    known.enforce()
    with pytest.raises(TooLong, match="this run has waited"):
        asyncio.run(known.ready(["alice"]))
