"""Plays many scenarios against one target, overlapped."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from conformance.scenario.expression import Environment, ExpressionError, Value
from conformance.scenario.functions import PLAYER_FUNCTIONS
from conformance.scenario.model import Corpus, Scenario
from conformance.scenario.placing import placed
from conformance.scenario.plan import Facts, not_applicable, unsafe
from conformance.session.accounts import Borrowed, Pool
from conformance.session.connection import KEY_LOG, Connection, TransportError
from conformance.session.delay import Delayed, LoginDelay, TooLong
from conformance.session.play import Play
from conformance.session.post import PostOffice, Refused
from conformance.session.probe import noop_code, probe_service, try_unannounced
from conformance.session.queue import Queue, seconds
from conformance.session.transcript import Redactor
from conformance.target import Target
from conformance.verdict.model import Outcome

OnOutcome = Callable[[Scenario, Outcome], None]
_TLS_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3,
}  # fmt: skip
_LEAST_SIZE = 65536  # octets of a message that a server must take at least: RFC 5321 section 4.5.3.1.7
_WITHOUT_EHLO = ("connected", "helo")  # openings that do not depend on what probing asks
_REPLAYS = 8  # of a scenario whose logins came too soon, each time after a longer pause
_DEAD_AFTER = 3  # refused connections in a row, after which the rest is not tried one by one


class Runner:
    """One target, one corpus. ``probe`` first, then ``run`` as often as wanted."""

    def __init__(
        self, target: Target, corpus: Corpus, *, connections: int | None = None, safe: bool = False,
        lock_dir: Path | None = None, share: tuple[int, int] = (0, 1),
    ) -> None:  # fmt: skip
        """``share``: which one of how many processes that play on this target at a time; its connections are for all of them."""
        self.target = target
        self.corpus = corpus
        self.safe = safe
        self.connections = max(1, (connections or target.limits.connections) // share[1])
        self.client = target.mail.get("client", "client.example.test")
        self.sender = target.mail.get("sender", f"conformance@{self.client}")
        self.redact = Redactor(
            secret for account in target.accounts for secret in (account.password, account.bearer) if secret
        )
        self.facts = Facts()
        self.greetings: dict[str, str] = {}
        self.capabilities: dict[str, dict[str, list[str]]] = {}
        self.without_capa: set[str] = set()  # POP3 services that refuse CAPA
        self.trouble: dict[str, str] = {}  # service → why it could not be probed
        self.greeted: set[str] = set()  # services of SMTP that gave a greeting all the same
        self.post = PostOffice(self)
        self.delay = LoginDelay()
        self.pool = Pool(target, lock_dir, share)
        self._contexts: dict[tuple[str, bool, Path | None], ssl.SSLContext | None] = {}
        self._refused = 0
        self._noop: dict[str, str] = {}

    def context(
        self, *, version: str = "", verify: bool = False, certificate: Path | None = None
    ) -> ssl.SSLContext | None:
        """A client context; None where this machine's TLS library lacks the version."""
        key = (version, verify, certificate)
        if key not in self._contexts:
            self._contexts[key] = self._make_context(*key)
        return self._contexts[key]

    def _make_context(self, version: str, verify: bool, certificate: Path | None) -> ssl.SSLContext | None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if KEY_LOG.path:
            context.keylog_filename = KEY_LOG.path
        if certificate:
            context.load_cert_chain(certificate)
        if verify:
            context.load_verify_locations(self.target.ca) if self.target.ca else context.load_default_certs()
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if version:
            try:
                with warnings.catch_warnings():  # that old versions are deprecated is what we test
                    warnings.simplefilter("ignore", DeprecationWarning)
                    if version in ("1.0", "1.1"):
                        context.set_ciphers("ALL:@SECLEVEL=0")
                    context.minimum_version = context.maximum_version = _TLS_VERSIONS[version]
            except (ValueError, ssl.SSLError):
                return None
        return context

    async def connect(self, service: str, tries: int = 3, certificate: Path | None = None) -> Connection:
        """A connection to a service, TLS on where the port wants it. Raises TransportError."""
        known = self.target.services.get(service)
        if known is None:
            raise TransportError("connect", f"the target file names no {service} service")
        timeout = self.target.limits.reply_timeout
        for attempt in range(tries):
            try:
                connection = await Connection.open(self.target.host, known.port, timeout)
                self._refused = 0
                break
            except TransportError:
                self._refused += 1
                if attempt + 1 == tries or self._refused > _DEAD_AFTER * tries:
                    raise
                await asyncio.sleep(0.1 * (attempt + 1))
        if known.tls == "implicit":
            context = self.context(certificate=certificate)
            assert context is not None
            try:
                await connection.handshake(context, self.target.host, timeout)
            except TransportError:
                connection.close()
                raise
        return connection

    async def probe(self, scenarios: Sequence[Scenario] | None = None, only: Collection[str] | None = None) -> None:
        """Learns what the target offers. Never raises for target trouble: it is kept in ``trouble``.

        ``only``: services that are asked; what all others offer is then unknown.
        """
        mail = self.target.mail
        self.facts.services = set(self.target.services)
        self.facts.names = {key for key in mail if key != "seed"}
        self.facts.accounts = len(self.target.accounts)
        self.facts.odmr_domains = sum(bool(one.odmr_domain) for one in self.target.accounts)
        self.facts.ca = self.target.ca is not None
        self.facts.bearers = sum(bool(account.bearer) for account in self.target.accounts)
        self.facts.certificates = sum(bool(account.certificate) for account in self.target.accounts)
        async with self.pool.probing():
            await self._probe(scenarios, only)

    async def _probe(self, scenarios: Sequence[Scenario] | None, only: Collection[str] | None) -> None:
        for name in [one for one in self.target.services if only is None or one in only]:  # one after the other: a mailbox opens to one session at a time
            why = await self._probe_service(name)
            if why:
                self.trouble[name] = why
            await self.post.learn_delay()
        wanted = self.corpus.scenarios if scenarios is None else scenarios
        reading = [one for one in wanted if one.reads_mail or one.mailbox]
        self.facts.delivery = await self._delivery() if reading and not self.safe else "delivery was not tried"
        self.facts.seedable = bool(self.target.mail.get("seed")) or not self.facts.delivery or bool(self.facts.unreadable)
        await self.post.learn()
        await try_unannounced(self, filling=bool(reading) and self.facts.seedable and not self.safe)

    async def _probe_service(self, name: str) -> str:
        while True:  # a delay that does not end is TooLong
            try:
                return await probe_service(self, name)
            except Delayed:
                pass

    async def noop(self, service: str) -> str:
        """The code that answers NOOP, asked once: a server may have none."""
        if service not in self._noop:
            self._noop[service] = await noop_code(self, service)
        return self._noop[service]

    async def _delivery(self) -> str:
        """"" if a plain message to the first account arrives, else why not."""
        if not {"pop3", "pop3s"} & set(self.target.services):
            return "no POP3 service reads what is delivered"
        if not {"smtp", "lmtp", "submission", "smtps"} & set(self.target.services):
            return "the target has no service that takes mail"
        account = next((one for one in self.target.accounts if one.address), None)
        if account is None:
            return "the target file has no account with an address"
        token = secrets.token_hex(8).encode()
        sent = False
        try:
            await self.post.deliver(account.address, b"Subject: %s\r\n\r\nprobe\r\n" % token)
            sent = True
            start = time.monotonic()
            found = await self.post.fetch(account.address, token, 1, 1)
            self.post.slowest = time.monotonic() - start
            if found:
                return ""
            lost, why = True, f"did not arrive within {self.target.limits.delivery_timeout:g} s"
        except (TransportError, TooLong, ValueError, IndexError) as error:
            lost, why = False, f"could not be delivered and read: {error}"
        self.facts.unreadable = await self.post.unreadable(account) if sent else ""
        if self.facts.unreadable:
            lost, why = False, f"cannot be read: {self.facts.unreadable}"
        self.facts.lost = lost
        return f"mail to {account.address} {why}"

    async def run(self, scenarios: Sequence[Scenario], on_outcome: OnOutcome) -> None:
        """Plays all of them, up to ``connections`` at a time; each outcome is told once.

        Of those that wait the long ones first, so that they do not make a tail; those that need a mailbox to themselves, of
        which there are few, before all others.
        """
        played = []
        inside: set[str] = set()
        for asked in scenarios:
            scenario = placed(asked, self.corpus, self.facts)
            outcome = self.applies(scenario)
            if outcome:
                on_outcome(asked, outcome)
            else:
                played.append(scenario)
                if scenario.opening != asked.opening and scenario.service not in ("smtps", "pop3s"):
                    inside.add(scenario.id)
        played.sort(key=lambda one: (bool(one.ambient), -seconds(one, self.target.limits.silence)))
        queue = Queue(self.pool, played, self.connections, self.target.limits.silence)

        async def lane() -> None:
            while not queue.empty:
                found = queue.next()
                if found is None:
                    await queue.changed()
                    continue
                scenario, accounts = found
                try:
                    outcome = await self._guarded(scenario, accounts)
                finally:
                    queue.done(scenario, accounts)
                outcome.service = scenario.service
                if scenario.id in inside:
                    outcome.notes.append("played inside TLS, as what it needs is not offered in the clear")
                on_outcome(scenario, outcome)

        async with asyncio.TaskGroup() as group:
            for _number in range(min(self.connections, len(played))):
                group.create_task(lane())

    def applies(self, scenario: Scenario) -> Outcome | None:
        """An outcome without a play: not applicable, or the service was never reached."""
        why = self.trouble.get(scenario.service)
        # Those of the first kind begin with the greeting, and may tell what is wrong with it; of the second, with EHLO.
        if why and scenario.opening != "raw" and not (scenario.service in self.greeted and scenario.opening in _WITHOUT_EHLO):
            return Outcome("inconclusive", f"the target could not be asked: {why}")
        if self.safe and unsafe(scenario):
            return Outcome("not-applicable", f"left out by --safe: it {unsafe(scenario)}")
        if "destructive" in scenario.effects and not self.destructive:
            return Outcome("not-applicable", "destructive: only played when it is asked for (--destructive)")
        if "slow" in scenario.effects and not self.slow:
            return Outcome("not-applicable", "slow: only played when it is asked for (--slow)")
        reason = not_applicable(scenario, self.corpus, self.facts)
        return Outcome("not-applicable", reason) if reason else None

    destructive = False
    slow = False

    async def _guarded(self, scenario: Scenario, accounts: list[Borrowed]) -> Outcome:
        for one in accounts:
            if one.foreign:
                self.delay.forget(one.account.user)
                one.foreign = False
        try:
            for _attempt in range(_REPLAYS):
                outcome, again = await self._play(scenario, accounts)
                if not again:
                    break
            return outcome
        except TooLong as error:
            return Outcome("not-applicable", str(error))
        except TransportError as error:
            return Outcome("inconclusive", f"the mailbox could not be made ready: {error}")
        except (ExpressionError, ValueError, IndexError) as error:
            return Outcome("inconclusive", f"the scenario cannot be played: {error}")

    async def _play(self, scenario: Scenario, accounts: list[Borrowed]) -> tuple[Outcome, bool]:
        """The outcome of one play, and whether it came too soon to be one."""
        start = time.monotonic()
        variables = self._variables(scenario, accounts)
        env = Environment(variables)
        for name, template in scenario.let.items():
            if not template.functions & PLAYER_FUNCTIONS.keys():
                variables[name] = template.evaluate(env)
        play = Play(self, scenario, variables)
        play.users = [one.account.user for one in accounts] if scenario.family == "pop3" else []
        play.certificate = accounts[0].account.certificate if accounts else None
        if scenario.seeded:
            unseeded = await self._seed(scenario, accounts[0], variables)
            if unseeded:
                return unseeded, False
            play.seeds = accounts[0].seeds
        touched = bool({"deletes"} & scenario.effects) or scenario.reads_mail or self._removes_what_was_read
        if play.times_logins:
            await self.delay.ready(play.users)
        outcome = await play.run()
        if scenario.seeded and (touched or outcome.verdict not in ("pass", "deviation")):
            accounts[0].contents = None
        elif not scenario.seeded and touched:
            for one in accounts:
                one.contents = None
        outcome.duration = time.monotonic() - start
        return outcome, play.delayed

    @property
    def _removes_what_was_read(self) -> bool:
        """Whether QUIT may remove each message that RETR sent: EXPIRE 0 (RFC 2449 section 6.7)."""
        phases = (self.facts.offers.get((name, "auth")) or {} for name in ("pop3", "pop3s"))
        return any(offered.get("EXPIRE", ())[:1] == ("0",) for offered in phases)

    async def _seed(self, scenario: Scenario, borrowed: Borrowed, variables: dict[str, Value]) -> Outcome | None:
        seeds = [self.corpus.seeds[name] for name in scenario.mailbox]
        if not self.target.mail.get("seed"):
            offered = self.facts.offers.get(("smtp", "plain")) or {}
            for seed in seeds:
                if seed.via == "seed":
                    return Outcome("not-applicable", f"the seed {seed.name} needs the target file's seed command")
                wants = {"BINARYMIME": {"BINARYMIME", "CHUNKING"}}.get(seed.extension, {seed.extension} - {""})
                if wants - set(offered):
                    return Outcome("not-applicable", f"the seed {seed.name} needs {seed.extension}")
        if borrowed.contents == scenario.mailbox:
            return None
        filled: list[tuple[bytes, bytes, str]] = []
        for seed in seeds:
            token = secrets.token_hex(8).encode()
            octets = seed.octets.evaluate(Environment({**variables, "token": token}))
            filled.append((octets, token if token in octets else b"", seed.extension))
        try:
            await self.post.fill(borrowed.account, filled)
        except Refused as error:  # SMTP that announces an extension may still not take this message for this mailbox
            borrowed.contents = None
            if error.code == "552" and max(len(octets) for octets, _token, _extension in filled) > _LEAST_SIZE:
                return Outcome("not-applicable", f"the target takes no message of that size: {error}")
            extended = [seed.name for seed in seeds if seed.extension]
            if not extended or self.target.mail.get("seed"):
                raise
            return Outcome("not-applicable", f"the target did not take the seed {extended[0]}: {error}")
        borrowed.contents = scenario.mailbox
        borrowed.seeds = [octets for octets, _token, _extension in filled]
        return None

    def _variables(self, scenario: Scenario, accounts: list[Borrowed]) -> dict[str, Value]:
        variables: dict[str, Value] = {
            "client": self.client.encode(), "token": secrets.token_hex(8).encode(), "banner": b"",
            "host": self.target.host.encode(), "case": scenario.case.encode(), "code": b"", "text": b"",
            "reply": b"", "body": b"", "raw": b"", "elapsed": 0, "sender": self.sender.encode(),
        }  # fmt: skip
        variables |= {key: value.encode() for key, value in self.target.mail.items() if key not in ("seed", "client")}
        for suffix, borrowed in zip(("", "2"), accounts):
            account = borrowed.account
            variables[f"user{suffix}"] = account.user.encode()
            variables[f"password{suffix}"] = account.password.encode()
            variables[f"address{suffix}"] = account.address.encode()
            variables[f"odmr_domain{suffix}"] = account.odmr_domain.encode()
            variables[f"bearer{suffix}"] = account.bearer.encode()
        held = accounts[0].account.odmr_domain if accounts else ""
        variables["held_domain"] = held.encode() or variables.get("domain", b"")
        variables["held_address"] = f"postmaster@{held}".encode() if held else variables.get("recipient", b"")
        if scenario.reads_mail and accounts:
            variables["recipient"] = accounts[0].account.address.encode()
            if len(accounts) > 1:
                variables["second_recipient"] = accounts[1].account.address.encode()
        if accounts and (scenario.service in ("submission", "smtps") or "auth" in scenario.opening):
            variables["sender"] = accounts[0].account.address.encode() or variables["sender"]
        return variables
