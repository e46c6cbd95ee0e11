"""Plays one scenario against the target: steps in order, the first broken one decides."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.protocol.reply import Reply, keywords, show
from conformance.scenario.expression import Environment, ExpressionError, Value
from conformance.scenario.infer import chain
from conformance.scenario.model import MAIN, Expect, Pattern, Scenario, Step, When, family, named
from conformance.session.connection import Connection, TransportError
from conformance.session.delay import Delayed, TooLong, too_soon
from conformance.session.transcript import Transcript
from conformance.verdict.model import Ambient, Outcome

if TYPE_CHECKING:
    from conformance.session.runner import Runner

_POLICY = re.compile(rb"(?i)\b4\.7\.[0-9]+\b|gr[ea]y-?list|too many (?:connections|errors)|rate.?limit|throttl|slow down")
_PAUSES = {"rfc2449/6.5/login-delay-enforced", "rfc2449/6.5/login-delay-over"}
_LATER = re.compile(rb"(?i)try again later")  # of 452 it is said of storage, recipients, messages: no ordinary transaction runs out of these


class Ended(Exception):
    """The scenario has its verdict."""

    def __init__(self, verdict: str, reason: str, expected: str = "", received: str = "", line: int = 0) -> None:
        super().__init__(reason)
        self.outcome = Outcome(verdict, reason, expected, received, line)


class Line:
    """A named connection of a play, with what was last said on it."""

    def __init__(self, name: str, service: str) -> None:
        self.name = name
        self.service = service
        self.family = family(service)
        self.connection: Connection | None = None
        self.reply: Reply | None = None
        self.greeting = b""  # the text of the first reply
        self.offered: dict[str, tuple[str, ...]] = {}
        self.listing = False  # an EHLO, LHLO or CAPA awaits its reply
        self.utf8 = False
        self.gone = False  # closed as expected: later lines of it are skipped
        self.turned = False
        self.quitting = False
        self.odd = False  # we sent a bare CR or LF: how many replies that makes is not settled
        self.login = ""  # the POP3 verb of a login that awaits its reply
        self.entered = False

    @property
    def label(self) -> str:
        return "" if self.name == MAIN else self.name

    @property
    def live(self) -> Connection:
        if self.connection is None:
            raise Ended("inconclusive", f"connection {self.name!r} is not open")
        return self.connection


class Play:
    """One play of one scenario. ``run`` never raises for anything that the target does."""

    def __init__(self, runner: Runner, scenario: Scenario, variables: dict[str, Value]) -> None:
        self.runner = runner
        self.scenario = scenario
        self.limits = runner.target.limits
        self.lines: dict[str, Line] = {}
        self.transcript = Transcript(runner.redact)
        self.env = Environment(
            variables,
            {
                "offers": self._offers, "parameter": self._parameter, "seed": self._seed, "seedbody": self._seedbody,
                "binding": self._binding,
            },
        )
        self.current = MAIN
        self.worst: Outcome | None = None
        self.notes: list[str] = []
        self.ambient: list[Ambient] = []
        self.seeds: list[bytes] = []
        self.in_opening = False
        self.certificate: Path | None = None  # the borrowed account's, for `-- tls certificate`
        self.users: list[str] = []  # of the borrowed accounts
        self.delayed = False  # LOGIN-DELAY ended it: to be played once more

    # -- the whole ----------------------------------------------------------------------------

    async def run(self) -> Outcome:
        start = time.monotonic()
        cut = False  # another verdict than pass ended the dialogue before its end
        try:
            await self.open(MAIN, self.scenario.service, self.scenario.opening)
            await self.steps(self.scenario.steps)
            outcome = self.worst or Outcome("pass")
        except Ended as ended:
            outcome, cut = ended.outcome, ended.outcome.verdict != "pass"
            if self.worst and outcome.verdict == "pass":
                outcome = self.worst
        except Delayed:
            self.delayed = True
            outcome = Outcome("not-applicable", "the target lets nobody log in again so soon (LOGIN-DELAY)")
        except TooLong as error:
            outcome = Outcome("not-applicable", str(error))
        except ExpressionError as error:
            outcome = Outcome("inconclusive", f"the scenario cannot be evaluated: {error}")
        except TransportError as error:
            outcome = Outcome("inconclusive", str(error), received=show(error.octets))
        except Exception as error:  # a fault of ours must not cost the user the other results
            outcome = Outcome("inconclusive", f"the suite itself failed here: {error!r}")
        outcome.mark = len(self.transcript) - 1
        await self._farewell()
        outcome.transcript = self.transcript.dialogue
        outcome.notes = self.notes + outcome.notes
        if cut or outcome.verdict in ("fail", "inconclusive"):  # what came unasked is then a consequence, told already
            self.ambient = [one for one in self.ambient if one.check not in ("unsolicited", "hang")]
        outcome.ambient = self.ambient
        outcome.expected, outcome.received, outcome.reason = (
            self.runner.redact(text) for text in (outcome.expected, outcome.received, outcome.reason)
        )
        outcome.duration = time.monotonic() - start
        return outcome

    async def steps(self, steps: tuple[Step, ...]) -> None:
        from conformance.session.steps import HANDLERS

        for step in steps:
            await HANDLERS[type(step)](self, step)

    async def open(self, name: str, service: str, opening: str) -> None:
        """Connects and plays an opening; all that goes wrong in it is inconclusive."""
        line = Line(name, service)
        self.lines[name] = line
        try:
            certificate = self.certificate if "certificate" in self.scenario.needs else None
            line.connection = await self.runner.connect(service, certificate=certificate)
        except TransportError as error:
            if opening == "raw" and error.kind == "tls" and error.octets.startswith((b"220", b"+OK")):
                # such scenarios are about the greeting, which belongs inside TLS here (RFC 8314 section 3)
                grade = self.scenario.requirements[0].grade
                raise Ended(grade, "the greeting comes in the clear", received=show(error.octets)) from None
            raise Ended("inconclusive", str(error), received=show(error.octets)) from None
        self.transcript.remark(f"{name}: connected to {service}" if name != MAIN else f"connected to {service}")
        before, self.in_opening = self.in_opening, True
        try:
            found = self.runner.corpus.openings[line.family, opening]
            for one in chain(found, self.runner.corpus.openings):
                steps = one.steps if name == MAIN else tuple(_renamed(step, name) for step in one.steps)
                await self.steps(steps)
        finally:
            self.in_opening = before

    async def _farewell(self) -> None:
        """Says QUIT where it may be said, reads to the end; what came unasked is an ambient finding."""
        for line in self.lines.values():
            connection = line.connection
            if connection is None:
                continue
            code = line.reply.code if line.reply else ""
            proper = bool(code) and code not in ("354", "334", "+", "421") and not line.turned
            if proper and not line.quitting and not line.gone and not connection.eof:
                await self._quit(line, connection)
            elif not line.gone and not line.turned and line.reply and connection.buffer and proper:
                self.breach("unsolicited", "octets that no command asked for", bytes(connection.buffer), line)
            connection.close()

    async def _quit(self, line: Line, connection: Connection) -> None:
        connection.write(b"QUIT\r\n")
        self.transcript.add("C", b"QUIT", line.label, connection.tls is not None)
        try:
            octets = await connection.closing(min(1.0, self.limits.reply_timeout))
        except TransportError as error:
            octets = error.octets
        if octets:
            self.transcript.add("S", octets[:4000], line.label, connection.tls is not None)
        replies = [one for one in octets.split(b"\r\n") if one and one[3:4] != b"-"]
        if len(replies) > 1 and replies[-1][:3] in (b"221", b"+OK") and not line.odd:
            self.breach("unsolicited", "a reply that no command asked for", octets, line)

    # -- expectations -------------------------------------------------------------------------

    def broken(self, step: Step, why: str, received: str, *, premise: bool = False) -> Ended:
        """The verdict of a step that does not hold, by the first requirement's level."""
        expected = step.source.strip()
        if premise or self.in_opening:
            where = "the opening" if self.in_opening else "a premise"
            return Ended("inconclusive", f"{where} does not hold: {why}", expected, received, step.line)
        grade = self.scenario.requirements[0].grade
        if grade == "pass":
            self.notes.append(f"does otherwise, as it may: {why}")
        return Ended(grade, why, expected, received, step.line)

    def deviation(self, step: Step, why: str, received: str) -> None:
        if self.worst is None:
            self.worst = Outcome("deviation", why, step.source.strip(), received, step.line)

    def breach(self, check: str, reason: str, octets: bytes, line: Line) -> None:
        evidence = self.runner.redact(show(octets))
        self.ambient.append(Ambient(check, reason, evidence))
        self.transcript.remark(f"ambient: {reason}")

    async def receive(self, line: Line, *, multi: bool, timeout: float | None = None) -> Reply:
        """The next reply on a connection. Raises TransportError."""
        connection = line.live
        timeout = self.limits.reply_timeout if timeout is None else timeout
        tls = connection.tls is not None
        try:
            reply = await connection.reply(line.family, timeout, multi=multi, utf8=line.utf8)
        except TransportError as error:
            if error.octets:
                self.transcript.add("S", error.octets[:2000], line.label, tls)
            self.transcript.remark(str(error))
            raise
        self.transcript.add("S", reply.octets[:20000], line.label, tls)
        for breach in [] if reply.octets[:2] == b"\x15\x03" else reply.breaches:  # a TLS alert is no reply
            self.ambient.append(Ambient(breach.check, breach.reason, self.runner.redact(breach.evidence)))
        self.remember(line, reply)
        return reply

    async def before_login(self, line: Line, verb: str) -> None:
        """A POP3 login is about to be tried: waits where the target wants a pause. Raises TooLong."""
        line.login = "" if line.entered else verb
        if line.login and not self.times_logins:
            waited = await self.runner.delay.ready(self.users)
            if waited:
                self.transcript.remark(f"waited {waited:.1f} s: the target wants a pause between logins (LOGIN-DELAY)")

    @property
    def times_logins(self) -> bool:
        """Whether the scenario is about the very pause."""
        return any(one.id in _PAUSES for one in self.scenario.requirements)

    def remember(self, line: Line, reply: Reply) -> None:
        if line.login and too_soon(reply.code, reply.text) and not self.times_logins and self.runner.delay.refused(self.users):
            raise Delayed
        if line.login not in ("", "USER") and reply.code == "+OK":
            self.runner.delay.entered(self.users)
            line.entered = True
        if line.reply is None:
            line.greeting = reply.text
        line.reply = reply
        self.current = line.name
        if line.listing and (reply.block is not None or line.family != "pop3"):
            line.listing = False
            if reply.code in ("250", "+OK"):
                listed = reply.block if reply.block is not None else reply.texts[1:]
                line.offered = keywords(listed)
                if line.connection is None or line.connection.tls is None:
                    line.offered = self.runner.facts.usable(line.service, line.offered)
                line.utf8 = "SMTPUTF8" in line.offered
        self.env.variables.update(
            code=reply.code.encode(), text=reply.text, reply=reply.octets, body=reply.body, raw=reply.raw,
            elapsed=int(reply.elapsed),
        )  # fmt: skip

    def policy(self, reply: Reply, expect: Expect) -> str:
        """Why an unexpected reply proves nothing; "" if it does."""
        if reply.code == "421":
            return "the target refuses service (421)"
        if reply.text.upper().startswith(b"[LOGIN-DELAY") and named("+OK", expect.right):
            return "the target asks for a pause between logins (LOGIN-DELAY)"
        wants = any(a.token[:1] in "23" for a in expect.right)
        told = _POLICY.search(reply.octets) or (reply.code != "452" and _LATER.search(reply.octets))
        if reply.code.startswith("4") and wants and told:
            return "a reply that speaks of policy"
        return ""

    async def alive(self) -> bool:
        """Whether the target still takes connections."""
        try:
            (await self.runner.connect(self.scenario.service, tries=1)).close()
        except TransportError:
            return False
        return True

    def match(self, pattern: Pattern, octets: bytes, *, fold: bool = False) -> dict[str, bytes] | None:
        """Captured names, or None. The whole text must match."""
        regex = bytearray()
        names: list[str] = []
        for kind, part in pattern.parts:
            if kind == "any":
                regex += rb".*?"
            elif kind == "capture":
                names.append(str(part))
                regex += rb"(.+?)"
            else:
                regex += re.escape(part.evaluate(self.env))  # type: ignore[union-attr]
        match = re.fullmatch(bytes(regex), octets, re.S | (re.I if fold else 0))
        return dict(zip(names, match.groups())) if match else None

    # -- functions of the language ------------------------------------------------------------

    def _list(self) -> dict[str, tuple[str, ...]]:
        line = self.lines.get(self.current)
        return line.offered if line else {}

    def _offers(self, keyword: Value, parameter: Value = b"") -> bool:
        word = _text(keyword).upper()
        found = self._list().get(word)
        if found is None:
            return False
        return not parameter or _text(parameter).upper() in {one.upper() for one in found}

    def _parameter(self, keyword: Value) -> bytes:
        return " ".join(self._list().get(_text(keyword).upper(), ())).encode()

    def _binding(self, kind: Value) -> bytes:
        line = self.lines.get(self.current)
        return line.connection.bindings.get(_text(kind), b"") if line and line.connection else b""

    def _seed(self, number: Value) -> bytes:
        index = int(number) - 1
        if not 0 <= index < len(self.seeds):
            raise ExpressionError(f"there is no seed {index + 1}")
        return self.seeds[index]

    def _seedbody(self, number: Value) -> bytes:
        return self._seed(number).partition(b"\r\n\r\n")[2]


def _text(value: Value) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _renamed(step: Step, name: str) -> Step:
    """An opening's step, said on another connection."""
    if isinstance(step, When):
        branches = tuple((c, tuple(_renamed(s, name) for s in b)) for c, b in step.branches)
        return replace(step, connection=name, branches=branches)
    return replace(step, connection=name)


async def breathe(seconds: float) -> None:
    """A gap between segments, long enough to leave in a packet of its own."""
    await asyncio.sleep(seconds)
