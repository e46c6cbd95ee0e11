"""Reports hold whatever a server said, inert, and never a secret."""

from __future__ import annotations

import base64
import datetime
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from conformance.report.compare import compare, read_results
from conformance.report.record import Record, RecordError, apply_waivers, exit_status, result_of, suite_of
from conformance.report.terminal import summary_lines
from conformance.report.text import clean
from conformance.report.write import write_all
from conformance.scenario.loader import load
from conformance.scenario.model import Corpus
from conformance.session.transcript import Redactor, Transcript
from conformance.verdict.model import Dialogue, Entry, Outcome

HOSTILE = "\x00\x1b[2J\x07<script>alert(1)</script> & ]]> \ud800 \ufffe \"'"


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load()


def record(corpus: Corpus, *verdicts: str, reason: str = "because", received: str = "250 ok") -> Record:
    target = {"name": "<b>x</b>", "host": "h", "services": {"smtp": 25}, "greetings": {}, "capabilities": {}}
    made = Record(target, "2026-01-01T00:00:00+00:00", suite=suite_of(corpus))
    for scenario, verdict in zip(corpus.scenarios, verdicts):
        outcome = Outcome(verdict, reason, "503", received, transcript=Dialogue([(0.0, "C", "NOOP"), (0.1, "S", received)]), mark=1)
        made.results.append(result_of(scenario, outcome))
    return made


ALL = ("pass", "fail", "deviation", "not-applicable", "waived", "inconclusive")


@pytest.mark.parametrize("entries", [[], [(0.0, "-", "")], [(0.0, "C", "  two  blanks "), (1.25, "S", "250 ok"), (2.0, "-", "closed")]])
def test_a_dialogue_gives_back_what_it_was_made_of(entries: list[Entry]) -> None:
    dialogue = Dialogue(entries)
    assert list(dialogue) == entries and len(dialogue) == len(entries) and bool(dialogue) is bool(entries)
    assert json.loads(dialogue.json) == [list(entry) for entry in entries]


def test_an_entry_is_one_line_whatever_is_in_it() -> None:
    assert list(Dialogue([(0.0, "S", "250 a\nb")])) == [(0.0, "S", "250 a\\nb")]
    assert json.loads(Dialogue([(12345.6, "S", HOSTILE)]).json) == [[12345.6, "S", HOSTILE]]


