"""What ``--select`` chooses."""

from __future__ import annotations

import pytest

from conformance.scenario.loader import load
from conformance.scenario.model import Corpus
from conformance.scenario.select import SelectionError, select


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load()


def chosen(corpus: Corpus, *expressions: str) -> set[str]:
    return {one.id for one in select(corpus.scenarios, expressions)}


def test_an_id_is_that_scenario_alone(corpus: Corpus) -> None:
    longer = {one.id for one in corpus.scenarios if "smtp/rcpt/before-mail" in one.id}
    assert len(longer) > 1 and chosen(corpus, "smtp/rcpt/before-mail") == {"smtp/rcpt/before-mail"}
    assert chosen(corpus, "smtp/rcpt/before-mai") == longer  # a part of them all


def test_a_requirement_is_every_scenario_that_cites_it(corpus: Corpus) -> None:
    citing = {one.id for one in corpus.scenarios if any(r.id == "rfc1939/5/list-empty" for r in one.requirements)}
    assert citing and chosen(corpus, "rfc1939/5/list-empty") == citing


def test_expressions_are_joined(corpus: Corpus) -> None:
    pop3 = chosen(corpus, "pop3 and not must")
    assert pop3 and all(one.family == "pop3" and one.level.split()[0] != "MUST" for one in corpus.scenarios if one.id in pop3)
    assert chosen(corpus, "smtp/noop/*", "smtp/rset/*") == chosen(corpus, "smtp/noop/* or smtp/rset/*")


@pytest.mark.parametrize("text", ["", "and", "(pop3", "pop3 smtp", "not"])
def test_what_cannot_be_read(corpus: Corpus, text: str) -> None:
    with pytest.raises(SelectionError):
        select(corpus.scenarios, [text])
