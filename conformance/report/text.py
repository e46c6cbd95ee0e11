"""One result in words, and text that XML can hold."""

from __future__ import annotations

import re

from conformance.report.record import Result

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLAIN = bytes([9, 10, 13, *range(32, 128)])
MARKED = ("fail", "deviation", "inconclusive", "waived")


def clean(text: str) -> str:
    """Text that XML can hold."""
    if text.isascii() and not text.encode().translate(None, _PLAIN):  # nearly all of it, and a report has megabytes
        return text
    return _NOT_XML.sub("�", text)


def dialogue(result: Result) -> list[str]:
    """The transcript, the offending line marked."""
    lines = ["  " + line for line in result["transcript"].lines]
    mark = result["mark"]
    if result["verdict"] in MARKED and 0 <= mark < len(lines):
        lines[mark] = ">" + lines[mark][1:]
    return lines


def explain(result: Result) -> str:
    """Requirement, expected, received, dialogue: what a user needs to mend a server."""
    parts = [f"{result['document']} section {result['section']} ({result['level']}): {result['statement']}"]
    parts.append(f"reason:   {result['reason']}")
    for key in ("expected", "received"):
        if result[key]:
            parts.append(f"{key}: {result[key]}")
    if result["transcript"]:
        parts += ["dialogue:", *dialogue(result)]
    return "\n".join(parts)
