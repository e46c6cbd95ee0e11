"""Clients that share no code with the suite: poplib, in the clear, over STLS and over implicit TLS."""

from __future__ import annotations

import asyncio
import poplib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conformance.server.app import ReferenceServer, authority
from conformance.server.base import PASSWORD

MESSAGE = b"Subject: dots\r\n\r\n.one\r\n..\r\nlast line\r\n"


@contextmanager
def running(**options: object) -> Iterator[ReferenceServer]:
    """A server on an event loop of its own thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = ReferenceServer(**options)  # type: ignore[arg-type]
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


def client(server: ReferenceServer, way: str) -> poplib.POP3:
    if way == "pop3s":
        return poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], timeout=10, context=client_context())
    session = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=10)
    if way == "stls":
        session.stls(client_context())
    return session


@pytest.mark.parametrize("way", ["pop3", "stls", "pop3s"])
@pytest.mark.parametrize("login", ["user", "apop"])
def test_poplib(way: str, login: str) -> None:
    with running() as server:
        server.world.storage.deliver("alice", MESSAGE)
        server.world.storage.deliver("alice", MESSAGE * 20000)
        session = client(server, way)
        assert "TOP" in session.capa()
        if login == "apop":
            session.apop("alice", PASSWORD)
        else:
            session.user("alice")
            session.pass_(PASSWORD)
        assert session.stat() == (2, 20001 * len(MESSAGE))
        _, lines, octets = session.retr(1)
        assert b"".join(line + b"\r\n" for line in lines) == MESSAGE and octets == len(MESSAGE)
        assert len(b"\r\n".join(session.retr(2)[1])) + 2 == 20000 * len(MESSAGE)
        assert session.top(1, 1)[1] == [b"Subject: dots", b"", b".one"]
        assert len(session.uidl()[1]) == 2
        session.dele(1)
        session.rset()
        session.dele(2)
        session.quit()
        session = client(server, way)
        session.user("alice")
        session.pass_(PASSWORD)
        assert session.stat() == (1, len(MESSAGE))
        session.quit()


def test_unique_ids_outlive_the_server(tmp_path: Path) -> None:
    seen = []
    for start in range(2):
        with running(maildir=tmp_path) as server:
            if not start:
                server.world.storage.deliver("alice", MESSAGE)
            session = client(server, "pop3")
            session.user("alice")
            session.pass_(PASSWORD)
            seen.append(session.uidl()[1])
            session.quit()
    assert len(seen[0]) == 1 and seen[0] == seen[1]


def test_an_idle_session_is_closed_without_update() -> None:
    with running(faults=["pop3-idle-two-seconds"]) as server:
        server.world.storage.deliver("alice", MESSAGE)
        session = client(server, "pop3")
        session.user("alice")
        session.pass_(PASSWORD)
        session.dele(1)
        with pytest.raises((poplib.error_proto, OSError)):
            threading.Event().wait(2.5)
            session.noop()
        session = client(server, "pop3")
        session.user("alice")
        session.pass_(PASSWORD)
        assert session.stat()[0] == 1
        session.quit()
