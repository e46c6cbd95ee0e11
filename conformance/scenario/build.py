"""From the mapping of one scenario file to Scenario values: keys, cases, defaults, inference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from conformance.scenario.delivered import delivered_steps
from conformance.scenario.dialogue import Reader, Scope, dead_ends
from conformance.scenario.errors import ScenarioError
from conformance.scenario.expression import ExpressionError, Template
from conformance.scenario.infer import infer
from conformance.scenario.model import (
    AMBIENT,
    EFFECTS,
    SERVICES,
    Opening,
    Requirement,
    Scenario,
    Seed,
    Step,
    family,
)
from conformance.scenario.names import BASE_NAMES
from conformance.scenario.source import Listing, Table, Text, Tree

FILE_KEYS = ("command", "service", "extension", "needs", "effects", "let", "scenarios")
SCENARIO_KEYS = (
    "title", "requirement", "service", "given", "needs", "effects", "let", "cases", "mailbox", "exchange",
    "delivered", "ambient",
)  # fmt: skip
CASE_OVERRIDES = ("requirement", "title", "given", "needs", "effects")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_SUBMIT = {"mail": "auth-mail", "rcpt": "auth-rcpt", "data": "auth-data"}


class Builder:
    """Builds the scenarios of one folder; mistakes are appended to ``errors``."""

    def __init__(
        self, root: Path, requirements: Mapping[str, Requirement],
        openings: Mapping[tuple[str, str], Opening], seeds: Mapping[str, Seed], errors: list[ScenarioError],
    ) -> None:  # fmt: skip
        self.root = root
        self.requirements = requirements
        self.openings = openings
        self.seeds = seeds
        self.errors = errors
        self._prefixes: dict[Path, str] = {}

    def _error(self, path: Path, line: int, message: str, remedy: str = "") -> None:
        self.errors.append(ScenarioError(path, line, message, remedy))

    def _keys(self, path: Path, table: Table, allowed: tuple[str, ...]) -> None:
        from conformance.scenario.loader import keys

        keys(path, table, allowed, self.errors)

    def _prefix(self, path: Path) -> str:
        if path not in self._prefixes:
            self._prefixes[path] = "/".join((*path.relative_to(self.root).with_suffix("").parts, ""))
        return self._prefixes[path]

    def unique(self, scenarios: list[Scenario]) -> None:
        seen: dict[str, Scenario] = {}
        for scenario in scenarios:
            first = seen.setdefault(scenario.id, scenario)
            if first is not scenario:
                remedy = f"it stands first at {first.path.name}:{first.line}; rename one"
                self._error(scenario.path, scenario.line, f"duplicate id {scenario.id!r}", remedy)

    def file(self, path: Path, tree: Table) -> list[Scenario]:
        self._keys(path, tree, FILE_KEYS)
        for key in ("command", "service", "scenarios"):
            if tree.get(key) is None:
                self._error(path, tree.line, f"{key!r} is missing", "see scenarios/README.md")
        scenarios = tree.get("scenarios")
        if not isinstance(scenarios, Table):
            return []
        found: list[Scenario] = []
        for slug, line, value in scenarios:
            if not _SLUG.match(slug):
                self._error(path, line, f"{slug!r} is no slug", "lower-case letters, digits and single hyphens")
            if not isinstance(value, Table):
                self._error(path, line, f"{slug!r} is not a mapping", "give it title, requirement, exchange")
                continue
            self._keys(path, value, SCENARIO_KEYS)
            cases = value.get("cases")
            if cases is None:
                found += self._scenario(path, tree, slug, line, value, "", None)
            elif not isinstance(cases, Table) or not cases.entries:
                self._error(path, line, "cases is not a mapping of mappings", "case-slug: {name: text}")
            else:
                for case, case_line, table in cases:
                    if not _SLUG.match(case) or not isinstance(table, Table):
                        self._error(path, case_line, f"case {case!r}", "case-slug: {name: text}")
                        continue
                    found += self._scenario(path, tree, f"{slug}-{case}", line, value, case, table)
        return found

    def _scenario(
        self, path: Path, file: Table, slug: str, line: int, value: Table, case: str, table: Table | None
    ) -> list[Scenario]:
        def pick(key: str) -> Tree | None:
            override = table.get(key) if table and key in CASE_OVERRIDES else None
            return override if override is not None else value.get(key)

        title, exchange = pick("title"), value.get("exchange")
        for key, tree in (("title", title), ("exchange", exchange)):
            if not isinstance(tree, Text) or (key == "title" and not tree.value):
                self._error(path, line, f"{slug}: {key!r} is missing", "see scenarios/README.md")
        requirements = self._required(path, line, slug, pick("requirement"))
        service = _value(value.get("service")) or _value(file.get("service"))
        if service not in SERVICES:
            self._error(path, line, f"there is no service {service!r}", f"one of {', '.join(SERVICES)}")
            return []
        if not isinstance(exchange, Text) or not isinstance(title, Text) or not requirements:
            return []
        given = _value(pick("given")) or "connected"
        if service in ("submission", "smtps"):
            given = _SUBMIT.get(given, given)
        kind = family(service)
        opening = self.openings.get((kind, given))
        if opening is None:
            names = sorted(name for other, name in self.openings if other == kind)
            self._error(path, line, f"there is no opening {given!r}", f"one of {', '.join(names)}")
            return []
        let = self._let(path, line, file.get("let"), value.get("let"), table, case)
        known = set(BASE_NAMES) | set(let) | self._captured(opening)
        scope = Scope(known)
        for template in let.values():
            scope.used |= template.names
        texts = {} if table is None else {k: v.value for k, _l, v in table if isinstance(v, Text)}
        before = len(self.errors)
        steps = Reader(path, exchange.value, exchange.line, scope, self.errors, texts).read()
        steps += self._delivered(path, value, scope)
        for where, why in dead_ends(steps):
            self._error(path, where, why, "remove it, or mend what stands before")
        if not steps and len(self.errors) == before:
            self._error(path, line, f"{slug}: the exchange is empty", "write at least one S: line")
        needs = self._list(path, file.get("needs")) + self._list(path, value.get("needs"))
        if table and table.get("needs"):
            needs += self._list(path, table.get("needs"))
        extension = _value(file.get("extension"))
        if extension and f"not {extension}" not in needs:
            needs.append(extension)
        effects = self._list(path, file.get("effects")) + self._list(path, pick("effects"))
        for effect in effects:
            if effect not in EFFECTS:
                self._error(path, line, f"there is no effect {effect!r}", f"one of {', '.join(EFFECTS)}")
        mailbox = self._mailbox(path, line, value.get("mailbox"))
        ambient = _value(value.get("ambient"))
        if ambient and ambient not in AMBIENT:
            self._error(path, line, f"there is no ambient check {ambient!r}", f"one of {', '.join(AMBIENT)}")
        if len(self.errors) != before:
            return []
        inferred = infer(steps, opening, self.openings, kind, frozenset(scope.used), value.get("mailbox") is not None, needs, effects)
        return [
            Scenario(
                id=self._prefix(path) + slug,
                title=_fill(title.value, texts), command=_value(file.get("command")), service=service,
                requirements=requirements, opening=given, steps=steps, path=path, line=line,
                needs=inferred.needs, effects=inferred.effects, extension=extension, let=let, case=case,
                mailbox=mailbox, seeded=value.get("mailbox") is not None, ambient=ambient, names=inferred.names, reads_mail=inferred.reads_mail,
                accounts=inferred.accounts, source=exchange.value,
            )
        ]  # fmt: skip

    def _captured(self, opening: Opening) -> set[str]:
        from conformance.scenario.infer import captures, chain

        return set().union(*(captures(one.steps) for one in chain(opening, self.openings)))

    def _delivered(self, path: Path, value: Table, scope: Scope) -> tuple[Step, ...]:
        tree = value.get("delivered")
        if tree is None:
            return ()
        try:
            return delivered_steps(tree, scope)
        except ExpressionError as error:
            self._error(path, tree.line, f"delivered: {error}")
            return ()

    def _required(self, path: Path, line: int, slug: str, tree: Tree | None) -> tuple[Requirement, ...]:
        names = self._list(path, tree)
        if not names:
            self._error(path, line, f"{slug}: 'requirement' is missing", "cite rfcNNNN/section/slug")
        found: list[Requirement] = []
        for name in names:
            if name in self.requirements:
                found.append(self.requirements[name])
            else:
                import difflib

                near = difflib.get_close_matches(name, self.requirements, 1, 0.7)
                remedy = f"did you mean {near[0]!r}?" if near else "add it to scenarios/requirements/"
                self._error(path, tree.line if tree else line, f"unknown requirement {name!r}", remedy)
        return tuple(found)

    def _let(
        self, path: Path, line: int, file: Tree | None, own: Tree | None, table: Table | None, case: str
    ) -> dict[str, Template]:
        found: dict[str, Template] = {}
        for source in (file, own, table):
            if source is None:
                continue
            if not isinstance(source, Table):
                self._error(path, source.line, "let is not a mapping", "name: text")
                continue
            for name, where, tree in source:
                if source is table and name in CASE_OVERRIDES:
                    continue
                if not isinstance(tree, Text) or not re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", name):
                    self._error(path, where, f"{name!r} is not name: text", "letters, digits, underscores")
                    continue
                try:
                    found[name] = Template(tree.value, escapes=True)
                except ExpressionError as error:
                    self._error(path, where, f"{name}: {error}")
        if case:
            found["case"] = Template(case)
        return found

    def _mailbox(self, path: Path, line: int, tree: Tree | None) -> tuple[str, ...]:
        found: list[str] = []
        for entry in self._list(path, tree):
            name, star, times = entry.partition("*")
            if name not in self.seeds or (star and not times.isdigit()):
                remedy = "one of " + ", ".join(sorted(self.seeds))
                self._error(path, tree.line if tree else line, f"there is no seed {entry!r}", remedy)
            else:
                found += [name] * (int(times) if star else 1)
        return tuple(found)

    def _list(self, path: Path, tree: Tree | None) -> list[str]:
        if tree is None:
            return []
        if isinstance(tree, Text):
            return [tree.value] if tree.value else []
        if isinstance(tree, Listing) and all(isinstance(item, Text) for item in tree.items):
            return [item.value for item in tree.items if isinstance(item, Text)]
        self._error(path, tree.line, "a text or a list of texts is wanted here")
        return []


def _value(tree: Tree | None) -> str:
    return tree.value if isinstance(tree, Text) else ""


def _fill(title: str, texts: Mapping[str, str]) -> str:
    """A title may name what differs between its cases."""
    for key, text in texts.items():
        title = title.replace("{" + key + "}", text)
    return title
