"""Parameters of MAIL and RCPT and what follows from them, by the session itself: octets in, octets out."""

from __future__ import annotations

import base64
import email
import email.policy
import email.utils
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest

from conformance.server.base import PASSWORD, Settings, World
from conformance.server.notification import decoded, xtext_ok
from conformance.server.smtp import SmtpSession
from conformance.server.storage import Storage

TEXT = b"From: <alice@example.test>\r\nSubject: about\r\n\r\nbody of it\r\n"


@pytest.fixture
def world() -> World:
    return World(Settings(), {"alice": PASSWORD, "bob": PASSWORD}, Storage())


def say(session: SmtpSession, line: str) -> str:
    return session.receive(line.encode() + b"\r\n").decode()


def connect(world: World, service: str = "smtp", *, user: str = "", tls: bool = False) -> SmtpSession:
    session = SmtpSession(world, service, tls=tls)
    session.greet()
    say(session, "LHLO client.example.test" if service == "lmtp" else "EHLO client.example.test")
    if user:
        token = base64.b64encode(f"\0{user}\0{PASSWORD}".encode()).decode()
        assert say(session, f"AUTH PLAIN {token}").startswith("235")
    return session


def send(session: SmtpSession, mail: str, *recipients: str, text: bytes = TEXT) -> str:
    """The reply to the message; all commands before it are accepted."""
    for line in (f"MAIL FROM:{mail}", *(f"RCPT TO:{one}" for one in recipients)):
        assert say(session, line).startswith("250")
    assert say(session, "DATA").startswith("354")
    return session.receive(text + b".\r\n").decode()


def mailbox(world: World, user: str) -> list[EmailMessage]:
    octets = (one.octets for one in world.storage.mailbox(user).messages())
    messages = [email.message_from_bytes(one, policy=email.policy.default) for one in octets]
    return [one for one in messages if isinstance(one, EmailMessage)]


def code(session: SmtpSession, line: str) -> str:
    reply = say(session, line)
    assert reply.count("\r\n") == 1
    say(session, "RSET")
    return reply[:3]


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("RET=FULL", "250"), ("ret=hdrs", "250"), ("RET=BODY", "501"), ("RET", "501"), ("RET=HDRS RET=HDRS", "501"),
        ("ENVID=a+2Bb", "250"), ("ENVID=" + "a" * 100, "250"), ("ENVID=" + "a" * 101, "501"), ("ENVID=a+2b", "501"),
        ("ENVID=a+", "501"), ("ENVID=a+00", "501"), ("ENVID=", "501"), ("ENVID", "501"),
        ("BY=120;R", "250"), ("BY=120;RT", "250"), ("BY=-5;N", "250"), ("BY=+999999999;nt", "250"), ("BY=59;R", "555"),
        ("BY=0;R", "501"), ("BY=120", "501"), ("BY=1000000000;N", "501"), ("BY", "501"),
        ("MT-PRIORITY=-9", "250"), ("MT-PRIORITY=0", "250"), ("MT-PRIORITY=10", "501"), ("MT-PRIORITY=+1", "501"),
        ("SOLICIT=org.example:ADV,x", "250"), ("SOLICIT=a,,b", "501"), ("SOLICIT=" + "a" * 1000, "250"),
        ("SOLICIT=" + "a" * 1001, "501"), ("MTRK=AQIDBAUG:60 ENVID=a", "250"), ("MTRK=AQIDBAUG", "501"),
        ("MTRK=A ENVID=a", "501"), ("MTRK=AQID:x ENVID=a", "501"), ("REQUIRETLS", "555"), ("HOLDFOR=1", "555"),
        ("NOTIFY=NEVER", "555"), ("RRVS=2034-01-01T00:00:00Z", "555"),
    ],
)  # fmt: skip
def test_mail_parameters(world: World, parameter: str, expected: str) -> None:
    assert code(connect(world), f"MAIL FROM:<a@client.example.test> {parameter}") == expected


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("NOTIFY=never", "250"), ("NOTIFY=SUCCESS,FAILURE,DELAY", "250"), ("NOTIFY=NEVER,DELAY", "501"), ("NOTIFY=DELAY,", "501"),
        ("NOTIFY=ALWAYS", "501"), ("NOTIFY", "501"), ("ORCPT=rfc822;a+2Bb@c.example", "250"), ("ORCPT=a@c.example", "501"),
        ("ORCPT=;a", "501"), ("ORCPT=rfc822;", "501"), ("ORCPT=rfc822;a+ZZ", "501"), ("ORCPT=rfc822;" + "a" * 494, "501"),
        ("RRVS=2034-01-01T00:00:00Z", "250"), ("RRVS=2034-01-01T00:00:00+02:00;c", "250"), ("RRVS=2019-12-31T23:59:59Z", "550"),
        ("RRVS=2034-01-01", "501"), ("RRVS=2034-13-01T00:00:00Z", "501"), ("RRVS=2034-01-01T00:00:00Z;X", "501"), ("RET=FULL", "555"),
    ],
)  # fmt: skip
def test_rcpt_parameters(world: World, parameter: str, expected: str) -> None:
    session = connect(world)
    say(session, "MAIL FROM:<a@client.example.test>")
    assert code(session, f"RCPT TO:<bob@example.test> {parameter}") == expected


