"""Errors in scenario files: always a path, a line, what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ScenarioError(Exception):
    """One mistake in one place. ``line`` is 1-based."""

    path: Path
    line: int
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.path}:{self.line}: {self.message}"
        return f"{text} ({self.remedy})" if self.remedy else text


class ScenarioErrors(Exception):
    """All mistakes of a corpus, in the order of files and lines."""

    def __init__(self, errors: Sequence[ScenarioError]) -> None:
        self.errors = tuple(sorted(errors, key=lambda e: (str(e.path), e.line)))
        super().__init__("\n".join(str(error) for error in self.errors))
