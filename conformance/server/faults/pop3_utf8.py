"""Faults of UTF-8 mode and languages (RFC 6856)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import capabilities as _capa
from conformance.server.faults._tools import reply as _reply
from conformance.server.faults.pop3_sessions import own

_Hooks = dict[str, Callable[..., Any]]


def _pop(name: str, requirement: str, summary: str, hooks: _Hooks) -> Fault:
    return Fault(name, "rfc6856/" + requirement, summary, "pop3", {hook: own(hook, run) for hook, run in hooks.items()})


def _without(word: str) -> _Hooks:
    return _capa(lambda s, w: [x for x in w if x.split()[0] != word])


def _after_login_without(word: str) -> _Hooks:
    return _capa(lambda s, w: [x for x in w if x.split()[0] != word or not s.box])


def _instead(verb: str, answer: bytes, rest: bytes | None = None) -> _Hooks:
    return {"instead": lambda s, v, r: answer if v == verb and (rest is None or r == rest) else None}


def _bad_name(session: Any, verb: str, rest: bytes) -> bytes | None:
    """What is odd is cut off a name."""
    if verb != "USER" or rest.isascii():
        return None
    session.name = re.sub(rb"[\x80-\xff]", b"", rest).decode()
    return b"+OK\r\n"


def _malformed_is_any(session: Any, verb: str, rest: bytes) -> bytes | None:
    """A name that cannot be decoded stands for the first account."""
    try:
        rest.decode("utf-8")
    except UnicodeDecodeError:
        session.name = session.memory["odd"] = "alice"
        return b"+OK\r\n" if verb == "USER" else None
    if verb == "PASS" and session.memory.pop("odd", None):
        session.name = None
        session._open("alice")
        return b""
    return None


def _lang_of_user(session: Any, verb: str, rest: bytes) -> bytes | None:
    """The preferred language is that of the name in USER, be it verified or not."""
    if verb == "USER" and rest:
        session.memory["hinted"] = True
    elif verb == "LANG" and rest == b"*" and session.memory.get("hinted") and not session.box:
        return b"+OK de Texte\r\n"
    return None


def _german_after_failure(session: Any, octets: bytes, verb: str) -> bytes:
    if verb == "LANG" and octets.startswith(b"-ERR"):
        session.language = "de"
    return octets


FAULTS = [
    _pop("pop3-utf8-not-kept", "2/utf8-announced-is-kept", "UTF8 is listed but not known", _instead("UTF8", b"-ERR no such command\r\n")),
    _pop("pop3-utf8-not-listed", "2/utf8-kept-is-announced", "UTF8 is accepted but not listed", _without("UTF8")),
    _pop("pop3-utf8-before-login-only", "2/utf8-both-states", "UTF8 is listed before the login only", _after_login_without("UTF8")),
    _pop("pop3-utf8-argument", "2/utf8-capability-argument", "UTF8 is listed with an argument of its own", _capa(lambda s, w: ["UTF8 YES" if x.startswith("UTF8") else x for x in w])),
    _pop("pop3-utf8-in-transaction", "2/utf8-authorization-only", "UTF8 is accepted after the login", {"states": lambda s, row, v: {"authorization", "transaction"} if v == "UTF8" else row}),
    _pop("pop3-utf8-parameter", "2.1/utf8-no-parameters", "UTF8 ignores a parameter", {"command": lambda s, line: b"UTF8" if line.startswith(b"UTF8 ") else line}),
    _pop("pop3-utf8-encodes-ascii", "2.1/ascii-maildrop-unaffected", "in UTF-8 mode a line is put after every message", {"octets": lambda s, o: o + b"(converted to UTF-8)\r\n" if s.utf8 else o}),
    _pop("pop3-utf8-user-ascii-only", "2.2/user-means-utf8-credentials", "a name in UTF-8 ends the session", {"instead": lambda s, v, r: (setattr(s, "closing", True), b"")[1] if v == "USER" and not r.isascii() else None}),  # type: ignore[func-returns-value]
    _pop("pop3-utf8-name-trimmed", "2.2/prohibited-characters-refused", "prohibited characters are cut off a name", {"instead": _bad_name}),
    _pop("pop3-utf8-malformed-name", "2.2/malformed-utf8-refused", "a name that is not UTF-8 stands for the first account", {"instead": _malformed_is_any}),
    _pop("pop3-lang-not-kept", "3.1/lang-announced-is-kept", "LANG is listed but not known", _instead("LANG", b"-ERR no such command\r\n")),
    _pop("pop3-lang-not-listed", "3.1/lang-kept-is-announced", "LANG is accepted but not listed", _without("LANG")),
    _pop("pop3-lang-before-login-only", "3.1/lang-both-states", "LANG is listed before the login only", _after_login_without("LANG")),
    _pop("pop3-lang-argument", "3.1/lang-no-argument", "LANG is listed with an argument", _capa(lambda s, w: ["LANG en" if x == "LANG" else x for x in w])),
    _pop("pop3-lang-no-tag", "3.2/lang-selected-tag", "the answer to LANG does not begin with the tag", _reply("LANG", lambda o: b"+OK language set\r\n" if o.startswith((b"+OK en ", b"+OK de ")) else o)),
    _pop("pop3-lang-other-tag", "3.2/lang-matches-range", "LANG selects another language than was asked for", {"command": lambda s, line: b"LANG de" if line.upper().startswith(b"LANG EN") else line}),
    _pop("pop3-lang-takes-any", "3.2/lang-failure", "a language that is not there is answered positively", {"instead": lambda s, v, r: b"+OK en instead\r\n" if v == "LANG" and r.startswith(b"qaa") else None}),
    _pop("pop3-lang-failure-changes", "3.2/lang-failure-keeps-language", "a refused LANG changes the language", {"reply": _german_after_failure}),
    _pop("pop3-lang-no-star", "3.2/lang-star", "LANG with an asterisk is refused", _instead("LANG", b"-ERR no such language\r\n", b"*")),
    _pop("pop3-lang-list-one-line", "3.2/lang-list-multi-line", "the languages are listed in one line", _reply("LANG", lambda o: b"+OK languages follow\r\nen, de\r\n.\r\n" if o.startswith(b"+OK languages") else o)),
    _pop("pop3-lang-lists-more", "3.2/lang-listed-is-selectable", "a language is listed that cannot be selected", _reply("LANG", lambda o: o[:-3] + b"fr Fran\xc3\xa7ais\r\n.\r\n" if o.startswith(b"+OK languages") else o)),
    _pop("pop3-lang-latin-1", "3.2/lang-text-is-utf8", "texts after LANG are Latin-1", {"reply": lambda s, o, v: o[:-2] + b" \xfcberall\r\n" if v in ("LANG", "XYZZ") and b"follow" not in o else o}),
    _pop("pop3-lang-reveals-user", "7/lang-star-reveals-nothing", "the preferred language is that of an unverified name", {"instead": _lang_of_user}),
]  # fmt: skip