def test_xtext() -> None:
    assert decoded("a+2Bb+3D+20") == "a+b= "
    assert all(map(xtext_ok, ("", "a!~", "+41"))) and not any(map(xtext_ok, ("a=b", "a b", "+4", "+4g", "+C3+A9")))


# -- notifications (RFC 3461, 3464) ------------------------------------------------------------


def test_success_is_reported_in_the_form_of_rfc_3464(world: World) -> None:
    send(connect(world), "<alice@example.test> RET=FULL ENVID=Q+2B1",
         "<bob@example.test> NOTIFY=SUCCESS ORCPT=rfc822;Bo+2Bb@x.example", "<bob@example.test> NOTIFY=NEVER")  # fmt: skip
    (report,) = mailbox(world, "alice")
    assert report["Return-Path"] == "<>" and report["To"] == "alice@example.test"
    assert report.get_content_type() == "multipart/report" and report.get_param("report-type") == "delivery-status"
    text, status, returned = report.iter_parts()
    assert text.get_content_type() == "text/plain" and returned.get_content_type() == "text/rfc822-headers"
    message, recipient = status.get_payload()
    assert message["Original-Envelope-Id"] == "Q+1" and message["Reporting-MTA"] == "dns; mx.example.test"
    assert recipient["Original-Recipient"] == "rfc822; Bo+b@x.example" and recipient["Action"] == "delivered"
    assert recipient["Final-Recipient"] == "rfc822; bob@example.test" and recipient["Status"] == "2.0.0"
    assert b"body of it" not in report.as_bytes() and b"Subject: about" in report.as_bytes()


@pytest.mark.parametrize(
    ("mail", "rcpt"),
    [
        ("<alice@example.test>", ""), ("<alice@example.test>", " NOTIFY=NEVER"), ("<alice@example.test>", " NOTIFY=FAILURE,DELAY"),
        ("<>", " NOTIFY=SUCCESS"), ("<someone@elsewhere.example>", " NOTIFY=SUCCESS"), ("<nobody@example.test>", " NOTIFY=SUCCESS"),
    ],
)  # fmt: skip
def test_nothing_is_reported(world: World, mail: str, rcpt: str) -> None:
    send(connect(world), mail, f"<bob@example.test>{rcpt}")
    assert len(mailbox(world, "bob")) == 1 and not mailbox(world, "alice")


@pytest.mark.parametrize(("ret", "whole"), [("", True), (" RET=FULL", True), (" RET=HDRS", False), (" RET=FULL REQUIRETLS", False)])
def test_failure_is_reported(world: World, ret: str, whole: bool) -> None:
    send(connect(world, user="alice", tls=True), f"<alice@example.test>{ret}", "<a@far.example>", "<b@far.example> NOTIFY=SUCCESS")
    (report,) = mailbox(world, "alice")
    _text, status, returned = report.iter_parts()
    _message, recipient = status.get_payload()
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.4.4") and "a@far.example" in recipient["Final-Recipient"]
    assert (b"body of it" in report.as_bytes()) == whole
    assert returned.get_content_type() == ("message/rfc822" if whole else "text/rfc822-headers")


