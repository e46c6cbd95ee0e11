"""Faults in X-EXPS and in AUTH NTLM, of the exchange profile."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks
from conformance.server.faults._tools import closes as _closes
from conformance.server.faults._tools import keeps_user as _keeps

_OK = b"235 2.7.0 authenticated\r\n"
_UNKNOWN = b"504 5.5.4 no such mechanism\r\n"
_BEGIN = b"334 VXNlcm5hbWU6\r\n"
BOTH = ("AUTH", "X-EXPS")


def _mechanism(s: Any) -> str:
    return s.exchange.mechanism if s.exchange else ""


def _reply(old: bytes, change: Callable[[Any, bytes], bytes], *verbs: str, mechanism: str = "") -> Hooks:
    """Replies to these verbs that begin with ``old`` are changed."""

    def reply(s: Any, octets: bytes, v: str) -> bytes:
        mine = v in (verbs or ("X-EXPS",)) and octets.startswith(old)
        return change(s, octets) if mine and mechanism in ("", _mechanism(s)) else octets

    return {"reply": reply}


def _code(old: bytes, new: bytes, *verbs: str, mechanism: str = "") -> Hooks:
    return _reply(old, lambda s, o: new + o[len(old) :] if len(new) < 8 else new, *verbs, mechanism=mechanism)


def _logs_in(s: Any, octets: bytes) -> bytes:
    s.user = "alice"
    return _OK


def _says(octets: bytes, when: Callable[[Any, bytes], bool], *verbs: str) -> Hooks:
    return {"instead": lambda s, v, rest: octets if v in (verbs or ("X-EXPS",)) and when(s, rest) else None}


def _stuck(old: bytes, *verbs: str, mechanism: str = "") -> Hooks:
    """After such a reply no exchange begins any more."""

    def mark(s: Any, octets: bytes) -> bytes:
        s.memory["stuck"] = True
        return octets

    stop = _says(b"503 5.5.1 no\r\n", lambda s, rest: "stuck" in s.memory, *(verbs or ("X-EXPS",)))
    return {**_reply(old, mark, *verbs, mechanism=mechanism), **stop}


def _challenge(change: Callable[[bytes], bytes], *verbs: str) -> Hooks:
    """NTLM's type 2 messages, decoded, are changed."""

    def reply(s: Any, octets: bytes) -> bytes:
        if not octets.startswith(b"334 TlRM"):
            return octets
        return b"334 " + base64.b64encode(change(base64.b64decode(octets[4:]))) + b"\r\n"

    return _reply(b"334 ", reply, *(verbs or BOTH))


def _listed(old: str, new: str) -> Hooks:
    """A line of the EHLO list is another; "" takes it out."""
    return {"capabilities": lambda s, words: [one for w in words if (one := new if w == old else w)]}


def _case(s: Any, line: bytes) -> bytes:
    return b"X-UNKNOWN" + line[6:] if line.startswith(b"x-exps") else line


def _replay() -> Hooks:
    """The answers to all challenges of a session are taken."""

    def reply(s: Any, octets: bytes, v: str) -> bytes:
        if v in BOTH and octets.startswith(b"334 TlRM"):
            s.memory["challenges"] = s.memory.get("challenges", 0) + 1
        old = s.memory.get("challenges", 0) > 1 and s.memory.get("cancelled")
        if v in BOTH and octets.startswith(b"501 5.7.0"):
            s.memory["cancelled"] = True
        return _logs_in(s, octets) if v in BOTH and old and octets.startswith(b"535") else octets

    return {"reply": reply}


def _idle(s: Any, rest: bytes) -> bool:
    return not s.user and s.greeted == "EHLO"


