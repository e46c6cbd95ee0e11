"""Reply alternatives and text patterns: ``250 | 251 ~ 5yz {size} octets...``."""

from __future__ import annotations

import re
from functools import lru_cache

from conformance.scenario.expression import ExpressionError, Template, closing_brace
from conformance.scenario.model import Alternative, Pattern

# The names that the player sets after every reply cannot be captured.
REPLY_NAMES = frozenset({"code", "text", "reply", "body", "raw", "elapsed"})
_TOKEN = re.compile(r"(?:[2-5](?:[0-9y])(?:[0-9z])|\+OK|-ERR|closed|silent|\+)(?![^\s|~])")
_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z")


@lru_cache(maxsize=2000)
def alternatives(source: str) -> tuple[tuple[Alternative, ...], tuple[Alternative, ...], str | None]:
    """(right, tolerated, text that follows or None) of what stands after ``S:``."""
    right: list[Alternative] = []
    tolerated: list[Alternative] = []
    into = right
    position = 0
    while True:
        while source[position : position + 1] == " ":
            position += 1
        match = _TOKEN.match(source, position)
        if not match:
            raise ExpressionError(f"{source[position:][:30]!r} is no reply (503, 5yz, +OK, -ERR, +, closed, silent)")
        into.append(Alternative(match.group()))
        position = match.end()
        rest = source[position:].lstrip(" ")
        if rest.startswith("|"):
            position = len(source) - len(rest) + 1
        elif rest.startswith("~"):
            if into is tolerated:
                raise ExpressionError("only one '~' may stand in a line")
            into = tolerated
            position = len(source) - len(rest) + 1
        else:
            break
    rest = source[position:]
    return tuple(right), tuple(tolerated), (rest[1:] if rest[1:].strip() else None)


def pattern(source: str, known: set[str]) -> tuple[Pattern, list[str]]:
    """A text pattern, and the names that it captures (in order). ``known``: names with a value."""
    parts: list[tuple[str, Template | str | None]] = []
    captured: list[str] = []
    literal: list[str] = []

    def flush() -> None:
        if literal:
            parts.append(("literal", Template("".join(literal).replace("{", "{{").replace("}", "}}"))))
            literal.clear()

    index = 0
    while index < len(source):
        if source.startswith("...", index):
            flush()
            parts.append(("any", None))
            index += 3
        elif source.startswith(("{{", "}}"), index):
            literal.append(source[index])
            index += 2
        elif source[index] == "{":
            end = closing_brace(source, index + 1)
            if end < 0:
                raise ExpressionError(f"unbalanced '{{' in {source!r}")
            inner = source[index + 1 : end].strip()
            flush()
            if _NAME.match(inner) and inner in REPLY_NAMES:
                raise ExpressionError(f"{inner!r} is always the last reply's: capture under another name")
            if _NAME.match(inner) and inner not in known and inner not in captured:
                captured.append(inner)
                parts.append(("capture", inner))
            else:
                parts.append(("literal", Template(source[index : end + 1])))
            index = end + 1
        elif source[index] == "}":
            raise ExpressionError(f"unbalanced '}}' in {source!r}")
        else:
            literal.append(source[index])
            index += 1
    flush()
    return Pattern(tuple(parts), source), captured
