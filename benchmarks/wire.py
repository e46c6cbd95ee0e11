"""What a run puts on the wire, recorded connection by connection, and a bare replay of it.

    python benchmarks/wire.py record FILE     plays the corpus on the bundled server and writes what passed
    python benchmarks/wire.py replay FILE     passes the same octets again, and prints how many seconds it took

The replay knows nothing of mail. Its server answers each connection from memory, its client sends what the run sent,
waits for the octets of each reply before it goes on, keeps silent as long as the run did to hear whether anything
comes, and makes the same TLS handshakes at the same places, over as many connections and as many at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import socket
import ssl
import sys
import time
from pathlib import Path
from typing import Any

Event = tuple[str, Any]  # ("C", octets) ("S", octets) ("T", reply octets before it are read) ("W", seconds) ("E", None)


def record() -> tuple[int, list[list[Event]]]:
    """How many connections a run of the whole corpus has at a time, and all of them in the order in which they were opened."""
    from conformance.scenario.loader import load
    from conformance.server.app import ReferenceServer
    from conformance.session import steps
    from conformance.session.connection import Connection, TransportError
    from conformance.session.runner import Runner
    from conformance.target import Target

    dialogues: list[list[Event]] = []

    def add(connection: Connection, kind: str, value: Any = None) -> None:
        events: list[Event] = connection.__dict__.setdefault("events", [])
        if not events:
            dialogues.append(events)
        if events and events[-1][0] == kind and kind in "CS" and value:
            events[-1] = (kind, events[-1][1] + value)
        else:
            events.append((kind, value))

    originals = {name: getattr(Connection, name) for name in ("write", "_received", "_decrypt", "silence", "handshake", "_ended")}

    def write(self: Connection, octets: bytes) -> None:
        add(self, "C", bytes(octets))
        originals["write"](self, octets)

    def _received(self: Connection, data: bytes) -> None:
        if self.tls is None and not self._handshaking:
            add(self, "S", bytes(data))
        originals["_received"](self, data)

    def _decrypt(self: Connection) -> None:
        before = len(self.buffer)
        originals["_decrypt"](self)
        if len(self.buffer) > before:
            add(self, "S", bytes(self.buffer[before:]))

    async def silence(self: Connection, seconds: float) -> bytes:
        begun = time.monotonic()
        octets: bytes = await originals["silence"](self, seconds)
        if not octets and not self.eof:
            add(self, "W", time.monotonic() - begun)
        return octets

    async def handshake(self: Connection, *arguments: Any) -> bytes:
        events: list[Event] = self.__dict__.setdefault("events", [])
        add(self, "T")
        try:
            before: bytes = await originals["handshake"](self, *arguments)
        except TransportError:
            events[:] = [one for one in events if one[0] != "T"]  # a refused handshake is left out
            events.append(("E", None))
            raise
        return before

    def _ended(self: Connection, **keywords: Any) -> None:
        if self.__dict__.get("events") and self.events[-1][0] != "E":  # type: ignore[attr-defined]
            add(self, "E")
        originals["_ended"](self, **keywords)

    for function in (write, _received, _decrypt, silence, handshake, _ended):
        setattr(Connection, function.__name__, function)
    pause = steps.HANDLERS[steps.Simple]

    async def simple(play: Any, step: Any) -> None:
        if step.kind == "pause":
            connection = play.lines[step.connection].connection
            if connection is not None:
                add(connection, "W", step.seconds or 0)
        await pause(play, step)

    steps.HANDLERS[steps.Simple] = simple

    async def play() -> int:
        server = ReferenceServer()
        await server.start()
        target = Path(sys.argv[2]).with_suffix(".toml")
        server.write_target(target)
        corpus = load()
        runner = Runner(Target.load(target), corpus)
        await runner.probe(corpus.scenarios)
        await runner.run(corpus.scenarios, lambda _scenario, _outcome: None)
        await server.stop()
        return runner.connections

    return asyncio.run(play()), dialogues


# -- the replay -------------------------------------------------------------------------------


class Bare(asyncio.Protocol):
    """One side of one dialogue: sends what is its own, counts what is the other's."""

    def __init__(self, dialogues: list[list[Event]], mine: str, number: int, done: asyncio.Future[None] | None) -> None:
        self.dialogues, self.mine, self.done = dialogues, mine, done
        self.events = dialogues[number] if number >= 0 else []
        self.number, self.index, self.wanted = number, 0, 0
        self.tls: ssl.SSLObject | None = None
        self.shaking = False
        self.head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.done is not None:  # the client says which dialogue it is
            transport.write(b"%06d" % self.number)
            self.go()

    def data_received(self, data: bytes) -> None:
        if self.number < 0:
            self.head += data
            if len(self.head) < 6:
                return
            self.number, data = int(self.head[:6]), self.head[6:]
            self.events = self.dialogues[self.number]
            self.go()
        if self.tls is None:
            self.wanted -= len(data)
        else:
            self.incoming.write(data)
            self.pump()
        if self.wanted <= 0 and not self.shaking:
            self.go()

    def pump(self) -> None:
        assert self.tls is not None
        try:
            if self.shaking:
                self.tls.do_handshake()
                self.shaking = False
            while chunk := self.tls.read(65536):
                self.wanted -= len(chunk)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.transport.close()
        self.flush()

    def flush(self) -> None:
        if octets := self.outgoing.read():
            self.transport.write(octets)

    def go(self) -> None:
        """Up to the next wait."""
        while self.wanted <= 0 and not self.shaking:
            if self.index == len(self.events):
                if self.done is not None:
                    self.transport.close()
                return
            kind, value = self.events[self.index]
            self.index += 1
            if kind == self.mine:
                if self.tls is None:
                    self.transport.write(value)
                else:
                    self.tls.write(value)
                    self.flush()
            elif kind == "T":
                self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                server = self.done is None
                self.tls = contexts()[server].wrap_bio(self.incoming, self.outgoing, server_side=server)
                self.shaking = True
                if not server:
                    self.pump()
            elif kind == "W" and self.done is not None:
                self.wanted = 1
                asyncio.get_running_loop().call_later(value, self.rested)
            elif kind in "CS":
                self.wanted += len(value)

    def rested(self) -> None:
        self.wanted -= 1
        self.go()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_result(None)


