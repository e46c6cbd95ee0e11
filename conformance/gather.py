"""From what the items told (in this process or in xdist's workers) to records and written reports."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Any

from conformance.report.record import Record, apply_ambient, apply_waivers, suite_of
from conformance.report.write import write_all
from conformance.scenario.model import Corpus
from conformance.target import Target, TargetError


def gather(
    corpus: Corpus, gathered: dict[tuple[int, str], dict[str, Any]], options: dict[str, Any], began: float, *, interrupted: bool
) -> list[Record]:
    """One record per target. Writes the reports if a folder was named. Raises RecordError, OSError."""
    scenarios = {one.id: one for one in corpus.scenarios}
    records: dict[int, Record] = {}
    started = datetime.datetime.fromtimestamp(began, datetime.UTC).isoformat(timespec="seconds")
    for (number, _name), payload in sorted(gathered.items()):
        record = records.setdefault(number, Record(payload["target"], started, suite=suite_of(corpus)))
        record.results.append(payload["result"])
        record.ambient += [tuple(one) for one in payload["ambient"]]
    for record in records.values():
        record.duration = time.time() - began
        record.interrupted = interrupted
        apply_ambient(record, scenarios)
        if options["waivers"]:
            _rewaive(record, Path(options["waivers"]))
    found = list(records.values())
    if options["report"]:
        write_all(found, Path(options["report"]))
    return found


def nothing_played(corpus: Corpus, options: dict[str, Any], began: float) -> list[Record]:
    """A record without results for each target. Writes the reports if a folder was named. Raises OSError."""
    started = datetime.datetime.fromtimestamp(began, datetime.UTC).isoformat(timespec="seconds")
    abouts = [_about(name) for name in options["target"]] or [{"name": "bundled reference server", "host": "", "services": {}}]
    found = [
        Record({**about, "greetings": {}, "capabilities": {}}, started, time.time() - began, suite=suite_of(corpus), interrupted=True)
        for about in abouts
    ]
    if options["report"]:
        write_all(found, Path(options["report"]))
    return found


def _about(name: str) -> dict[str, Any]:
    try:
        target = Target.parse(name)
    except TargetError:
        return {"name": name, "host": "", "services": {}}
    return {"name": target.name, "host": target.host, "services": {key: one.port for key, one in target.services.items()}}


def _rewaive(record: Record, path: Path) -> None:
    """The items waived what they saw; here the whole file is held against the whole run."""
    for result in record.results:
        if result["verdict"] == "waived":
            result["verdict"] = result["grade"] if result["grade"] != "pass" else "deviation"
            result["reason"] = result["reason"].partition("; ")[2]
    apply_waivers(record, path)
