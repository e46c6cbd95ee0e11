"""What probing could not learn of a target leaves unproven what depends on it, and nothing more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from conformance.scenario.loader import load
from conformance.scenario.model import Corpus
from conformance.server.app import ReferenceServer
from conformance.server.base import Fault
from conformance.server.faults import FAULTS
from conformance.server.faults._tools import closes, reply
from conformance.session.prove import play
from conformance.session.runner import Runner
from conformance.target import Target


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load()


def test_an_ehlo_that_ends_the_connection_is_told(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = {"reply": lambda s, octets, verb: closes(s, b"") if verb == "EHLO" and s.family == "smtp" else octets}
    monkeypatch.setitem(FAULTS, "no-ehlo", Fault("no-ehlo", "rfc5321/4.1.1.1/ehlo-accepted", "EHLO ends the session", "smtp", hooks))
    names = ("smtp/ehlo/accepted", "smtp/helo/accepted", "smtp/mail/accepted")
    outcomes = asyncio.run(play(corpus, [one for one in corpus.scenarios if one.id in names], ["no-ehlo"]))
    assert [outcomes[name].verdict for name in names] == ["fail", "pass", "inconclusive"]


def test_a_greeting_that_refuses_leaves_all_behind_it_unproven(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = reply("GREETING", lambda octets: b"421 4.3.2 not now\r\n")
    monkeypatch.setitem(FAULTS, "not-now", Fault("not-now", "rfc5321/3.1/greeting-first", "The greeting is 421", "smtp", hooks))
    names = ("smtp/ehlo/accepted", "smtp/mail/accepted")
    outcomes = asyncio.run(play(corpus, [one for one in corpus.scenarios if one.id in names], ["not-now"]))
    assert [outcomes[name].verdict for name in names] == ["inconclusive", "inconclusive"]


def test_a_mailbox_that_somebody_still_holds_is_waited_for(corpus: Corpus, tmp_path: Path) -> None:
    async def probe() -> Runner:
        server = ReferenceServer()
        await server.start()
        try:
            server.write_target(tmp_path / "target.toml")
            target = Target.load(tmp_path / "target.toml")
            account = target.accounts[0]
            reader, writer = await asyncio.open_connection(target.host, target.services["pop3"].port)
            writer.write(f"USER {account.user}\r\nPASS {account.password}\r\n".encode())
            assert [(await reader.readline())[:3] for _reply in range(3)] == [b"+OK"] * 3
            asyncio.get_running_loop().call_later(0.5, writer.close)
            runner = Runner(target, corpus)
            await runner.probe([], only={"pop3"})
            return runner
        finally:
            await server.stop()

    assert "UIDL" in (asyncio.run(probe()).facts.offers["pop3", "auth"] or {})
