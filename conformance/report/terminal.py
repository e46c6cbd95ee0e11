"""The last lines on the terminal. Everything a server said is escaped before it comes here."""

from __future__ import annotations

from conformance.report.record import Record
from conformance.verdict.model import VERDICTS


def summary_lines(record: Record, level: str) -> list[str]:
    """Deviations and inconclusive results in a line each, remarks, counts."""
    lines = []
    for verdict in ("fail", "deviation", "inconclusive"):
        alike: dict[str, list[str]] = {}  # what kept many scenarios from being played is said once
        for result in record.results:
            if result["verdict"] == verdict:
                played = verdict != "inconclusive" or result["transcript"]
                alike.setdefault(result["id"] if played else result["reason"], []).append(f"{result['id']}: {result['reason']}")
        for reason, told in alike.items():
            lines.append(f"{verdict:13} " + (told[0] if len(told) == 1 else f"{len(told)} scenarios: {reason}"))
    lines += [f"note          {remark}" for remark in record.remarks]
    summary = record.summary
    counts = ", ".join(f"{summary[verdict]} {verdict}" for verdict in VERDICTS if summary[verdict])
    bad = summary["fail"] + (summary["deviation"] if level == "should" else 0)
    word = "not conformant" if bad else "nothing proven wrong" if summary["inconclusive"] else "conformant"
    lines.append(f"{word} at level {level.upper()}: {counts or 'nothing was played'}")
    return lines
