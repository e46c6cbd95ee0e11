"""The ``--`` lines of an exchange, one function per directive, in a table."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from conformance.protocol.customer import ANSWERS, FORMS
from conformance.scenario.expression import Expression, ExpressionError, Template
from conformance.scenario.model import (
    MAIN,
    SERVICES,
    Auth,
    Check,
    Conclude,
    Condition,
    Fetch,
    Let,
    Open,
    Receive,
    Simple,
    Step,
    Tls,
)
from conformance.scenario.pattern import REPLY_NAMES, alternatives

if TYPE_CHECKING:
    from conformance.scenario.dialogue import Scope

VERDICTS = ("fail", "deviation", "inconclusive", "not-applicable", "pass", "note")
_PLAIN = ("alive", "closed", "silent", "command-mode", "data-mode", "disconnect", "abort", "half-close", "pause", "turn",
          "login")  # fmt: skip
_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z")
_OPTION = re.compile(r"(?:^|(?<=\s))([a-z]+)=(?!=)")

Handler = Callable[["Scope", str, int, str, str], list[Step]]


def natural(words: list[str]) -> int:
    """One whole number above 0, or ExpressionError."""
    if len(words) != 1 or not words[0].isdigit() or int(words[0]) < 1:
        raise ExpressionError("one whole number above 0 is wanted here")
    return int(words[0])


def condition(text: str, scope: Scope) -> tuple[Condition, str]:
    """``354 | 5yz`` or ``(EXPR)``, perhaps after ``@NAME``; and the connection it speaks of."""
    connection = MAIN
    if text.startswith("@"):
        connection, _, text = text[1:].partition(" ")
        text = text.strip()
    if text.startswith("("):
        expression = Expression(text)
        scope.use(expression.names, expression.functions)
        return Condition(expression=expression), connection
    right, tolerated, rest = alternatives(text)
    if tolerated or rest is not None:
        raise ExpressionError("a condition is reply alternatives (354 | 5yz) or an expression in parentheses")
    return Condition(alternatives=right), connection


def read(text: str, line: int, source: str, scope: Scope) -> list[Step]:
    """The steps of one directive. Raises ExpressionError."""
    connection = MAIN
    if text.startswith("@"):
        connection, _, text = text[1:].partition(" ")
        text = text.strip()
        if connection not in scope.connections:
            raise ExpressionError(f"connection {connection!r} is not open (open it with `-- open {connection}`)")
    match = re.match(r"[a-z-]+", text)
    word = match.group() if match else text.split(" ")[0]
    rest = text[len(word) :].strip()
    if word in VERDICTS:
        return [_conclude(scope, word, rest, line, source, connection)]
    if word in _PLAIN:
        return [_simple(scope, word, rest, line, source, connection)]
    handler = _HANDLERS.get(word)
    if handler is None:
        raise ExpressionError(f"there is no directive `-- {word}` (see scenarios/README.md)")
    return handler(scope, rest, line, source, connection)


def _conclude(scope: Scope, word: str, rest: str, line: int, source: str, connection: str) -> Conclude:
    found = Condition()
    if rest.startswith("when"):
        head, colon, reason = _at_colon(rest[4:].strip())
        found, other = condition(head.strip(), scope)
        connection = other if other != MAIN else connection
    else:
        colon, reason = rest[:1], rest[1:]
    if colon != ":" or (not reason.strip() and word != "pass"):
        raise ExpressionError(f"`-- {word}` needs a reason after a colon")
    template = Template(reason.strip())
    scope.use(template.names, template.functions)
    return Conclude(line, source, connection, word, found, template)


def _at_colon(text: str) -> tuple[str, str, str]:
    """Splits at the first colon outside quotes and parentheses."""
    depth, quoted, index = 0, False, 0
    while index < len(text):
        char = text[index]
        if quoted and char == "\\":
            index += 1
        elif char == '"':
            quoted = not quoted
        elif not quoted and char in "()":
            depth += 1 if char == "(" else -1
        elif not quoted and depth == 0 and char == ":":
            return text[:index], ":", text[index + 1 :]
        index += 1
    return text, "", ""


def _simple(scope: Scope, word: str, rest: str, line: int, source: str, connection: str) -> Simple:
    seconds: float | None = None
    if rest:
        if word not in ("silent", "pause") or not re.fullmatch(r"\d+(\.\d+)?", rest):
            raise ExpressionError(f"`-- {word}` cannot take {rest!r}")
        seconds = float(rest)
    elif word == "pause":
        raise ExpressionError("`-- pause` needs seconds")
    if word == "turn":
        scope.turned.add(connection)
    if word == "login":
        scope.use(frozenset({"user", "password"}))
    return Simple(line, source, connection, word, seconds)


def _expression(scope: Scope, text: str) -> Expression:
    found = Expression(text)
    scope.use(found.names, found.functions)
    return found


def _check(kind: str) -> Handler:
    def handler(scope: Scope, rest: str, line: int, source: str, connection: str) -> list[Step]:
        return [Check(line, source, connection, kind, _expression(scope, rest))]  # type: ignore[arg-type]

    return handler


def _let(scope: Scope, rest: str, line: int, source: str, connection: str) -> list[Step]:
    name, equals, text = rest.partition("=")
    name = name.strip()
    if not equals or not _NAME.match(name):
        raise ExpressionError("`-- let` is written `-- let name = EXPR`")
    if name in REPLY_NAMES:
        raise ExpressionError(f"{name!r} is always the last reply's: choose another name")
    expression = _expression(scope, text)
    scope.known.add(name)
    return [Let(line, source, connection, name, expression)]


def _options(rest: str, allowed: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """Bare words and ``key=value``; a value, perhaps an expression, goes on to the next key or flag."""
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', lambda match: "\0" * len(match.group()), rest)
    starts = list(_OPTION.finditer(outside))
    words = rest[: starts[0].start()].split() if starts else rest.split()
    options: dict[str, str] = {}
    for index, match in enumerate(starts):
        if match[1] not in allowed:
            raise ExpressionError(f"there is no option {match[1]!r} here (only {', '.join(allowed)})")
        end = starts[index + 1].start() if index + 1 < len(starts) else len(rest)
        value = rest[match.end() : end].strip()
        for flag in ("unlisted", "verify", "refused", "certificate", "premise"):
            if value.endswith(" " + flag):
                value = value[: -len(flag)].strip()
                words.append(flag)
        options[match[1]] = value
    return words, options


def _tls(scope: Scope, rest: str, line: int, source: str, connection: str) -> list[Step]:
    words, options = _options(rest, ("version",))
    version = options.get("version", "")
    if version not in ("", "1.0", "1.1", "1.2", "1.3"):
        raise ExpressionError("version is one of 1.0 1.1 1.2 1.3")
    or_closed = words[:2] == ["or", "closed"] or "or-closed" in words
    words = [word for word in words if word not in ("or-closed", "or", "closed")]
    if set(words) - {"verify", "refused", "certificate"}:
        raise ExpressionError(f"`-- tls` cannot take {' '.join(words)!r}")
    scope.known |= {"tls_version", "tls_cipher", "tls_names"}
    if "certificate" in words:
        scope.use(frozenset({"user"}))
    return [
        Tls(line, source, connection, version, "verify" in words, "refused" in words, or_closed, "certificate" in words)
    ]


def _auth(scope: Scope, rest: str, line: int, source: str, connection: str) -> list[Step]:
    words, options = _options(rest, ("verb", "user", "password", "authzid", "initial", "binding"))
    unlisted = "unlisted" in words
    words = [word for word in words if word != "unlisted"]
    if len(words) != 1:
        raise ExpressionError("`-- auth` takes one mechanism name, or `any`")
    if options.get("initial", "yes") not in ("yes", "no"):
        raise ExpressionError("initial is yes or no")
    texts = {key: _expression(scope, options[key]) for key in ("user", "password", "authzid") if key in options}
    scope.use(frozenset({"user", "password"}))
    initial = {"yes": True, "no": False}.get(options.get("initial", ""))
    return [
        Auth(
            line, source, connection, words[0], options.get("verb", "AUTH"), texts.get("user"),
            texts.get("password"), texts.get("authzid"), initial, unlisted, options.get("binding", ""),
        )
    ]  # fmt: skip


def _open(scope: Scope, rest: str, line: int, source: str, connection: str) -> list[Step]:
    words = rest.split()
    opening = "connected"
    if len(words) >= 2 and words[-2] == "as":
        opening = words[-1]
        words = words[:-2]
    if not 1 <= len(words) <= 2 or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", words[0]):
        raise ExpressionError("`-- open NAME [SERVICE] [as OPENING]`")
    service = words[1] if len(words) == 2 else ""
    if service and service not in SERVICES:
        raise ExpressionError(f"there is no service {service!r} (only {', '.join(SERVICES)})")
    scope.connections.add(words[0])
    scope.turned.discard(words[0])
    return [Open(line, source, words[0], words[0], service, opening)]


def _receive(scope: Scope, rest: str, line: int, source: str, connection: str) -> list[Step]:
    words, options = _options(rest, ("offers", "form", *ANSWERS))
    if words:
        raise ExpressionError(f"`-- receive` cannot take {' '.join(words)!r}")
    if connection not in scope.turned:
        raise ExpressionError("`-- receive` comes after `-- turn`")
    found = {key: _expression(scope, text if text[:1] in "\"'(" else f'"{text}"') for key, text in options.items()}
    form = options.get("form", "plain")
    if form not in FORMS:
        raise ExpressionError(f"form is one of {', '.join(FORMS)}")
    scope.known |= {"received", "received_count", "received_commands", "received_breaches", "received_ended"}
    return [Receive(line, source, connection, found)]


def _fetch(scope: Scope, rest: str, line: int, source: str, connection: str) -> list[Step]:
    words, options = _options(rest, ("to", "copies"))
    premise = "premise" in words
    if [word for word in words if word != "premise"]:
        raise ExpressionError(f"`-- fetch` cannot take {' '.join(words)!r}")
    least, most = copies(options.get("copies", "1"))
    to = _expression(scope, options["to"]) if "to" in options else None
    scope.known |= {"copies", "message", "header", "content"}
    scope.use(frozenset({"recipient", "token"}))
    return [Fetch(line, source, connection, to, least, most, premise)]


def copies(text: str) -> tuple[int, int]:
    """``1`` or ``0..1``."""
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    if not match:
        raise ExpressionError(f"copies is a number or a range like 0..1, not {text!r}")
    least = int(match[1])
    return least, int(match[2]) if match[2] else least


_HANDLERS: dict[str, Handler] = {
    "check": _check("check"),
    "prefer": _check("prefer"),
    "assume": _check("assume"),
    "let": _let,
    "tls": _tls,
    "auth": _auth,
    "open": _open,
    "fetch": _fetch,
    "receive": _receive,
}
