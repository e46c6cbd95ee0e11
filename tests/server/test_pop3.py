"""The POP3 session by itself: octets in, octets out. Section numbers are RFC 1939's unless another is named."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import pytest
from scramp import ScramClient

from conformance.server.base import Settings, World
from conformance.server.pop3 import Pop3Session
from conformance.server.storage import Storage

ACCOUNTS = {"alice": "sesame", "bob": "other"}
DOTS = b"Subject: dots\r\n\r\n.one\r\n..two\r\n.\r\nend.\r\n"
LINES = b"Subject: lines\r\nX: y\r\n\r\n1\r\n2\r\n3\r\n"


@pytest.fixture
def world() -> World:
    world = World(Settings(), ACCOUNTS, Storage())
    world.storage.deliver("alice", DOTS)
    world.storage.deliver("alice", LINES)
    return world


def connect(world: World, *, tls: bool = False) -> Pop3Session:
    session = Pop3Session(world, "pop3", tls=tls)
    session.greet()
    return session


def logged_in(world: World, user: str = "alice") -> Pop3Session:
    session = connect(world)
    assert say(session, f"USER {user}").startswith(b"+OK")
    assert say(session, f"PASS {ACCOUNTS[user]}").startswith(b"+OK")
    return session


def say(session: Pop3Session, line: str | bytes) -> bytes:
    octets = line.encode() if isinstance(line, str) else line
    return session.receive(octets + b"\r\n")


def refused(reply: bytes) -> bool:
    return reply.startswith(b"-ERR") and reply.count(b"\r\n") == 1


# -- framing (section 3) ----------------------------------------------------------------------


SCRIPT = b"USER alice\r\nPASS sesame\r\nSTAT\r\nRETR 1\r\nTOP 2 1\r\nXYZZ\r\nDELE 1\r\nLIST\r\nRSET\r\nQUIT\r\n"


def test_octet_by_octet_and_in_one_write_are_the_same(world: World) -> None:
    whole = connect(world).receive(SCRIPT)
    session = connect(world)
    assert b"".join(session.receive(SCRIPT[i : i + 1]) for i in range(len(SCRIPT))) == whole
    assert session.closing


def test_a_command_waits_for_crlf(world: World) -> None:
    session = connect(world)
    for part in (b"QU", b"IT", b"\n", b"\r"):
        assert session.receive(part) == b""
    assert refused(session.receive(b"\n"))  # the bare LF is an octet of the command


@pytest.mark.parametrize("length", [255, 256, 512, 20000])
def test_the_limit_on_a_command_line(world: World, length: int) -> None:
    """RFC 2449 section 4: 255 octets with CRLF; what is longer gets one refusal and is not run in parts."""
    session = connect(world)
    reply = session.receive(b"USER " + b"x" * (length - 7) + b"\r\n")
    assert reply.startswith(b"+OK" if length == 255 else b"-ERR") and reply.count(b"\r\n") == 1
    assert say(session, "QUIT").startswith(b"+OK")


def test_nothing_after_quit_is_answered(world: World) -> None:
    assert connect(world).receive(b"QUIT\r\nNOOP\r\n").count(b"\r\n") == 1


# -- arguments --------------------------------------------------------------------------------


NUMBERS = ["0", "01", "+1", "-1", "1xyz", "1.0", "0x1", "9", "99999999999999999999", "４", "", " 1", "1 ", "1\t", "1\0"]


@pytest.mark.parametrize("verb", ["LIST", "RETR", "DELE", "UIDL"])
@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_no_message_number(world: World, verb: str, number: str) -> None:
    session = logged_in(world)
    assert refused(say(session, f"{verb} {number}"))
    assert refused(say(session, f"TOP {number} 0"))
    assert say(session, "STAT").startswith(b"+OK 2 ")


@pytest.mark.parametrize("line", ["TOP", "TOP 1", "TOP 1 -1", "TOP 1 +1", "TOP 1 x", "TOP 1 1 1", "RETR", "DELE", "RETR 1 2",
                                  "STAT x", "NOOP x", "RSET x", "QUIT x", "CAPA x", "NOOP ", "STLS x", "", " ", " NOOP",
                                  "NOO", "NOOPX", "EHLO x"])  # fmt: skip
def test_invalid_syntax(world: World, line: str) -> None:
    session = logged_in(world)
    assert refused(say(session, line))
    assert say(session, "nOoP").startswith(b"+OK")


@pytest.mark.parametrize("line", [b"USER \xff", b"USER a\0b", b"\xff", b"USER\talice", b"APOP alice \xc3\xa9", b"APOP \xc3\xa9 x",
                                  b"AUTH PL\xc3\x84IN", b"AUTH PLAIN \xc3\xa9", b"PASS \xc3\xa9"])  # fmt: skip
def test_odd_octets_are_refused_and_nothing_breaks(world: World, line: bytes) -> None:
    session = connect(world)
    assert refused(say(session, line))
    assert say(session, "CAPA").endswith(b"\r\n.\r\n")


# -- states -----------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["STAT", "LIST", "LIST 1", "RETR 1", "DELE 1", "NOOP", "RSET", "TOP 1 0", "UIDL"])
def test_not_before_the_login(world: World, line: str) -> None:
    assert refused(say(connect(world), line))


@pytest.mark.parametrize("line", ["USER alice", "PASS sesame", f"APOP alice {'0' * 32}", "AUTH PLAIN", "STLS"])
def test_not_after_the_login(world: World, line: str) -> None:
    session = logged_in(world)
    assert refused(say(session, line))
    assert say(session, "STAT").startswith(b"+OK 2 ")


def test_pass_needs_user_right_before_it(world: World) -> None:
    """Section 7: PASS only right after a successful USER, which counts once."""
    session = connect(world)
    assert refused(say(session, "PASS sesame"))
    for between in ("CAPA", "XYZZ", "STAT"):
        say(session, "USER alice")
        say(session, between)
        assert refused(say(session, "PASS sesame"))
    say(session, "USER alice")
    assert refused(say(session, "PASS wrong"))
    assert refused(say(session, "PASS sesame"))
    assert say(session, "USER alice").startswith(b"+OK")
    assert say(session, "PASS sesame").startswith(b"+OK")


@pytest.mark.parametrize("password", ["", "sesam", "sesame ", " sesame", "SESAME", "other"])
def test_wrong_passwords_carry_the_auth_code(world: World, password: str) -> None:
    """RFC 3206 section 6."""
    session = connect(world)
    say(session, "USER alice")
    reply = say(session, f"PASS {password}")
    assert refused(reply) and reply.startswith(b"-ERR [AUTH] ")


def test_a_password_may_hold_blanks() -> None:
    world = World(Settings(), {"alice": "two  words "}, Storage())
    session = connect(world)
    say(session, "USER alice")
    assert say(session, "PASS two  words ").startswith(b"+OK")


# -- messages ---------------------------------------------------------------------------------


def test_counts_agree_with_what_is_sent(world: World) -> None:
    """Section 11: sizes in octets with CRLF, without the dots of stuffing."""
    world.storage.deliver("alice", b"")
    world.storage.deliver("alice", b".no line end")
    session = logged_in(world)
    sizes = []
    for number in range(1, 5):
        body = say(session, f"RETR {number}").partition(b"\r\n")[2]
        assert body.endswith(b".\r\n")
        plain = re.sub(rb"(?m)^\.", b"", body[:-3])
        sizes.append(len(plain))
        assert say(session, f"LIST {number}") == b"+OK %d %d\r\n" % (number, len(plain))
    assert say(session, "STAT") == b"+OK 4 %d\r\n" % sum(sizes)
    assert say(session, "LIST").split(b"\r\n")[1:5] == [b"%d %d" % pair for pair in enumerate(sizes, 1)]


def test_stored_line_feeds_become_line_ends(world: World) -> None:
    world.storage.deliver("bob", b"Subject: x\n\na\n.b\r\nc\rd")
    session = logged_in(world, "bob")
    assert say(session, "RETR 1") == b"+OK 26 octets\r\nSubject: x\r\n\r\na\r\n..b\r\nc\rd\r\n.\r\n"
    assert say(session, "TOP 1 0").endswith(b"\r\n\r\n.\r\n")


def test_leading_dots_and_no_others_are_doubled(world: World) -> None:
    assert say(logged_in(world), "RETR 1").endswith(b"\r\n\r\n..one\r\n...two\r\n..\r\nend.\r\n.\r\n")


@pytest.mark.parametrize(
    ("count", "body"), [("0", b""), ("1", b"1\r\n"), ("3", b"1\r\n2\r\n3\r\n"), ("99", b"1\r\n2\r\n3\r\n")]
)
def test_top(world: World, count: str, body: bytes) -> None:
    assert (
        say(logged_in(world), f"TOP 2 {count}").partition(b"\r\n")[2]
        == b"Subject: lines\r\nX: y\r\n\r\n" + body + b".\r\n"
    )


def test_an_empty_maildrop(world: World) -> None:
    session = logged_in(world, "bob")
    assert say(session, "STAT") == b"+OK 0 0\r\n"
    for verb in ("LIST", "UIDL"):
        assert say(session, verb).endswith(b"\r\n.\r\n") and say(session, verb).count(b"\r\n") == 2


def test_deleted_messages(world: World) -> None:
    session = logged_in(world)
    say(session, "DELE 1")
    for line in ("LIST 1", "RETR 1", "DELE 1", "UIDL 1", "TOP 1 0"):
        assert refused(say(session, line))
    assert say(session, "STAT") == b"+OK 1 %d\r\n" % len(LINES)
    assert say(session, "LIST").split(b"\r\n")[1:] == [b"2 %d" % len(LINES), b".", b""]
    assert say(session, "RSET").startswith(b"+OK")
    assert say(session, "STAT").startswith(b"+OK 2 ")


def test_only_quit_removes(world: World) -> None:
    """Section 6: no UPDATE for a session that ends otherwise."""
    session = logged_in(world)
    say(session, "DELE 1")
    session.ended()
    session = logged_in(world)
    say(session, "DELE 1")
    say(session, "RSET")
    say(session, "QUIT")
    session = logged_in(world)
    assert say(session, "STAT").startswith(b"+OK 2 ")
    say(session, "DELE 1")
    assert say(session, "QUIT").startswith(b"+OK") and session.closing
    assert say(logged_in(world), "RETR 1").startswith(b"+OK %d" % len(LINES))


def test_mail_that_arrives_is_for_the_next_session(world: World) -> None:
    session = logged_in(world)
    world.storage.deliver("alice", LINES)
    assert say(session, "STAT").startswith(b"+OK 2 ")
    say(session, "QUIT")
    assert say(logged_in(world), "STAT").startswith(b"+OK 3 ")


def test_one_session_has_the_lock(world: World) -> None:
    first, second = logged_in(world), connect(world)
    say(second, "USER alice")
    reply = say(second, "PASS sesame")
    assert refused(reply) and b"[IN-USE]" in reply  # RFC 2449 section 8.1.2
    assert refused(say(second, "STAT"))
    second.ended()
    assert refused(say(connect(world), "STAT"))
    assert say(first, "STAT").startswith(b"+OK")
    first.ended()
    assert say(logged_in(world), "STAT").startswith(b"+OK")


def test_unique_ids(world: World) -> None:
    session = logged_in(world)
    listing = say(session, "UIDL").split(b"\r\n")[1:-2]
    assert all(re.fullmatch(rb"[1-9][0-9]* [\x21-\x7e]{1,70}", line) for line in listing)
    assert len({line.split()[1] for line in listing}) == 2
    assert say(session, "UIDL 2") == b"+OK " + listing[1] + b"\r\n"
    say(session, "DELE 1")
    say(session, "QUIT")
    world.storage.deliver("alice", DOTS)
    after = [line.split()[1] for line in say(logged_in(world), "UIDL").split(b"\r\n")[1:-2]]
    assert after[0] == listing[1].split()[1] and after[1] != listing[0].split()[1]


# -- CAPA, STLS -------------------------------------------------------------------------------


def capabilities(session: Pop3Session) -> dict[bytes, bytes]:
    lines = say(session, "CAPA").split(b"\r\n")[1:-2]
    return {line.partition(b" ")[0]: line.partition(b" ")[2] for line in lines}


def test_what_capa_lists(world: World) -> None:
    """RFC 2449 section 5: once each, and the same in both states but for what has a reason."""
    before, after = capabilities(connect(world)), capabilities(logged_in(world))
    assert {
        b"TOP",
        b"USER",
        b"UIDL",
        b"SASL",
        b"RESP-CODES",
        b"AUTH-RESP-CODE",
        b"PIPELINING",
        b"STLS",
    } <= before.keys()
    assert b"STLS" not in after and b"STLS" not in capabilities(connect(world, tls=True))
    assert {name: value for name, value in after.items() if name in before} == {
        name: value for name, value in before.items() if name != b"STLS"
    }


def test_stls_forgets_the_name_and_what_came_with_it(world: World) -> None:
    """RFC 2595 section 4."""
    session = connect(world)
    out = session.receive(b"USER alice\r\nSTLS\r\nCAPA\r\n")
    assert out.count(b"\r\n") == 2 and session.starttls and not session.buffer
    session.secured()
    assert session.receive(b"") == b""
    assert refused(say(session, "PASS sesame"))
    assert refused(say(session, "STLS"))


# -- SASL (RFC 5034) --------------------------------------------------------------------------


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets)


def test_plain(world: World) -> None:
    answer = b64(b"\0alice\0sesame")
    assert say(connect(world), b"AUTH PLAIN " + answer).startswith(b"+OK")
    world.storage.mailbox("alice").locked = False
    session = connect(world)
    assert say(session, "auth plain") == b"+ \r\n"
    assert say(session, answer).startswith(b"+OK")


@pytest.mark.parametrize("answer", [b64(b"\0alice\0wrong"), b64(b"bob\0alice\0sesame"), b64(b"alice\0sesame"), b"=", b"", b"*",
                                    b"A", b"AA=A", b"A A=", b64(b"\0alice\0sesame")[:-1], b"!" + b64(b"\0alice\0sesame"),
                                    b64(b"\0\xff\0x"), b"A" * 20000])  # fmt: skip
def test_plain_refusals_leave_no_trace(world: World, answer: bytes) -> None:
    session = connect(world)
    say(session, "AUTH PLAIN")
    assert refused(say(session, answer))
    assert refused(say(session, "STAT"))
    assert say(session, b"AUTH PLAIN " + b64(b"\0alice\0sesame")).startswith(b"+OK")


def test_login_and_cram_md5(world: World) -> None:
    session = connect(world)
    assert say(session, "AUTH LOGIN") == b"+ " + b64(b"Username:") + b"\r\n"
    assert say(session, b64(b"alice")) == b"+ " + b64(b"Password:") + b"\r\n"
    assert say(session, b64(b"sesame")).startswith(b"+OK")
    session.ended()
    session = connect(world)
    challenge = base64.b64decode(say(session, "AUTH CRAM-MD5")[2:])
    assert say(session, b64(b"alice " + hmac.new(b"sesame", challenge, "md5").hexdigest().encode())).startswith(b"+OK")
    assert refused(say(connect(world), b"AUTH CRAM-MD5 " + b64(b"x")))  # the server speaks first


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
@pytest.mark.parametrize("password", ["sesame", "wrong"])
def test_scram(world: World, mechanism: str, password: str) -> None:
    client = ScramClient([mechanism], "alice", password)
    session = connect(world)
    reply = say(session, f"AUTH {mechanism} ".encode() + b64(client.get_client_first().encode()))
    client.set_server_first(base64.b64decode(reply[2:]).decode())
    reply = say(session, b64(client.get_client_final().encode()))
    if password == "wrong":
        assert refused(reply)
        return
    client.set_server_final(base64.b64decode(reply[2:]).decode())
    assert say(session, "").startswith(b"+OK")


def test_apop(world: World) -> None:
    session = connect(world)
    right = hashlib.md5(session.timestamp.encode() + b"sesame").hexdigest()
    for wrong in ("0" * 32, right[:-1], right + "0", right[:16], "é" * 32):
        assert refused(say(session, f"APOP alice {wrong}"))
    assert refused(say(connect(world), f"APOP alice {right}"))  # another connection's timestamp
    assert say(session, f"APOP alice {right}").startswith(b"+OK")