_EXPS, _LINE = "X-EXPS GSSAPI NTLM LOGIN", "X-EXPS=LOGIN"
_K = "kb812455/x-exps"
_N = "ms-smtpntlm"
_TABLE: tuple[tuple[str, str, str, Hooks], ...] = (
    ("exps-lists-nothing", f"{_K}/listed-mechanisms", "The X-EXPS line names no mechanism", _listed(_EXPS, "X-EXPS")),
    ("exps-line-alone", f"{_K}/compatibility-line", "X-EXPS=LOGIN stands beside X-EXPS without LOGIN",
     _listed(_EXPS, "X-EXPS GSSAPI NTLM")),
    ("exps-auth-line-alone", f"{_K}/compatibility-line", "AUTH=LOGIN stands beside AUTH without LOGIN",
     _listed("AUTH GSSAPI NTLM LOGIN", "AUTH GSSAPI NTLM")),
    ("exps-line-without-exps", f"{_K}/compatibility-line", "X-EXPS=LOGIN stands without X-EXPS", _listed(_EXPS, "")),
    ("exps-listed-twice", f"{_K}/listed-once", "X-EXPS is listed twice",
     {"capabilities": lambda s, words: [*words, *(w for w in words if w == _EXPS)]}),
    ("exps-login-unknown", f"{_K}/answers-mechanism", "LOGIN is listed and not known",
     _says(_UNKNOWN, lambda s, rest: _idle(s, rest) and rest.startswith(b"LOGIN"))),
    ("exps-ntlm-unknown", f"{_K}/answers-mechanism", "NTLM is listed and not known",
     _says(_UNKNOWN, lambda s, rest: _idle(s, rest) and rest.startswith(b"NTLM"))),
    ("exps-gssapi-unknown", f"{_K}/answers-mechanism", "GSSAPI is listed and not known",
     _says(_UNKNOWN, lambda s, rest: _idle(s, rest) and rest.startswith(b"GSSAPI"))),
    ("exps-case", f"{_K}/answers-mechanism", "x-exps in lower case is unknown", {"command": _case}),
    ("ntlm-lower-case", "rfc4954/4/mechanism-case", "ntlm in lower case is unknown",
     _says(_UNKNOWN, lambda s, rest: rest[:4] == b"ntlm", *BOTH)),
    ("login-lower-case", "rfc4954/4/mechanism-case", "login in lower case is unknown",
     _says(_UNKNOWN, lambda s, rest: rest[:5] == b"login", *BOTH)),
    ("exps-bare-334", f"{_K}/answers-mechanism", "334 comes without a space and a text",
     _reply(b"334 NTLM supported", lambda s, o: b"334\r\n")),
    ("exps-unknown-334", f"{_K}/unknown-mechanism", "An unknown mechanism is begun", _code(b"504", b"334")),
    ("exps-unknown-500", f"{_K}/unknown-mechanism", "An unknown mechanism gets 500", _code(b"504", b"500")),
    ("exps-unknown-closes", f"{_K}/unknown-mechanism", "An unknown mechanism ends the session", _reply(b"504", _closes)),
    ("exps-bare", f"{_K}/mechanism-needed", "X-EXPS alone begins LOGIN", _says(_BEGIN, lambda s, rest: not rest)),
    ("exps-refuses-login", f"{_K}/login", "LOGIN never succeeds", _code(b"235", b"535 5.7.8 no\r\n", mechanism="LOGIN")),
    ("exps-success-250", f"{_K}/login", "Success is 250", _code(b"235", b"250")),
    ("exps-prompt-clear", f"{_K}/login", "The name is asked for without base64",
     _code(_BEGIN, b"334 Username:\r\n")),
    ("exps-password-prompt-clear", f"{_K}/login", "The password is asked for without base64",
     _code(b"334 UGFzc3dvcmQ6\r\n", b"334 Password:\r\n")),
    ("exps-login-any", f"{_K}/wrong-credentials", "LOGIN takes any password", _reply(b"535", _logs_in, mechanism="LOGIN")),
    ("exps-gssapi-any", f"{_K}/wrong-credentials", "GSSAPI takes any token", _reply(b"5", _logs_in, mechanism="GSSAPI")),
    ("exps-wrong-550", f"{_K}/wrong-credentials", "Wrong credentials get 550", _code(b"535", b"550")),
    ("exps-wrong-closes", f"{_K}/wrong-credentials", "Wrong credentials end the session", _reply(b"535", _closes)),
    ("exps-wrong-blocks", f"{_K}/failure-leaves-no-trace", "After wrong credentials no exchange begins", _stuck(b"535")),
    ("exps-wrong-logs-in", f"{_K}/failure-leaves-no-trace", "Wrong credentials are refused and the session is authenticated",
     _reply(b"535", lambda s, o: _logs_in(s, o) and o)),
    ("exps-cancel-250", f"{_K}/cancel", "A cancelled exchange gets 250", _code(b"501 5.7.0", b"250")),
    ("exps-cancel-535", f"{_K}/cancel", "A cancelled exchange gets 535", _code(b"501 5.7.0", b"535")),
    ("exps-cancel-ignored", f"{_K}/cancel", "The asterisk is taken for an answer", _code(b"501 5.7.0", _BEGIN)),
    ("exps-cancel-closes", f"{_K}/cancel", "A cancelled exchange ends the session", _reply(b"501 5.7.0", _closes)),
    ("exps-cancel-blocks", f"{_K}/cancel", "A cancelled exchange was the last", _stuck(b"501 5.7.0")),
    ("exps-garbage-334", f"{_K}/garbage", "An answer that is not base64 is taken", _code(b"501 5.5.2", _BEGIN)),
    ("exps-garbage-235", f"{_K}/garbage", "An answer that is not base64 logs in", _reply(b"501 5.5.2", _logs_in)),
    ("exps-garbage-closes", f"{_K}/garbage", "An answer that is not base64 ends the session", _reply(b"501 5.5.2", _closes)),
    ("exps-garbage-silent", f"{_K}/garbage", "A token that is none gets no reply", _reply(b"501 5.5.2 not a", lambda s, o: b"")),
    ("exps-second", f"{_K}/second-authentication", "A second X-EXPS is begun", _says(_BEGIN, lambda s, rest: bool(s.user))),
    ("exps-second-auth", f"{_K}/second-authentication", "AUTH after X-EXPS is begun",
     _says(_BEGIN, lambda s, rest: bool(s.user), "AUTH")),
    ("exps-in-transaction", f"{_K}/in-transaction", "X-EXPS in a transaction is begun",
     {"states": lambda s, allowed, v: allowed | {"mail", "rcpt"} if v == "X-EXPS" else allowed}),
    ("exps-before-ehlo", f"{_K}/after-ehlo", "X-EXPS before EHLO is begun", _says(_BEGIN, lambda s, rest: s.greeted != "EHLO")),
    ("exps-tls-keeps", f"{_K}/forgotten-after-tls", "The user of X-EXPS is kept across STARTTLS", {"secured": _keeps}),
    ("exps-overlong-logs-in", f"{_K}/over-long", "An over-long token logs in", _reply(b"500 5.5.6", _logs_in)),
    ("exps-initial-ignored", f"{_K}/initial-response", "The token in the command is ignored",
     _says(b"334 NTLM supported\r\n", lambda s, rest: _idle(s, rest) and rest.startswith(b"NTLM "))),
    ("ntlm-no-text", f"{_N}/2.2.1/supported-reply", "AUTH NTLM gets 334 without a text",
     _reply(b"334 NTLM supported", lambda s, o: b"334 \r\n", "AUTH")),
    ("ntlm-needs-initial", f"{_N}/2.2.1/supported-reply", "AUTH NTLM without an initial response is refused",
     _says(b"501 5.5.4 no token\r\n", lambda s, rest: _idle(s, rest) and rest == b"NTLM", "AUTH")),
    ("ntlm-challenge-clear", f"{_N}/2.2.1/challenge-reply", "The type 2 message is not in base64",
     _code(b"334 TlRM", b"334 NTLMSSP challenge\r\n", *BOTH)),
    ("ntlm-challenge-signature", f"{_N}/2.2.1/challenge-reply", "The type 2 message has another signature",
     _challenge(lambda c: b"NTLMSSX" + c[7:])),
    ("ntlm-challenge-type", f"{_N}/2.2.1/challenge-reply", "The type 2 message says that it is of type 1",
     _challenge(lambda c: c[:8] + b"\x01" + c[9:])),
    ("ntlm-challenge-torn", f"{_N}/2.2.1/challenge-reply", "The type 2 message ends in its target information",
     _challenge(lambda c: c[:-6])),
    ("ntlm-challenge-zero", f"{_N}/2.2.1/challenge-reply", "The challenge is all zero",
     _challenge(lambda c: c[:24] + bytes(8) + c[32:])),
    ("ntlm-challenge-235", f"{_N}/2.2.1/challenge-reply", "A type 1 message logs in", _code(b"334 TlRM", _OK, *BOTH)),
    ("ntlm-challenge-constant", f"{_N}/3.2.5/challenge-fresh", "The challenge is the same every time",
     _challenge(lambda c: c[:24] + b"\x01\x23\x45\x67\x89\xab\xcd\xef" + c[32:])),
    ("ntlm-initial-ignored", f"{_N}/2.2.1/initial-response", "The initial response is ignored",
     _says(b"334 NTLM supported\r\n", lambda s, rest: _idle(s, rest) and rest.startswith(b"NTLM "), "AUTH")),
    ("ntlm-refuses", f"{_N}/2.2.1/success-reply", "The right credentials are refused",
     _code(b"235", b"535 5.7.8 no\r\n", *BOTH, mechanism="NTLM")),
    ("ntlm-success-250", f"{_N}/2.2.1/success-reply", "Success is 250", _code(b"235", b"250", *BOTH, mechanism="NTLM")),
    ("ntlm-any", f"{_N}/2.2.1/failure-reply", "Any response logs in", _reply(b"535", _logs_in, *BOTH, mechanism="NTLM")),
    ("ntlm-wrong-550", f"{_N}/2.2.1/failure-reply", "Wrong credentials get 550", _code(b"535", b"550", *BOTH, mechanism="NTLM")),
    ("ntlm-wrong-blocks", f"{_N}/3.2.5/begins-again", "After wrong credentials no exchange begins",
     _stuck(b"535", *BOTH, mechanism="NTLM")),
    ("ntlm-replay", f"{_N}/3.2.5/response-verified", "The answer to an old challenge logs in", _replay()),
    ("ntlm-unverified", f"{_N}/3.2.5/response-verified", "A type 3 message logs in whatever its response",
     _reply(b"535", _logs_in, *BOTH, mechanism="NTLM")),
    ("ntlm-cancel-535", f"{_N}/2.2.1/cancel-reply", "A cancelled exchange gets 535",
     _code(b"501 5.7.0", b"535", "AUTH", mechanism="NTLM")),
    ("ntlm-cancel-closes", f"{_N}/2.2.1/cancel-reply", "A cancelled exchange ends the session",
     _reply(b"501 5.7.0", _closes, *BOTH, mechanism="NTLM")),
    ("ntlm-garbage-closes", f"{_N}/3.2.5/garbage-refused", "A token that is not NTLM ends the session",
     _reply(b"501 5.5.2 not", _closes, *BOTH, mechanism="NTLM")),
    ("ntlm-garbage-silent", f"{_N}/3.2.5/garbage-refused", "A token that is not NTLM gets no reply",
     _reply(b"501 5.5.2 not", lambda s, o: b"", *BOTH, mechanism="NTLM")),
    ("ntlm-garbage-logs-in", f"{_N}/3.2.5/garbage-refused", "A token that is not NTLM logs in",
     _reply(b"501 5.5.2 not", _logs_in, *BOTH, mechanism="NTLM")),
    ("ntlm-unlisted", f"{_N}/2.2.1/ntlm-listed", "AUTH begins NTLM and does not list it",
     _listed("AUTH GSSAPI NTLM LOGIN", "AUTH GSSAPI LOGIN")),
    ("ntlm-unknown-500", f"{_N}/2.2.1/unsupported-reply", "An unknown mechanism gets 500", _code(b"504", b"500", "AUTH")),
    ("ntlm-second", "rfc4954/4/second-auth", "A second AUTH NTLM is begun",
     _says(b"334 NTLM supported\r\n", lambda s, rest: bool(s.user) and rest == b"NTLM", "AUTH")),
    ("ntlm-in-transaction", "rfc4954/4/not-in-transaction", "AUTH NTLM in a transaction is begun",
     {"states": lambda s, allowed, v: allowed | {"mail", "rcpt"} if v == "AUTH" else allowed}),
)  # fmt: skip
FAULTS = [Fault(name, requirement, summary, "smtp", hooks, profile="exchange") for name, requirement, summary, hooks in _TABLE]
FAULTS.append(Fault("exps-short-line", f"{_K}/long-token", "A token is limited to 512 octets", "smtp",
                    settings={"auth_line": 512}, profile="exchange"))  # fmt: skip