def test_a_report_gives_the_dates_of_deliver_by(world: World) -> None:
    send(connect(world), "<alice@example.test> BY=3600;N", "<bob@example.test> NOTIFY=SUCCESS")
    message, _recipient = list(mailbox(world, "alice")[0].iter_parts())[1].get_payload()
    times = [email.utils.parsedate_to_datetime(message[name]) for name in ("Arrival-Date", "Deliver-By-Date")]
    assert times[1] - times[0] == timedelta(hours=1)


# -- release (RFC 4865) ------------------------------------------------------------------------


def test_a_held_message_waits_and_its_report_says_so(world: World) -> None:
    waiting: list[tuple[float, Callable[[], None]]] = []
    world.later = lambda seconds, action: waiting.append((seconds, action))
    session = connect(world, "submission", user="alice")
    assert send(session, "<alice@example.test> HOLDFOR=90", "<bob@example.test> NOTIFY=SUCCESS").startswith("250")
    assert not mailbox(world, "bob") and not mailbox(world, "alice")
    ((seconds, release),) = waiting
    release()
    message, _recipient = list(mailbox(world, "alice")[0].iter_parts())[1].get_payload()
    assert seconds == 90 and message["Future-Release-Request"] == "for;90" and len(mailbox(world, "bob")) == 1


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("HOLDFOR=86400", "250"), ("HOLDFOR=86401", "501"), ("HOLDFOR=0", "501"), ("HOLDFOR", "501"), ("HOLDFOR=1 HOLDFOR=1", "501"),
        ("HOLDUNTIL={soon}", "250"), ("HOLDUNTIL={late}", "501"), ("HOLDUNTIL=2001-01-01T00:00:00Z", "501"), ("HOLDUNTIL=soon", "501"),
        ("HOLDFOR=1 HOLDUNTIL={soon}", "501"), ("HOLDFOR=100 BY=99;N", "501"), ("HOLDFOR=100 BY=101;R", "250"),
    ],
)  # fmt: skip
def test_hold_parameters(world: World, parameter: str, expected: str) -> None:
    now = datetime.now(UTC)
    dates = {name: f"{now + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for name, hours in (("soon", 1), ("late", 25))}
    session = connect(world, "submission", user="alice")
    assert code(session, "MAIL FROM:<alice@example.test> " + parameter.format(**dates)) == expected


# -- the rest ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "mail", "field", "expected"),
    [
        ("", " MT-PRIORITY=-3", "", "-3"), ("", " MT-PRIORITY=3", "", "0"), ("alice", " MT-PRIORITY=3", "", "3"),
        ("alice", "", "MT-Priority: 4 (high)\r\n", "4"), ("", "", "MT-Priority: 4\r\n", "0"), ("alice", "", "MT-Priority: 44\r\n", ""),
        ("alice", " MT-PRIORITY=-1", "MT-Priority: 4\r\n", "-1"), ("alice", "", "MT-Priority: 4\r\nMT-Priority: 5\r\n", ""),
    ],
)  # fmt: skip
def test_priority_is_traced(world: World, user: str, mail: str, field: str, expected: str) -> None:
    session = connect(world, user=user)
    send(session, f"<alice@example.test>{mail}", "<bob@example.test>", text=field.encode() + TEXT)
    (message,) = mailbox(world, "bob")
    assert message["Received"].partition("priority ")[2].partition(";")[0] == expected


def test_a_lowered_priority_is_told(world: World) -> None:
    assert say(connect(world), "MAIL FROM:<a@client.example.test> MT-PRIORITY=5").startswith("250 2.3.6 0 ")


def test_requiretls_is_for_tls(world: World) -> None:
    assert "REQUIRETLS" in connect(world, tls=True).offers() and "REQUIRETLS" not in connect(world).offers()
    assert code(connect(world, tls=True), "MAIL FROM:<> REQUIRETLS") == "250"
    assert code(connect(world, tls=True), "MAIL FROM:<> REQUIRETLS=1") == "501"


def test_limits_are_kept(world: World) -> None:
    session = connect(world, user="alice")
    replies = [code(session, "MAIL FROM:<alice@example.test>") for _ in range(26)]
    assert replies == ["250"] * 25 + ["452"]
    session = connect(world, user="alice")
    say(session, "MAIL FROM:<alice@example.test>")
    domains = ("example.test", "EXAMPLE.TEST", "a.example", "b.example", "c.example", "d.example", "a.example")
    assert [say(session, f"RCPT TO:<bob@{one}>")[:3] for one in domains] == ["250"] * 5 + ["452", "250"]


