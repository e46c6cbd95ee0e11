"""What the suite costs beyond its octets: ``python benchmarks/bench.py``. Exit status 1 above a bound.

Ratios, because machines differ. The replay sends as many connections and octets as the corpus needs to an
asyncio server that answers from memory, one connection after the other in as many lanes as the suite has.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RATIO_RUN, RATIO_LIST, MEGABYTES, LANES = 40.0, 3.0, 512, 16
SUITE = [sys.executable, "-m", "conformance"]


def timed(command: list[str], fine: tuple[int, ...] = (0,)) -> float:
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in fine:
        sys.exit(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - begun


async def replay(dialogues: list[list[tuple[str, bytes]]]) -> float:
    """Every dialogue once; the server says what the record says after each line of the client."""
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for side, octets in dialogues[int(await reader.readline())]:
            if side == "S":
                writer.write(octets)
            else:
                await reader.readexactly(len(octets))
        writer.close()

    async def lane() -> None:
        while numbers:
            number = numbers.pop()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"%d\n" % number)
            for side, octets in dialogues[number]:
                if side == "C":
                    writer.write(octets)
                else:
                    await reader.readexactly(len(octets))
            writer.close()

    numbers = list(range(len(dialogues)))
    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 24)
    port = server.sockets[0].getsockname()[1]
    begun = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(LANES)))
    server.close()
    return time.perf_counter() - begun


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        run = timed([*SUITE, "run", "--report", folder], (0, 1))  # time is measured here, not conformance
        results = json.loads((Path(folder) / "results.json").read_text("utf-8"))["results"]
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20)
    dialogues = [
        [(side, text.encode() + b"\r\n") for _seconds, side, text in result["transcript"] if side in "CS"]
        for result in results if result["transcript"]
    ]  # fmt: skip
    bare = asyncio.run(replay(dialogues))
    listing = min(timed([*SUITE, "list"]) for _ in range(5))
    version = min(timed([sys.executable, "-m", "pytest", "--version"]) for _ in range(5))
    print(f"run {run:.2f} s, replay of {len(dialogues)} dialogues {bare:.2f} s, ratio {run / bare:.1f} (at most {RATIO_RUN:g})")
    print(f"list {listing:.2f} s, pytest --version {version:.2f} s, ratio {listing / version:.1f} (at most {RATIO_LIST:g})")
    print(f"peak memory {memory:.0f} MB (at most {MEGABYTES})")
    return int(run / bare > RATIO_RUN or listing / version > RATIO_LIST or memory > MEGABYTES)


if __name__ == "__main__":
    sys.exit(main())
