"""What a scenario needs and does to the target, inferred from what it uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from conformance.scenario.model import (
    Auth,
    Expect,
    ExpectLine,
    Fetch,
    Let,
    Open,
    Opening,
    Send,
    Simple,
    Step,
    Tls,
    When,
    family,
)
from conformance.scenario.names import BASE_NAMES


@dataclass(frozen=True)
class Inferred:
    needs: tuple[str, ...]
    effects: frozenset[str]
    names: frozenset[str]
    reads_mail: bool
    accounts: int


def chain(opening: Opening, openings: Mapping[tuple[str, str], Opening]) -> list[Opening]:
    """The opening and those that it builds on, first to last."""
    found = [opening]
    while found[0].after:
        found.insert(0, openings[found[0].family, found[0].after])
    return found


def flat(steps: tuple[Step, ...]) -> Iterator[Step]:
    """All steps, those of branches too."""
    for step in steps:
        yield step
        if isinstance(step, When):
            for _condition, branch in step.branches:
                yield from flat(branch)


def _opened(opening: Opening, openings: Mapping[tuple[str, str], Opening]) -> tuple[Step, ...]:
    """Every step of an opening and of those before it."""
    found = _OPENED.get(id(opening))
    if found is None or found[0] is not opening:
        steps = tuple(step for one in chain(opening, openings) for step in flat(one.steps))
        found = _OPENED[id(opening)] = (opening, steps)
    return found[1]


_OPENED: dict[int, tuple[Opening, tuple[Step, ...]]] = {}


def captures(steps: tuple[Step, ...]) -> set[str]:
    """Names that have a value after these steps."""
    found: set[str] = set()
    for step in flat(steps):
        patterns = []
        if isinstance(step, Expect):
            patterns = [p for p in (step.text, *(b.pattern for b in step.block)) if p]
        elif isinstance(step, ExpectLine) and step.pattern:
            patterns = [step.pattern]
        elif isinstance(step, Let):
            found.add(step.name)
        elif isinstance(step, Tls):
            found |= {"tls_version", "tls_cipher", "tls_names"}
        for pattern in patterns:
            found |= {str(part) for kind, part in pattern.parts if kind == "capture"}
    return found


def infer(
    steps: tuple[Step, ...], opening: Opening, openings: Mapping[tuple[str, str], Opening], kind: str,
    used: frozenset[str], mailbox: bool, declared: list[str], declared_effects: list[str],
) -> Inferred:  # fmt: skip
    """Declared needs and effects, completed."""
    needs = list(declared)
    effects = set(declared_effects)
    names = set(used)
    begun = [opening]
    for step in flat(steps):
        if isinstance(step, Open):
            other = openings.get((family(step.service) if step.service else kind, step.opening))
            begun += [other] if other else []
    before = [step for first in begun for step in _opened(first, openings)]
    for step in before:
        if isinstance(step, Send):
            names |= set().union(*(p.template.names for p in step.payloads))
    played = list(flat(steps))
    earlier = {id(step) for step in before}
    reads_mail = any(isinstance(step, Fetch) for step in played)
    tls = "STARTTLS" if kind != "pop3" else "STLS"
    accounts = 1 if mailbox else 0
    phase = opening.phase
    waited = 0.0
    data = opening.name.endswith("data")
    for step in before + played:
        if isinstance(step, Tls) and id(step) not in earlier and phase == "plain" and f"not {tls}" not in needs:
            needs.append(f"plain: {tls}")
        if isinstance(step, Tls) and step.certificate:
            needs.append("certificate")
        elif isinstance(step, Auth):
            names |= {"user", "password"}
            if not step.unlisted and step.verb == "AUTH" and id(step) not in earlier:
                listed = "AUTH" if kind != "pop3" else "SASL"
                needs.append(listed if step.mechanism == "any" else f"{listed} {step.mechanism.upper()}")
        elif isinstance(step, Simple):
            if step.kind == "login":
                names |= {"user", "password"}
            if step.kind in ("pause", "silent") and step.seconds:
                waited += step.seconds
        elif isinstance(step, Open) and step.service:
            needs.append(f"service {step.service}")
        elif isinstance(step, Send):
            for payload in step.payloads:
                constant = payload.template.constant
                if payload.kind.startswith("bdat") and "not CHUNKING" not in needs:
                    needs.append("CHUNKING")
                if payload.kind == "bdat-last" or (kind != "pop3" and payload.kind == "line" and constant == b"."):
                    effects.add("delivers")
                upper = constant.upper()
                if kind == "pop3" and upper.startswith(b"DELE"):
                    effects.add("deletes")
                data = data or upper.startswith(b"DATA")
                if data and b"\r\n.\r\n" in constant:
                    effects.add("delivers")
    if "tls" in opening.name and opening.phase == "tls":
        needs.append(f"plain: {tls}")
    if waited > 2:
        effects.add("slow")
    if reads_mail:
        needs.append("delivery")
        effects |= {"delivers"}
        names |= {"recipient", "token"}
        accounts = max(accounts, 1)
        if "second_recipient" in names:
            accounts = 2
    for name in sorted(names):
        need = BASE_NAMES.get(name, "")
        if need and not (name == "recipient" and reads_mail):
            needs.append(need)
    if any(name in names for name in ("user", "password", "address", "bearer")) or {"account", "certificate"} & set(needs):
        accounts = max(accounts, 1)
        if "account" not in needs:
            needs.append("account")
    if any(name in names for name in ("user2", "password2", "address2")):
        accounts = 2
    if mailbox:
        needs.append("account")
    return Inferred(tuple(dict.fromkeys(needs)), frozenset(effects), frozenset(names), reads_mail, accounts)
