"""Faults around what a message is tracked by and when it is to come (RFC 3885, RFC 2852), and in the second EHLO list of a provider."""

from __future__ import annotations

from typing import Any

from conformance.server.base import Fault


def _lost(parameter: str, mark: str) -> Any:
    """Messages whose MAIL had this parameter, with the mark in its value, are taken and thrown away."""
    return {"content": lambda s, octets, sent: None if mark in str(s.mail.parameters.get(parameter, "")) else octets}


def _listed_once(s: Any, words: list[str]) -> list[str]:
    s.memory["ehlos"] = s.memory.get("ehlos", 0) + 1
    return [word for word in words if word != "ATRN" or s.memory["ehlos"] == 1]


FAULTS = [
    Fault("deliverby-notify-lost", "rfc2852/4.1.1/delivered", "A message in mode N is thrown away", "smtp", _lost("BY", ";N")),
    Fault("deliverby-return-lost", "rfc2852/4.1.1/delivered", "A message in mode R is thrown away", "smtp", _lost("BY", ";R")),
    Fault("mtrk-lost", "rfc3885/3.1/certifier", "A message with a certifier is thrown away", "smtp", _lost("MTRK", "A")),
    Fault("mtrk-seconds-lost", "rfc3885/3.1/certifier", "A message whose tracking is limited is thrown away", "smtp", _lost("MTRK", ":")),
    Fault("atrn-listed-once", "rfc2645/5.1.1/offers-auth-and-atrn", "The second EHLO does not list ATRN", "odmr",
          {"capabilities": _listed_once}),
]  # fmt: skip
