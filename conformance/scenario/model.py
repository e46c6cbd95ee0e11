"""What a scenario is, once loaded: plain frozen data, no behaviour, no I/O.

The loader builds these from YAML (see scenarios/README.md for the language); the planner
decides whether a scenario applies to a target; the player in ``conformance.session`` plays them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Union

from conformance.scenario.expression import Expression, Template

LEVELS = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY")
SERVICES = ("smtp", "submission", "smtps", "odmr", "lmtp", "pop3", "pop3s")
EFFECTS = ("delivers", "deletes", "locks", "slow", "destructive")
AMBIENT = ("grammar", "crlf", "length", "one-code", "unsolicited", "hang", "tls-buffer")
MAIN = "main"  # the connection that the opening opens


def family(service: str) -> str:
    """``smtp``, ``lmtp`` or ``pop3``: the protocol spoken on a service's port."""
    if service.startswith("pop3"):
        return "pop3"
    return "lmtp" if service == "lmtp" else "smtp"


@dataclass(frozen=True)
class Requirement:
    """One normative statement about a server."""

    id: str  # rfc5321/4.1.4/rcpt-needs-mail
    document: str  # RFC 5321
    section: str  # 4.1.4
    level: str  # one of LEVELS
    text: str
    implied: bool = False
    invisible: str = ""  # why a client cannot see it
    contested: str = ""  # the argument

    @property
    def grade(self) -> Literal["fail", "deviation", "pass"]:
        """The verdict of a scenario that finds this requirement broken."""
        if self.level == "MAY":
            return "pass"
        if self.contested or self.level.startswith("SHOULD"):
            return "deviation"
        return "fail"


# -- steps ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    line: int  # 1-based line of the file
    source: str  # the line as written
    connection: str = MAIN


@dataclass(frozen=True)
class Payload:
    """One sending line. ``kind``: line (CRLF is added), octets, bdat, bdat-last."""

    kind: Literal["line", "octets", "bdat", "bdat-last", "segment"]
    template: Template
    line: int


@dataclass(frozen=True)
class Send(Step):
    """Consecutive sending lines: one write, unless a ``segment`` payload or ``split`` divides it."""

    payloads: tuple[Payload, ...] = ()
    split: int = 0  # octets per write, 0: all


@dataclass(frozen=True)
class Alternative:
    """A code (``250``), a class (``2yz``, ``55z``), ``+OK``, ``-ERR``, ``+``, ``closed`` or ``silent``."""

    token: str

    def matches_code(self, code: str) -> bool:
        if self.token == code:
            return True
        if self.token in ("closed", "silent") or len(self.token) != len(code) or "z" not in self.token:
            return False
        return all(t == c or t in "yz" for t, c in zip(self.token, code))


def named(token: str, alternatives: Iterable[Alternative]) -> bool:
    """Whether one of them is just this."""
    for one in alternatives:  # noqa: SIM110 — any() takes twice as long, and this is every reply
        if one.token == token:
            return True
    return False


def matching(code: str, alternatives: Iterable[Alternative]) -> bool:
    """Whether one of them is this code, or its class."""
    return named(code, alternatives) or any(one.matches_code(code) for one in alternatives)


@dataclass(frozen=True)
class PatternLine:
    """``S|`` (next line), ``S*`` (some line), ``S!`` (no line). ``rest``: ``S| ...``, any number of lines."""

    kind: Literal["|", "*", "!"]
    pattern: Pattern
    rest: bool
    line: int


@dataclass(frozen=True)
class Pattern:
    """A text pattern: parts are literal templates, captures and wildcards.

    ``parts``: ("literal", Template) | ("capture", name) | ("any", None)
    """

    parts: tuple[tuple[str, Union[Template, str, None]], ...]
    source: str


@dataclass(frozen=True)
class Expect(Step):
    """One whole reply. ``text`` is checked only when the code is one of ``right``."""

    right: tuple[Alternative, ...] = ()
    tolerated: tuple[Alternative, ...] = ()
    text: Pattern | None = None
    block: tuple[PatternLine, ...] = ()
    premise: bool = False

    def allows(self, token: str) -> bool:
        """Whether just this is right or tolerated."""
        return named(token, self.right) or named(token, self.tolerated)


@dataclass(frozen=True)
class ExpectLine(Step):
    """After ``-- turn``: one line that the target sends as a client, matched whole."""

    pattern: Pattern | None = None
    premise: bool = False


@dataclass(frozen=True)
class Condition:
    """Either reply alternatives on the connection's last reply, or an expression; neither: always."""

    alternatives: tuple[Alternative, ...] = ()
    expression: Expression | None = None