@pytest.mark.parametrize(
    ("rcpt", "field", "expected"),
    [
        ("", "bob@example.test; Thu, 1 Jan 1970 00:00:00 +0000", "550"), ("", "bob@example.test; Mon, 3 Apr 2034 23:01:00 +0000", "250"),
        ("", "bob@example.test; some day", "250"), ("", "carol@example.test; Thu, 1 Jan 1970 00:00:00 +0000", "250"),
        (" RRVS=2034-01-01T00:00:00Z", "bob@example.test; Thu, 1 Jan 1970 00:00:00 +0000", "250"),
    ],
)  # fmt: skip
def test_the_field_of_rrvs(world: World, rcpt: str, field: str, expected: str) -> None:
    text = f"Require-Recipient-Valid-Since: {field}\r\n".encode() + TEXT
    assert send(connect(world), "<a@client.example.test>", f"<bob@example.test>{rcpt}", text=text).startswith(expected)
    found = mailbox(world, "bob")
    assert len(found) == (expected == "250") and not any("Require-Recipient-Valid-Since" in one for one in found)


def test_solicitations_of_the_announced_class_are_refused(world: World) -> None:
    session = connect(world)
    say(session, "MAIL FROM:<a@client.example.test> SOLICIT=net.example:ADV,x")
    assert say(session, "RCPT TO:<bob@example.test>").startswith("550 5.7.1 SOLICIT=net.example:ADV ")
    say(session, "RSET")
    text = b"Solicitation: x, net.example:ADV\r\n" + TEXT
    assert send(session, "<a@client.example.test>", "<bob@example.test>", text=text).startswith("550 5.7.1 SOLICIT=net.example:ADV ")
    assert not mailbox(world, "bob")


def test_lmtp_offers_none_of_them(world: World) -> None:
    session = connect(world, "lmtp")
    for parameter in ("RET=FULL", "BY=99;N", "MT-PRIORITY=1", "SOLICIT=a", "MTRK=AQID"):
        assert code(session, f"MAIL FROM:<a@client.example.test> {parameter}") == "555"


# -- BURL (RFC 4468) ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("imap://mx.example.test/INBOX/;UID=1 LAST", "250"), ("imap://alice@mx.example.test/INBOX;UIDVALIDITY=1/;UID=1 LAST", "250"),
        ("imap://bob@mx.example.test/INBOX/;UID=1 LAST", "554"), ("imap://mx.example.test/INBOX/;UID=2 LAST", "554"),
        ("imap://other.example/INBOX/;UID=1 LAST", "554"), ("imap://mx.example.test/INBOX/;UID=1;URLAUTH=submit+alice:internal:00 LAST", "554"),
        ("imap://mx.example.test/INBOX/;UID=1 FIRST", "501"), ("INBOX LAST", "501"), ("", "501"),
    ],
)  # fmt: skip
def test_burl(world: World, argument: str, expected: str) -> None:
    world.storage.deliver("alice", TEXT)
    session = connect(world, "submission", user="alice")
    say(session, "MAIL FROM:<alice@example.test>")
    say(session, "RCPT TO:<bob@example.test>")
    assert say(session, f"BURL {argument}".rstrip()).startswith(expected)
    found = mailbox(world, "bob")
    assert len(found) == (expected == "250") and all(one["Subject"] == "about" for one in found)


def test_burl_and_bdat_make_one_message(world: World) -> None:
    world.storage.deliver("alice", b"from a url\r\n")
    session = connect(world, "submission", user="alice")
    assert "BURL" in connect(world, "submission").offers() and "BURL imap imap://mx.example.test" in session.offers()
    say(session, "MAIL FROM:<alice@example.test>")
    say(session, "RCPT TO:<bob@example.test>")
    session.receive(b"BDAT 14\r\nSubject: x\r\n\r\n")
    assert say(session, "BURL imap://mx.example.test/INBOX/;UID=1").startswith("250 2.5.0")
    assert session.receive(b"BDAT 6 LAST\r\nlast\r\n").startswith(b"250")
    assert mailbox(world, "bob")[0].get_content().split() == ["from", "a", "url", "last"]
