"""A broken target file is told with the key that is wrong; secrets may come from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.target import Target, TargetError

GOOD = 'host = "h"\n[services]\nsmtp = 25\n'


def load(folder: Path, text: str) -> Target:
    path = folder / "target.toml"
    path.write_text(text, "utf-8")
    return Target.load(path)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("host =", "not TOML"),
        ("[services]\nsmtp = 25\n", "host: is missing"),
        ('host = ""\n[services]\nsmtp = 25\n', "host: is missing"),
        ("host = 5\n[services]\nsmtp = 25\n", "host: is missing"),
        ('host = "h"\n', "services: names no service"),
        ('host = "h"\nservices = 25\n', "services: is no table"),
        ('host = "h"\n[services]\nsmpt = 25\n', "services.smpt: there is no such service (one of smtp)"),
        ('host = "h"\n[services]\nsmtp = 0\n', "services.smtp: 0 is no port"),
        ('host = "h"\n[services]\nsmtp = 65536\n', "services.smtp: 65536 is no port"),
        ('host = "h"\n[services]\nsmtp = true\n', "services.smtp: True is no port"),
        ('host = "h"\n[services]\nsmtp = "25"\n', "services.smtp: '25' is no port"),
        ('host = "h"\n[services]\nsmtp = { port = 25, tls = "yes" }\n', "services.smtp.tls: 'yes'"),
        ('host = "h"\n[services]\nsmtp = { prot = 25 }\n', "services.smtp.prot: unknown key (did you mean 'port'?)"),
        ('hots = "h"\n' + GOOD, "hots: unknown key (did you mean 'host'?)"),
        (GOOD + '[mail]\nrecipent = "a@b"\n', "mail.recipent: unknown key (did you mean 'recipient'?)"),
        (GOOD + "[mail]\ndomain = 5\n", "mail.domain: is no text"),
        (GOOD + '[mail]\nrecipient = "alice"\n', "mail.recipient: 'alice' is no address"),
        ("accounts = 5\n" + GOOD, "accounts: is no list of tables"),
        ("accounts = [5]\n" + GOOD, "accounts 1: is no table"),
        (GOOD + '[[accounts]]\npassword = "x"\n', "accounts 1: user: is missing"),
        (GOOD + '[[accounts]]\nuser = "x"\n', "accounts 1: password: is missing"),
        (GOOD + '[[accounts]]\nuser = "x"\npassword = { env = "NO_SUCH_X" }\n', "the environment has no NO_SUCH_X"),
        (GOOD + '[[accounts]]\nuser = "x"\npasswort = "y"\n', "accounts 1: passwort: unknown key"),
        (GOOD + '[[accounts]]\nuser = "x"\npassword = "y"\nbearer = 5\n', "accounts 1: bearer: is missing"),
        (GOOD + '[[accounts]]\nuser = "x"\npassword = "y"\ncertificate = "none.pem"\n', "certificate: there is no file"),
        (GOOD + '[[accounts]]\nuser = "x"\npassword = "y"\ncertificate = "target.toml"\n', "accounts 1: certificate: "),
        (GOOD + '[tls]\nca = "none.pem"\n', "tls.ca: there is no file"),
        (GOOD + "[tls]\nca = 5\n", "tls.ca: is no text"),
        (GOOD + "[limits]\nreply_timeout = 0\n", "limits.reply_timeout: 0 is no number above 0"),
        (GOOD + "[limits]\nconnections = 0.5\n", "limits.connections: 0.5 is no whole number above 0"),
        (GOOD + "[limits]\nreply_timeout = nan\n", "limits.reply_timeout: nan is no number above 0"),
        (GOOD + '[limits]\nconnections = "8"\n', "limits.connections: '8' is no number above 0"),
    ],
)
def test_a_broken_file_names_its_key(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(TargetError) as caught:
        load(tmp_path, text)
    assert key in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "target.toml"))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="No such file"):
        Target.load(tmp_path / "none.toml")


def test_a_secret_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_SECRET", "s3cret")
    target = load(tmp_path, GOOD + '[[accounts]]\nuser = "a@b"\npassword = { env = "MAIL_SECRET" }\n')
    assert target.accounts[0].password == "s3cret"
    assert target.accounts[0].address == "a@b"


def test_services_and_their_tls(tmp_path: Path) -> None:
    target = load(tmp_path, 'host = "h"\n[services]\nsmtps = 465\nsmtp = { tls = "none" }\npop3 = 110\n')
    found = {name: (one.port, one.tls) for name, one in target.services.items()}
    assert found == {"smtps": (465, "implicit"), "smtp": (25, "none"), "pop3": (110, "starttls")}


@pytest.mark.parametrize(
    ("url", "host", "service", "port"),
    [
        ("smtp://mx.example.test", "mx.example.test", "smtp", 25),
        ("pop3s://h:1995", "h", "pop3s", 1995),
        ("smtp://[::1]:2525", "::1", "smtp", 2525),
    ],
)
def test_urls(url: str, host: str, service: str, port: int) -> None:
    target = Target.parse(url)
    assert (target.host, target.services[service].port) == (host, port)


@pytest.mark.parametrize("url", ["imap://h", "smtp://", "smtp://h:99999", "smtp://h:x"])
def test_wrong_urls(url: str) -> None:
    with pytest.raises(TargetError):
        Target.parse(url)
