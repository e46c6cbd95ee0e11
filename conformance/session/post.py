"""The suite's own mail client: puts messages into mailboxes and reads them back over POP3."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shlex
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.protocol.reply import Reply, keywords, show
from conformance.session.connection import Connection, TransportError
from conformance.session.delay import Delayed, TooLong
from conformance.session.login import Way, candidates
from conformance.target import Account

if TYPE_CHECKING:
    from conformance.session.runner import Runner


class Refused(TransportError):
    """The target said no where the suite needs a yes."""

    def __init__(self, what: str, reply: Reply) -> None:
        self.code = reply.code
        super().__init__("refused", f"{what}: {show(reply.octets, 120).strip()}", reply.octets)


class NotArrived(TransportError):
    """Seeded messages are not in the mailbox when the delivery timeout is over."""


class _Client:
    """A dialogue in one line per exchange."""

    def __init__(self, connection: Connection, family: str, timeout: float) -> None:
        self.connection = connection
        self.family = family
        self.timeout = timeout

    async def reply(self, multi: bool = False) -> Reply:
        return await self.connection.reply(self.family, self.timeout, multi=multi, utf8=True)

    async def say(self, octets: bytes, multi: bool = False) -> Reply:
        self.connection.write(octets + b"\r\n")
        return await self.reply(multi)

    async def must(self, octets: bytes, good: str, multi: bool = False) -> Reply:
        reply = await self.say(octets, multi)
        if not reply.code.startswith(good):
            raise Refused(show(octets.split(b" ")[0]), reply)
        return reply

    async def leave(self) -> None:
        """Ends without QUIT, so that no UPDATE of a faulty target removes anything."""
        self.connection.half_close()
        try:
            await self.connection.closing(0.5)
        except TransportError:
            pass
        self.connection.close()

    async def quit(self) -> None:
        self.connection.write(b"QUIT\r\n")
        try:
            await self.connection.closing(2.0)
        except TransportError:
            pass
        self.connection.close()


class PostOffice:
    """Delivery and mailboxes of the target. ``way``: how POP3 logs in (None: not yet known).

    ``slowest``: the longest time, in seconds, that messages of ours took into their mailboxes lately.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.way: Way | None = None
        self.slowest = 0.0

    @property
    def limits(self):  # type: ignore[no-untyped-def]
        return self.runner.target.limits

    def account(self, address: str) -> Account | None:
        for account in self.runner.target.accounts:
            if account.address.lower() == address.lower():
                return account
        return None

    # -- reading ------------------------------------------------------------------------------

    async def login(self, account: Account) -> _Client:
        """A logged-in POP3 session; waits while the mailbox is locked. Raises TransportError."""
        deadline = time.monotonic() + self.limits.reply_timeout
        while True:
            try:
                return await self._login(account)
            except Delayed:
                deadline = time.monotonic() + self.limits.reply_timeout
            except Refused as error:
                if time.monotonic() > deadline or b"AUTH" in error.octets:
                    raise
                await asyncio.sleep(0.05)

    async def learn(self) -> None:
        """Finds ``way``, so that the first scenario already takes it; a target that lets nobody in says so there."""
        target = self.runner.target
        if self.way is None and target.accounts and {"pop3", "pop3s"} & set(target.services):
            try:
                await (await self.login(target.accounts[0])).leave()
            except (TransportError, TooLong):
                pass

    async def learn_delay(self) -> None:
        """Whether an announced LOGIN-DELAY is enforced: that may be without its response code (RFC 2449 section 6.5)."""
        delay, accounts = self.runner.delay, self.runner.target.accounts
        if not delay.announced or delay.seconds or delay.accepted is not None or not accounts or not delay.knows(accounts[0].user):
            return
        deadline = time.monotonic() + 0.6  # a mailbox may be locked for a moment still
        while True:
            try:
                await (await self._login(accounts[0])).leave()
                return
            except (Delayed, TooLong):
                return
            except TransportError:
                if time.monotonic() > deadline:
                    delay.enforce()
                    return
                await asyncio.sleep(0.1)

    async def _login(self, account: Account) -> _Client:
        trouble: TransportError | None = None
        tries = [self.way] if self.way else candidates(*self._seen())
        for way in tries:
            try:
                client = await self._enter(account, way)
            except TransportError as error:
                trouble = trouble if isinstance(trouble, Refused) else error
                continue
            self.way = way
            return client
        assert trouble is not None
        raise trouble

    def _seen(self) -> tuple[Mapping[str, Collection[str]], bytes, bool]:
        """What the target showed before any login: its capabilities, its greeting, whether that was in plaintext."""
        runner = self.runner
        offers = runner.facts.offers.get((self._service, "plain")) or {}
        banner = runner.greetings.get(self._service, "").encode()
        return offers, banner, runner.target.services[self._service].tls != "implicit"

    @property
    def _service(self) -> str:
        return "pop3" if "pop3" in self.runner.target.services else "pop3s"

    async def _enter(self, account: Account, way: Way) -> _Client:
        """One try, on a connection of its own."""
        client = _Client(await self.runner.connect(self._service), "pop3", self.limits.reply_timeout)
        heard: list[Reply] = []

        async def say(octets: bytes, shown: bytes) -> tuple[str, bytes]:
            heard.append(await client.say(octets))
            return heard[-1].code, heard[-1].text

        try:
            greeting = await client.reply()
            if greeting.code != "+OK":
                raise Refused("greeting", greeting)
            if way.tls:
                await client.must(b"STLS", "+OK")
                context = self.runner.context()
                assert context is not None
                await client.connection.handshake(context, self.runner.target.host, self.limits.reply_timeout)
            if "UTF8" in (self.runner.facts.offers.get((self._service, "plain")) or {}):
                await client.say(b"UTF8")  # RFC 6856: else messages that need it are refused or altered
            if await self.runner.delay.log_in(way, account.user, account.password, greeting.text, say) != "+OK":
                raise Refused("login", heard[-1])
        except BaseException:
            client.connection.close()
            raise
        return client

    async def read(self, account: Account, token: bytes = b"", enough: Callable[[list[bytes]], bool] | None = None) -> list[bytes]:
        """All messages of a mailbox. They stay there, but if they are ``enough`` those with ``token`` are deleted."""
        client = await self.login(account)
        found: dict[int, bytes] = {}
        removing = False
        try:
            for number in await self._numbers(client):
                reply = await client.say(b"RETR %d" % number, multi=True)
                if reply.code == "+OK":
                    found[number] = reply.body
            removing = enough is not None and enough(list(found.values()))
            if removing:
                with contextlib.suppress(TransportError):  # a DELE that does not work takes nothing from what was read
                    for number, message in found.items():
                        if token in message:
                            await client.say(b"DELE %d" % number)
            else:
                await client.say(b"RSET")
        finally:
            await (client.quit() if removing else client.leave())
        return list(found.values())

    async def unreadable(self, account: Account) -> str:
        """What RETR does in place of sending a message that is in the mailbox; "" if it sends all, or nobody gets so far."""
        said = ""
        try:
            client = await self.login(account)
            try:
                for number in await self._numbers(client):
                    said = f"RETR of message {number} is not answered as it should be"
                    reply = await client.say(b"RETR %d" % number, multi=True)
                    if reply.code != "+OK":
                        return f"RETR: {show(reply.octets, 120).strip()}"
                    said = ""
            finally:
                await client.leave()
        except (TransportError, TooLong) as error:
            return said and f"{said}: {error}"
        return ""

    @staticmethod
    async def _numbers(client: _Client) -> list[int]:
        """Message numbers by LIST: a target whose STAT is wrong must not spoil all else. By STAT where LIST is of no use."""
        reply: Reply | None = None
        try:
            reply = await client.say(b"LIST", multi=True)
        except TransportError as error:
            if error.kind != "timeout":
                raise
        if reply is None or reply.code != "+OK":
            count = (await client.must(b"STAT", "+OK")).text.split()[:1]
            return list(range(1, int(count[0]) + 1)) if count and count[0].isdigit() else []
        heads = [line.split()[:1] for line in reply.block or []]
        return [int(head[0]) for head in heads if head and head[0].isdigit()]

    async def empty(self, account: Account) -> None:
        """Deletes all messages."""
        client = await self.login(account)
        try:
            for number in await self._numbers(client):
                await client.say(b"DELE %d" % number)
        finally:
            await client.quit()

    async def fetch(self, address: str, token: bytes, least: int, most: int) -> list[bytes]:
        """Messages with ``token``, once ``least`` have come or the delivery timeout is over; then deleted.

        Where more may come a sentinel is waited for. Queues need not be in order: the sentinel may overtake what was
        sent before it, so the target is given as long as its slowest message took, and a quarter more.
        """
        account = self.account(address)
        if account is None:
            raise TransportError("refused", "it belongs to no account of the target file")
        sentinel = b""
        if least == 0 or least != most:
            sentinel = b"sentinel" + token
            await self.deliver(address, b"Subject: %s\r\n\r\nmarks the end\r\n" % sentinel)
        start = time.monotonic()
        deadline = start + self.limits.delivery_timeout
        pause = 0.005
        arrived = not sentinel
        found: list[bytes] = []
        over = False

        def enough(messages: list[bytes]) -> bool:
            nonlocal arrived, found, over
            passed = time.monotonic() - start
            found = [m for m in messages if token in m and not (sentinel and sentinel in m)]
            if not arrived and any(sentinel in m for m in messages):
                arrived = True
                self.slowest = max(0.9 * self.slowest, passed)  # one that was slow by chance is forgotten
            whole = len(found) >= least and arrived and (not sentinel or passed >= 1.25 * self.slowest)
            over = whole or time.monotonic() > deadline
            return over

        while True:
            await self.read(account, token, enough)
            if over:
                return found
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.3)

    # -- putting ------------------------------------------------------------------------------

    async def deliver(self, address: str, octets: bytes, extension: str = "") -> None:
        """Sends one message by SMTP (LMTP, submission). Raises TransportError."""
        services = self.runner.target.services
        service = next((name for name in ("smtp", "lmtp", "smtps", "submission") if name in services), "")
        if not service:
            raise TransportError("refused", "the target has no service that takes mail")
        client = _Client(await self.runner.connect(service), "smtp", self.limits.reply_timeout)
        try:
            greeting = await client.reply()
            if greeting.code != "220":
                raise Refused("greeting", greeting)
            hello = b"LHLO " if service == "lmtp" else b"EHLO "
            offered = keywords((await client.must(hello + self.runner.client.encode(), "250")).texts[1:])
            sender = self.runner.sender
            if service in ("submission", "smtps"):
                offered = await self._authenticate(client, self.runner.facts.usable(service, offered))
                sender = self.runner.target.accounts[0].address
            parameters = b""
            if "8BITMIME" in offered and not octets.isascii():
                parameters = b" BODY=8BITMIME"
            if extension == "BINARYMIME":
                parameters = b" BODY=BINARYMIME"
            if extension == "SMTPUTF8":
                parameters += b" SMTPUTF8"
            await client.must(b"MAIL FROM:<%s>%s" % (sender.encode(), parameters), "250")
            await client.must(b"RCPT TO:<%s>" % address.encode(), "25")
            if extension == "BINARYMIME":
                client.connection.write(b"BDAT %d LAST\r\n" % len(octets) + octets)
                reply = await client.reply()
                if reply.code != "250":
                    raise Refused("BDAT", reply)
            else:
                await client.must(b"DATA", "354")
                whole = octets if octets.endswith(b"\r\n") else octets + b"\r\n"
                stuffed = (b"\r\n" + whole).replace(b"\r\n.", b"\r\n..")[2:]
                await client.must(stuffed + b".", "250")
            await client.quit()
        finally:
            client.connection.close()

    async def _authenticate(
        self, client: _Client, offered: dict[str, tuple[str, ...]]
    ) -> dict[str, tuple[str, ...]]:
        hello = b"EHLO " + self.runner.client.encode()
        if "AUTH" not in offered and "STARTTLS" in offered:
            await client.must(b"STARTTLS", "220")
            context = self.runner.context()
            assert context is not None
            await client.connection.handshake(context, self.runner.target.host, self.limits.reply_timeout)
            offered = keywords((await client.must(hello, "250")).texts[1:])
        if not self.runner.target.accounts:
            raise TransportError("refused", "submission needs an account in the target file")
        account = self.runner.target.accounts[0]
        token = base64.b64encode(b"\0" + account.user.encode() + b"\0" + account.password.encode())
        await client.must(b"AUTH PLAIN " + token, "235")
        return offered

    async def seed(self, account: Account, octets: bytes, extension: str = "") -> None:
        """Puts one message into a mailbox, by the target file's seed command where it has one."""
        command = self.runner.target.mail.get("seed")
        if not command:
            await self.deliver(account.address, octets, extension)
            return
        with tempfile.NamedTemporaryFile(suffix=".eml") as file:
            file.write(octets)
            file.flush()
            words = [word.format(user=account.user, file=file.name) for word in shlex.split(command)]
            base = Path(self.runner.target.base).resolve()
            try:
                process = await asyncio.create_subprocess_exec(
                    *words, cwd=base, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
                )
            except OSError as error:
                raise TransportError("refused", f"the seed command cannot be run: {error}") from None
            _out, problem = await process.communicate()
            if process.returncode:
                raise TransportError("refused", f"the seed command failed: {show(problem, 200)}")

    async def fill(self, account: Account, seeds: list[tuple[bytes, bytes, str]]) -> None:
        """The mailbox then holds exactly these (octets, token, extension), in order. Raises TransportError."""
        await self.empty(account)
        for octets, _token, extension in seeds:
            await self.seed(account, octets, extension)
        if await self._in_order(account, [token for _octets, token, _ext in seeds]):
            return
        await self.empty(account)  # the target queues: one at a time keeps the order
        for number, (octets, _token, extension) in enumerate(seeds, 1):
            await self.seed(account, octets, extension)
            await self._wait(account, number)

    async def _in_order(self, account: Account, tokens: list[bytes]) -> bool:
        if len(tokens) > 30 or self.runner.facts.unreadable:
            await self._wait(account, len(tokens))
            return True
        try:
            messages = await self.read(account)
            if len(messages) < len(tokens):
                await self._wait(account, len(tokens))
                messages = await self.read(account)
        except NotArrived:
            if not await self._hidden(account, len(tokens)):
                raise
            return True
        except TransportError:  # what RETR sends is not readable: for the scenario to tell
            return True
        if len(messages) < len(tokens):  # RETR is refused for some: the count has to do
            return True
        return len(messages) == len(tokens) and all(t in m for t, m in zip(tokens, messages) if t)

    async def _hidden(self, account: Account, count: int) -> bool:
        """Whether so many messages are there though LIST does not show them: that is for the scenario to tell."""
        client = await self.login(account)
        try:
            return (await client.say(b"RETR %d" % count, multi=True)).code == "+OK"
        finally:
            await client.leave()

    async def _wait(self, account: Account, count: int) -> None:
        deadline = time.monotonic() + self.limits.delivery_timeout
        pause = 0.005
        while True:
            client = await self.login(account)
            try:
                found = len(await self._numbers(client))
            finally:
                await client.leave()
            if found >= count:
                return
            if time.monotonic() > deadline:
                raise NotArrived("timeout", f"{found} of {count} seeded messages arrived")
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.3)
