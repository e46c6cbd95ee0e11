"""After ATRN or TURN the target is the client: we receive its mail (RFC 2645 section 5.3). The rules are in protocol/customer.py."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from conformance.protocol.customer import CLOSE, Customer, Manner
from conformance.session.connection import TransportError

if TYPE_CHECKING:
    from conformance.session.play import Line, Play

_GAP = 0.01  # seconds in which what was pipelined arrives
_LONGEST = 120.0  # seconds for all that waits
_MAX = 64 * 1024 * 1024  # octets of one chunk


async def receive_mail(play: Play, line: Line, manner: Manner) -> tuple[Customer, str]:
    """Plays the receiving server until QUIT or the end. Returns the session and how it ended: quit, closed, silent or cut."""
    connection = line.live
    client = play.env.variables["client"]
    assert isinstance(client, bytes)
    customer = Customer(client.decode(), manner)

    async def say(answer: str) -> bool:
        if answer == CLOSE:
            play.transcript.remark("we closed the connection")
            connection.close()
            return False
        octets = customer.form(answer)
        play.transcript.add("C", octets, line.label, connection.tls is not None)
        step = 1 if manner.form == "octets" else len(octets)
        for at in range(0, len(octets), step):
            connection.write(octets[at : at + step])
            if step == 1:
                await asyncio.sleep(0.001)
        return True

    end = asyncio.get_running_loop().time() + _LONGEST

    async def hear() -> bytes:
        deadline = min(asyncio.get_running_loop().time() + play.limits.reply_timeout, end)
        if not customer.chunk:
            octets = await connection.line(deadline)
        elif customer.chunk > _MAX:
            raise TransportError("garbage", f"a chunk of {customer.chunk} octets")
        else:
            octets = await connection.exactly(customer.chunk, deadline)
        play.transcript.add("S", octets[:4000], line.label, connection.tls is not None)
        return octets

    going = await say(customer.greeting())
    try:
        while going:
            answer = customer.take(await hear())
            if answer is None:
                continue
            early = await connection.silence(_GAP)
            if early:
                customer.early(early)
            if customer.ended == "quit" and connection.eof:
                customer.breach("hasty-quit", "the connection was closed before our answer to QUIT")
            going = await say(answer) and not customer.ended
    except TransportError as error:
        play.transcript.remark(str(error))
        customer.ended = customer.ended or ("closed" if error.kind == "closed" else "silent")
    line.gone = True
    if customer.ended == "quit":
        after = await connection.silence(_GAP)
        if after:
            customer.early(after)
    connection.close()
    return customer, customer.ended
