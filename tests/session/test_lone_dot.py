"""Where a POP3 block ends when the target sends bare LF: RFC 1939 section 3 ends lines, and so the block, with CRLF."""

from __future__ import annotations

import asyncio
import time

import pytest

from conformance.session.connection import Connection


async def _block(octets: bytes) -> tuple[bytes, bytes]:
    """What a client makes of the octets behind ``+OK``, and what is left for the next reply."""

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"+OK\r\n" + octets)
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(session, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        connection = await Connection.open("127.0.0.1", port, 5.0)
        try:
            reply = await connection.reply("pop3", 5.0, multi=True)
            rest = await connection.silence(0.05)
        finally:
            connection.close()
    finally:
        server.close()
        await server.wait_closed()
    return reply.raw, rest


@pytest.mark.parametrize(
    ("octets", "raw", "rest"),
    [
        (b"text\r\n.\r\n", b"text\r\n", b""),
        (b".\r\n", b"", b""),
        (b"text\r\n.\r\n+OK next\r\n", b"text\r\n", b"+OK next\r\n"),
        (b"text\r\n.\n", b"text\r\n", b""),
        (b"text\n.\r\nmore\r\n.\r\n", b"text\n.\r\nmore\r\n", b""),
        (b"text\n.\n\r\n.\r\n", b"text\n.\n\r\n", b""),
        (b"text\n.\r\n", b"text\n", b""),
    ],
)
def test_end_of_block(octets: bytes, raw: bytes, rest: bytes) -> None:
    began = time.monotonic()
    assert asyncio.run(_block(octets)) == (raw, rest)
    assert time.monotonic() - began < 4