@pytest.mark.parametrize(("text", "cleaned"), [("a\tb\r\n~\x7f", "a\tb\r\n~\x7f"), ("a\x00b\x1b", "a\ufffdb\ufffd"), ("é\ufffe", "é\ufffd")])
def test_what_xml_cannot_hold_is_replaced(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_results_json(tmp_path: Path, corpus: Corpus) -> None:
    write_all([record(corpus, *ALL)], tmp_path)
    data = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert data["schema"] == 1
    assert set(data) >= {"suite", "target", "started", "duration", "summary", "results"}
    assert set(data["suite"]) >= {"name", "version", "scenarios", "digest"}
    assert set(data["target"]) >= {"name", "host", "services", "greetings", "capabilities"}
    assert data["summary"] == dict.fromkeys(ALL, 1)
    wanted = {"id", "title", "service", "command", "requirements", "level", "verdict", "reason", "expected",
              "received", "duration", "transcript"}  # fmt: skip
    assert all(set(result) >= wanted for result in data["results"])
    assert data["results"][0]["transcript"][0] == [0.0, "C", "NOOP"]


def test_hostile_text_is_inert(tmp_path: Path, corpus: Corpus) -> None:
    write_all([record(corpus, *ALL, reason=HOSTILE, received=HOSTILE)], tmp_path)
    root = ElementTree.fromstring((tmp_path / "junit.xml").read_bytes())
    assert len(list(root.iter("testcase"))) == len(ALL)
    assert len(list(root.iter("failure"))) == 1 and len(list(root.iter("error"))) == 1
    assert len(list(root.iter("skipped"))) == 2
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<script" not in page and "&lt;script&gt;" in page and "<b>x</b>" not in page
    assert "\x00" not in page and "\x1b" not in page
    assert json.loads((tmp_path / "results.json").read_text("utf-8"))["results"][0]["received"] == HOSTILE


def test_one_suite_per_command(tmp_path: Path, corpus: Corpus) -> None:
    made = record(corpus, *["pass"] * len(corpus.scenarios))
    write_all([made], tmp_path)
    names = [suite.get("name") for suite in ElementTree.parse(tmp_path / "junit.xml").getroot().iter("testsuite")]
    assert len(names) == len(set(names)) == len({(one.service, one.command) for one in corpus.scenarios})


def test_several_targets_have_a_folder_each(tmp_path: Path, corpus: Corpus) -> None:
    write_all([record(corpus, "pass"), record(corpus, "fail")], tmp_path)
    assert len(list(tmp_path.glob("*/results.json"))) == 2


PASSWORD = "wonderland-7"


@pytest.mark.parametrize(
    "octets",
    [
        b"PASS wonderland-7",
        b"AUTH PLAIN " + base64.b64encode(b"\0alice\0wonderland-7"),
        b"AUTH PLAIN " + base64.b64encode(b"x\0alice\0wonderland-7"),
        b"AUTH PLAIN " + base64.b64encode(b"xy\0alice\0wonderland-7").rstrip(b"="),
        base64.b64encode(b"wonderland-7"),
        b"-ERR bad password 'wonderland-7' " + base64.b64encode(b"wonderland-7"),
    ],
)
def test_no_password(octets: bytes) -> None:
    transcript = Transcript(Redactor([PASSWORD]))
    transcript.add("C", octets + b"\r\n")
    text = next(iter(transcript.dialogue))[2]
    assert "[secret]" in text and PASSWORD not in text
    for word in text.replace("'", " ").split():
        try:
            assert PASSWORD.encode() not in base64.b64decode(word + "===")
        except ValueError:
            pass


def test_harmless_base64_stays() -> None:
    token = base64.b64encode(b"a challenge of the server").decode()
    assert Redactor([PASSWORD])(token) == token


def results(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"schema": 1, "results": [{"id": name, "verdict": verdict, "reason": ""} for name, verdict in pairs]}


@pytest.mark.parametrize(
    ("old", "new", "word", "worse"),
    [
        ("pass", "fail", "worse", True),
        ("pass", "deviation", "worse", True),
        ("pass", "inconclusive", "worse", True),
        ("fail", "pass", "better", False),
        ("pass", "not-applicable", "changed", False),
        ("not-applicable", "pass", "better", False),
        ("not-applicable", "fail", "worse", True),
    ],
)
def test_compare(old: str, new: str, word: str, worse: bool) -> None:
    lines, bad = compare(results(("a", old), ("same", "fail")), results(("a", new), ("same", "fail")))
    assert len(lines) == 1 and lines[0].startswith(word) and bad is worse


def test_compare_gone_and_new() -> None:
    lines, worse = compare(results(("a", "pass")), results(("b", "pass")))
    assert lines == ["gone   a: was pass", "new    b: pass"] and not worse
    assert compare(results(), results(("b", "fail")))[1]


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2, "results": []}', '{"schema": 1}', "\0"])
def test_a_broken_baseline(tmp_path: Path, text: str) -> None:
    path = tmp_path / "old.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=r"old\.json"):
        read_results(path)


def waive(made: Record, folder: Path, text: str) -> Record:
    path = folder / "waivers.toml"
    path.write_text(text, "utf-8")
    apply_waivers(made, path, datetime.date(2026, 6, 1))
    return made


def test_a_waiver_that_matches(tmp_path: Path, corpus: Corpus) -> None:
    made = record(corpus, "fail")
    text = f'[[waiver]]\nid = "{made.results[0]["id"]}"\nreason = "known"\nbug = "B-1"\nexpires = 2026-06-01\n'
    waive(made, tmp_path, text)
    assert made.results[0]["verdict"] == "waived" and not made.remarks
    assert made.results[0]["reason"] == "waived: known [B-1]; because"
    assert exit_status([made], "must") == 0


@pytest.mark.parametrize(
    ("verdict", "more", "remark"),
    [
        ("fail", "expires = 2026-05-31", "has expired"),
        ("fail", 'match = "otherwise"', "fails otherwise"),
        ("pass", "", "nothing fails there any more"),
    ],
)
def test_a_waiver_that_does_not(tmp_path: Path, corpus: Corpus, verdict: str, more: str, remark: str) -> None:
    made = record(corpus, verdict)
    waive(made, tmp_path, f'[[waiver]]\nid = "{made.results[0]["id"]}"\nreason = "known"\n{more}\n')
    assert made.results[0]["verdict"] == verdict and remark in made.remarks[0]
    assert any(remark in line for line in summary_lines(made, "must"))


