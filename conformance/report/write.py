"""Writes the reports of a run: results.json, junit.xml, report.html."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from conformance.report.junit import junit
from conformance.report.page import page
from conformance.report.record import Record


def write_all(records: Sequence[Record], folder: Path) -> list[Path]:
    """One set of files; with several targets a folder for each. Each file appears whole or not at all."""
    written = []
    for number, record in enumerate(records, 1):
        into = folder
        if len(records) > 1:
            slug = re.sub(r"[^a-z0-9]+", "-", str(record.target.get("name", "")).lower()).strip("-")
            into = folder / f"{number}-{slug or 'target'}"
        into.mkdir(parents=True, exist_ok=True)
        for name, make in (("results.json", _json), ("junit.xml", junit), ("report.html", page)):
            path = into / name
            temporary = path.with_suffix(path.suffix + ".part")
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(make(record))
            os.replace(temporary, path)
            written.append(path)
    return written


def _json(record: Record) -> Iterator[str]:
    """One result a line: easy to search, and json's fast encoder knows no indentation."""
    data = record.data()
    results = data.pop("results")
    yield json.dumps(data)[:-1] + ', "results": [\n'
    for number, result in enumerate(results):
        rest = json.dumps({key: value for key, value in result.items() if key != "transcript"})
        yield (",\n" if number else "") + rest[:-1] + f', "transcript": {result["transcript"].json}}}'
    yield "\n]}\n"
