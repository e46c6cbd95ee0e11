"""What each kind of step does. One function per step, in a table: those for replies, TLS, logins and single words are beside this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import chain
from typing import Any

from conformance.protocol.customer import Manner
from conformance.protocol.reply import show
from conformance.scenario.expression import truth
from conformance.scenario.functions import octets as as_octets
from conformance.scenario.model import (
    Auth,
    Check,
    Conclude,
    Condition,
    Expect,
    ExpectLine,
    Fetch,
    Let,
    Open,
    Receive,
    Send,
    Simple,
    Tls,
    When,
    matching,
    named,
)
from conformance.session.connection import TransportError
from conformance.session.play import Ended, Play, breathe
from conformance.session.receiver import receive_mail
from conformance.session.replies import expect, expect_line
from conformance.session.security import auth, tls
from conformance.session.simple import simple

_GAP = 0.01  # seconds between forced segments
_SHOWN = 8000  # octets of what is sent at once that a transcript shows
_WHOLE = 1 << 20  # octets that leave in one write; more are not put together, they would be in memory twice
_LISTS = (b"EHLO", b"LHLO", b"CAPA")
_LOGINS = (b"USER", b"PASS", b"APOP", b"AUTH")


async def send(play: Play, step: Send) -> None:
    line = play.lines[step.connection]
    if line.gone:
        return
    connection = line.live
    parts: list[list[bytes]] = [[]]
    login = ""
    for payload in step.payloads:
        if payload.kind == "segment":
            parts.append([])
            continue
        octets = payload.template.evaluate(play.env)
        if payload.kind.startswith("bdat"):
            last = b" LAST" if payload.kind == "bdat-last" else b""
            parts[-1].append(b"BDAT %d%s\r\n" % (len(octets), last))
        parts[-1].append(octets)
        head = parts[-1][-1 if payload.kind[:4] != "bdat" else -2][:4].upper()
        if head in _LISTS:
            line.listing = True
        line.quitting = head == b"QUIT"
        if head in _LOGINS:
            login = head.decode()
        if head == b"MAIL" and b"SMTPUTF8" in octets.upper():
            line.utf8 = True
        if not octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n"):
            line.odd = True  # a bare CR or LF
        if payload.kind == "line":
            parts[-1].append(b"\r\n")
        del octets  # it may have megabytes
    if login and line.family == "pop3":
        await play.before_login(line, login)
    elif line.reply is None or line.reply.code != "+":  # else what is sent belongs to the login still
        line.login = ""
    shown = b"".join(chain.from_iterable(parts)) if step.split else _head(parts)
    play.transcript.add("C", shown[:_SHOWN], line.label, connection.tls is not None)
    if step.split:
        size = max(step.split, len(shown) // 400 + 1)
        parts = [[shown[i : i + size]] for i in range(0, len(shown), size)]
    del shown
    for index, part in enumerate(parts):
        if index:
            await breathe(0.001 if step.split else _GAP)
        whole = sum(map(len, part)) <= _WHOLE
        for octets in [b"".join(part)] if whole else part:
            await connection.send(octets, play.limits.reply_timeout)


def _head(parts: list[list[bytes]]) -> bytes:
    """As much of the beginning as a transcript shows, or more."""
    found = b""
    for octets in chain.from_iterable(parts):
        found += octets[: _SHOWN - len(found)]
    return found


def holds(play: Play, condition: Condition, connection: str) -> bool:
    if condition.expression is not None:
        play.current = connection
        return truth(condition.expression.evaluate(play.env))
    if not condition.alternatives:
        return True
    line = play.lines[connection]
    if line.gone:
        return named("closed", condition.alternatives)
    if line.reply is None:
        return named("silent", condition.alternatives)
    code = line.reply.code
    return matching(code, condition.alternatives)


async def when(play: Play, step: When) -> None:
    for condition, steps in step.branches:
        if condition is None or holds(play, condition, step.connection):
            await play.steps(steps)
            return


async def check(play: Play, step: Check) -> None:
    assert step.expression is not None
    # Of a connection that is gone nothing can be said, but of what was delivered or received.
    if play.lines[step.connection].gone and not {"message", "received"} & play.env.variables.keys():
        return
    play.current = step.connection
    if truth(step.expression.evaluate(play.env)):
        return
    seen = []
    for name in sorted(step.expression.names):
        value = as_octets(play.env.variables.get(name, b""))
        seen.append(f"{name} = {show(value, 300)}")
    received = "; ".join(seen) or show(as_octets(play.env.variables.get("reply", b"")))
    why = f"does not hold: {step.expression.source}"
    if step.kind == "prefer":
        play.deviation(step, why, received)
    else:
        raise play.broken(step, why, received, premise=step.kind == "assume")


async def conclude(play: Play, step: Conclude) -> None:
    if not holds(play, step.condition, step.connection):
        return
    reason = step.reason.evaluate(play.env).decode("utf-8", "replace") if step.reason else ""
    if step.verdict == "note":
        play.notes.append(reason)
        return
    reply = play.lines[step.connection].reply
    received = show(reply.octets) if reply else ""
    raise Ended(step.verdict, reason, step.source.strip(), received, step.line)


async def let(play: Play, step: Let) -> None:
    assert step.expression is not None
    play.current = step.connection
    play.env.variables[step.name] = step.expression.evaluate(play.env)


async def open_connection(play: Play, step: Open) -> None:
    old = play.lines.get(step.name)
    if old and old.connection:
        old.connection.close()
    await play.open(step.name, step.service or play.scenario.service, step.opening)


async def fetch(play: Play, step: Fetch) -> None:
    to = as_octets(step.to.evaluate(play.env) if step.to else play.env.variables["recipient"]).decode()
    token = as_octets(play.env.variables["token"])
    try:
        messages = await play.runner.post.fetch(to, token, step.least, step.most)
    except TransportError as error:
        raise Ended("inconclusive", f"the mailbox of {to} cannot be read: {error}") from None
    play.transcript.remark(f"{len(messages)} message(s) with the token in the mailbox of {to}")
    message = messages[0] if messages else b""
    header, _, content = message.partition(b"\r\n\r\n")
    play.env.variables.update(
        copies=len(messages), message=message, header=header + b"\r\n" if header else b"", content=content
    )
    if not step.least <= len(messages) <= step.most:
        wanted = str(step.least) if step.least == step.most else f"{step.least} to {step.most}"
        within = f" within {play.limits.delivery_timeout:g} s" if len(messages) < step.least else ""
        raise play.broken(step, f"{len(messages)} copies were delivered{within}, not {wanted}", f"{len(messages)} copies", premise=step.premise)


async def receive(play: Play, step: Receive) -> None:
    line = play.lines[step.connection]
    if line.gone:
        return
    texts = {key: as_octets(value.evaluate(play.env)).decode("utf-8", "surrogateescape") for key, value in step.options.items()}
    offers = tuple(one.strip() for one in texts.pop("offers", "").split(",") if one.strip())
    form = texts.pop("form", "plain")
    manner = Manner(offers, {key: text.split("|") for key, text in texts.items()}, form)
    customer, ended = await receive_mail(play, line, manner)
    commands = "\r\n".join(customer.commands).encode("utf-8", "surrogateescape")
    offered = as_octets(play.env.variables.get("received_commands", b"")) + b"\r\n" + commands
    if play.env.variables.get("odmr_domain") == b"" and ended == "quit" and b"\nMAIL " not in offered.upper():
        # No domain is known to be held, so the account's own was tried: to turn and QUIT at once says that nothing waits (RFC 2645 section 5.2.1).
        raise Ended("not-applicable", "no mail waits for the account: the target took the turn and sent QUIT")
    play.env.variables.update(
        received=b"".join(bytes(one.octets) for one in customer.messages),
        received_count=len(customer.messages),
        received_commands=commands,
        received_breaches="\r\n".join(customer.breaches).encode("utf-8", "surrogateescape"),
        received_ended=ended.encode(),
    )


HANDLERS: dict[type, Callable[[Play, Any], Awaitable[None]]] = {
    Send: send,
    Expect: expect,
    ExpectLine: expect_line,
    When: when,
    Check: check,
    Conclude: conclude,
    Let: let,
    Tls: tls,
    Auth: auth,
    Open: open_connection,
    Receive: receive,
    Fetch: fetch,
    Simple: simple,
}
