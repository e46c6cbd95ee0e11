"""The outcome of playing one scenario."""

from __future__ import annotations

from dataclasses import dataclass, field

VERDICTS = ("pass", "fail", "deviation", "not-applicable", "waived", "inconclusive")


@dataclass(frozen=True)
class Ambient:
    """A breach of a rule that holds in every exchange. ``check`` is one of ``model.AMBIENT``."""

    check: str
    reason: str
    evidence: str


@dataclass
class Outcome:
    """What came of one scenario.

    ``transcript``: (seconds since the play began, "C" | "S" | "-", text) in order; text is escaped ASCII
    without secrets, "-" is a remark (connected, TLS on, closed). ``mark``: index of the offending entry.
    """

    verdict: str
    reason: str = ""
    expected: str = ""
    received: str = ""
    line: int = 0  # of the scenario file, where it was decided
    transcript: list[tuple[float, str, str]] = field(default_factory=list)
    mark: int = -1
    notes: list[str] = field(default_factory=list)
    ambient: list[Ambient] = field(default_factory=list)
    duration: float = 0.0
    service: str = ""  # where it was played; "" if it was not