_CONTEXTS: list[ssl.SSLContext] = []


def contexts() -> list[ssl.SSLContext]:
    """The client's and the server's."""
    if not _CONTEXTS:
        from conformance.server.app import server_context
        from conformance.server.base import TlsLayer

        client = ssl.create_default_context()
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        _CONTEXTS.extend((client, server_context(TlsLayer())[0]))
    return _CONTEXTS


async def replay(lanes: int, dialogues: list[list[Event]]) -> float:
    """Seconds for all of them, so many at a time."""
    loop = asyncio.get_running_loop()
    contexts()
    server = await loop.create_server(lambda: Bare(dialogues, "S", -1, None), "127.0.0.1", 0, backlog=512)
    port = server.sockets[0].getsockname()[1]
    numbers = iter(range(len(dialogues)))

    async def lane() -> None:
        for number in numbers:
            done: asyncio.Future[None] = loop.create_future()
            transport, _protocol = await loop.create_connection(
                lambda n=number, d=done: Bare(dialogues, "C", n, d), "127.0.0.1", port  # type: ignore[misc]
            )
            with contextlib.suppress(OSError):
                transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await asyncio.wait_for(done, 20)
            except TimeoutError:
                print("stuck", number, file=sys.stderr)
                transport.abort()

    begun = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(lanes)))
    seconds = time.perf_counter() - begun
    server.close()
    return seconds


if __name__ == "__main__":
    if sys.argv[1] == "record":
        Path(sys.argv[2]).write_bytes(pickle.dumps(record()))
    else:
        print(asyncio.run(replay(*pickle.loads(Path(sys.argv[2]).read_bytes()))))
