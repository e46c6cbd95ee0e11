"""The walk of a user along the command line: options together, bad input, interrupts, servers that die or hang."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

COMMAND = [sys.executable, "-m", "conformance"]


def call(*arguments: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=120, cwd=folder, env={**os.environ, **environment}
    )


def verdicts(folder: Path) -> dict[str, str]:
    ElementTree.parse(folder / "junit.xml")
    assert "</html>" in (folder / "report.html").read_text("utf-8")
    data = json.loads((folder / "results.json").read_text("utf-8"))
    assert sum(data["summary"].values()) == len(data["results"])
    return {result["id"]: result["verdict"] for result in data["results"]}


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Path]:
    target = tmp_path / "faulty.toml"
    server = subprocess.Popen(
        [*COMMAND, "serve", "--fault", "cmd-rcpt-early", "--write-target", str(target)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout and server.stdout.readline() == "ready\n"
    yield target
    server.send_signal(signal.SIGINT)
    assert server.wait(10) == 0
    server.stdout.close()


# -- bad input: one line that names the place, status 2 ------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--baseline", "broken.json"), "broken.json: result 1"),
        (("run", "--baseline", "folder"), "folder: Is a directory"),
        (("run", "--waivers", "broken.json"), "broken.json: not TOML"),
        (("run", "--report", "broken.json"), "broken.json: no report can be written there"),
        (("run", "--target", "folder"), "folder: Is a directory"),
        (("run", "--target", "smtp://h:99999"), "smtp://h:99999: Port out of range"),
        (("run", "--scenarios", "nowhere"), "nowhere:1: no such folder"),
        (("run", "--scenarios", "folder"), "no scenario matches"),
        (("run", "-n", "many"), "-n 'many' is no number of processes"),
        (("compare", "broken.json", "broken.json"), "broken.json: result 1"),
        (("serve", "--smtp", "99999"), "--smtp 99999"),
        (("serve", "--accounts", "0"), "--accounts"),
        (("serve", "--maildir", "broken.json/x"), "--maildir broken.json/x"),
        (("serve", "--write-target", "nowhere/t.toml"), "--write-target nowhere/t.toml"),
        (("prove", "--fault", "cmd-rcpt-erly"), "near: cmd-rcpt-early"),
        (("prove", "--select", "no-such-thing"), "no scenario matches"),
        (("list", "--select", "no-such-thing"), "no scenario matches"),
        (("lint", "broken.json"), "these end in .yaml"),
    ],
)
def test_one_clear_line(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.json").write_text('{"schema": 1, "results": [{"id": 3}]}')
    done = call(*arguments, folder=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_prove_lists_what_its_faults_leave_unproven() -> None:
    done = call("prove", "--fault", "cmd-rcpt-early", "--select", "smtp/rcpt/*", "--unproven")
    assert done.returncode == 0, done.stdout + done.stderr
    unproven = re.findall("^unproven: (.*)$", done.stdout, re.MULTILINE)
    count = re.search(r"(\d+) that pass on the clean server not yet", done.stdout)
    assert count and len(unproven) == int(count[1]) > 0
    assert "smtp/rcpt/before-mail" not in unproven  # which this fault breaks


def test_prove_decides_nothing_for_scenarios_that_were_not_chosen() -> None:
    done = call("prove", "--select", "smtp/quit/in-any-case or smtp/quit/aborts-the-transaction")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "survivor:" not in done.stdout and re.search("^left undecided: [1-9][0-9]* faults", done.stdout, re.MULTILINE), done.stdout


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = call("serve", "--smtp", str(taken.getsockname()[1]))
    assert done.returncode == 2 and "a port cannot be had" in done.stderr and done.stderr.count("\n") == 1


def test_nobody_at_home_is_said_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"smtp://127.0.0.1:{gone.getsockname()[1]}"
    done = call("run", "--target", url, "--select", "smtp/noop/", "--report", str(tmp_path))
    assert done.returncode == 3 and set(verdicts(tmp_path).values()) == {"inconclusive"}
    assert done.stdout.count("Connection refused") == 1, done.stdout
    probed = call("probe", url)
    assert probed.returncode == 3 and "Connection refused" in probed.stderr and not probed.stdout


def test_a_bundled_server_that_does_not_start_is_said_in_one_line(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom conformance.server.process import ServerProcess\n"
        "def target(self): raise RuntimeError('the bundled server did not start')\n"
        "ServerProcess.target = target\nfrom conformance.cli import main\n"
        f"sys.exit(main(['run', '--select', 'smtp/quit/* or smtp/noop/*', '--report', {str(tmp_path)!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.strip().endswith("the bundled server did not start") and len(done.stderr.splitlines()) == 1
    assert "INTERNALERROR" not in done.stdout and "Traceback" not in done.stdout


def test_a_wrong_password(tmp_path: Path, faulty: Path) -> None:
    path = faulty.with_name("wrong.toml")
    path.write_text(faulty.read_text("utf-8").replace("wonderland-7", "sesame-open-1"), "utf-8")
    done = call("run", "--target", str(path), "--select", "pop3/stat/", "--report", str(tmp_path / "r"))
    assert done.returncode in (0, 3), done.stdout
    assert not set(verdicts(tmp_path / "r").values()) & {"fail", "deviation", "pass"}
    assert "login" in done.stdout + (tmp_path / "r" / "results.json").read_text("utf-8")
    assert "sesame" not in done.stdout + "".join(one.read_text("utf-8") for one in (tmp_path / "r").iterdir())


def test_lint_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "smtp" / "x.yaml"
    path.parent.mkdir()
    text = "command: NOOP\nservice: smtp\nscenarios:\n  a:\n    title: x\n    requirement: rfc5321/4.2.1/noop-250\n"
    path.write_text(text + "    given: ehlo\n    exchange: |\n      C: NOOP\n      S: 250\n")
    assert "1 scenarios: no mistakes" in call("lint", str(path)).stdout
    path.write_text(text + "    exchange: |\n      C: NOOP\n      S: 2500\n")
    done = call("lint", str(path))
    assert done.returncode == 2 and "x.yaml:9" in done.stderr, done.stderr


# -- options together ---------------------------------------------------------------------------


def test_several_targets_are_kept_apart(tmp_path: Path, faulty: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"smtp://127.0.0.1:{gone.getsockname()[1]}"
    done = call("run", "--target", str(faulty), "--target", url, "--select", "smtp/rcpt/before-mai[l]", "--report", str(tmp_path / "r"))
    assert done.returncode == 1, done.stdout + done.stderr
    folders = sorted((tmp_path / "r").iterdir())
    assert [verdicts(one) for one in folders] == [
        {"smtp/rcpt/before-mail": "fail"}, {"smtp/rcpt/before-mail": "inconclusive"},
    ]  # fmt: skip


def test_waived_by_a_file(tmp_path: Path, faulty: Path) -> None:
    waivers = tmp_path / "w.toml"
    waivers.write_text('[[waiver]]\nid = "smtp/rcpt/*"\nreason = "known"\nbug = "B-7"\n')
    options = ("run", "--target", str(faulty), "--select", "smtp/rcpt/before-mai[l]", "--report", str(tmp_path / "r"))
    assert call(*options).returncode == 1
    done = call(*options, "--waivers", str(waivers))
    assert done.returncode == 0 and "1 waived" in done.stdout, done.stdout
    skipped = [one.get("message", "") for one in ElementTree.parse(tmp_path / "r" / "junit.xml").getroot().iter("skipped")]
    assert len(skipped) == 1 and "known [B-7]" in skipped[0]


def test_the_last_line_counts_what_the_reports_say(tmp_path: Path, faulty: Path) -> None:
    """Over several files, with verdicts of all kinds in between."""
    waivers = tmp_path / "w.toml"
    waivers.write_text('[[waiver]]\nid = "smtp/rcpt/before-mail"\nreason = "known"\n')
    done = call("run", "--target", str(faulty), "--select", "smtp/data/ or smtp/rcpt/ or smtp/reply-codes/ or smtp/turn/",
                "--waivers", str(waivers), "--report", str(tmp_path / "r"))  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    found = Counter(verdicts(tmp_path / "r").values())
    assert found["fail"] and found["waived"] == 1 and found["not-applicable"]
    last = done.stdout.splitlines()[-1]
    counts = {word: int(number) for number, word in re.findall(r"([0-9]+) ([a-z]+)", last.partition(" in ")[0])}
    assert counts == {
        "failed": found["fail"], "passed": found["pass"] + found["deviation"],
        "skipped": found["not-applicable"], "xfailed": found["waived"],
        "error": found["inconclusive"],
    }, last  # fmt: skip
    assert done.stdout.count("\ndialogue:\n") == found["fail"] + found["inconclusive"]


def test_safe_touches_nothing(tmp_path: Path) -> None:
    done = call("run", "--safe", "--select", "smtp/data/ or pop3/dele/", "--report", str(tmp_path))
    assert done.returncode == 0, done.stdout
    data = json.loads((tmp_path / "results.json").read_text("utf-8"))
    spoken = "\n".join(text for result in data["results"] for _at, side, text in result["transcript"] if side == "C")
    assert "DELE" not in spoken and any("--safe" in result["reason"] for result in data["results"])


def test_settings_for_other_tests_have_no_say(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (tmp_path / "conftest.py").write_text("raise SystemExit(9)\n")
    done = call("run", "--select", "smtp/noop/", folder=tmp_path, PYTEST_ADDOPTS="--no-such-option", PYTEST_PLUGINS="no.such")
    assert done.returncode == 0, done.stdout + done.stderr


def test_workers_agree(tmp_path: Path) -> None:
    select = ("--select", "smtp/noop/ or pop3/list/ or smtp/vrfy/")
    assert call("run", *select, "--report", str(tmp_path / "0")).returncode == 0
    assert call("run", *select, "-n", "2", "--report", str(tmp_path / "2")).returncode == 0
    assert verdicts(tmp_path / "0") == verdicts(tmp_path / "2")


def test_progress_on_no_terminal_is_plain() -> None:
    done = call("run", "--select", "smtp/noop/ or smtp/rset/")
    lines = [line for line in done.stdout.splitlines() if " played: " in line]
    total = lines[-1].split()[0]
    assert 1 < len(lines) <= 10 and total.split("/")[0] == total.split("/")[1] and "\r" not in done.stdout + done.stderr


# -- interrupts, and targets that go wrong in mid-run ---------------------------------------------


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_interrupted_in_the_middle(tmp_path: Path, options: tuple[str, ...]) -> None:
    run = subprocess.Popen(
        [*COMMAND, "run", "--report", str(tmp_path / "r"), "--connections", "2", "--select", "smtp/*", *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    assert run.stdout
    total = 0
    for line in run.stdout:
        if " played: " in line:
            total = int(line.split()[0].split("/")[1])
            break
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    output, _nothing = run.communicate(timeout=60)
    assert run.returncode == 130 and "Traceback" not in output, output
    found = verdicts(tmp_path / "r")
    assert "pass" in found.values() and len(found) < total
    assert not [name for name, verdict in found.items() if verdict == "inconclusive"]


def test_further_interrupts_do_not_cost_the_reports(tmp_path: Path) -> None:
    run = subprocess.Popen(
        [*COMMAND, "run", "--report", str(tmp_path / "r"), "--connections", "2", "--select", "smtp/*"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert run.stdout
    for line in run.stdout:
        if " played: " in line:
            break
    for pause in (0, 0.001, 0.01, 0.05, 0.1, 0.2, 0.4):
        time.sleep(pause)
        run.send_signal(signal.SIGINT)
    output, _nothing = run.communicate(timeout=60)
    assert run.returncode == 130 and "Traceback" not in output, output
    assert "pass" in verdicts(tmp_path / "r").values()


_AT_AN_IMPORT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            for _time in range(2):
                os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from conformance.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("module", "begun"),
    [("conformance.cli", False), ("conformance.scenario.loader", False), ("pytest", True), ("conformance.engine", True),
     ("conformance.gather", True), ("conformance.report.junit", True)],
)  # fmt: skip
def test_interrupted_anywhere(tmp_path: Path, module: str, begun: bool) -> None:
    script = _AT_AN_IMPORT.replace("MODULE", repr(module))
    done = subprocess.run(
        [sys.executable, "-c", script, "run", "--select", "smtp/noop/", "--report", str(tmp_path / "r")],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 130 and "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    if begun:
        verdicts(tmp_path / "r")
    else:
        assert not list(tmp_path.glob("r/*"))


def serve(until: int, *, then: str) -> tuple[socket.socket, threading.Thread]:
    """A server of few words that after so many sessions is gone, or takes connections and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))

    def session(peer: socket.socket, mute: bool) -> None:
        with peer, peer.makefile("rwb") as file:
            try:
                if mute:
                    peer.recv(1)
                    peer.recv(1000)
                    return
                file.write(b"220 mx.example.test ESMTP\r\n")
                file.flush()
                for line in file:
                    verb = line[:4].upper()
                    file.write({b"QUIT": b"221 bye\r\n", b"EHLO": b"250 mx.example.test\r\n"}.get(verb, b"250 ok\r\n"))
                    file.flush()
                    if verb == b"QUIT":
                        return
            except OSError:
                return

    def loop() -> None:
        count = 0
        while True:
            try:
                peer, _address = listener.accept()
            except OSError:
                return
            count += 1
            if then == "dies" and count > until:
                peer.close()
                listener.close()
                return
            threading.Thread(target=session, args=(peer, count > until), daemon=True).start()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    return listener, thread


@pytest.mark.parametrize("then", ["dies", "hangs"])
def test_a_target_that_goes_wrong(tmp_path: Path, then: str) -> None:
    listener, _thread = serve(12, then=then)
    target = tmp_path / "t.toml"
    port = listener.getsockname()[1]
    target.write_text(f'host = "127.0.0.1"\n[services]\nsmtp = {port}\n[limits]\nreply_timeout = 0.5\nconnections = 4\n')
    begun = time.monotonic()
    done = call("run", "--target", str(target), "--select", "smtp/noop/ or smtp/helo/", "--report", str(tmp_path / "r"))
    listener.close()
    assert time.monotonic() - begun < 60 and done.returncode in (1, 3), done.stdout
    found = list(verdicts(tmp_path / "r").values())
    assert "inconclusive" in found and "pass" in found
