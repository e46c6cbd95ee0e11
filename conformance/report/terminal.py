"""The last lines on the terminal. Everything a server said is escaped before it comes here."""

from __future__ import annotations

import textwrap

from conformance.report.record import Record, Result
from conformance.verdict.model import VERDICTS


def summary_lines(record: Record, level: str) -> list[str]:
    """What is broken or unproven, remarks, counts."""
    lines = [line for verdict in ("fail", "deviation", "inconclusive") for line in _told(record, verdict)]
    lines += [f"note          {remark}" for remark in record.remarks]
    summary = record.summary
    counts = ", ".join(f"{summary[verdict]} {verdict}" for verdict in VERDICTS if summary[verdict])
    bad = summary["fail"] + (summary["deviation"] if level == "should" else 0)
    word = "not conformant" if bad else "nothing proven wrong" if summary["inconclusive"] else "conformant"
    lines.append(f"{word} at level {level.upper()}: {counts or 'nothing was played'}")
    return lines


def _told(record: Record, verdict: str) -> list[str]:
    """A line each; scenarios that say the same of one requirement are told together, and what kept many from being played is said once."""
    alike: dict[tuple[str, str], list[Result]] = {}
    for result in record.results:
        if result["verdict"] == verdict:
            played = verdict != "inconclusive" or result["transcript"]
            alike.setdefault((result["requirements"][0] if played else "", result["reason"]), []).append(result)
    lines = []
    for (requirement, reason), results in alike.items():
        first = results[0]
        if len(results) == 1:
            lines.append(f"{verdict:13} {first['id']}: {reason}")
        elif not requirement:
            lines.append(f"{verdict:13} {len(results)} scenarios: {reason}")
        else:
            lines.append(f"{verdict:13} {len(results)} scenarios of {first['document']} section {first['section']}: {reason}")
            lines += textwrap.wrap(" ".join(one["id"] for one in results), 120, initial_indent=" " * 14, subsequent_indent=" " * 14,
                                   break_long_words=False, break_on_hyphens=False)  # fmt: skip
    return lines
