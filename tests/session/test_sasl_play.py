"""Whole exchanges of the player with the reference server: what a server owes is told when it is missing."""

from __future__ import annotations

import asyncio

import pytest

from conformance.scenario.loader import load
from conformance.scenario.model import Corpus
from conformance.scenario.select import select
from conformance.session.prove import play


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load()


@pytest.mark.parametrize(
    ("chosen", "fault", "verdict", "reason"),
    [
        ("esmtp/auth-scram/succeeds-tls", "", "pass", ""),
        ("esmtp/auth-scram/succeeds-tls", "sasl-wrong-verifier", "fail", "signature"),
        ("esmtp/auth-scram/succeeds-tls", "auth-scram-own-nonce", "fail", "nonce"),
        ("pop3/auth-mechanisms/mechanism-logs-in-scram-sha-1-tls", "sasl-wrong-verifier", "fail", "signature"),
        ("esmtp/auth-scram-plus/succeeds-sha-256", "", "pass", ""),
        ("esmtp/auth-scram-plus/succeeds-sha-256", "sasl-plus-refused", "fail", "235"),
        ("esmtp/auth-scram-plus/succeeds-over-tls-1-2-sha-1", "", "pass", ""),
        ("pop3/auth-external/implicit-named", "", "pass", ""),
        ("pop3/auth-external/implicit-named", "sasl-external-refused", "fail", "-ERR"),
        ("esmtp/auth-oauthbearer/right-token-challenged", "", "pass", ""),
        ("esmtp/auth-oauthbearer/right-token-challenged", "sasl-oauth-refused", "fail", "535"),
        ("esmtp/smtps/greeting-inside-tls", "", "pass", ""),
        ("esmtp/smtps/greeting-inside-tls", "smtps-in-the-clear", "fail", "in the clear"),
        ("pop3/pop3s/greeting-inside-tls", "pop3s-in-the-clear", "fail", "in the clear"),
        ("pop3/pop3s/session", "pop3s-in-the-clear", "inconclusive", "WRONG_VERSION_NUMBER"),
    ],
)
def test_verdicts(corpus: Corpus, chosen: str, fault: str, verdict: str, reason: str) -> None:
    scenarios = select(corpus.scenarios, [chosen])
    outcome = asyncio.run(play(corpus, scenarios, [fault] if fault else []))[chosen]
    assert (outcome.verdict, reason in outcome.reason) == (verdict, True), outcome.reason
