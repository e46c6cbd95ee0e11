"""Clients of others can talk to the reference server; it is not only our own player that understands it."""

from __future__ import annotations

import asyncio
import poplib
import shutil
import smtplib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.server.app import ReferenceServer

PASSWORD = "wonderland-7"
MESSAGE = "From: a@client.example.test\r\nTo: alice@example.test\r\nSubject: hello\r\n\r\n.dots\r\nand all\r\n"


class Served:
    def __init__(self, ports: dict[str, int], ca: Path) -> None:
        self.ports = ports
        self.ca = ca
        self.tls = ssl.create_default_context(cafile=str(ca))

    def mailbox(self, user: str) -> list[bytes]:
        box = poplib.POP3("127.0.0.1", self.ports["pop3"], timeout=10)
        box.user(user)
        box.pass_(PASSWORD)
        found = [b"\r\n".join(box.retr(number)[1]) for number in range(1, box.stat()[0] + 1)]
        box.quit()
        return found


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = ReferenceServer()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    server.write_target(tmp_path / "target.toml")
    yield Served(server.ports, tmp_path / "target-ca.pem")
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def run(tool: str, *arguments: str, text: str = "") -> str:
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    done = subprocess.run([tool, *arguments], input=text.encode(), capture_output=True, timeout=20)
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, output
    return output


def test_smtplib(served: Served) -> None:
    with smtplib.SMTP("127.0.0.1", served.ports["smtp"], timeout=10) as client:
        client.starttls(context=served.tls)
        client.sendmail("a@client.example.test", ["alice@example.test", "bob@example.test"], MESSAGE)
    with smtplib.SMTP("127.0.0.1", served.ports["submission"], timeout=10) as client:
        client.starttls(context=served.tls)
        client.login("alice", PASSWORD)
        client.sendmail("alice@example.test", "alice@example.test", MESSAGE)
    with smtplib.SMTP_SSL("127.0.0.1", served.ports["smtps"], timeout=10, context=served.tls) as client:
        client.login("alice", PASSWORD)
    with smtplib.LMTP("127.0.0.1", served.ports["lmtp"]) as lmtp:
        lmtp.sendmail("a@client.example.test", ["alice@example.test"], MESSAGE)
    found = served.mailbox("alice")
    assert len(found) == 3 and all(b"\r\n.dots\r\nand all" in one for one in found)
    assert len(served.mailbox("bob")) == 1


def test_smtplib_dsn(served: Served) -> None:
    with smtplib.SMTP("127.0.0.1", served.ports["smtp"], timeout=10) as client:
        client.sendmail("alice@example.test", "bob@example.test", MESSAGE, ["RET=HDRS", "ENVID=Q1"], ["NOTIFY=SUCCESS"])
    (report,) = served.mailbox("alice")
    assert b"report-type=delivery-status" in report and b"\r\nOriginal-Envelope-Id: Q1\r\n" in report
    assert len(served.mailbox("bob")) == 1


def test_smtplib_refusals(served: Served) -> None:
    with smtplib.SMTP("127.0.0.1", served.ports["smtp"], timeout=10) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("a@client.example.test", "nobody-here@example.test", MESSAGE)
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.starttls(context=served.tls)
            client.login("alice", "wrong")


def test_poplib(served: Served) -> None:
    with smtplib.SMTP("127.0.0.1", served.ports["smtp"], timeout=10) as client:
        client.sendmail("a@client.example.test", "alice@example.test", MESSAGE)
    box = poplib.POP3("127.0.0.1", served.ports["pop3"], timeout=10)
    assert "STLS" in box.capa()
    box.stls(served.tls)
    box.user("alice")
    box.pass_(PASSWORD)
    assert len(box.list()[1]) == len(box.uidl()[1]) == box.stat()[0] == 1
    assert b"Subject: hello" in box.top(1, 0)[1]
    box.dele(1)
    box.quit()
    secure = poplib.POP3_SSL("127.0.0.1", served.ports["pop3s"], timeout=10, context=served.tls)
    secure.user("alice")
    with pytest.raises(poplib.error_proto):
        secure.pass_("wrong")
    secure.close()
    assert served.mailbox("alice") == []


def test_curl(served: Served, tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.write_bytes(MESSAGE.encode())
    common = ("-sS", "--ssl-reqd", "--cacert", str(served.ca))
    run("curl", *common, f"smtp://localhost:{served.ports['submission']}", "--mail-from", "alice@example.test",
        "--mail-rcpt", "alice@example.test", "-T", str(mail), "-u", f"alice:{PASSWORD}")  # fmt: skip
    output = run("curl", *common, f"pop3://localhost:{served.ports['pop3']}/1", "-u", f"alice:{PASSWORD}")
    assert "Subject: hello" in output and "\r\n.dots\r\n" in output


def test_swaks(served: Served) -> None:
    run("swaks", "--server", "127.0.0.1", "--port", str(served.ports["smtp"]), "--to", "alice@example.test",
        "--from", "a@client.example.test", "--ehlo", "client.example.test", "--header", "Subject: by swaks")  # fmt: skip
    assert b"Subject: by swaks" in served.mailbox("alice")[0]


def test_msmtp(served: Served) -> None:
    run("msmtp", "--file=/dev/null", "--host=localhost", f"--port={served.ports['submission']}", "--tls=on",
        f"--tls-trust-file={served.ca}", "--auth=plain", "--user=alice", f"--passwordeval=echo {PASSWORD}",
        "--from=alice@example.test", "alice@example.test", text=MESSAGE.replace("\r\n", "\n"))  # fmt: skip
    assert b"Subject: hello" in served.mailbox("alice")[0]


def test_mpop(served: Served, tmp_path: Path) -> None:
    with smtplib.SMTP("127.0.0.1", served.ports["smtp"], timeout=10) as client:
        client.sendmail("a@client.example.test", "alice@example.test", MESSAGE)
    box, config = tmp_path / "box", tmp_path / "mpoprc"
    config.write_text(
        f"account default\nhost localhost\nport {served.ports['pop3']}\nuser alice\npasswordeval echo {PASSWORD}\n"
        f"tls on\ntls_starttls on\ntls_trust_file {served.ca}\ndelivery mbox {box}\nuidls_file {tmp_path / 'uidls'}\n"
    )
    config.chmod(0o600)
    run("mpop", f"--file={config}")
    assert "Subject: hello" in box.read_text()
    assert served.mailbox("alice") == []


def test_fetchmail(served: Served, tmp_path: Path) -> None:
    with smtplib.SMTP("127.0.0.1", served.ports["smtp"], timeout=10) as client:
        client.sendmail("a@client.example.test", "alice@example.test", MESSAGE)
    box, config = tmp_path / "box", tmp_path / "fetchmailrc"
    config.write_text(
        f'poll localhost protocol pop3 service {served.ports["pop3"]} user "alice" password "{PASSWORD}" '
        f'mda "cat >> {box}" sslcertfile "{served.ca}" sslproto "auto" fetchall\n'
    )
    config.chmod(0o600)
    run("fetchmail", "-f", str(config), "--pidfile", str(tmp_path / "pid"), "--idfile", str(tmp_path / "ids"))
    assert "Subject: hello" in box.read_text()
    assert served.mailbox("alice") == []
