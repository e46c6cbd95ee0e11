"""The reference server holds mail for customers and sends it when the roles have turned."""

from __future__ import annotations

import base64

from conformance.server.base import PASSWORD, Settings, World
from conformance.server.smtp import SmtpSession
from conformance.server.storage import Storage

DOMAIN = "alice.dialup.example.test"


def world(**settings: object) -> World:
    return World(Settings(**settings), dict.fromkeys(("alice", "bob"), PASSWORD), Storage())  # type: ignore[arg-type]


def say(session: SmtpSession, *lines: bytes) -> bytes:
    return session.receive(b"".join(line + b"\r\n" for line in lines))


def posted(there: World, content: bytes = b"..dot", sender: bytes = b"a@client.example.test", local: bytes = b"x") -> None:
    session = SmtpSession(there, "smtp", tls=False)
    out = say(session, b"EHLO client.example.test", b"MAIL FROM:<" + sender + b">",
              b"RCPT TO:<" + local + b"@" + DOMAIN.encode() + b">", b"DATA", b"Subject: x", b"", content, b".")  # fmt: skip
    assert out.endswith(b"250 2.0.0 delivered\r\n")


def customer(there: World, user: str = "alice", service: str = "odmr") -> SmtpSession:
    session = SmtpSession(there, service, tls=False)
    name, secret = (base64.b64encode(text.encode()) for text in (user, PASSWORD))
    assert b"\r\n235 " in say(session, b"EHLO client.example.test", b"AUTH LOGIN", name, secret)
    return session


def waiting(there: World) -> int:
    return len(there.queue.waiting([DOMAIN]))


def test_who_may_ask() -> None:
    there = world()
    stranger = SmtpSession(there, "odmr", tls=False)
    assert say(stranger, b"EHLO client.example.test", b"ATRN").splitlines()[-1].startswith(b"530")
    assert say(customer(there), b"ATRN").startswith(b"453")
    posted(there)
    assert say(customer(there, "bob"), b"ATRN " + DOMAIN.encode()).startswith(b"450")
    assert say(customer(there, "bob"), b"ATRN").startswith(b"453")
    assert say(customer(there), b"ATRN example.test," + DOMAIN.upper().encode()).startswith(b"250")


def test_a_message_is_sent_stuffed_and_once() -> None:
    there = world()
    posted(there)
    session = customer(there)
    assert say(session, b"ATRN").startswith(b"250") and waiting(there) == 0
    assert say(session, b"220-first", b"220 client.example.test") == b"EHLO mx.example.test\r\n"
    assert say(session, b"250 client.example.test") == b"MAIL FROM:<a@client.example.test>\r\n"
    assert say(session, b"250 ok") == f"RCPT TO:<x@{DOMAIN}>\r\n".encode()
    assert say(session, b"250 ok") == b"DATA\r\n"
    content = say(session, b"354 go on")
    assert content.startswith(b"Received: ") and content.endswith(b"Subject: x\r\n\r\n..dot\r\n.\r\n")
    assert say(session, b"250 ok") == b"QUIT\r\n"
    assert say(session, b"221 bye") == b"" and session.closing
    session.ended()
    assert waiting(there) == 0 and say(customer(there), b"ATRN").startswith(b"453")


def test_groups_and_parameters_where_they_are_offered() -> None:
    there = world()
    posted(there)
    session = customer(there)
    say(session, b"ATRN", b"220 c")
    group = say(session, b"250-c", b"250-PIPELINING", b"250-SIZE", b"250 CHUNKING")
    assert group.count(b"\r\n") == 2 and b" SIZE=" in group
    assert say(session, b"250 ok", b"250 ok").startswith(b"BDAT ")


def test_what_was_put_off_or_lost_stays() -> None:
    for answers in ([b"250 ok", b"450 later"], [b"451 later"], [b"250 ok", b"250 ok", b"354 go", b"452 full"], [b"250 ok"]):
        there = world()
        posted(there)
        session = customer(there)
        say(session, b"ATRN", b"220 c", b"250 c", *answers)
        session.ended()
        assert waiting(there) == 1, answers


def test_what_was_refused_is_reported_to_a_sender_of_ours() -> None:
    there = world()
    posted(there, sender=b"bob@example.test", local=b'"c d"')
    session = customer(there)
    assert say(session, b"ATRN", b"220 c", b"502 no").endswith(b"HELO mx.example.test\r\n")
    assert say(session, b"250 c", b"250 ok").endswith(f'RCPT TO:<"c d"@{DOMAIN}>\r\n'.encode())
    assert say(session, b"550 no such user") == b"RSET\r\n"
    session.ended()
    notice = there.storage.mailbox("bob").messages()[0].octets
    assert waiting(there) == 0 and notice.startswith(b"Return-Path: <>\r\n") and b"550 no such user" in notice


def test_turn() -> None:
    there = world()
    posted(there)
    assert say(customer(there, service="smtp"), b"TURN").startswith(b"502")
    there.profile = "exchange"
    session = SmtpSession(there, "smtp", tls=False)
    assert say(session, b"EHLO client.example.test", b"TURN").splitlines()[-1].startswith(b"502")
    session = customer(there, service="smtp")
    assert say(session, b"TURN").startswith(b"250")
    assert say(session, b"220 client.example.test") == b"EHLO mx.example.test\r\n"


def test_etrn_counts() -> None:
    there = world()
    session = SmtpSession(there, "smtp", tls=False)
    say(session, b"EHLO client.example.test")
    assert say(session, b"ETRN " + DOMAIN.encode()).startswith(b"251")
    posted(there)
    assert say(session, b"ETRN " + DOMAIN.encode()).startswith(b"253 2.0.0 1 ")
    assert say(session, b"ETRN @example.test").startswith(b"253")
    assert say(session, b"ETRN notexample.test").startswith(b"459")
