"""The receiver that we play after ATRN and TURN: what it answers, and what it holds against a client."""

from __future__ import annotations

import pytest

from conformance.protocol.customer import CLOSE, Customer, Manner


def dialogue(customer: Customer, *lines: bytes) -> list[str | None]:
    return [customer.take(line if line.endswith(b"\n") else line + b"\r\n") for line in lines]


def kinds(customer: Customer) -> list[str]:
    return [one.partition(":")[0] for one in customer.breaches]


def proper(*content: bytes) -> tuple[bytes, ...]:
    return (b"EHLO mx.example.test", b"MAIL FROM:<a@example.org>", b"RCPT TO:<b@example.test>", b"DATA", *content, b".", b"QUIT")


def test_a_proper_client_breaks_nothing() -> None:
    customer = Customer("client.example.test", Manner())
    codes = [answer and answer[:3] for answer in dialogue(customer, *proper(b"Subject: x", b"", b"..dot"))]
    assert codes == ["250", "250", "250", "354", None, None, None, "250", "221"]
    assert bytes(customer.messages[0].octets) == b"Subject: x\r\n\r\n.dot\r\n"
    assert customer.messages[0].sender == "a@example.org" and customer.messages[0].recipients == ["b@example.test"]
    assert customer.breaches == [] and customer.ended == "quit"


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ((b"MAIL FROM:<a@example.org>",), "sequence"),
        ((b"EHLO mx.example.test", b"RCPT TO:<b@example.test>"), "sequence"),
        ((b"EHLO mx.example.test", b"MAIL FROM:<>", b"MAIL FROM:<>"), "sequence"),
        ((b"EHLO mx.example.test", b"MAIL FROM:<>", b"DATA"), "sequence"),
        ((b"EHLO",), "identity"),
        ((b"EHLO mail_server",), "identity"),
        ((b"EHLO [127.0.0.999]",), "identity"),
        ((b"HELO mx.example.test",), "helo"),
        ((b"EHLO mx.example.test", b"MAIL FROM:a@example.org"), "path"),
        ((b"EHLO mx.example.test", b"MAIL FROM:<>", b"RCPT TO:<>"), "path"),
        ((b"EHLO mx.example.test", b"MAIL FROM: <a@example.org>"), "space"),
        ((b"EHLO mx.example.test", b"MAIL FROM:<> SIZE=10"), "parameter"),
        ((b"EHLO mx.example.test", b"MAIL FROM:<>", b"RCPT TO:<b@example.test> NOTIFY=NEVER"), "parameter"),
        ((b"EHLO mx.example.test\n",), "line-end"),
        ((b"EHLO mx.example.test\r\r\n",), "line-end"),
        ((b"XCLIENT",), "unknown-command"),
        ((b"QUIT now",), "unknown-command"),
        (proper(b".dot"), "stuffing"),
        (proper(b"x" * 999), "long-line"),
        (proper(b"gr\xc3\xbc\xc3\x9fe"), "8bit"),
        (proper(b"bare\n"), "line-end"),
    ],
)
def test_breaches(lines: tuple[bytes, ...], kind: str) -> None:
    customer = Customer("client.example.test", Manner())
    dialogue(customer, *lines)
    assert kind in kinds(customer)


def test_what_is_offered_may_be_used() -> None:
    customer = Customer("client.example.test", Manner(offers=("SIZE 1000", "8BITMIME", "DSN")))
    dialogue(customer, b"EHLO mx.example.test", b"MAIL FROM:<> SIZE=10 BODY=8BITMIME RET=HDRS", b"RCPT TO:<b@example.test> NOTIFY=NEVER",
             b"DATA", b"gr\xc3\xbc\xc3\x9fe", b".")  # fmt: skip
    assert customer.breaches == []


def test_eight_bits_want_the_parameter() -> None:
    customer = Customer("client.example.test", Manner(offers=("8BITMIME",)))
    dialogue(customer, *proper(b"\xc3\xbc"))
    assert kinds(customer) == ["8bit"]


def test_chunks() -> None:
    customer = Customer("client.example.test", Manner(offers=("CHUNKING",)))
    dialogue(customer, b"EHLO mx.example.test", b"MAIL FROM:<>", b"RCPT TO:<b@example.test>", b"BDAT 4")
    assert customer.chunk == 4
    assert (customer.take(b".\r\nx") or "").startswith("250")
    assert customer.take(b"BDAT 2 LAST\r\n") is None
    assert (customer.take(b"\r\n") or "").startswith("250")
    assert bytes(customer.messages[0].octets) == b".\r\nx\r\n" and customer.breaches == []


