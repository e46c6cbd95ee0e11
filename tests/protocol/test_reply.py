"""Replies: what is read, and what is said to be wrong with them."""

from __future__ import annotations

import pytest

from conformance.protocol.reply import keywords, last_line, pop3_reply, show, smtp_reply


@pytest.mark.parametrize(
    ("lines", "code", "checks"),
    [
        ([b"250 ok\r\n"], "250", []),
        ([b"250\r\n"], "250", []),
        ([b"250-a\r\n", b"250 b\r\n"], "250", []),
        ([b"250 ok\n"], "250", ["crlf"]),
        ([b"250 o\rk\r\n"], "250", ["crlf"]),
        ([b"250-a\r\n", b"251 b\r\n"], "251", ["one-code"]),
        ([b"250ok\r\n"], "250", ["grammar"]),
        ([b"690 ok\r\n"], "690", ["grammar"]),
        ([b"hello\r\n"], "", ["grammar"]),
        ([b"\x00\xff\r\n"], "", ["grammar"]),
        ([b"250 \xc3\xa9\r\n"], "250", ["grammar"]),
        ([b"250 " + b"x" * 506 + b"\r\n"], "250", []),
        ([b"250 " + b"x" * 507 + b"\r\n"], "250", ["length"]),
    ],
)
def test_smtp(lines: list[bytes], code: str, checks: list[str]) -> None:
    reply = smtp_reply(lines)
    assert (reply.code, [one.check for one in reply.breaches]) == (code, checks)
    assert reply.octets == b"".join(lines)


def test_utf8_where_it_may_be() -> None:
    assert not smtp_reply([b"250 \xc3\xa9\r\n"], utf8=True).breaches


@pytest.mark.parametrize(
    ("line", "code", "text", "checks"),
    [
        (b"+OK hi\r\n", "+OK", b"hi", []),
        (b"+OK\r\n", "+OK", b"", []),
        (b"-ERR no\r\n", "-ERR", b"no", []),
        (b"+ abc=\r\n", "+", b"abc=", []),
        (b"+ok hi\r\n", "+OK", b"hi", ["grammar"]),
        (b"250 hi\r\n", "", b"250 hi", ["grammar"]),
        (b"+OK \x1b[2J\r\n", "+OK", b"\x1b[2J", []),
        (b"+OK \0\r\n", "+OK", b"\0", ["grammar"]),
        (b"+OK hi\n", "+OK", b"hi", ["crlf"]),
    ],
)
def test_pop3(line: bytes, code: str, text: bytes, checks: list[str]) -> None:
    reply = pop3_reply(line)
    assert (reply.code, reply.text, [one.check for one in reply.breaches]) == (code, text, checks)


def test_where_a_reply_ends() -> None:
    assert last_line(b"250 x\r\n") and last_line(b"250\r\n") and not last_line(b"250-x\r\n")


def test_keywords() -> None:
    assert keywords([b"size 100", b"AUTH PLAIN LOGIN", b""]) == {"SIZE": ("100",), "AUTH": ("PLAIN", "LOGIN")}


def test_shown_octets_are_inert() -> None:
    assert show(b"\x1b[2J\x00\xe9\r\n") == "\\x1b[2J\\x00\\xe9\\r\\n"
    assert show(b"x" * 500).endswith("(500 octets)")


def test_a_challenge_may_be_longer_than_a_reply() -> None:
    assert not smtp_reply([b"334 " + b"QUFB" * 200 + b"\r\n"]).breaches
    assert [one.check for one in smtp_reply([b"250 " + b"QUFB" * 200 + b"\r\n"]).breaches] == ["length"]
