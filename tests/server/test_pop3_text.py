"""UTF-8 mode, languages, SASLprep: RFC 6856 and 4013."""

from __future__ import annotations

import pytest

from conformance.server.base import Settings, World
from conformance.server.pop3 import Pop3Session
from conformance.server.pop3_text import LANGUAGES, needs_utf8, saslprep, selected, translated
from conformance.server.storage import Storage

ODD = "Subject: Grüße\r\n\r\ntext\r\n".encode()


@pytest.fixture
def session() -> Pop3Session:
    world = World(Settings(), {"alice": "sesame", "jörg": "straße"}, Storage())
    world.storage.deliver("alice", ODD)
    session = Pop3Session(world, "pop3", tls=False)
    session.greet()
    return session


def say(session: Pop3Session, line: str) -> bytes:
    return session.receive(line.encode() + b"\r\n")


# RFC 4013 section 3
@pytest.mark.parametrize(("text", "ready"), [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"),
                                             ("a\u00a0b", "a b"), ("", "")])  # fmt: skip
def test_saslprep(text: str, ready: str) -> None:
    assert saslprep(text) == ready


@pytest.mark.parametrize("text", ["\u0007", "\u0627\u0031", "\ufffd", "\u00ad", "\ud800", "\ue000"])
def test_saslprep_prohibits(text: str) -> None:
    with pytest.raises(ValueError):
        saslprep(text)


def test_only_the_header_needs_utf8() -> None:
    assert needs_utf8(ODD)
    assert not needs_utf8("Subject: x\r\n\r\nGrüße\r\n".encode())


@pytest.mark.parametrize("line", ["RETR 1", "TOP 1 0"])
def test_without_and_with_the_mode(session: Pop3Session, line: str) -> None:
    say(session, "USER alice")
    say(session, "PASS sesame")
    assert say(session, line).startswith(b"-ERR [UTF8] ")
    assert say(session, "UTF8").startswith(b"-ERR")  # AUTHORIZATION only
    assert say(session, "LIST 1") == b"+OK 1 %d\r\n" % len(ODD)
    session.ended()
    assert say(session, "UTF8 x").startswith(b"-ERR")
    assert say(session, "UTF8").startswith(b"+OK")
    say(session, "USER alice")
    say(session, "PASS sesame")
    assert "Grüße".encode() in say(session, line)


def test_names_in_utf8(session: Pop3Session) -> None:
    assert say(session, "USER jo\u0308rg").startswith(b"+OK")
    assert say(session, "PASS straße").startswith(b"+OK")


def test_prohibited_names(session: Pop3Session) -> None:
    for line in ("USER alice\ufffd", "APOP alice\ufffd x"):
        assert say(session, line).startswith(b"-ERR")
    say(session, "USER alice")
    assert say(session, "PASS sesame\ufffd").startswith(b"-ERR")
    assert say(session, "PASS sesame").startswith(b"-ERR")


@pytest.mark.parametrize(
    ("wanted", "tag"), [("*", "en"), ("en", "en"), ("DE", "de"), ("de-AT", None), ("d", None), ("fr", None)]
)
def test_ranges(wanted: str, tag: str | None) -> None:
    assert selected(wanted) == tag


def test_languages(session: Pop3Session) -> None:
    assert say(session, "LANG") == b"+OK languages follow\r\nen English\r\nde Deutsch\r\n.\r\n"
    assert say(session, "LANG de") == b"+OK de die Texte sind in dieser Sprache\r\n"
    assert say(session, "XYZZ") == b"-ERR unbekannter Befehl\r\n"
    assert say(session, "LANG fr") == b"-ERR diese Sprache gibt es nicht\r\n"
    assert say(session, "LANG *").startswith(b"+OK en ")
    assert say(session, "XYZZ") == b"-ERR no such command\r\n"


def test_figures_are_never_translated() -> None:
    for tag in LANGUAGES:
        assert translated("2 320", tag) == "2 320" and translated("1 uid.7", tag) == "1 uid.7"
    assert translated("12 messages", "de") == "12 Nachrichten"
