"""The language is tested by the octets that it puts on the wire."""

from __future__ import annotations

import pytest

from conformance.scenario.expression import Environment, Expression, ExpressionError, Template

ENV = Environment({"user": b"alice", "password": b"secret", "count": b"3", "n": 4})


@pytest.mark.parametrize(
    ("source", "octets"),
    [
        ("EHLO x", b"EHLO x"),
        (r"a backslash \r\n stays", rb"a backslash \r\n stays"),
        ("{{literal}}", b"{literal}"),
        ("<{user}>", b"<alice>"),
        ('{"A" * 3}{"}"}', b"AAA}"),
        ('{"a\\r\\n" + user}', b"a\r\nalice"),
        ("{n * 2 + 1}", b"9"),
        ("trailing ", b"trailing "),
        ("ü", "ü".encode()),
    ],
)
def test_line(source: str, octets: bytes) -> None:
    assert Template(source).evaluate(ENV) == octets


@pytest.mark.parametrize(
    ("source", "octets"),
    [
        (r"a\r\n\t\0\s\\\x7F\xff", b"a\r\n\t\0 \\\x7f\xff"),
        (r"\{user\}{user}", b"{user}alice"),
        (r"{'x'}" if False else r'{"\xff" * 2}', b"\xff\xff"),
    ],
)
def test_octets(source: str, octets: bytes) -> None:
    assert Template(source, escapes=True).evaluate(ENV) == octets


@pytest.mark.parametrize("source", [r"\q", r"\x1", r"\xzz", "\\", "{user", "}", "{}", "{nothing(1)}", "{len()}", "{1 2}"])
def test_errors_at_load_time(source: str) -> None:
    with pytest.raises(ExpressionError):
        Template(source, escapes=True)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("count == 3", True),
        ('count == "3"', True),
        ("count < n", True),
        ('user == 3', False),
        ('contains("abc", "b") and not starts("abc", "b")', True),
        ("plain(user, password)", b"AGFsaWNlAHNlY3JldA=="),
        # RFC 2195 section 2's example
        (
            'unbase64(cram("PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+", "tim", "tanstaaftanstaaf"))',
            b"tim b913a602c7eda7a495b4e6e7334d3890",
        ),
        # RFC 1939 section 7's example
        (
            'apop("POP3 server ready <1896.697170952@dbc.mtview.ca.us>", "tanstaaf")',
            b"c4c9334bac560ecc979e58001b3e22fb",
        ),
        ('field("Received: a\\r\\n\\tb\\r\\nX: y\\r\\n", "received")', b"a\tb"),
        ('line("a\\r\\nb\\r\\n", -1)', b"b"),
        ('lines("a\\r\\nb\\r\\n")', 2),
        ('domainof("a@b@c")', b"c"),
    ],
)
def test_values(source: str, value: object) -> None:
    assert Expression(source).evaluate(ENV) == value


@pytest.mark.parametrize("source", ['"x" * 99999999', "unknown", 'unbase64("%")', '"a" < 1', 'matches("a", "(")'])
def test_errors_at_run_time_name_the_expression(source: str) -> None:
    with pytest.raises(ExpressionError):
        Expression(source).evaluate(ENV)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("from a by b; Tue, 24 Nov 2026 22:44:11 +0000", b"Tue"),
        ("1 Jan 2026 came before 29 Feb 2024", b"Thu"),
        ("29 Feb 2026", b""),
        ("no date", b""),
    ],
)
def test_weekday(text: str, day: bytes) -> None:
    assert Expression("weekday(x)").evaluate(Environment({"x": text.encode()})) == day
