"""What a connection makes of octets, however they arrive; how large ones leave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from conformance.session import connection
from conformance.session.connection import Connection, TransportError

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def with_server(serve: Serve, client: Callable[[Connection], Awaitable[object]]) -> object:
    async def both() -> object:
        async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await serve(reader, writer)
            writer.close()

        server = await asyncio.start_server(session, "127.0.0.1", 0)
        mine = await Connection.open("127.0.0.1", server.sockets[0].getsockname()[1], 5)
        try:
            return await asyncio.wait_for(client(mine), 20)
        finally:
            mine.close()
            server.close()

    return asyncio.run(both())


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize(
    ("octets", "block", "left"),
    [
        (b"+OK\r\n.\r\n", [], b""),
        (b"+OK list\r\n1 2\r\n..\r\n.x\r\n.\r\n+OK next\r\n", [b"1 2", b"..", b".x"], b"+OK next\r\n"),
        (b"+OK\na\n.\nb\r\n.\r\n", [b"a"], b"b\r\n.\r\n"),
        (b"+OK\r\na\r\r\n\r\n.\r\n.\n", [b"a\r", b""], b".\n"),
    ],
)
def test_a_multi_line_reply(octets: bytes, block: list[bytes], left: bytes, size: int) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for at in range(0, len(octets), size):
            writer.write(octets[at : at + size])
            await writer.drain()
            await asyncio.sleep(0)

    async def client(mine: Connection) -> tuple[list[bytes] | None, bytes]:
        reply = await mine.reply("pop3", 5, multi=True)
        assert reply.octets == octets[: len(octets) - len(left)]
        return reply.block, await mine.closing(5)

    assert with_server(serve, client) == (block, left)


@pytest.mark.parametrize("octets", [b"+OK\r\n" + b"x" * 200_000 + b"\r\n.\r\n", b"+OK\r\n" + b"x" * 200_000])
def test_a_line_without_end(octets: bytes) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(octets)
        await writer.drain()

    async def client(mine: Connection) -> None:
        with pytest.raises(TransportError) as caught:
            await mine.reply("pop3", 5, multi=True)
        assert caught.value.kind == "garbage"

    with_server(serve, client)


def test_much_leaves_in_pieces() -> None:
    octets = bytes(range(256)) * (3 * connection._PIECE // 256) + b"end"
    got = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.extend(await reader.readexactly(len(octets)))
        writer.write(b"250 ok\r\n")
        await writer.drain()

    async def client(mine: Connection) -> str:
        await mine.send(octets, 5)
        return (await mine.reply("smtp", 5)).code

    assert with_server(serve, client) == "250" and bytes(got) == octets


def test_a_peer_that_does_not_read_on_is_heard() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100)
        writer.write(b"552 too much\r\n")
        await writer.drain()
        await asyncio.sleep(2)

    async def client(mine: Connection) -> str:
        await mine.send(b"x" * 40 * connection._PIECE, 0.3)
        return (await mine.reply("smtp", 2)).code

    assert with_server(serve, client) == "552"
