"""`-- fetch`: what does not come breaks the requirement, or, with `premise`, leaves it unproven. So do seeds that do not come."""

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


def test_a_seed_that_does_not_come_is_no_fault_of_retr(corpus: Corpus) -> None:
    names = {"pop3/content/megabyte", "smtp/data-transparency/large"}
    chosen = [scenario for scenario in corpus.scenarios if scenario.id in names]
    outcomes = asyncio.run(play(corpus, chosen, ["large-lost"]))
    assert {name: outcomes[name].verdict for name in names} == {
        "pop3/content/megabyte": "inconclusive", "smtp/data-transparency/large": "fail",
    }  # fmt: skip
    assert "0 of 1 seeded messages arrived" in outcomes["pop3/content/megabyte"].reason
