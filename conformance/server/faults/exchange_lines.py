"""Faults of Exchange's EHLO lines and of what its verbs leave behind: LOGIN, X-LINK2STATE, TURN and the lines for old parsers."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import forgets_user as _forgets
from conformance.server.faults.exchange_auth import _OK, _code, _says
from conformance.server.faults.exchange_verbs import _reply, _resets

Hooks = dict[str, Callable[..., Any]]
_K = "kb812455"
_BOTH = ("AUTH", "X-EXPS")


def _parsed(verb: bytes) -> Hooks:
    """The line for old parsers is read as the verb and the mechanism."""
    return {"command": lambda s, line: line.replace(b"=", b" ", 1) if line.upper() == verb + b"=LOGIN" else line}


def _any_case(s: Any, line: bytes) -> bytes:
    """A password in whatever case is taken for the right one."""
    try:
        text = base64.b64decode(line, validate=True).decode().lower()
    except ValueError:
        return line
    found = [one for one in s.world.accounts.values() if one.lower() == text]
    return base64.b64encode(found[0].encode()) if found else line


def _ungreets(s: Any, octets: bytes) -> bytes:
    s.greeted = ""
    return octets


def _empty_closes(s: Any, line: bytes) -> bytes:
    if not line and s.exchange and s.exchange.mechanism == "GSSAPI":
        s.closing = True
    return line


_TABLE: tuple[tuple[str, str, str, Hooks], ...] = (
    ("exps-line-is-a-verb", f"{_K}/x-exps/compatibility-line-no-verb", "X-EXPS=LOGIN begins LOGIN", _parsed(b"X-EXPS")),
    ("auth-line-is-a-verb", f"{_K}/x-exps/compatibility-line-no-verb", "AUTH=LOGIN begins LOGIN", _parsed(b"AUTH")),
    ("exps-login-any-case", f"{_K}/x-exps/wrong-credentials", "LOGIN's password is compared without case", {"response": _any_case}),
    ("exps-login-name-alone", f"{_K}/x-exps/wrong-credentials", "LOGIN with the name in the command asks for no password",
     _says(_OK, lambda s, rest: not s.user and rest.startswith(b"LOGIN "), *_BOTH)),
    ("ntlm-garbage-550", "ms-smtpntlm/3.2.5/garbage-refused", "A token that is not NTLM gets 550",
     _code(b"501 5.5.2 not", b"550 5.5.2 not", *_BOTH, mechanism="NTLM")),
    ("gssapi-empty-closes", "rfc4752/3/bad-token-fails", "An empty token ends the session", {"response": _empty_closes}),
    ("link2state-resets", f"{_K}/x-link2state/changes-nothing", "A chunk ends the transaction", _reply("X-LINK2STATE", b"", _resets)),
    ("link2state-forgets", f"{_K}/x-link2state/changes-nothing", "A chunk ends the authentication",
     _reply("X-LINK2STATE", b"", _forgets)),
    ("link2state-case", f"{_K}/x-link2state/verb-case", "x-link2state in lower case is unknown",
     {"command": lambda s, line: b"X-UNKNOWN" if line.startswith(b"x-link2state") else line}),
    ("xexch50-case", f"{_K}/xexch50/verb-case", "xexch50 in lower case is unknown",
     {"command": lambda s, line: b"X-UNKNOWN" if line.startswith(b"xexch50") else line}),
    ("turn-forgets-ehlo", "rfc821/4.1.1/turn-refused-keeps-role", "After a refused TURN EHLO is missed",
     _reply("TURN", b"5", _ungreets)),
    ("turn-listed-unknown", "rfc5321/4.2.4/listed-keyword-works", "TURN is listed and unknown",
     _says(b"500 5.5.1 command not recognised\r\n", lambda s, rest: True, "TURN")),
)  # fmt: skip
FAULTS = [Fault(name, requirement, summary, "smtp", hooks, profile="exchange") for name, requirement, summary, hooks in _TABLE]
