"""Scenarios about AUTH go to the port of submission where port smtp lets nobody log in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from conformance.report.record import result_of
from conformance.scenario.loader import load
from conformance.scenario.model import Corpus
from conformance.scenario.select import select
from conformance.server.app import ReferenceServer
from conformance.server.extensions.auth import Auth
from conformance.session.runner import Runner
from conformance.target import Target


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load()


def played(corpus: Corpus, where: Path, expression: str, without: tuple[str, ...] = ()) -> dict[str, tuple[str, str]]:
    """Scenario → verdict and service, against the bundled server less some services of its target file."""

    async def main() -> dict[str, tuple[str, str]]:
        server = ReferenceServer()
        await server.start()
        server.write_target(where)
        kept = [line for line in where.read_text("utf-8").splitlines() if line.partition(" ")[0] not in without]
        where.write_text("\n".join(kept), "utf-8")
        runner = Runner(Target.load(where), corpus)
        found: dict[str, tuple[str, str]] = {}
        scenarios = select(corpus.scenarios, [expression])
        try:
            await runner.probe(scenarios)
            await runner.run(scenarios, lambda one, outcome: found.__setitem__(one.id, (outcome.verdict, result_of(one, outcome)["service"])))
        finally:
            await server.stop()
        return found

    return asyncio.run(main())


def test_played_on_smtp_where_it_offers_auth(corpus: Corpus, tmp_path: Path) -> None:
    found = played(corpus, tmp_path / "t.toml", "esmtp/auth-plain/*")
    assert set(found.values()) == {("pass", "smtp")}


def test_played_on_submission_where_smtp_offers_none(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Auth, "services", frozenset({"submission", "smtps"}))
    found = played(corpus, tmp_path / "t.toml", "esmtp/auth-plain/*")
    assert set(found.values()) == {("pass", "submission")}


def test_in_tls_on_smtps_where_there_is_no_submission(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Auth, "services", frozenset({"submission", "smtps"}))
    found = played(corpus, tmp_path / "t.toml", "esmtp/auth-plain/*", ("submission",))
    assert {verdict for verdict, service in found.values() if service == "smtps"} == {"pass"}
    assert {one.rpartition("-")[2] for one, (verdict, _service) in found.items() if verdict == "not-applicable"} == {"clear"}


def test_what_compares_ports_stays(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Auth, "services", frozenset({"submission", "smtps"}))
    found = played(corpus, tmp_path / "t.toml", "esmtp/not-offered/*")
    assert {service for _verdict, service in found.values()} <= {"smtp", "lmtp"} and "fail" not in {verdict for verdict, _service in found.values()}
