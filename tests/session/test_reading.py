"""A target whose mailboxes can be opened and not read is told so by the scenarios of what it does wrong."""

from __future__ import annotations

import asyncio

import pytest

from conformance.scenario.loader import load
from conformance.scenario.model import Corpus
from conformance.session.prove import play

NAMES = ("pop3/retr/whole-message", "pop3/list/every-message")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("pop3-retr-endless", ["fail", "pass"]),
        ("pop3-retr-refused", ["fail", "pass"]),
        ("pop3-retr-closes", ["fail", "pass"]),
    ],
)
def test_one_command_of_no_use_hides_no_other(corpus: Corpus, fault: str, expected: list[str]) -> None:
    chosen = [scenario for name in NAMES for scenario in corpus.scenarios if scenario.id == name]
    outcomes = asyncio.run(play(corpus, chosen, [fault]))
    assert [outcomes[name].verdict for name in NAMES] == expected


def test_mail_that_nobody_can_read_is_not_called_lost(corpus: Corpus) -> None:
    chosen = [scenario for scenario in corpus.scenarios if scenario.id == "smtp/data/accepted-is-delivered"]
    assert chosen
    outcomes = asyncio.run(play(corpus, chosen, ["pop3-retr-refused"]))
    assert [one.verdict for one in outcomes.values()] == ["not-applicable"]
    assert "cannot be read: RETR" in outcomes[chosen[0].id].reason


def test_mail_is_read_where_dele_ends_the_connection(corpus: Corpus) -> None:
    chosen = [scenario for scenario in corpus.scenarios if scenario.id == "smtp/data/accepted-is-delivered"]
    outcomes = asyncio.run(play(corpus, chosen, ["pop3-dele-closes"]))
    assert [one.verdict for one in outcomes.values()] == ["pass"]
