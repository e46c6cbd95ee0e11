"""Where a scenario is played whose capability the target offers elsewhere only: on the port of mail submission, or inside TLS."""

from __future__ import annotations

import re
from dataclasses import replace

from conformance.scenario.infer import chain, flat
from conformance.scenario.model import Auth, Corpus, Open, Scenario, Send, Tls
from conformance.scenario.plan import Facts, not_applicable

_IN_TLS = {"tls": "ehlo", "authenticated": "authenticated", "auth-mail": "auth-mail", "auth-rcpt": "auth-rcpt", "auth-data": "auth-data"}
_STARTTLS = "plain: STARTTLS"
_LIFTED = {
    ("smtp", "ehlo"): "tls", ("smtp", "mail"): "tls-mail", ("smtp", "rcpt"): "tls-rcpt", ("smtp", "data"): "tls-data",
    ("pop3", "connected"): "tls",
}  # fmt: skip
_UPGRADES = ("STARTTLS", "STLS")


def placed(scenario: Scenario, corpus: Corpus, facts: Facts) -> Scenario:
    """The scenario, or the same one on ``submission`` or ``smtps`` if port smtp offers no AUTH and these do, or inside TLS.

    A server that takes mail from anywhere need not let anybody log in there; RFC 6409 section 4.3 has submission do so.
    Logins, and Exchange's verbs, are often offered inside TLS alone.
    """
    found = _on_service(scenario, corpus, facts)
    if not not_applicable(found, corpus, facts):
        return found
    lifted = _in_tls(found)
    return lifted if lifted and not not_applicable(lifted, corpus, facts) else found


def _in_tls(scenario: Scenario) -> Scenario | None:
    """The same scenario after STARTTLS or STLS; None if it is about the clear, or about TLS itself.

    A need of a phase (``plain: AUTH``) keeps a scenario where it is; so does ``clear`` in its name.
    """
    opening = _LIFTED.get((scenario.family, scenario.opening))
    offered = any(need[:1].isupper() for need in scenario.needs)
    kept = any(": " in need or need.startswith(("not ", *_UPGRADES)) for need in scenario.needs) or "clear" in re.split("[-/]", scenario.id)
    if not opening or not offered or kept or scenario.service in ("smtps", "pop3s"):
        return None
    for step in flat(scenario.steps):
        if isinstance(step, (Tls, Open)):
            return None
        if isinstance(step, Send) and any(one.template.constant.upper().startswith((b"STARTTLS", b"STLS")) for one in step.payloads):
            return None
    return replace(scenario, opening=opening)


def _on_service(scenario: Scenario, corpus: Corpus, facts: Facts) -> Scenario:
    unknown = "smtp" in facts.services and facts.offers.get(("smtp", "plain")) is None
    if scenario.service != "smtp" or unknown or _offers(facts, "smtp") or not _about_auth(scenario, corpus):
        return scenario
    for service in ("submission", "smtps"):
        if service in facts.services and _offers(facts, service):
            moved = _moved(scenario, service)
            if moved and not not_applicable(moved, corpus, facts):
                return moved
    return scenario


def _offers(facts: Facts, service: str) -> bool:
    return any("AUTH" in (facts.offers.get((service, phase)) or {}) for phase in ("plain", "tls"))


def _about_auth(scenario: Scenario, corpus: Corpus) -> bool:
    if any(need.startswith("service ") for need in scenario.needs):  # it compares ports
        return False
    words = [need.rpartition(": ")[2].split()[0] for need in scenario.needs if "not " not in need]
    wants = scenario.command.startswith("AUTH") and (scenario.extension == "AUTH" or "AUTH" in words)
    reached = bool(scenario.extension) and corpus.openings[scenario.family, scenario.opening].phase == "auth"
    return (wants or reached) and not _sends_first(scenario, corpus)


def _sends_first(scenario: Scenario, corpus: Corpus) -> bool:
    """Whether MAIL comes before any AUTH: submission may refuse that (RFC 6409 section 6.1)."""
    opening = corpus.openings[scenario.family, scenario.opening]
    before = tuple(step for one in chain(opening, corpus.openings) for step in one.steps)
    for step in flat(before + scenario.steps):
        if isinstance(step, Auth):
            return False
        if isinstance(step, Send):
            for payload in step.payloads:
                said = payload.template.constant.upper()
                if said.startswith((b"AUTH", b"MAIL")):
                    return said.startswith(b"MAIL")
    return False


def _moved(scenario: Scenario, service: str) -> Scenario | None:
    if service == "submission":
        return replace(scenario, service=service)
    if scenario.opening not in _IN_TLS:  # what is said of plaintext cannot be had there
        return None
    needs = tuple(need.removeprefix("tls: ") for need in scenario.needs if need != _STARTTLS)
    return replace(scenario, service=service, opening=_IN_TLS[scenario.opening], needs=needs)
