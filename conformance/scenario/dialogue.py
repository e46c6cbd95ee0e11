"""From the text of an ``exchange`` to steps. Line numbers in errors are those of the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from conformance.scenario import directive
from conformance.scenario.errors import ScenarioError
from conformance.scenario.expression import ExpressionError, Template
from conformance.scenario.model import (
    MAIN,
    Conclude,
    Condition,
    Expect,
    ExpectLine,
    PatternLine,
    Payload,
    Send,
    Simple,
    Step,
    When,
)
from conformance.scenario.pattern import alternatives, pattern

_LINE = re.compile(
    r"(?P<form>C|S|BDAT LAST|BDAT)(?:@(?P<name>[A-Za-z][A-Za-z0-9_-]*))?(?P<sigil>[:=?|*!])(?P<rest>.*)\Z", re.S
)
_KINDS = {"C:": "line", "C=": "octets", "BDAT:": "bdat", "BDAT LAST:": "bdat-last"}
_CASE_TEXT = ("auth", "open", "tls", "split", "silent", "receive")  # directives that a case's texts may fill in
_REMEDY = "a line begins with C: C= S: S? S| S* S! BDAT: -- or //"


@dataclass
class Scope:
    """What is known while reading: variables with a value, connections that are open."""

    known: set[str]
    connections: set[str] = field(default_factory=lambda: {MAIN})
    turned: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)

    def use(self, names: frozenset[str], functions: frozenset[str] = frozenset()) -> None:
        unknown = sorted(names - self.known)
        if unknown:
            raise ExpressionError(f"unknown variable {unknown[0]!r}")
        self.used |= names

    def fork(self) -> Scope:
        return Scope(set(self.known), set(self.connections), set(self.turned), self.used)


class Reader:
    """Reads one exchange. Errors go into ``errors``; reading goes on at the next line."""

    def __init__(
        self, path: Path, text: str, line: int, scope: Scope, errors: list[ScenarioError],
        substitutions: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.path = path
        self.lines = text.split("\n")
        self.first = line
        self.scope = scope
        self.errors = errors
        self.substitutions = substitutions or {}
        self.index = 0

    def read(self) -> tuple[Step, ...]:
        steps = self._block(self.scope, closers=())
        if self.index < len(self.lines):  # stopped at an `-- end` that nothing opened
            self._error("`-- end` or `-- otherwise` without a `-- when`", "remove it")
            self.index += 1
            steps += self.read()
        return tuple(steps)

    def _error(self, message: str, remedy: str = "", index: int | None = None) -> None:
        where = self.first + (self.index if index is None else index)
        self.errors.append(ScenarioError(self.path, where, message, remedy))

    def _fill(self, text: str) -> str:
        for key, value in self.substitutions.items():
            text = text.replace("{" + key + "}", value)
        return text

    def _block(self, scope: Scope, closers: tuple[str, ...]) -> list[Step]:
        steps: list[Step] = []
        split = 0
        segment = False
        while self.index < len(self.lines):
            source = self.lines[self.index]
            line = self.first + self.index
            stripped = source.strip()
            if not stripped or stripped.startswith("//"):
                self.index += 1
                continue
            word = stripped[2:].strip().split(" ", 1)[0] if stripped.startswith("--") else ""
            if word in ("end", "otherwise"):
                return steps
            if word in _CASE_TEXT:
                stripped = self._fill(stripped)
            try:
                if word == "when":
                    steps.append(self._when(scope, line, stripped))
                    continue
                if word == "segment":
                    segment = True
                elif word == "split":
                    split = directive.natural(stripped[2:].split()[1:])
                elif stripped.startswith("--"):
                    steps.extend(directive.read(stripped[2:].strip(), line, stripped, scope))
                else:
                    previous = len(steps)
                    self._dialogue(steps, scope, source.lstrip(" "), line, split, segment)
                    if len(steps) > previous or segment:
                        split, segment = 0, False
            except ExpressionError as error:
                self._error(str(error))
            self.index += 1
        return steps

    def _when(self, scope: Scope, line: int, source: str) -> When:
        branches: list[tuple[Condition | None, tuple[Step, ...]]] = []
        scopes: list[Scope] = []
        opened = self.index
        connection = MAIN
        while True:
            stripped = self.lines[self.index].strip()
            text = stripped[2:].strip()
            text = text.removeprefix("otherwise").strip()
            text = self._fill(text) if text.startswith("when {") else text
            condition: Condition | None = None
            try:
                if text:
                    if not text.startswith("when"):
                        raise ExpressionError("`-- otherwise` takes nothing but `when COND`")
                    condition, connection = directive.condition(text[4:].strip(), scope)
            except ExpressionError as error:
                self._error(str(error))
                condition = Condition()
            self.index += 1
            branch = scope.fork()
            scopes.append(branch)
            branches.append((condition, tuple(self._block(branch, closers=("end",)))))
            if self.index >= len(self.lines):
                self._error("`-- when` without `-- end`", "close it with `-- end`", index=opened)
                break
            if self.lines[self.index].strip()[2:].strip() == "end":
                self.index += 1
                break
            if condition is None:
                self._error("a branch after the last `-- otherwise` is never reached", "remove it")
        if branches[-1][0] is None:  # whatever happens, one branch was played
            scope.known |= set.intersection(*(branch.known for branch in scopes))
        for (_condition, steps), branch in zip(branches, scopes):
            scope.connections |= branch.connections
            if not (steps and _concludes(steps[-1])):
                scope.turned |= branch.turned
        return When(line, source, connection, tuple(branches))

    def _dialogue(
        self, steps: list[Step], scope: Scope, source: str, line: int, split: int, segment: bool
    ) -> None:
        match = _LINE.match(source)
        if not match:
            raise ExpressionError(f"cannot read {source.strip()[:50]!r}: {_REMEDY}")
        form, sigil, rest = match["form"], match["sigil"], match["rest"]
        name = match["name"] or MAIN
        if name not in scope.connections:
            raise ExpressionError(f"connection {name!r} is not open (open it with `-- open {name}`)")
        if form + sigil in _KINDS:
            escapes = form + sigil != "C:"
            template = Template(rest[1:] if rest.startswith(" ") else rest, escapes=escapes)
            scope.use(template.names, template.functions)
            payload = Payload(_KINDS[form + sigil], template, line)  # type: ignore[arg-type]
            last = steps[-1] if steps else None
            if isinstance(last, Send) and last.connection == name and not split:
                gap = (Payload("segment", Template(""), line),) if segment else ()
                steps[-1] = replace(last, payloads=(*last.payloads, *gap, payload))
            else:
                steps.append(Send(line, source, name, (payload,), split))
        elif form == "S" and sigil in ":?":
            steps.append(self._expect(scope, name, sigil == "?", rest.strip(" "), line, source))
        elif form == "S" and sigil in "|*!":
            self._attach(steps, scope, name, sigil, rest[1:] if rest.startswith(" ") else rest, line)
        else:
            raise ExpressionError(f"cannot read {source.strip()[:50]!r}: {_REMEDY}")

    def _expect(
        self, scope: Scope, name: str, premise: bool, rest: str, line: int, source: str
    ) -> Expect | ExpectLine:
        if name in scope.turned:
            found, captured = pattern(rest, scope.known)
            self._bind(scope, found.parts, captured)
            return ExpectLine(line, source, name, found, premise)
        for key, value in self.substitutions.items():  # a case may say which reply is right
            if rest.startswith("{" + key + "}"):
                rest, source = (text.replace("{" + key + "}", value) for text in (rest, source))
        right, tolerated, text = alternatives(rest)
        text_pattern = None
        if text is not None:
            text_pattern, captured = pattern(text, scope.known)
            self._bind(scope, text_pattern.parts, captured)
        return Expect(line, source, name, right, tolerated, text_pattern, (), premise)

    def _attach(
        self, steps: list[Step], scope: Scope, name: str, sigil: str, rest: str, line: int
    ) -> None:
        last = steps[-1] if steps else None
        if not isinstance(last, Expect) or last.connection != name:
            raise ExpressionError(f"`S{sigil}` must follow the `S:` of its reply")
        found, captured = pattern(rest, scope.known)
        if captured and sigil == "!":
            raise ExpressionError("`S!` cannot capture")
        self._bind(scope, found.parts, captured)
        block = PatternLine(sigil, found, sigil == "|" and rest == "...", line)  # type: ignore[arg-type]
        steps[-1] = replace(last, block=(*last.block, block))

    @staticmethod
    def _bind(scope: Scope, parts: tuple[tuple[str, Template | str | None], ...], captured: list[str]) -> None:
        scope.known |= set(captured)
        for _kind, part in parts:
            if isinstance(part, Template):
                scope.use(part.names, part.functions)


def _concludes(step: Step) -> bool:
    """Whether the scenario ends here, whatever came."""
    return isinstance(step, Conclude) and step.verdict != "note" and step.condition == Condition()


def dead_ends(steps: tuple[Step, ...]) -> list[tuple[int, str]]:
    """(line, why) of steps that can never be played: after an end of the scenario or of a connection."""
    found: list[tuple[int, str]] = []
    _walk(steps, set(), {}, found)
    return found


def _walk(
    steps: tuple[Step, ...], closed: set[str], last: dict[str, Expect | None], found: list[tuple[int, str]]
) -> None:
    from conformance.scenario.model import Open

    ended = False
    for step in steps:
        if ended:
            found.append((step.line, "this step is never reached: the scenario ends before it"))
            return
        if isinstance(step, Open):
            closed.discard(step.name)
        elif step.connection in closed and isinstance(step, (Send, Expect, ExpectLine)):
            found.append((step.line, f"this step is never reached: {step.connection!r} is closed before it"))
            return
        if isinstance(step, Simple) and step.kind in ("closed", "disconnect", "abort"):
            closed.add(step.connection)
        elif isinstance(step, Expect):
            last[step.connection] = step
            if all(a.token == "closed" for a in step.right + step.tolerated):
                closed.add(step.connection)
        elif _concludes(step):
            ended = True
        elif isinstance(step, When):
            for condition, branch in step.branches:
                expect = last.get(step.connection)
                if condition and condition.alternatives and expect and not _possible(condition, expect):
                    found.append((step.line, "this branch is never reached: no such reply is expected before it"))
                _walk(branch, set(closed), dict(last), found)
            if any(_replies(branch) for _condition, branch in step.branches):
                last[step.connection] = None
        elif not isinstance(step, (Send, Conclude)) and type(step).__name__ in ("Auth", "Simple", "Tls", "Fetch"):
            last[step.connection] = None


def _replies(steps: tuple[Step, ...]) -> bool:
    return any(isinstance(step, (Expect, When)) or type(step).__name__ == "Auth" for step in steps)


def _possible(condition: Condition, expect: Expect) -> bool:
    def overlap(a: str, b: str) -> bool:
        if len(a) != len(b):
            return False
        return all(x == y or x in "yz" or y in "yz" for x, y in zip(a, b))

    tokens = [a.token for a in expect.right + expect.tolerated]
    return any(overlap(a.token, token) for a in condition.alternatives for token in tokens)
