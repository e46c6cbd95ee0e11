"""Every mistake in a file is told with its path and line, and a valid file gives the steps that it shows."""

from __future__ import annotations

import json
import time
from pathlib import Path

import jsonschema
import pytest
import yaml

from conformance.scenario.errors import ScenarioErrors
from conformance.scenario.infer import flat
from conformance.scenario.loader import corpus_root, load
from conformance.scenario.model import Corpus, Expect, Receive, Send

GOOD = """\
command: RCPT
service: smtp
scenarios:
  first:
    title: A title
    requirement: rfc9999/1/a
    given: ehlo
    exchange: |
      C: RCPT TO:<x>
      C= \\0\\r\\n
      S: 503 ~ 5yz
      S? 250 {name}...
      -- when 250
      C: {name}
      -- end
"""
REQUIREMENTS = """\
document: RFC 9999
title: A test
requirements:
  1/a:
    level: MUST
    text: A statement.
"""


def corpus(tmp_path: Path, text: str) -> Corpus:
    (tmp_path / "requirements").mkdir(exist_ok=True)
    (tmp_path / "requirements" / "rfc9999.yaml").write_text(REQUIREMENTS)
    (tmp_path / "smtp").mkdir(exist_ok=True)
    (tmp_path / "smtp" / "rcpt.yaml").write_text(text)
    return load(tmp_path)


def test_a_good_file(tmp_path: Path) -> None:
    (scenario,) = corpus(tmp_path, GOOD).scenarios
    assert scenario.id == "smtp/rcpt/first"
    assert scenario.level == "MUST"
    send, expect, premise = scenario.steps[:3]
    assert isinstance(send, Send)
    assert [payload.kind for payload in send.payloads] == ["line", "octets"]
    assert isinstance(expect, Expect)
    assert [a.token for a in expect.right] == ["503"]
    assert [a.token for a in expect.tolerated] == ["5yz"]
    assert expect.line == 11
    assert isinstance(premise, Expect)
    assert premise.premise


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("title: A title", "titel: A title", 5, "unknown key 'titel'"),
        ("service: smtp", "service: smpt", 4, "no service 'smpt'"),
        ("service: smtp", "service: smtp\nservice: pop3", 3, "duplicate key 'service'"),
        ("rfc9999/1/a", "rfc9999/1/b", 6, "unknown requirement"),
        ("given: ehlo", "given: ehlloo", 4, "no opening"),
        ("RCPT TO:<x>", "RCPT TO:<{x}>", 9, "unknown variable 'x'"),
        ("RCPT TO:<x>", "RCPT TO:<{x>", 9, "unbalanced"),
        ("\\0\\r\\n", "\\q", 10, "no escape"),
        ("503 ~ 5yz", "5033", 11, "is no reply"),
        ("503 ~ 5yz", "503 ~ 5yz ~ 4yz", 11, "only one"),
        ("S? 250 {name}...", "S? 250 {text}", 12, "always the last reply's"),
        ("-- when 250", "-- when 354", 13, "never reached"),
        ("-- when 250", "-- wenn 250", 13, "no directive"),
        ("-- when 250", "-- fail: over", 14, "never reached"),
        ("      -- end\n", "", 13, "without `-- end`"),
        ("C: {name}", "C@b: {name}", 14, "not open"),
        ("C: {name}", "X: {name}", 14, "cannot read"),
        ("  first:", "  First:", 4, "is no slug"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ScenarioErrors) as caught:
        corpus(tmp_path, GOOD.replace(old, new, 1))
    assert any(message in error.message for error in caught.value.errors), str(caught.value)
    found = [error for error in caught.value.errors if message in error.message]
    expected = {line, line - 1} if "never reached" in message else {line}
    assert found[0].line in expected
    assert found[0].path.name == "rcpt.yaml"


def test_duplicate_ids(tmp_path: Path) -> None:
    twice = GOOD.replace("  first:", "  one-two:\n    cases: {two: {a: b}}", 1).replace("one-two", "first", 1)
    both = twice + GOOD.partition("scenarios:\n")[2].replace("  first:", "  first-two:")
    with pytest.raises(ScenarioErrors, match="duplicate id"):
        corpus(tmp_path, both)


def test_the_schema_accepts_the_corpus_and_refuses_a_misspelt_key() -> None:
    schema = json.loads((Path(__file__).parents[2] / "conformance/scenario/schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    files = [p for p in corpus_root().rglob("*.yaml") if p.parent.name != "requirements"]
    files = [p for p in files if p.name not in ("openings.yaml", "seeds.yaml")]
    assert files
    for path in files:
        assert not list(validator.iter_errors(yaml.safe_load(path.read_text()))), path
    assert list(validator.iter_errors(yaml.safe_load(GOOD.replace("title", "titel"))))


def test_the_corpus_loads_fast() -> None:
    start = time.perf_counter()
    found = load()
    elapsed = time.perf_counter() - start
    assert found.scenarios
    assert elapsed / len(found.scenarios) < 0.002  # a thousand in a fraction of a second, on a busy machine too


RECEIVES = """\
command: ATRN
service: odmr
scenarios:
  first:
    title: A title
    requirement: rfc9999/1/a
    given: connected
    cases:
      one: {{how: 'offers="SIZE 10,8BITMIME" rcpt="450 later|250 ok" form=multi'}}
    exchange: |
      C: ATRN
      S? 250 | 453
      -- when 250
      -- turn
      -- receive {{how}}
      -- check received_ended == "quit"
      -- pass: enough
      -- end
      {last}
"""
OPENINGS = "openings: {smtp: {raw: {exchange: ''}, connected: {after: raw, exchange: 'S? 220'}}}\n"


def test_receive_takes_its_manner_from_the_case(tmp_path: Path) -> None:
    (tmp_path / "openings.yaml").write_text(OPENINGS)
    scenario = corpus(tmp_path, RECEIVES.format(last="S: 503")).scenarios[0]
    receive = next(step for step in flat(scenario.steps) if isinstance(step, Receive))
    assert set(receive.options) == {"offers", "rcpt", "form"} and "deletes" in scenario.effects
    assert isinstance(scenario.steps[-1], Expect)  # the branch that turns the roles ends the scenario


@pytest.mark.parametrize(("last", "why"), [("-- receive", "comes after `-- turn`"), ("-- receive now", "cannot take 'now'")])
def test_receive_is_checked(tmp_path: Path, last: str, why: str) -> None:
    (tmp_path / "openings.yaml").write_text(OPENINGS)
    with pytest.raises(ScenarioErrors) as caught:
        corpus(tmp_path, RECEIVES.format(last=last))
    assert why in str(caught.value)
