"""What the suite costs: ``python benchmarks/bench.py [GOAL...]``. Exit status 1 if a goal is missed.

Every goal is a ratio, or a bound, taken in one run on one machine, the median of several tries that alternate between
the two things compared. ``connections`` needs the target file of a real server in MAIL_TARGET, and some minutes.
"""

from __future__ import annotations

import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SUITE = [sys.executable, "-m", "conformance"]
WIRE = [sys.executable, str(Path(__file__).with_name("wire.py"))]
TRIES = 3
ONE = "smtp/rcpt/before-mail"


def timed(command: list[str], fine: tuple[int, ...] = (0,)) -> tuple[float, float]:
    """(seconds, peak megabytes) of a whole process."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in fine:
            output.seek(0)
            sys.exit(f"{' '.join(command)}: {process.returncode}\n{output.read().decode()[-3000:]}")
    return seconds, usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20)


def run(*options: str, report: str = "") -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        return timed([*SUITE, "run", "--report", report or folder, *options], (0, 1, 3))  # its cost, not its verdict


def verdicts(folder: str) -> dict[str, str]:
    data = json.loads((Path(folder) / "results.json").read_text("utf-8"))
    return {result["id"]: result["verdict"] for result in data["results"]}


def told(name: str, value: float, bound: float, text: str, *, least: bool = False) -> bool:
    met = value >= bound if least else value <= bound
    print(f"{'met   ' if met else 'MISSED'} {name}: {text} ({'at least' if least else 'at most'} {bound:g})", flush=True)
    return met


def replay() -> bool:
    """The whole corpus against a bare replay of what it puts on the wire, and what is left over per scenario."""
    with tempfile.TemporaryDirectory() as folder:
        wire = str(Path(folder) / "wire.pickle")
        timed([*WIRE, "record", wire])
        rows = []
        for _try in range(TRIES):
            bare = float(subprocess.run([*WIRE, "replay", wire], capture_output=True, text=True, check=True).stdout)
            start, _memory = run("--select", ONE)
            whole, memory = run(report=str(Path(folder) / "report"))
            rows.append((whole, bare, start, memory))
        count = len(verdicts(str(Path(folder) / "report")))
    ratio = statistics.median(whole / bare for whole, bare, _start, _memory in rows)
    extra = statistics.median((whole - bare - start) / count * 1000 for whole, bare, start, _memory in rows)
    memory = max(row[3] for row in rows)
    shown = ", ".join(f"{whole:.1f} s / {bare:.1f} s" for whole, bare, _start, _memory in rows)
    return all([
        told("run", ratio, 2.0, f"{count} scenarios, whole process, {ratio:.2f} times a bare replay ({shown})"),
        told("scenario", extra, 1.0, f"{extra:.2f} ms a scenario beyond start-up and the bare replay"),
        told("memory", memory, 150, f"{memory:.0f} MB at most"),
    ])  # fmt: skip


def listing() -> bool:
    rows = [(timed([*SUITE, "list"])[0], timed([sys.executable, "-m", "pytest", "--version"])[0]) for _try in range(9)]
    ratio = statistics.median(mine / theirs for mine, theirs in rows)
    return told("list", ratio, 2.0, f"list takes {ratio:.2f} times pytest --version ({rows[0][0]:.2f} s, {rows[0][1]:.2f} s)")


def workers() -> bool:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as four:
        run("-n", "0", report=one)
        run("-n", "4", report=four)
        here, there = verdicts(one), verdicts(four)
    other = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    return told("workers", len(other), 0, f"-n 4 and -n 0 differ in {len(other)} of {len(here)} {other[:5] or ''}")


def connections() -> bool:
    target = os.environ.get("MAIL_TARGET")
    if not target:
        print("left   connections: MAIL_TARGET names no target file of a real server")
        return True
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as many:
        slow, _memory = run("--target", target, "--connections", "1", report=one)
        fast, _memory = run("--target", target, "--connections", "16", report=many)
        here, there = verdicts(one), verdicts(many)
    other = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    ratio = slow / fast
    return all([
        told("connections", ratio, 6.0, f"16 at once are {ratio:.1f} times as fast as one ({slow:.0f} s, {fast:.0f} s)", least=True),
        told("verdicts", len(other), 0, f"{len(other)} verdicts differ {other[:5] or ''}"),
    ])  # fmt: skip


_AIOSMTPD = """
import asyncio, sys
from aiosmtpd.smtp import SMTP
class Handler:
    async def handle_DATA(self, server, session, envelope): return "250 ok"
async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Handler(), loop=loop), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
_SESSION = (b"EHLO client.example.test\r\n", b"MAIL FROM:<a@client.example.test>\r\n", b"RCPT TO:<alice@example.test>\r\n",
            b"DATA\r\n", b"Subject: bench\r\n\r\n" + b"a line of text\r\n" * 20 + b".\r\n", b"QUIT\r\n")  # fmt: skip


_LAST = re.compile(rb"(?m)^[0-9]{3} .*\r\n\Z")


def sessions(port: int, count: int) -> float:
    """Sessions a second of one client, one after the other; it does as little as it can, to measure servers and not itself."""
    begun = time.perf_counter()
    for _number in range(count):
        with socket.create_connection(("127.0.0.1", port)) as client:
            for octets in (b"", *_SESSION):
                client.sendall(octets)
                reply = client.recv(65536)
                while not _LAST.search(reply):
                    reply += client.recv(65536)
    return count / (time.perf_counter() - begun)


def server() -> bool:
    try:
        import aiosmtpd  # noqa: F401
    except ImportError:
        print("left   server: aiosmtpd is not installed here")
        return True
    from conformance.server.process import ServerProcess
    from conformance.target import Target

    ours = ServerProcess()
    theirs = subprocess.Popen([sys.executable, "-c", _AIOSMTPD], stdout=subprocess.PIPE, text=True)
    try:
        assert theirs.stdout
        ports = Target.load(ours.target()).services["smtp"].port, int(theirs.stdout.readline())
        rows = [tuple(sessions(port, 300) for port in ports) for _try in range(5)]
    finally:
        ours.stop()
        theirs.kill()
        theirs.wait()
    ratio = statistics.median(mine / other for mine, other in rows)
    return told("server", ratio, 1.5, f"{rows[0][0]:.0f} sessions a second, {ratio:.2f} times aiosmtpd's", least=True)


GOALS: dict[str, Callable[[], bool]] = {
    "list": listing, "server": server, "replay": replay, "workers": workers, "connections": connections,
}  # fmt: skip


def main() -> int:
    wanted = sys.argv[1:] or list(GOALS)
    unknown = [name for name in wanted if name not in GOALS]
    if unknown:
        sys.exit(f"there is no goal {unknown[0]!r}: {', '.join(GOALS)}")
    return int(not all([GOALS[name]() for name in wanted]))


if __name__ == "__main__":
    sys.exit(main())
