"""The outcome of playing one scenario."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as _quoted

Entry = tuple[float, str, str]
VERDICTS = ("pass", "fail", "deviation", "not-applicable", "waived", "inconclusive")


@dataclass(frozen=True)
class Ambient:
    """A breach of a rule that holds in every exchange. ``check`` is one of ``model.AMBIENT``."""

    check: str
    reason: str
    evidence: str


def stamp(seconds: float, side: str) -> str:
    """How a line of a dialogue begins."""
    return f"{seconds:8.3f} {side} "


class Dialogue:
    """Entries (seconds since the play began, "C" | "S" | "-", text) in order, and read only. Text is escaped ASCII without
    secrets, so without line ends; "-" is a remark (connected, TLS on, closed).

    Kept as the text that people read, a line an entry: a run has a hundred thousand of them, and as tuples they take five
    times the room.
    """

    __slots__ = ("_text",)

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._text = "\n".join((stamp(seconds, side) + text).replace("\n", "\\n") for seconds, side, text in entries)

    @classmethod
    def of(cls, lines: Iterable[str]) -> Dialogue:
        """From what ``stamp`` begins, without line ends."""
        self = cls()
        self._text = "\n".join(lines)
        return self

    @property
    def lines(self) -> list[str]:
        """As people read them."""
        return self._text.split("\n") if self._text else []

    @property
    def json(self) -> str:
        """An array of the entries: a report has all of them, and to make each a list of its own first costs more than the rest."""
        return "[" + ", ".join([f'[{seconds}, "{side}", {_quoted(text)}]' for seconds, side, text in self._parts()]) + "]"

    def __iter__(self) -> Iterator[Entry]:
        return ((float(seconds), side, text) for seconds, side, text in self._parts())

    def _parts(self) -> Iterator[list[str]]:
        return (line.lstrip().split(" ", 2) for line in self.lines)

    def __len__(self) -> int:
        return self._text.count("\n") + 1 if self._text else 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dialogue) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass
class Outcome:
    """What came of one scenario. ``mark``: index of the offending entry of the transcript."""

    verdict: str
    reason: str = ""
    expected: str = ""
    received: str = ""
    line: int = 0  # of the scenario file, where it was decided
    transcript: Dialogue = field(default_factory=Dialogue)
    mark: int = -1
    notes: list[str] = field(default_factory=list)
    ambient: list[Ambient] = field(default_factory=list)
    duration: float = 0.0
    service: str = ""  # where it was played; "" if it was not
