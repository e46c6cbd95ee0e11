"""What ends a POP3 block: CRLF dot CRLF alone (RFC 1939 section 3), but for servers whose lines end in LF."""

from __future__ import annotations

import asyncio
import time

import pytest

from conformance.protocol.reply import Reply
from conformance.session.connection import Connection


async def retrieve(octets: bytes) -> tuple[Reply, bytes]:
    """The first reply, and what is left for a second one."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(octets)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        connection = await Connection.open("127.0.0.1", server.sockets[0].getsockname()[1], 5.0)
        first = await connection.reply("pop3", 5.0, multi=True)
        rest = await connection.silence(0.05)
        connection.close()
    finally:
        server.close()
    return first, rest


@pytest.mark.parametrize(
    ("octets", "body", "rest"),
    [
        (b"+OK\r\ntext\r\n.\r\n+OK next\r\n", b"text\r\n", b"+OK next\r\n"),
        (b"+OK\r\n.\r\n", b"", b""),
        (b"+OK\r\na\n.\nb\r\n.\r\n", b"a\n.\nb\r\n", b""),
        (b"+OK\r\na\n.\r\nb\r\n.\r\n+OK\r\n", b"a\n.\r\nb\r\n", b"+OK\r\n"),
        (b"+OK\na\n.\n", b"a\n", b""),
        (b"+OK\r\n..\r\n.\r\n", b".\r\n", b""),
    ],
)
def test_end_of_block(octets: bytes, body: bytes, rest: bytes) -> None:
    reply, left = asyncio.run(retrieve(octets))
    assert (reply.body, left) == (body, rest)


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
def test_raw_block_and_its_end(octets: bytes, raw: bytes, rest: bytes) -> None:
    began = time.monotonic()
    reply, left = asyncio.run(retrieve(b"+OK\r\n" + octets))
    assert (reply.raw, left) == (raw, rest)
    assert time.monotonic() - began < 4
