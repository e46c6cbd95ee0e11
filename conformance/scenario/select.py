"""``--select``: by id, by glob, or by an expression over a scenario's words."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from conformance.scenario.model import Scenario

_WORD = re.compile(r"\s*(\(|\)|[^\s()]+)")


class SelectionError(ValueError):
    """An expression that cannot be read."""


def words(scenario: Scenario) -> set[str]:
    """What a scenario can be selected by: service, command, level, extension, effects, document."""
    found = {scenario.service, scenario.family, scenario.command, scenario.id.split("/")[0]}
    found |= {scenario.level.split()[0], scenario.level.replace(" ", "-"), *scenario.effects}
    found |= {requirement.id.split("/")[0] for requirement in scenario.requirements}
    if scenario.extension:
        found.add(scenario.extension)
    return {word.lower() for word in found}


def select(scenarios: Sequence[Scenario], expressions: Sequence[str]) -> list[Scenario]:
    """Scenarios that match any of the expressions; all of them if there are none.

    A term is an id, or a part of one if there is none that it is as a whole, a glob over ids (``smtp/rcpt/*``), a requirement (part), or one of
    ``words``; terms are joined with ``and``, ``or``, ``not`` and parentheses. Raises SelectionError.
    """
    if not expressions:
        return list(scenarios)
    whole = {name.lower() for one in scenarios for name in _names(one)}
    parsed = [_Parser(text, whole) for text in expressions]
    return [one for one in scenarios if any(parser.matches(one) for parser in parsed)]


def _names(scenario: Scenario) -> list[str]:
    return [scenario.id, *(requirement.id for requirement in scenario.requirements)]


class _Parser:
    def __init__(self, text: str, whole: Collection[str]) -> None:
        self.text = text
        self.whole = whole
        self.tokens = _WORD.findall(text)
        if not self.tokens:
            raise SelectionError("an empty selection")
        self.matches(None)

    def matches(self, scenario: Scenario | None) -> bool:
        self.index = 0
        self.scenario = scenario
        self.words = words(scenario) if scenario else set()
        result = self._or()
        if self.index != len(self.tokens):
            raise SelectionError(f"cannot read {self.text!r} at {self.tokens[self.index]!r}")
        return result

    def _peek(self) -> str:
        return self.tokens[self.index] if self.index < len(self.tokens) else ""

    def _or(self) -> bool:
        result = self._and()
        while self._peek() == "or":
            self.index += 1
            result = self._and() or result
        return result

    def _and(self) -> bool:
        result = self._not()
        while self._peek() == "and":
            self.index += 1
            result = self._not() and result
        return result

    def _not(self) -> bool:
        token = self._peek()
        self.index += 1
        if token == "not":
            return not self._not()
        if token == "(":
            result = self._or()
            if self._peek() != ")":
                raise SelectionError(f"a ')' is missing in {self.text!r}")
            self.index += 1
            return result
        if not token or token in ("and", "or", ")"):
            raise SelectionError(f"cannot read {self.text!r}")
        return self._term(token)

    def _term(self, token: str) -> bool:
        if self.scenario is None:
            return False
        if any(char in token for char in "*?["):
            return fnmatchcase(self.scenario.id, token)
        low = token.lower()
        if "/" in token:
            names = [name.lower() for name in _names(self.scenario)]
            return low in names if low in self.whole else any(low in name for name in names)
        return low in self.words or low in self.scenario.id.split("/")[-1]
