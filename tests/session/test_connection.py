"""What ends a POP3 block: CRLF dot CRLF alone (RFC 1939 section 3), but for servers whose lines end in LF."""

from __future__ import annotations

import asyncio

import pytest

from conformance.session.connection import Connection


async def retrieve(octets: bytes) -> tuple[bytes, bytes]:
    """The body of the first reply, and the code of a second one that follows at once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(octets)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        connection = await Connection.open("127.0.0.1", server.sockets[0].getsockname()[1], 2.0)
        first = await connection.reply("pop3", 2.0, multi=True)
        rest = await connection.silence(0.05)
        connection.close()
    finally:
        server.close()
    return first.body, rest


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
    assert asyncio.run(retrieve(octets)) == (body, rest)