@pytest.mark.parametrize(
    "text", ["x", '[[waiver]]\nid = "a"\n', '[[waiver]]\nid = "a"\nreason = "b"\nexpire = 1\n',
             '[[waiver]]\nid = "a"\nreason = "b"\nexpires = "soon"\n', "waiver = 5\n",
             'waivers = []\n', '[[waiver]]\nid = "a"\nreason = 5\n']
)  # fmt: skip
def test_a_broken_waiver_file(tmp_path: Path, corpus: Corpus, text: str) -> None:
    with pytest.raises(RecordError, match=r"waivers\.toml"):
        waive(record(corpus, "fail"), tmp_path, text)


@pytest.mark.parametrize(
    ("verdicts", "level", "status"),
    [(("pass",), "must", 0), (("fail", "inconclusive"), "must", 1), (("deviation",), "must", 0),
     (("deviation",), "should", 1), (("inconclusive", "pass"), "must", 3)],
)  # fmt: skip
def test_exit_status(corpus: Corpus, verdicts: tuple[str, ...], level: str, status: int) -> None:
    assert exit_status([record(corpus, *verdicts)], level) == status


def test_junit_counts_and_properties(tmp_path: Path, corpus: Corpus) -> None:
    made = record(corpus, *ALL)
    made.results[0]["notes"] = ["chose \x1b[1m250"]
    write_all([made], tmp_path)
    root = ElementTree.parse(tmp_path / "junit.xml").getroot()
    counts = {key: root.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": "1", "errors": "1", "skipped": "2"}
    suites = list(root.iter("testsuite"))
    assert sum(int(suite.get("failures", "")) for suite in suites) == 1 and all(suite.get("timestamp") for suite in suites)
    for case, result in zip(root.iter("testcase"), made.results):
        told = {one.get("name"): one.get("value") for one in case.iter("property")}
        assert told["requirement"] == " ".join(result["requirements"]) and told["level"] == result["level"]
        assert told["rfc"] == f"{result['document']} section {result['section']}" and told["title"] == result["title"]
        assert "NOOP" in (case.findtext("system-out") or "")
    assert all(one.get("message") for kind in ("failure", "error", "skipped") for one in root.iter(kind))


def test_the_page(tmp_path: Path, corpus: Corpus) -> None:
    made = record(corpus, "pass", "not-applicable", "deviation", "fail", reason="it said <b>no</b>")
    write_all([made], tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    order = [page.index(f"<span>{verdict}</span>") for verdict in ("fail", "deviation", "pass", "not-applicable")]
    assert order == sorted(order), "what is broken comes first"
    assert page.count("<mark>") == 2 and "<mark>&gt;    0.100 S 250 ok</mark>" in page
    assert "it said &lt;b&gt;no&lt;/b&gt;" in page and "<b>no" not in page
    for result in made.results:
        assert f"id='{result['id']}'" in page and f"href='#{result['id']}'" in page
    for verdict in ("all", "fail", "deviation", "pass", "not-applicable"):
        assert f"id=f-{verdict}" in page
    assert "default-src 'none'" in page and "http://" not in page and "https://" not in page and " src=" not in page


def test_many_that_were_never_played_are_one_line(corpus: Corpus) -> None:
    made = record(corpus, "inconclusive", "inconclusive", "inconclusive", reason="no connection")
    for result in made.results[:2]:
        result["transcript"] = []
    lines = [line for line in summary_lines(made, "must") if line.startswith("inconclusive")]
    assert lines == ["inconclusive  2 scenarios: no connection", f"inconclusive  {made.results[2]['id']}: no connection"]


def test_what_breaks_one_requirement_alike_is_told_together(corpus: Corpus) -> None:
    made = record(corpus, "fail", "fail", "fail", "fail")
    for result, requirement, reason in zip(made.results, ("x/1/a", "x/1/a", "x/1/a", "x/2/b"), ("one", "one", "two", "one")):
        result.update(requirements=[requirement], document="RFC 1", section=requirement[2], reason=reason)
    ids = [result["id"] for result in made.results]
    assert summary_lines(made, "must")[:-1] == [
        "fail          2 scenarios of RFC 1 section 1: one", f"              {ids[0]} {ids[1]}",
        f"fail          {ids[2]}: two", f"fail          {ids[3]}: one",
    ]  # fmt: skip