@dataclass(frozen=True)
class When(Step):
    """Branches in order; a condition of None is ``-- otherwise``."""

    branches: tuple[tuple[Condition | None, tuple[Step, ...]], ...] = ()


@dataclass(frozen=True)
class Check(Step):
    """``-- check`` (requirement), ``-- prefer`` (deviation), ``-- assume`` (inconclusive)."""

    kind: Literal["check", "prefer", "assume"] = "check"
    expression: Expression | None = None


@dataclass(frozen=True)
class Conclude(Step):
    """``-- fail|deviation|inconclusive|not-applicable|pass [when COND]: reason``, and ``-- note``."""

    verdict: str = "fail"  # or "note"
    condition: Condition = Condition()
    reason: Template | None = None


@dataclass(frozen=True)
class Let(Step):
    name: str = ""
    expression: Expression | None = None


@dataclass(frozen=True)
class Simple(Step):
    """A directive without structure of its own.

    ``kind``: alive, closed, silent, command-mode, data-mode, disconnect, abort, half-close, pause, turn, login.
    ``seconds`` for silent and pause (None: the default).
    """

    kind: str = "closed"
    seconds: float | None = None


@dataclass(frozen=True)
class Tls(Step):
    version: str = ""  # "" any, else 1.0 1.1 1.2 1.3: only that
    verify: bool = False
    refused: bool = False
    or_closed: bool = False  # a failed handshake or a close is right too
    certificate: bool = False  # the borrowed account's client certificate is shown


@dataclass(frozen=True)
class Auth(Step):
    mechanism: str = "any"
    verb: str = "AUTH"
    user: Expression | None = None
    password: Expression | None = None
    authzid: Expression | None = None
    initial: bool | None = None
    unlisted: bool = False  # the target need not list the mechanism
    binding: str = ""  # the channel binding type; "" the best that the connection has


@dataclass(frozen=True)
class Open(Step):
    """Opens connection ``name`` to ``service`` ("" the scenario's) and plays ``opening``."""

    name: str = ""
    service: str = ""
    opening: str = "connected"


@dataclass(frozen=True)
class Receive(Step):
    """After ``-- turn`` we play the receiving server. ``options``: offers, form, and the answers (protocol/customer.py)."""

    options: Mapping[str, Expression] = field(default_factory=dict)


@dataclass(frozen=True)
class Fetch(Step):
    """Reads ``{token}`` messages over POP3. ``delivered:`` of a scenario is a Fetch and Checks too."""

    to: Expression | None = None
    least: int = 1
    most: int = 1
    premise: bool = False


# -- scenarios --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opening:
    name: str
    family: str  # smtp, lmtp, pop3
    after: str  # "" for the first
    steps: tuple[Step, ...]
    phase: Literal["plain", "tls", "auth"] = "plain"


@dataclass(frozen=True)
class Seed:
    """A whole message for a mailbox. ``via``: "" any way, "seed" only the target's seed command."""

    name: str
    octets: Template
    via: str = ""
    extension: str = ""


@dataclass(frozen=True)
class Scenario:
    id: str  # smtp/rcpt/rcpt-before-mail
    title: str
    command: str
    service: str  # one of SERVICES
    requirements: tuple[Requirement, ...]  # the first one grades
    opening: str
    steps: tuple[Step, ...]  # exchange, then what ``delivered`` adds
    path: Path
    line: int
    needs: tuple[str, ...] = ()  # declared and inferred, in the syntax of scenarios/README.md
    effects: frozenset[str] = frozenset()
    extension: str = ""
    let: Mapping[str, Template] = field(default_factory=dict)
    case: str = ""
    mailbox: tuple[str, ...] = ()  # seed names, repeated as often as they are wanted
    seeded: bool = False  # ``mailbox`` was given, were it as an empty list
    ambient: str = ""
    names: frozenset[str] = frozenset()  # every variable that steps and opening use
    reads_mail: bool = False  # has a Fetch
    accounts: int = 0  # accounts to borrow exclusively: 0, 1 or 2
    source: str = ""  # the exchange as written, for ``show``

    @property
    def level(self) -> str:
        return self.requirements[0].level

    @property
    def family(self) -> str:
        return family(self.service)


@dataclass(frozen=True)
class Corpus:
    """Everything loaded from one scenarios folder."""

    root: Path
    scenarios: tuple[Scenario, ...]
    requirements: Mapping[str, Requirement]
    openings: Mapping[tuple[str, str], Opening]  # (family, name)
    seeds: Mapping[str, Seed]
    digest: str  # sha256 of all files
