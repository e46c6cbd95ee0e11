"""The record of a run: outcomes in one JSON-able shape, waivers and ambient findings applied, and the exit status."""

from __future__ import annotations

import datetime
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from conformance import __version__
from conformance.scenario.model import Corpus, Scenario
from conformance.verdict.model import VERDICTS, Outcome

Result = dict[str, Any]


class RecordError(Exception):
    """A waiver or baseline file that cannot be used."""


@dataclass
class Record:
    """Results of one target, in the shape of results.json (schema 1)."""

    target: dict[str, Any]
    started: str
    duration: float = 0.0
    results: list[Result] = field(default_factory=list)
    ambient: list[tuple[str, str, str, str]] = field(default_factory=list)  # check, reason, evidence, scenario
    remarks: list[str] = field(default_factory=list)  # waivers that rot
    suite: dict[str, Any] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def summary(self) -> dict[str, int]:
        counts = Counter(result["verdict"] for result in self.results)
        return {verdict: counts[verdict] for verdict in VERDICTS}

    def data(self) -> dict[str, Any]:
        return {
            "schema": 1, "suite": self.suite, "target": self.target, "started": self.started,
            "duration": round(self.duration, 3), "summary": self.summary, "results": self.results,
        }  # fmt: skip


def suite_of(corpus: Corpus) -> dict[str, Any]:
    return {
        "name": "mail-conformance", "version": __version__, "scenarios": len(corpus.scenarios), "digest": corpus.digest,
    }  # fmt: skip


def result_of(scenario: Scenario, outcome: Outcome) -> Result:
    """One entry of ``results``."""
    first = scenario.requirements[0]
    return {
        "id": scenario.id, "title": scenario.title, "service": outcome.service or scenario.service, "command": scenario.command,
        "requirements": [one.id for one in scenario.requirements], "level": first.level,
        "verdict": outcome.verdict, "reason": outcome.reason, "expected": outcome.expected,
        "received": outcome.received, "duration": round(outcome.duration, 4),
        "transcript": outcome.transcript, "mark": outcome.mark, "line": outcome.line,
        "notes": list(outcome.notes), "section": first.section, "document": first.document, "statement": first.text,
        "grade": first.grade,
    }  # fmt: skip


def apply_ambient(record: Record, scenarios: Mapping[str, Scenario]) -> None:
    """A breach that any session showed is told once, by the scenario that carries the check."""
    for result in record.results:
        scenario = scenarios.get(result["id"])
        if scenario is None or not scenario.ambient or result["verdict"] == "fail":
            continue
        found = [
            one for one in record.ambient
            if one[0] == scenario.ambient and one[3] in scenarios and scenarios[one[3]].family == scenario.family
        ]  # fmt: skip
        if found:
            _check, reason, evidence, where = found[0]
            more = f"; {len(found)} times in all" if len(found) > 1 else ""
            result["verdict"] = scenario.requirements[0].grade
            result["reason"] = f"{reason} (in {where}{more})"
            result["received"] = evidence


def read_waivers(path: Path) -> list[dict[str, Any]]:
    """``[[waiver]]`` with id (glob), reason, and perhaps expires, bug, match. Raises RecordError."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror} (name a file of [[waiver]] tables)") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: not TOML: {error}") from None
    waivers = data.get("waiver", [])
    if not isinstance(waivers, list) or not all(isinstance(one, dict) for one in waivers) or set(data) - {"waiver"}:
        raise RecordError(f"{path}: only [[waiver]] tables belong here")
    for number, waiver in enumerate(waivers, 1):
        unknown = set(waiver) - {"id", "reason", "expires", "bug", "match"}
        if unknown or not waiver.get("id") or not waiver.get("reason"):
            what = f"unknown key {sorted(unknown)[0]!r}" if unknown else "id and reason are needed"
            raise RecordError(f"{path}: waiver {number}: {what}")
        for key in ("id", "reason", "bug", "match"):
            if not isinstance(waiver.get(key, ""), str):
                raise RecordError(f"{path}: waiver {number}: {key} is a text")
        expires = waiver.get("expires")
        if isinstance(expires, datetime.datetime):
            waiver["expires"] = expires.date()
        elif expires is not None and not isinstance(expires, datetime.date):
            raise RecordError(f"{path}: waiver {number}: expires is a date like 2027-01-31")
    return waivers


def apply_waivers(record: Record, path: Path, today: datetime.date | None = None) -> None:
    """Excuses what the file at ``path`` lists. Raises RecordError."""
    for waiver in read_waivers(path):
        _apply(record, waiver, today)


def excuses(waivers: Sequence[Mapping[str, Any]], result: Result) -> bool:
    """Whether one of the waivers, as ``read_waivers`` gives them, excuses this result; it is changed accordingly."""
    if result["verdict"] not in ("fail", "deviation"):
        return False
    record = Record({}, "", results=[result])  # what it remarks is for the whole run to say
    for waiver in waivers:
        _apply(record, waiver)
    return bool(result["verdict"] == "waived")


def _apply(record: Record, waiver: Mapping[str, Any], today: datetime.date | None = None) -> None:
    name, expires = waiver["id"], waiver.get("expires")
    candidates = [r for r in record.results if fnmatchcase(r["id"], name)]
    broken = [r for r in candidates if r["verdict"] in ("fail", "deviation")]
    pinned = [r for r in broken if waiver.get("match", "") in r["reason"] + " " + r["received"]]
    if expires is not None and expires < (today or datetime.date.today()):
        record.remarks.append(f"the waiver for {name} has expired")
    elif not pinned:
        why = "it fails otherwise than the waiver says" if broken else "nothing fails there any more"
        record.remarks.append(f"the waiver for {name} matches nothing: {why if candidates else 'no such scenario ran'}")
    else:
        for result in pinned:
            bug = f" [{waiver['bug']}]" if waiver.get("bug") else ""
            result["verdict"] = "waived"
            result["reason"] = f"waived: {waiver['reason']}{bug}; {result['reason']}"


def exit_status(records: Sequence[Record], level: str) -> int:
    """DESIGN's exit status of ``run``."""
    if any(record.interrupted for record in records):
        return 130
    counts = {verdict: sum(record.summary[verdict] for record in records) for verdict in VERDICTS}
    if counts["fail"] or (level == "should" and counts["deviation"]):
        return 1
    return 3 if counts["inconclusive"] else 0
