"""The ways into a POP3 mailbox: what is tried, and what is said."""

from __future__ import annotations

import asyncio
import base64
import hashlib

import pytest

from conformance.session.login import Way, candidates, log_in


@pytest.mark.parametrize(
    ("offers", "banner", "expected"),
    [
        ({}, b"ready", [Way("USER")]),
        ({"USER": (), "SASL": ("PLAIN",)}, b"ready", [Way("USER"), Way("PLAIN")]),
        ({"SASL": ("CRAM-MD5", "GSSAPI")}, b"<1.2@host>", [Way("CRAM-MD5"), Way("APOP")]),
        ({"UIDL": ()}, b"ready", [Way("USER"), Way("PLAIN")]),
        ({"STLS": ()}, b"ready", [Way("USER", tls=True), Way("PLAIN", tls=True)]),
    ],
)
def test_what_is_tried(offers: dict[str, tuple[str, ...]], banner: bytes, expected: list[Way]) -> None:
    assert candidates(offers, banner, plaintext=True) == expected


def test_stls_is_no_way_on_an_implicit_port() -> None:
    assert candidates({"USER": (), "STLS": ()}, b"", plaintext=False) == [Way("USER")]


def _talk(way: Way, answers: list[tuple[str, bytes]], banner: bytes = b"") -> tuple[str, list[bytes]]:
    said: list[bytes] = []

    async def say(octets: bytes, shown: bytes) -> tuple[str, bytes]:
        assert b"secret" not in shown.replace(b"[secret]", b"")
        said.append(octets)
        return answers[len(said) - 1]

    return asyncio.run(log_in(way, "ann", "secret", banner, say)), said


def test_user_refused_sends_no_password() -> None:
    assert _talk(Way("USER"), [("-ERR", b"")]) == ("-ERR", [b"USER ann"])


def test_apop_digest() -> None:
    digest = hashlib.md5(b"<1.2@host>secret").hexdigest().encode()
    assert _talk(Way("APOP"), [("+OK", b"")], b"hello <1.2@host>") == ("+OK", [b"APOP ann " + digest])


def test_plain_waits_for_the_challenge() -> None:
    token = base64.b64encode(b"\0ann\0secret")
    assert _talk(Way("PLAIN"), [("+", b""), ("+OK", b"")]) == ("+OK", [b"AUTH PLAIN", token])


def test_rubbish_challenge_is_cancelled() -> None:
    code, said = _talk(Way("SCRAM-SHA-1"), [("+", b""), ("+", b"eA=="), ("-ERR", b"")])
    assert (code, said[0], said[-1]) == ("-ERR", b"AUTH SCRAM-SHA-1", b"*")
