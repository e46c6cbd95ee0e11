"""The bundled server as a process of its own, so that it and the player do not share one interpreter.

It ends with its parent, however that ends: it reads a pipe that the parent holds open.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path


class ServerProcess:
    """Starts at once; ``target`` waits until it answers."""

    def __init__(self, faults: Sequence[str] = (), profile: str = "") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mail-conformance-")
        self._path = Path(self._folder.name) / "target.toml"
        package = str(Path(__file__).resolve().parent.parent.parent)
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH", "")])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "conformance.server.process", str(self._path), profile, *faults],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # an interrupt at the keyboard is the player's to handle
        )  # fmt: skip

    def target(self) -> Path:
        """The target file. Raises RuntimeError if the server did not start."""
        assert self._process.stdout
        if self._process.stdout.readline().strip() != b"ready":
            self.stop()
            raise RuntimeError("the bundled server did not start")
        return self._path

    def stop(self) -> None:
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()


async def _serve(path: Path, profile: str, faults: Sequence[str]) -> None:
    from conformance.server.app import ReferenceServer

    server = ReferenceServer(faults=faults, profile=profile)
    await server.start()
    server.write_target(path)
    print("ready", flush=True)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGTERM, ended.set)

    def wait_for_parent() -> None:
        while os.read(0, 100):
            pass
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(ended.set)

    import threading

    threading.Thread(target=wait_for_parent, daemon=True).start()
    await ended.wait()
    await server.stop()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
