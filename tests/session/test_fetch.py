"""`-- fetch`: what does not come breaks the requirement, or, with `premise`, leaves it unproven."""

from __future__ import annotations

import asyncio

import pytest

from conformance.scenario.loader import load
from conformance.scenario.model import Corpus
from conformance.session.prove import play

NAMES = ("esmtp/dsn/success-reported-success", "esmtp/dsn/reporting-mta", "esmtp/dsn/success-not-reported-never")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load()


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ([], ["pass", "pass", "pass"]),
        (["dsn-no-report"], ["fail", "inconclusive", "pass"]),
        (["dsn-report-twice"], ["fail", "inconclusive", "pass"]),
        (["dsn-no-mta"], ["pass", "fail", "pass"]),
        (["dsn-always"], ["pass", "pass", "fail"]),
    ],
)
def test_what_is_missing_or_too_much(corpus: Corpus, faults: list[str], expected: list[str]) -> None:
    chosen = [scenario for name in NAMES for scenario in corpus.scenarios if scenario.id == name]
    outcomes = asyncio.run(play(corpus, chosen, faults))
    assert [outcomes[name].verdict for name in NAMES] == expected
