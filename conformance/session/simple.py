"""Directives of one word: what the connection does, and what must or must not come. One function each, in a table."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from conformance.protocol.reply import show
from conformance.scenario.functions import octets as as_octets
from conformance.scenario.model import Simple, Tls
from conformance.session.connection import TransportError
from conformance.session.login import Way
from conformance.session.play import Ended, Line, Play
from conformance.session.security import tls


async def simple(play: Play, step: Simple) -> None:
    line = play.lines[step.connection]
    if step.kind == "pause":
        await asyncio.sleep(step.seconds or 0)
        return
    if line.gone and step.kind != "alive":
        return
    await _SIMPLE[step.kind](play, step, line)


async def _alive(play: Play, step: Simple, line: Line) -> None:
    """A new connection is greeted: nothing that was said has ended the service."""
    trouble = TransportError("connect", "no connection")
    for attempt in range(3):  # a moment for a listener that is busy
        await asyncio.sleep(0.05 * attempt)
        try:
            connection = await play.runner.connect(line.service, tries=1)
            try:
                await connection.reply(line.family, play.limits.reply_timeout, multi=False)
                connection.write(b"QUIT\r\n")
            finally:
                connection.close()
        except TransportError as error:
            trouble = error
            if error.kind == "timeout":
                break
            continue
        play.transcript.remark("a new connection is greeted")
        return
    raise play.broken(step, f"a new connection is not served: {trouble}", str(trouble))


async def _closed(play: Play, step: Simple, line: Line) -> None:
    try:
        octets = await line.live.closing(play.limits.reply_timeout)
    except TransportError as error:
        if error.octets:
            play.transcript.add("S", error.octets, line.label)
        raise play.broken(step, str(error), show(error.octets) or "the connection stays open") from None
    line.gone = True
    play.transcript.remark("the target closed the connection")
    if octets:
        play.transcript.add("S", octets[:2000], line.label)
        raise play.broken(step, "something came before the close", show(octets))


async def _silent(play: Play, step: Simple, line: Line) -> None:
    octets = await line.live.silence(step.seconds or play.limits.silence)
    if octets:
        play.transcript.add("S", octets[:2000], line.label, line.live.tls is not None)
        raise play.broken(step, "the target does not stay silent", show(octets))
    if line.live.eof:
        play.transcript.remark("the target closed the connection")
        raise play.broken(step, "the target closed the connection", "closed")


async def _command_mode(play: Play, step: Simple, line: Line) -> None:
    connection = line.live
    if connection.buffer and not line.odd:
        extra = bytes(connection.buffer)
        play.transcript.add("S", extra[:2000], line.label, connection.tls is not None)
        raise play.broken(step, "a reply came that no command asked for", show(extra))
    connection.write(b"NOOP\r\n")
    play.transcript.add("C", b"NOOP", line.label, connection.tls is not None)
    try:
        reply = await play.receive(line, multi=False)
    except TransportError as error:
        deadly = "destructive" in play.scenario.effects
        if error.kind == "closed" and not deadly and not await play.alive():
            raise Ended("inconclusive", "the target went away", step.source.strip(), str(error), step.line) from None
        raise play.broken(step, f"NOOP got no answer: {error}", show(error.octets)) from None
    good = ("+OK", "-ERR") if line.family == "pop3" else ("250",)
    if line.service == "odmr":  # RFC 2645 section 5.4: all but EHLO, AUTH, ATRN and QUIT may be refused so
        good = ("250", "502")
    if reply.code == "421":
        raise Ended("inconclusive", "the target refuses service (421)", step.source.strip(), show(reply.octets), step.line)
    if line.family != "pop3" and reply.code in ("500", "502") and reply.code == await play.runner.noop(line.service):
        good = (reply.code,)  # there is no NOOP, which scenarios of its own tell; but it was read as a command
    if reply.code not in good:
        raise play.broken(step, "NOOP was not answered as a command", show(reply.octets))
    if connection.buffer:
        extra = bytes(connection.buffer)
        play.transcript.add("S", extra[:2000], line.label)
        raise play.broken(step, "more than one reply came", show(extra))


async def _data_mode(play: Play, step: Simple, line: Line) -> None:
    line.live.write(b"NOOP\r\n")
    play.transcript.add("C", b"NOOP", line.label, line.live.tls is not None)
    await _silent(play, step, line)


async def _disconnect(play: Play, step: Simple, line: Line) -> None:
    if step.kind == "half-close":
        line.live.half_close()
        play.transcript.remark("we shut down our sending side")
        return
    line.live.abort() if step.kind == "abort" else line.live.close()
    line.gone = True
    play.transcript.remark("we closed the connection" if step.kind == "disconnect" else "we reset the connection")
    await asyncio.sleep(0.02)


async def _turn(play: Play, step: Simple, line: Line) -> None:
    line.turned = True
    play.transcript.remark("the roles are swapped")


async def _login(play: Play, step: Simple, line: Line) -> None:
    user, password = (as_octets(play.env.variables[key]).decode() for key in ("user", "password"))
    way = play.runner.post.way or Way()
    line.login = ""

    async def say(octets: bytes, shown: bytes) -> tuple[str, bytes]:
        line.live.write(octets + b"\r\n")
        play.transcript.add("C", shown, line.label, line.live.tls is not None)
        reply = await play.receive(line, multi=False)
        return reply.code, reply.text

    try:
        if way.tls and line.live.tls is None and (await say(b"STLS", b"STLS"))[0] == "+OK":
            await tls(play, Tls(step.line, "-- tls", line.name))
        code = await play.runner.delay.log_in(way, user, password, line.greeting, say)
    except TransportError as error:
        raise Ended("inconclusive", f"the login got no answer: {error}", step.source.strip(), line=step.line) from None
    if code != "+OK":
        received = show(line.reply.octets) if line.reply else ""
        raise Ended("inconclusive", "the login was refused", step.source.strip(), received, step.line)
    line.entered = True


_SIMPLE: dict[str, Callable[[Play, Simple, Line], Awaitable[None]]] = {
    "alive": _alive,
    "closed": _closed,
    "silent": _silent,
    "command-mode": _command_mode,
    "data-mode": _data_mode,
    "disconnect": _disconnect,
    "abort": _disconnect,
    "half-close": _disconnect,
    "turn": _turn,
    "login": _login,
}
