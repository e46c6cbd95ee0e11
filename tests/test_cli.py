"""The command as a user runs it: its exit statuses, and reports whatever happens."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

COMMAND = [sys.executable, "-m", "conformance"]


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def reports(folder: Path) -> dict[str, int]:
    ElementTree.parse(folder / "junit.xml")
    assert (folder / "report.html").stat().st_size
    summary: dict[str, int] = json.loads((folder / "results.json").read_text("utf-8"))["summary"]
    return summary


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Path]:
    target = tmp_path / "target.toml"
    server = subprocess.Popen(
        [*COMMAND, "serve", "--fault", "cmd-greeting-250", "--write-target", str(target)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout and server.stdout.readline() == "ready\n"
    yield target
    server.terminate()
    assert server.wait(10) == 0
    server.stdout.close()


def test_conformant(tmp_path: Path) -> None:
    done = call("run", "--select", "smtp/noop/*", "--report", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert reports(tmp_path)["fail"] == 0


def test_a_faulty_server(tmp_path: Path, faulty: Path) -> None:
    arguments = ("run", "--target", str(faulty), "--select", "rfc5321/3.1/greeting-first", "--report", str(tmp_path / "r"))
    done = call(*arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    assert reports(tmp_path / "r")["fail"] >= 1
    assert call(*arguments, "--baseline", str(tmp_path / "r" / "results.json")).returncode == 0
    assert call("compare", str(tmp_path / "r" / "results.json"), str(tmp_path / "r" / "results.json")).returncode == 0


def test_a_wrong_target_key(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text('host = "h"\n[services]\nsmtp = 25\n[mail]\nrecipent = "a@b"\n')
    done = call("run", "--target", str(path))
    assert done.returncode == 2 and f"{path}: mail.recipent" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--select", "no-such-thing"), ("run", "--select", "smtp and ("), ("run", "--connections", "0"),
        ("run", "--target", "imap://h"), ("run", "--baseline", "/nonexistent"), ("run", "--waivers", "/nonexistent"),
        ("list", "--select", "no-such-thing"), ("show", "no/such/thing"), ("serve", "--fault", "no-such-fault"),
        ("compare", "/nonexistent", "/nonexistent"), ("probe", "imap://h"), ("no-such-command",), (),
    ],
)  # fmt: skip
def test_usage(arguments: tuple[str, ...]) -> None:
    done = call(*arguments)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stdout + done.stderr


def test_nobody_there(tmp_path: Path) -> None:
    url = f"smtp://127.0.0.1:{free_port()}"
    done = call("run", "--target", url, "--select", "smtp/noop/*", "--report", str(tmp_path))
    assert done.returncode == 3, done.stdout + done.stderr
    assert reports(tmp_path)["inconclusive"] >= 1


def test_interrupted(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes connections, never speaks
        path = tmp_path / "t.toml"
        path.write_text(
            f'host = "127.0.0.1"\n[services]\nsmtp = {mute.getsockname()[1]}\n[limits]\nreply_timeout = 60\n', "utf-8"
        )
        run = subprocess.Popen(
            [*COMMAND, "run", "--target", str(path), "--report", str(tmp_path / "r")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        mute.settimeout(30)
        peer, _address = mute.accept()
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        output, _nothing = run.communicate(timeout=30)
        peer.close()
    assert run.returncode == 130, output
    reports(tmp_path / "r")


def test_lint(tmp_path: Path) -> None:
    assert call("lint").returncode == 0
    path = tmp_path / "smtp" / "x.yaml"
    path.parent.mkdir()
    (tmp_path / "requirements").mkdir()
    path.write_text("command: RCPT\nservice: smtp\nscenarios:\n  one:\n    titel: x\n")
    done = call("lint", str(tmp_path))
    assert done.returncode == 2 and "x.yaml:5" in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_listing() -> None:
    name = call("list").stdout.split()[0]
    assert name in call("show", name).stdout
    assert "cmd-greeting-250" in call("faults").stdout
    assert "RFC 5321" in call("coverage").stdout
