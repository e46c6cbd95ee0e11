"""Scenarios about AUTH go to the port of submission where port smtp lets nobody log in, and into TLS where the clear lets nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from conformance.report.record import result_of
from conformance.scenario.loader import load
from conformance.scenario.model import Corpus
from conformance.scenario.select import select
from conformance.server.app import ReferenceServer
from conformance.server.base import Fault
from conformance.server.extensions.auth import Auth
from conformance.server.faults import FAULTS
from conformance.session.runner import Runner
from conformance.target import Target
from conformance.verdict.model import Outcome


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load()


def played(
    corpus: Corpus, where: Path, expression: str, without: tuple[str, ...] = (), faults: tuple[str, ...] = ()
) -> dict[str, tuple[str, str]]:
    """Scenario → verdict and service, against the bundled server less some services of its target file."""
    by_id = {one.id: one for one in corpus.scenarios}
    found = outcomes(corpus, where, expression, without, faults)
    return {name: (outcome.verdict, result_of(by_id[name], outcome)["service"]) for name, outcome in found.items()}


def outcomes(
    corpus: Corpus, where: Path, expression: str, without: tuple[str, ...] = (), faults: tuple[str, ...] = ()
) -> dict[str, Outcome]:
    async def main() -> dict[str, Outcome]:
        server = ReferenceServer(faults=faults)
        await server.start()
        server.write_target(where)
        kept = [line for line in where.read_text("utf-8").splitlines() if line.partition(" ")[0] not in without]
        where.write_text("\n".join(kept), "utf-8")
        runner = Runner(Target.load(where), corpus)
        found: dict[str, Outcome] = {}
        scenarios = select(corpus.scenarios, [expression])
        try:
            await runner.probe(scenarios)
            await runner.run(scenarios, lambda one, outcome: found.__setitem__(one.id, outcome))
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


@pytest.fixture
def tls_first(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A server that offers and takes logins inside TLS only."""
    names = ("tls-first-smtp", "tls-first-pop3")
    for name in names:
        hooks = {"capabilities": _only_in_tls, "instead": _refused_in_clear}
        monkeypatch.setitem(FAULTS, name, Fault(name, "", "", name.rpartition("-")[2], hooks))
    return names


def test_in_tls_where_the_clear_offers_no_login(corpus: Corpus, tmp_path: Path, tls_first: tuple[str, ...]) -> None:
    expression = "esmtp/auth-plain/* or esmtp/received-with/* or esmtp/not-offered/requiretls-in-the-clear or pop3/pass/*"
    found = played(corpus, tmp_path / "t.toml", expression, faults=tls_first)
    assert {verdict for verdict, _service in found.values()} == {"pass", "not-applicable"}
    assert found["pop3/pass/right-password"][0] == "pass"  # after STLS, where USER is offered
    assert found["esmtp/received-with/esmtpa"][0] == "not-applicable"  # about the clear
    assert {verdict for one, (verdict, _service) in found.items() if one.startswith("esmtp/auth-plain/") and one.endswith("clear")} == {"not-applicable"}


def test_that_it_was_played_in_tls_is_noted(corpus: Corpus, tmp_path: Path, tls_first: tuple[str, ...]) -> None:
    outcome = outcomes(corpus, tmp_path / "t.toml", "pop3/pass/right-password", faults=tls_first)["pop3/pass/right-password"]
    assert any("inside TLS" in note for note in outcome.notes) and any("[TLS] PASS" in text for _at, _side, text in outcome.transcript)


def _only_in_tls(session: Any, words: list[str]) -> list[str]:
    return words if session.tls else [word for word in words if word.split()[0] not in ("AUTH", "USER", "SASL")]


def _refused_in_clear(session: Any, verb: str, rest: bytes) -> bytes | None:
    if session.tls or verb not in ("AUTH", "USER", "PASS", "APOP"):
        return None
    return b"-ERR STLS first\r\n" if session.service == "pop3" else b"503 5.5.1 AUTH is not offered\r\n"


def test_without_capa_the_optional_commands_are_tried(corpus: Corpus, tmp_path: Path) -> None:
    no_capa = ("pop3-capa-not-in-authorization", "pop3-capa-not-in-transaction")
    names = ("pop3/top/zero-lines", "pop3/uidl/one-message", "pop3/user/accepted", "pop3/locks/second-login-refused")
    for name in names:
        assert played(corpus, tmp_path / "t.toml", name, (), no_capa)[name][0] == "pass", name
    gone = played(corpus, tmp_path / "t.toml", "pop3/top/zero-lines", (), (*no_capa, "pop3-top-not-kept"))
    assert gone["pop3/top/zero-lines"][0] == "not-applicable"


@pytest.mark.parametrize("fault", ["auth-listed-538", "auth-listed-530"])
def test_what_is_listed_and_refused_for_want_of_encryption_is_told_once_and_played_inside_tls(
    corpus: Corpus, tmp_path: Path, fault: str
) -> None:
    told = played(corpus, tmp_path / "t.toml", "esmtp/unauthenticated/listed-without-tls-*", faults=(fault,))
    for where in ("esmtp/unauthenticated/listed-without-tls", "esmtp/unauthenticated/listed-without-tls-on-submission"):
        assert {told[f"{where}-{name}"][0] for name in ("plain", "login", "cram-md5")} == {"deviation"}
        assert told[f"{where}-digest-md5"][0] == "not-applicable"  # the bundled server has it not
    found = outcomes(corpus, tmp_path / "t.toml", "esmtp/auth-plain/* or esmtp/auth-state/*", faults=(fault,))
    assert {outcome.verdict for outcome in found.values()} == {"pass", "not-applicable"}
    clear = {name: outcome for name, outcome in found.items() if name.endswith("-clear")}
    assert clear and all("for want of encryption" in outcome.reason for outcome in clear.values())