def test_pipelining() -> None:
    plain = Customer("client.example.test", Manner())
    dialogue(plain, b"EHLO mx.example.test", b"MAIL FROM:<>")
    plain.early(b"RCPT TO:<b@example.test>\r\n")
    assert kinds(plain) == ["pipelined"]
    offering = Customer("client.example.test", Manner(offers=("PIPELINING",)))
    dialogue(offering, b"EHLO mx.example.test", b"MAIL FROM:<>")
    offering.early(b"RCPT TO:<b@example.test>\r\n")
    dialogue(offering, b"RCPT TO:<b@example.test>", b"DATA", b".")
    offering.early(b"MAIL FROM:<>\r\n")  # the content may be the first of a group: RFC 2920 section 3.1
    assert offering.breaches == []
    dialogue(offering, b"MAIL FROM:<>", b"RCPT TO:<b@example.test>", b"DATA")
    offering.early(b"text\r\n")
    assert kinds(offering) == ["pipelined"]


def test_helo_after_a_refused_ehlo() -> None:
    customer = Customer("client.example.test", Manner(answers={"ehlo": ["502 no"]}))
    answers = dialogue(customer, b"EHLO mx.example.test", b"HELO mx.example.test", b"MAIL FROM:<> SIZE=1")
    assert [answer and answer[:3] for answer in answers] == ["502", "250", "250"] and kinds(customer) == ["parameter"]


def test_answers_in_turn_and_on_condition() -> None:
    customer = Customer("c.example.test", Manner(answers={"rcpt": ["450 later if <one@", "550 no", "251 well"], "end": [CLOSE]}))
    dialogue(customer, b"EHLO mx.example.test", b"MAIL FROM:<>")
    asked = [b"one@x.example", b"two@x.example", b"one@x.example", b"three@x.example", b"four@x.example"]
    answers = [customer.take(b"RCPT TO:<" + one + b">\r\n") for one in asked]
    assert answers == ["450 later", "550 no", "450 later", "251 well", "251 well"]
    assert dialogue(customer, b"DATA", b".")[-1] == CLOSE and customer.ended == "cut" and customer.messages == []


def test_forms() -> None:
    several = Customer("c", Manner(form="multi"))
    assert several.form("250 ok") == b"250-ok\r\n250-\r\n250 last of several\r\n"
    several.take(b"EHLO mx.example.test\r\n")
    assert several.form("250 c") == b"250 c\r\n"  # further lines would be keywords
    assert Customer("c", Manner()).form("250") == b"250\r\n"
    assert Customer("c", Manner()).form("250 c\nSIZE 10\nDSN") == b"250-c\r\n250-SIZE 10\r\n250 DSN\r\n"


def test_two_servers_do_not_talk_for_ever() -> None:
    """A target that accepted the turn and still serves answers each of our replies with an error, and so do we."""
    customer = Customer("client.example.test", Manner())
    answers = [customer.take(b"500 5.5.1 not recognised\r\n") for _ in range(11)]
    assert [answer and answer[:3] for answer in answers] == ["500"] * 10 + ["421"]
    assert customer.ended == "cut" and kinds(customer) == ["unknown-command"]


def test_only_a_dot_between_line_ends_ends_the_content() -> None:
    customer = Customer("client.example.test", Manner())
    codes = [answer and answer[:3] for answer in dialogue(customer, *proper(b"body\n", b".\r\n", b".\n", b"more"))]
    assert codes == ["250", "250", "250", "354", None, None, None, None, "250", "221"]
    assert bytes(customer.messages[0].octets) == b"body\r\n.\r\n\r\nmore\r\n" and "line-end" in kinds(customer)


def test_a_client_that_knows_no_line_end_but_lf_is_heard_to_the_end() -> None:
    customer = Customer("client.example.test", Manner())
    answers = dialogue(customer, *(line + b"\n" for line in proper(b"text", b"..dot")))
    assert [answer and answer[:3] for answer in answers] == ["250", "250", "250", "354", None, None, "250", "221"]
    assert bytes(customer.messages[0].octets) == b"text\r\n.dot\r\n" and "line-end" in kinds(customer)
