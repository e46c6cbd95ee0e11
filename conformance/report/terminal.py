"""The last lines on the terminal. Everything a server said is escaped before it comes here."""

from __future__ import annotations

from conformance.report.record import Record
from conformance.verdict.model import VERDICTS


def summary_lines(record: Record, level: str) -> list[str]:
    """Deviations and inconclusive results in a line each, remarks, counts."""
    lines = []
    for verdict in ("fail", "deviation", "inconclusive"):
        for result in record.results:
            if result["verdict"] == verdict:
                lines.append(f"{verdict:13} {result['id']}: {result['reason']}")
    lines += [f"note          {remark}" for remark in record.remarks]
    summary = record.summary
    counts = ", ".join(f"{summary[verdict]} {verdict}" for verdict in VERDICTS if summary[verdict])
    bad = summary["fail"] + (summary["deviation"] if level == "should" else 0)
    word = "not conformant" if bad else "nothing proven wrong" if summary["inconclusive"] else "conformant"
    lines.append(f"{word} at level {level.upper()}: {counts or 'nothing was played'}")
    return lines
