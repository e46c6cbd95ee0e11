"""The server as client, once the roles have turned (RFC 2645 section 5.3, RFC 821 section 3.8). Sans I/O.

``Relay.advance`` takes the place of the session's command parser. The dialogue is a generator: what it yields is sent,
what it is sent back is the next reply.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.server.notification import Outcome
from conformance.server.queue import Held
from conformance.server.reporting import report

if TYPE_CHECKING:
    from conformance.server.smtp import SmtpSession

_LINE = 4096  # RFC 5321 section 4.5.3.1.5 allows 512; some say more
_REPLY = re.compile(rb"[2-5][0-9][0-9](?:[ -].*)?\Z", re.S)


@dataclass(frozen=True)
class Reply:
    code: str
    lines: tuple[str, ...]

    @property
    def good(self) -> bool:
        return self.code[:1] == "2"


Talk = Generator[bytes, Reply, None]


class Relay:
    """Sends ``messages`` over the session's own connection."""

    def __init__(self, session: SmtpSession, messages: list[Held]) -> None:
        self.session = session
        self.messages = messages
        self.offers: dict[str, str] = {}
        self._lines: list[str] = []
        for held in messages:
            held.busy = True
        self._talk = self._whole()
        next(self._talk)  # RFC 821 section 4.1.1: the first to come is the 220

    def advance(self) -> bool:
        session = self.session
        line = session.next_line(_LINE)
        if line is None:
            return False
        if session.overlong or not session.hook("understood", bool(_REPLY.match(line)), line):
            session.closing = True
            return False
        self._lines.append(line.decode("utf-8", "replace"))
        if session.hook("more", line[3:4] == b"-"):
            return True
        reply = Reply(self._lines[0][:3], tuple(one[4:] for one in self._lines))
        self._lines = []
        try:
            octets = self._talk.send(reply)
        except StopIteration:
            session.closing = True
        else:
            session.out += session.hook("client", octets, reply)
        return True

    def release(self) -> None:
        """What was not sent waits for the next time (RFC 5321 section 4.5.4.1)."""
        for held in self.messages:
            held.busy = False
            if held.recipients and not self.session.hook("kept", True):
                self.session.world.queue.remove(held)

    # -- the dialogue -------------------------------------------------------------------------

    def _whole(self) -> Talk:
        greeting = yield b""
        if greeting.code == "220":
            reply = yield self._command(f"EHLO {self.session.settings.host}")
            if reply.good:
                self.offers = dict(_keyword(line) for line in reply.lines[1:])
            elif reply.code[:1] == "5":  # RFC 5321 section 3.2
                reply = yield self._command(f"HELO {self.session.settings.host}")
            self.offers = self.session.hook("offered", self.offers)
            if reply.good:
                for held in self.messages:
                    yield from self._message(held)
        yield self._command("QUIT")

    def _command(self, text: str) -> bytes:
        return text.encode("utf-8") + b"\r\n"

    def _message(self, held: Held) -> Talk:
        why = self._unsuited(held)
        if why:
            self._fail(held, list(held.recipients), why)
            return
        parameters = f" SIZE={len(held.octets)}" if "SIZE" in self.offers else ""
        if held.eight_bit and "8BITMIME" in self.offers:
            parameters += " BODY=8BITMIME"
        first = self._command(f"MAIL FROM:<{held.sender}>{parameters}")
        rcpts = [self._command(f"RCPT TO:<{recipient}>") for recipient in held.recipients]
        pipelining = "PIPELINING" in self.offers
        rest = b"".join(rcpts) if pipelining else b""
        mail = yield first + rest
        if not mail.good and not pipelining:
            yield from self._refused(held, list(held.recipients), mail)
            return
        accepted: list[str] = []
        for recipient, rcpt in zip(list(held.recipients), rcpts):
            reply = yield b"" if pipelining else rcpt
            if not mail.good:
                self._settle(held, [recipient], mail)
            elif reply.good:
                accepted.append(recipient)
            else:
                self._settle(held, [recipient], reply)
        if not accepted:
            if mail.good:
                yield self._command("RSET")
            return
        if "CHUNKING" in self.offers:
            last = yield self._command(f"BDAT {len(held.octets)} LAST") + held.octets
        else:
            last = yield self._command("DATA")
            if last.code[:1] == "3":
                last = yield self._content(held)
        self._settle(held, accepted, last)

    def _content(self, held: Held) -> bytes:
        octets = re.sub(rb"(?m)^\.", b"..", held.octets)  # RFC 5321 section 4.5.2
        return octets + (b"" if octets.endswith(b"\r\n") else b"\r\n") + b".\r\n"

    def _unsuited(self, held: Held) -> str:
        """Why the message cannot go to a server that offers this."""
        if held.eight_bit and "8BITMIME" not in self.offers:
            return "the message needs 8BITMIME"  # RFC 6152 section 3
        limit = self.offers.get("SIZE", "")
        if limit.isdigit() and 0 < int(limit) < len(held.octets):
            return "the message is too big"
        return ""

    def _refused(self, held: Held, recipients: list[str], reply: Reply) -> Talk:
        self._settle(held, recipients, reply)
        yield self._command("RSET")

    def _settle(self, held: Held, recipients: list[str], reply: Reply) -> None:
        """2yz: done. 5yz: done, and the sender is told. 4yz: next time."""
        code = self.session.hook("judged", reply.code, held)
        if code[:1] == "2":
            self._done(held, recipients)
        elif code[:1] == "5":
            self._fail(held, recipients, " ".join((reply.code, *reply.lines)))

    def _done(self, held: Held, recipients: list[str]) -> None:
        held.recipients = self.session.hook("undelivered", [one for one in held.recipients if one not in recipients], recipients)
        if not held.recipients:
            self.session.world.queue.remove(held)

    def _fail(self, held: Held, recipients: list[str], why: str) -> None:
        """RFC 5321 section 6.1: a notification, with a null return path, where the sender is one of ours."""
        self._done(held, recipients)
        refused = [one for one in held.mail.recipients if one.path.mailbox in recipients]
        outcome = Outcome("failed", f"{why[0]}.0.0", "could not be delivered to", f"smtp; {' '.join(why.split())}")
        if self.session.hook("notice", True, recipients):
            report(self.session, held.mail, held.octets, refused, "FAILURE", outcome)


def _keyword(line: str) -> tuple[str, str]:
    word, _blank, rest = line.partition(" ")
    return word.upper(), rest
