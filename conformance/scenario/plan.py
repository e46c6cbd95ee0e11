"""Does a scenario apply to this target? If not, the missing thing is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.scenario.model import Corpus, Open, Scenario, family

# Where every accepted message is lost, these tell it; the other deliveries cannot be judged.
_NOT_LOST = ("rfc5321/4.2.5/2yz-delivers", "rfc5321/6.1/not-lost", "rfc5321/2.1/accept-responsibility")
_HELD = {"held_address": "recipient", "held_domain": "domain"}  # where mail may be held: an account's odmr_domain, else these
Keywords = Mapping[str, tuple[str, ...]]


@dataclass
class Facts:
    """What probing and the target file told.

    ``offers``: (service, phase) → keyword → parameters; None or absent where the phase was not reached.
    ``withheld``: service → the AUTH mechanisms that it lists in the clear and refuses there for want of encryption.
    ``delivery``: "" if mail sent by SMTP arrives in a mailbox that POP3 reads, else why not.
    """

    services: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    accounts: int = 0
    odmr_domains: int = 0  # accounts with a domain whose mail is held for them
    delivery: str = ""
    lost: bool = False  # the probe's message was accepted and never arrived
    unreadable: str = ""  # it is there, but RETR does not give it: what that said instead
    ca: bool = False
    bearers: int = 0  # accounts with an OAuth token
    certificates: int = 0  # accounts with a client certificate
    seedable: bool = False
    offers: dict[tuple[str, str], Keywords | None] = field(default_factory=dict)
    withheld: dict[str, frozenset[str]] = field(default_factory=dict)

    def usable(self, service: str, listed: Keywords) -> dict[str, tuple[str, ...]]:
        """A list from before TLS without what is refused there."""
        withheld = self.withheld.get(service)
        found = dict(listed)
        if withheld and "AUTH" in found:
            found["AUTH"] = tuple(word for word in found["AUTH"] if word.upper() not in withheld)
            if not found["AUTH"]:
                del found["AUTH"]
        return found


def unsafe(scenario: Scenario) -> str:
    """Why ``--safe`` leaves a scenario out; "" if it has no side effects."""
    effects = sorted(scenario.effects)
    if scenario.seeded:
        effects.append("replaces the mailbox's content")
    return "has side effects: " + ", ".join(effects) if effects else ""


def not_applicable(scenario: Scenario, corpus: Corpus, facts: Facts) -> str:
    """"" if the scenario applies, else what the target lacks."""
    if scenario.service not in facts.services:
        return f"the target file names no {scenario.service} service"
    opening = corpus.openings[scenario.family, scenario.opening]
    phase = opening.phase
    for reached in _phases(scenario, corpus):
        if facts.offers.get((scenario.service, reached)) is None:
            plain = facts.offers.get((scenario.service, "plain"))
            if plain is not None:
                what = {"tls": "TLS on a plaintext connection", "auth": "a login with the target file's accounts"}
                return f"{what[reached]} could not be had on {scenario.service}"
    for step in scenario.steps:
        if isinstance(step, Open) and (family(step.service or scenario.service), step.opening) not in corpus.openings:
            return f"no opening {step.opening!r} for {step.service or scenario.service}"
    for need in scenario.needs:
        missing = _missing(need, scenario, phase, facts)
        if missing:
            return missing
    if scenario.seeded:
        if not facts.accounts:
            return "the target file has no account"
        if scenario.mailbox and not facts.seedable:
            return "no way to put messages into a mailbox: neither SMTP that delivers, nor a seed command"
    return ""


def _phases(scenario: Scenario, corpus: Corpus) -> list[str]:
    """The phases that the opening goes through, plaintext left out: ``tls-transaction`` needs both TLS and a login."""
    found: list[str] = []
    name: str | None = scenario.opening
    while name:
        opening = corpus.openings[scenario.family, name]
        if opening.phase != "plain":
            found.append(opening.phase)
        name = opening.after
    return found


def _missing(need: str, scenario: Scenario, phase: str, facts: Facts) -> str:
    head, colon, rest = need.partition(": ")
    if colon and head in ("plain", "tls", "auth"):
        return _missing(rest, scenario, head, facts)
    if need.startswith("service "):
        service = need.split()[1]
        return "" if service in facts.services else f"the target file names no {service} service"
    if need == "account":
        return "" if facts.accounts else "the target file has no account"
    if need.startswith("accounts "):
        wanted = int(need.split()[1])
        return "" if facts.accounts >= wanted else f"the target file has {facts.accounts} of {wanted} accounts"
    if need.startswith("odmr_domain"):
        wanted = int(need.partition(" ")[2] or 1)
        return "" if facts.odmr_domains >= wanted else f"{facts.odmr_domains} of {wanted} accounts have an odmr_domain"
    if need in _HELD:
        key = _HELD[need]
        known = facts.odmr_domains or key in facts.names
        return "" if known else f"the target file has neither an account with an odmr_domain nor a [mail] {key}"
    if need == "delivery":
        told = facts.lost and scenario.requirements[0].id in _NOT_LOST
        return "" if told else facts.delivery
    if need == "ca":
        return "" if facts.ca else "the target file has no [tls] ca"
    if need == "bearer":
        return "" if facts.bearers else "the target file has no account with a bearer token"
    if need == "certificate":
        return "" if facts.certificates else "the target file has no account with a client certificate"
    if need == "profile exchange":
        shown = facts.offers.get((scenario.service, "plain")) or {}
        exchange = any(word.startswith(("X-EXPS", "X-LINK2STATE", "XEXCH50")) for word in shown)
        return "" if exchange else "the target shows none of Exchange's verbs"
    if need[:1].islower() and not need.startswith("not "):
        return "" if need in facts.names else f"the target file has no [mail] {need}"
    negative = need.startswith("not ")
    words = need.removeprefix("not ").split()
    offered = facts.offers.get((scenario.service, phase))
    if offered is None:
        return f"what {scenario.service} offers could not be learnt ({phase})"
    listed = _listed(words, offered)
    where = {"plain": "", "tls": " after TLS", "auth": " after AUTH"}[phase]
    if listed and negative:
        return f"the target offers {' '.join(words)}{where}"
    if not listed and not negative:
        return f"the target does not offer {' '.join(words)}{where}"
    if listed and not negative and phase == "plain" and not _listed(words, facts.usable(scenario.service, offered)):
        return f"the target lists {' '.join(words)} in the clear, and refuses it there for want of encryption"
    return ""


def _listed(words: list[str], offered: Keywords) -> bool:
    return words[0] in offered and {word.upper() for word in words[1:]} <= {word.upper() for word in offered[words[0]]}
