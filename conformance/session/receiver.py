"""After ATRN or TURN the target is the client: we receive its mail (RFC 2645 section 5)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from conformance.session.connection import TransportError

if TYPE_CHECKING:
    from conformance.session.play import Line, Play

_REPLIES = {b"HELO": b"250 ready", b"MAIL": b"250 ok", b"RCPT": b"250 ok", b"RSET": b"250 ok", b"NOOP": b"250 ok"}


async def receive_mail(play: Play, line: Line) -> tuple[list[bytes], list[bytes]]:
    """Plays a plain receiving server until QUIT or the end. Returns (messages, command lines)."""
    connection = line.live
    messages: list[bytes] = []
    commands: list[bytes] = []

    def say(octets: bytes) -> None:
        connection.write(octets + b"\r\n")
        play.transcript.add("C", octets, line.label)

    async def hear() -> bytes:
        octets = await connection.line(asyncio.get_running_loop().time() + play.limits.reply_timeout)
        play.transcript.add("S", octets, line.label)
        return octets.removesuffix(b"\n").removesuffix(b"\r")

    client = play.env.variables["client"]
    assert isinstance(client, bytes)
    say(b"220 " + client + b" ready")
    try:
        while True:
            command = await hear()
            commands.append(command)
            verb = command[:4].upper()
            if verb == b"QUIT":
                say(b"221 bye")
                break
            if verb == b"EHLO":
                say(b"250 " + client)
            elif verb == b"DATA":
                say(b"354 go on")
                content: list[bytes] = []
                while (text := await hear()) != b".":
                    content.append(text[1:] if text.startswith(b".") else text)
                messages.append(b"".join(one + b"\r\n" for one in content))
                say(b"250 ok")
            else:
                say(_REPLIES.get(verb, b"502 not here"))
    except TransportError as error:
        play.transcript.remark(str(error))
    line.gone = True
    return messages, commands
