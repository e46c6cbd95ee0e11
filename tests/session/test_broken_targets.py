"""Whatever the target does: the run ends in bounded time, and says inconclusive or fail."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from conformance.report.record import Record, result_of, suite_of
from conformance.report.write import write_all
from conformance.scenario.loader import load
from conformance.scenario.model import Corpus, Scenario
from conformance.scenario.select import select
from conformance.session.runner import Runner
from conformance.target import Limits, Service, Target
from conformance.verdict.model import Outcome

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BOUND = 25.0  # seconds


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load()


async def flood(writer: asyncio.StreamWriter, octets: bytes) -> None:
    while True:
        writer.write(octets)
        await writer.drain()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for octet in b"220 mx.example.test ESMTP, slowly\r\n":
        writer.write(bytes([octet]))
        await writer.drain()
        await asyncio.sleep(1)


async def endless_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await flood(writer, b"2" * 65536)


async def endless_reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await flood(writer, b"220-mx.example.test\r\n" * 1000)


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xff\x1b[2J<script>\x00]]>\r\n")
    while await reader.readline():
        writer.write(b"\x00\x01\xfe\xff\r\n250\x00 \x1b]0;x\x07\r\n")


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    return


async def smtp(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, stall_tls: bool = False, hang_quit: bool = False
) -> None:
    """Just enough of SMTP to be asked further."""
    writer.write(b"220 mx.example.test ESMTP\r\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"EHLO":
            writer.write(b"250-mx.example.test\r\n" + (b"250-STARTTLS\r\n" if stall_tls else b"") + b"250 PIPELINING\r\n")
        elif verb == b"STAR" and stall_tls:
            writer.write(b"220 go ahead\r\n")
            await reader.read()
        elif verb == b"QUIT":
            if hang_quit:
                await reader.read()
            writer.write(b"221 bye\r\n")
            return
        elif verb == b"DATA":
            writer.write(b"503 no\r\n")
        else:
            writer.write(b"250 ok\r\n" if verb in (b"HELO", b"NOOP", b"RSET", b"MAIL", b"RCPT") else b"500 what\r\n")


async def stalled_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await smtp(reader, writer, stall_tls=True)


async def hangs_at_quit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await smtp(reader, writer, hang_quit=True)


async def play(
    corpus: Corpus, serve: Serve, select_by: str, folder: Path, *, dies_after: int = 0
) -> list[tuple[Scenario, Outcome]]:
    count = 0
    tasks: set[asyncio.Task[None]] = set()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        if dies_after and count > dies_after:
            server.close()
            writer.transport.abort()
            return
        with contextlib.suppress(OSError, ValueError, asyncio.CancelledError):
            await serve(reader, writer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(session, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    target = Target("broken", "127.0.0.1", {"smtp": Service(port, "starttls")}, limits=Limits(32, 0.6, 1.0, 0.1))
    runner = Runner(target, corpus)
    chosen = select(corpus.scenarios, [select_by])
    assert chosen
    told: list[tuple[Scenario, Outcome]] = []
    try:
        async with asyncio.timeout(BOUND):
            await runner.probe(chosen)
            await runner.run(chosen, lambda scenario, outcome: told.append((scenario, outcome)))
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(told) == len(chosen)
    about = {"name": "broken", "host": "127.0.0.1", "services": {"smtp": port},
             "greetings": runner.greetings, "capabilities": runner.capabilities}  # fmt: skip
    record = Record(about, "2026-01-01T00:00:00+00:00", suite=suite_of(corpus))
    record.results = [result_of(scenario, outcome) for scenario, outcome in told]
    write_all([record], folder)
    ElementTree.parse(folder / "junit.xml")
    text = (folder / "results.json").read_text("ascii")
    assert json.loads(text)["schema"] == 1
    assert len(text) < 20_000 * len(told) + 100_000, "reports are bounded"
    page = (folder / "report.html").read_text("utf-8")
    assert "\x1b" not in page and "\x00" not in page and "<script" not in page
    return told


PLAIN = "smtp/noop or smtp/rset or smtp/helo"


@pytest.mark.parametrize(
    ("serve", "select_by"),
    [(drip, PLAIN), (endless_line, PLAIN), (endless_reply, PLAIN), (garbage, PLAIN), (mute, PLAIN), (closes, PLAIN),
     (stalled_tls, "esmtp/starttls"), (hangs_at_quit, "smtp/quit")],
)  # fmt: skip
def test_it_ends(corpus: Corpus, tmp_path: Path, serve: Serve, select_by: str) -> None:
    begun = time.monotonic()
    told = asyncio.run(play(corpus, serve, select_by, tmp_path))
    assert time.monotonic() - begun < BOUND
    verdicts = {outcome.verdict for _scenario, outcome in told}
    assert verdicts & {"fail", "inconclusive"}, verdicts
    if serve not in (stalled_tls, hangs_at_quit):
        assert "pass" not in verdicts, [scenario.id for scenario, outcome in told if outcome.verdict == "pass"]
    assert not [o.reason for _s, o in told if "the scenario cannot be played" in o.reason]


def test_it_dies_in_the_middle(corpus: Corpus, tmp_path: Path) -> None:
    told = asyncio.run(play(corpus, smtp, "smtp", tmp_path, dies_after=30))
    verdicts = [outcome.verdict for _scenario, outcome in told]
    assert "pass" in verdicts and "inconclusive" in verdicts
