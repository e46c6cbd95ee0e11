"""The exchange profile: its EHLO list, its verbs, and clients that we did not write."""

from __future__ import annotations

import asyncio
import base64
import shutil
import smtplib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.cli import main
from conformance.server.app import ReferenceServer, UnknownProfile
from conformance.server.smtp import SmtpSession

pytest.importorskip("spnego", reason="pyspnego is not installed")
PASSWORD = "wonderland-7"
TRANSACTION = b"MAIL FROM:<a@client.example.test>\r\nRCPT TO:<alice@example.test>\r\n"


class Talk:
    """A session without sockets."""

    def __init__(self, server: ReferenceServer) -> None:
        self.session = SmtpSession(server.world, "smtp", tls=False)
        self.session.greet()
        self.list = self.say(b"EHLO client.example.test")

    def say(self, line: bytes) -> str:
        return self.raw(line + b"\r\n")

    def raw(self, octets: bytes) -> str:
        return self.session.receive(octets).decode()

    def login(self, verb: bytes = b"AUTH") -> str:
        self.say(verb + b" LOGIN")
        self.say(base64.b64encode(b"alice"))
        return self.say(base64.b64encode(PASSWORD.encode()))


@pytest.fixture
def talk() -> Talk:
    return Talk(ReferenceServer(profile="exchange"))


def test_the_list_is_that_of_exchange_2003(talk: Talk) -> None:
    words = [line[4:] for line in talk.list.splitlines()[1:]]
    for line in ("TURN", "ETRN", "PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "BINARYMIME", "CHUNKING", "VRFY",
                 "X-EXPS GSSAPI NTLM LOGIN", "X-EXPS=LOGIN", "AUTH GSSAPI NTLM LOGIN", "AUTH=LOGIN", "X-LINK2STATE",
                 "XEXCH50"):  # fmt: skip
        assert words.count(line) == 1, line
    assert words.index("X-EXPS GSSAPI NTLM LOGIN") + 1 == words.index("X-EXPS=LOGIN")


def test_the_default_profile_knows_none_of_it() -> None:
    plain = Talk(ReferenceServer())
    assert "X-" not in plain.list and "NTLM" not in plain.list and "AUTH=" not in plain.list
    for line in (b"X-EXPS LOGIN", b"X-LINK2STATE FIRST CHUNK=x", b"XEXCH50 2 2"):
        assert plain.say(line).startswith("500 ")


def test_xexch50_takes_its_octets_however_they_come(talk: Talk) -> None:
    assert talk.raw(TRANSACTION + b"XEXCH50 2 2\r\n").splitlines()[-1] == "504 5.7.4 Need to authenticate first"
    talk.say(b"RSET")
    assert talk.login(b"X-EXPS").startswith("235 ")
    for sizes in ((8,), (1,) * 8, (3, 5)):
        stream = b"QUIT\r\n\r\n"
        assert talk.raw(TRANSACTION + b"XEXCH50 8 2\r\n").endswith("354 Send binary data\r\n")
        answers = ""
        for size in sizes:
            answers += talk.raw(stream[:size])
            stream = stream[size:]
        assert answers == "250 2.0.0 XEXCH50 OK\r\n"
        assert talk.say(b"NOOP").startswith("250 ")
        assert talk.say(b"DATA").startswith("354 ")
        assert talk.raw(b"Subject: x\r\n\r\nx\r\n.\r\n").startswith("250 ")


@pytest.mark.parametrize("arguments", ["", "2", "-1 2", "+2 2", "2x 2", "1073741825 2", "9" * 30 + " 2", "2 " + "2" * 60])
def test_xexch50_refuses_in_forty_octets(talk: Talk, arguments: str) -> None:
    talk.login()
    talk.raw(TRANSACTION)
    answer = talk.say(b"XEXCH50 " + arguments.encode())
    assert answer.startswith("5") and len(answer) <= 40


def test_link_states_in_their_order(talk: Talk) -> None:
    assert talk.say(b"X-LINK2STATE FIRST CHUNK=x").startswith("530 ")
    talk.login()
    for mark, code in (("NEXT ", "503"), ("", "503"), ("FIRST ", "250"), ("", "250"), ("NEXT ", "250"), ("LAST ", "250"),
                       ("", "503"), ("LAST ", "250")):  # fmt: skip
        assert talk.say(f"X-LINK2STATE {mark}CHUNK=x".encode()).startswith(code), mark
    assert talk.say(b"X-LINK2STATE FIRST CHUNK=" + b"x" * 997).startswith("250 ")
    assert talk.say(b"X-LINK2STATE FIRST CHUNK=" + b"x" * 998).startswith("500 ")


@pytest.mark.parametrize("mechanism", ["NTLM", "GSSAPI"])
def test_no_octets_of_a_token_are_too_odd(talk: Talk, mechanism: str) -> None:
    whole = base64.b64decode("YEgGBisGAQUFAqA+MDygDjAMBgorBgEEAYI3AgIKoioEKE5UTE1TU1AAAQAAAJeCCOIAAAAAAAAAAAAAAAAAAAAABgGxHQAAAA8=")
    for size in range(len(whole)):
        talk.say(b"X-EXPS " + mechanism.encode())
        answer = talk.say(base64.b64encode(whole[:size]))
        if answer.startswith("334 "):
            answer = talk.say(b"*")
        assert answer.startswith(("501 ", "535 ")), size
        talk.session.errors = 0


def test_without_pyspnego_the_profile_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "spnego", None)
    with pytest.raises(UnknownProfile, match=r"mail-conformance\[exchange\]"):
        ReferenceServer(profile="exchange")
    assert main(["serve", "--profile", "exchange"]) == 2
    assert "pip install 'mail-conformance[exchange]'" in capsys.readouterr().err
    ReferenceServer()  # needs it not


def test_a_fault_brings_its_profile() -> None:
    assert ReferenceServer(faults=["exps-bare"]).world.profile == "exchange"
    assert ReferenceServer().world.profile == "default"


def test_a_profile_is_not_for_targets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--profile", "exchange", "--target", "smtp://127.0.0.1:1"]) == 2
    assert "--profile" in capsys.readouterr().err


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[dict[str, int]]:
    loop = asyncio.new_event_loop()
    server = ReferenceServer(profile="exchange")
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(20)
    yield server.ports
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def test_smtplib_logs_in(ports: dict[str, int]) -> None:
    with smtplib.SMTP("127.0.0.1", ports["smtp"], timeout=20) as client:
        client.ehlo("client.example.test")
        assert client.login("alice", PASSWORD)[0] == 235


@pytest.mark.parametrize(("password", "status"), [(PASSWORD, 0), ("wrong", 67)])
def test_curl_speaks_ntlm_to_it(ports: dict[str, int], tmp_path: Path, password: str, status: int) -> None:
    curl = shutil.which("curl")
    if not curl:
        pytest.skip("curl is not installed")
    if "NTLM" not in subprocess.run([curl, "--version"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("this curl was built without NTLM")
    message = tmp_path / "message"
    message.write_bytes(b"Subject: x\r\n\r\nx\r\n")
    done = subprocess.run(
        [curl, "--silent", "--max-time", "30", "--login-options", "AUTH=NTLM", "--user", f"alice:{password}",
         "--mail-from", "alice@example.test", "--mail-rcpt", "bob@example.test", "--upload-file", str(message),
         f"smtp://127.0.0.1:{ports['smtp']}/client.example.test"],
        check=False,
    )  # fmt: skip
    assert done.returncode == status
