"""What SMTP and POP3 sessions share: framing of lines, modes, faults. Sans I/O: octets in, octets out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance.server.channel import Channel
from conformance.server.queue import Queue

if TYPE_CHECKING:
    from conformance.server.extensions import Roster
    from conformance.server.storage import Storage

PASSWORD = "wonderland-7"
NAMES = (
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "kim", "leo", "mia", "nils",
    "olga", "paul",
)  # fmt: skip


@dataclass(frozen=True)
class TlsLayer:
    """Versions (names of ssl.TLSVersion), ciphers ("" those of the library), and what the certificate says."""

    oldest: str = "TLSv1_2"  # RFC 8996
    newest: str = "TLSv1_3"
    ciphers: str = ""
    names: tuple[str, ...] = ("mx.example.test", "localhost", "127.0.0.1", "::1")
    trusted: bool = True  # the CA that clients know has issued it


@dataclass(frozen=True)
class Settings:
    """Limits, each from the section named, and the identity of the server."""

    host: str = "mx.example.test"
    domain: str = "example.test"
    max_size: int = 20_000_000
    max_recipients: int = 100  # the least that RFC 5321 section 4.5.3.1.8 allows
    max_transactions: int = 25  # MAILMAX and RCPTDOMAINMAX of RFC 9422 section 4
    max_domains: int = 4
    min_by_time: int = 60  # RFC 2852 section 2, seconds
    max_hold: int = 86_400  # RFC 4865 section 3, seconds
    command_line: int = 512  # 4.5.3.1.4
    extra_line: int = 2560  # room that extensions ask for: SOLICIT 1007 (RFC 3865), AUTH 500, ORCPT 500 (RFC 3461 section 5.4)
    auth_line: int = 12288  # RFC 4954 section 4
    text_line: int = 1000  # 4.5.3.1.6
    local_part: int = 64  # 4.5.3.1.1
    path: int = 256  # 4.5.3.1.3
    max_hops: int = 100  # 6.3
    max_errors: int = 100
    pop3_line: int = 255  # RFC 2449 section 4
    timeout: float = 600.0  # RFC 1939 section 3; SMTP's 5 minutes are exceeded too
    tls: TlsLayer = TlsLayer()
    data_ends: tuple[bytes, ...] = (b"\r\n.\r\n",)
    plaintext_auth: bool = True
    implicit_tls: bool = True  # on the ports that are for it (RFC 8314 section 3)
    dialup: str = "dialup.example.test"  # alice.dialup.example.test is held for alice (RFC 2645)
    turn: bool = False  # TURN is honoured after AUTH; always so in the profile exchange
    empty_turn: bool = False  # with no mail ATRN turns all the same (RFC 2645 section 5.2.1)
    sasl_unchecked: frozenset[str] = frozenset()  # checks of SASL mechanisms that are left out


@dataclass
class Fault:
    """One switch, one realistic violation of one requirement. See conformance/server/faults/__init__.py."""

    name: str
    requirement: str
    summary: str
    service: str = ""
    hooks: dict[str, Callable[..., Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    profile: str = ""  # the profile whose server has it; "" the default one


@dataclass
class World:
    """What all sessions of one server share."""

    settings: Settings
    accounts: Mapping[str, str]  # user → password
    storage: Storage
    faults: tuple[Fault, ...] = ()
    profile: str = "default"
    queue: Queue = field(default_factory=Queue)
    rosters: dict[str, Roster] = field(default_factory=dict)  # service → its extensions
    later: Callable[[float, Callable[[], None]], object] = lambda seconds, action: action()  # the server's clock

    def __post_init__(self) -> None:
        # A fault of SMTP must not meet a POP3 session, which has other attributes.
        self.hooks_of: dict[str, dict[str, list[Callable[..., Any]]]] = {"smtp": {}, "pop3": {}}
        for fault in self.faults:
            families = ["pop3" if fault.service.startswith("pop3") else "smtp"] if fault.service else ["smtp", "pop3"]
            for kind in families:
                for name, function in fault.hooks.items():
                    self.hooks_of[kind].setdefault(name, []).append(function)

    def user(self, local: str) -> str | None:
        """The mailbox of a local part; postmaster is alice's (RFC 5321 section 4.5.1)."""
        low = local.lower()
        if low == "postmaster":
            return "alice"
        return low if low in self.accounts else None

    def customer(self, domain: str) -> str:
        """The account for which mail to this domain is held (RFC 2645); "" if it is nobody's."""
        user, _dot, rest = domain.lower().partition(".")
        return user if rest == self.settings.dialup and user in self.accounts else ""


class Session(ABC):
    """One connection. ``receive`` takes octets and returns octets; flags tell the transport what follows."""

    family = ""

    def __init__(self, world: World, service: str, *, tls: bool) -> None:
        self.world = world
        self.settings = world.settings
        self.hooks = world.hooks_of[self.family]
        self.service = service
        self.tls = tls
        self.channel = Channel(secure=tls, unchecked=self.settings.sasl_unchecked)  # the transport tells more once TLS is on
        self.buffer = bytearray()
        self.out = bytearray()
        self.closing = False
        self.starttls = False  # after what is in ``out``: a TLS handshake
        self.user = ""
        self.verb = ""
        self.peer = "127.0.0.1"
        self.memory: dict[str, Any] = {}  # room for faults
        self.overlong = False

    # -- faults -------------------------------------------------------------------------------

    def hook(self, name: str, value: Any, *arguments: Any) -> Any:
        """The value, as the faults that are on would have it."""
        for function in self.hooks.get(name, ()):
            value = function(self, value, *arguments)
        return value

    def instead(self, verb: str, argument: bytes) -> bytes | None:
        """A fault's own answer, or None."""
        for function in self.hooks.get("instead", ()):
            found = function(self, verb, argument)
            if found is not None:
                return found  # type: ignore[no-any-return]
        return None

    # -- octets -------------------------------------------------------------------------------

    @abstractmethod
    def greet(self) -> bytes:
        """The greeting."""

    def receive(self, octets: bytes) -> bytes:
        self.buffer += self.hook("received", octets)
        while not self.closing and not self.starttls and self.advance():
            pass
        if self.starttls:
            # RFC 3207 section 4.2: what came in the clear after the command is not looked at.
            self.buffer = self.hook("clear_buffer", bytearray(), bytes(self.buffer))
        out = bytes(self.out)
        self.out.clear()
        return out

    @abstractmethod
    def advance(self) -> bool:
        """Consumes one unit of input. False if more octets are needed."""

    def next_line(self, limit: int) -> bytes | None:
        """A line without CRLF; None if there is none yet. Over-long ones come as b"" with ``overlong`` set."""
        end = self.buffer.find(b"\r\n")
        if end < 0:
            if len(self.buffer) > limit:
                self.overlong = True
                keep = self.buffer[-1:] if self.buffer.endswith(b"\r") else b""
                self.buffer = bytearray(keep)
            return None
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        if self.overlong or end + 2 > limit:
            self.overlong = True
            return b""
        return line

    def put(self, octets: bytes) -> None:
        self.out += self.hook("reply", octets, self.verb)

    def secured(self) -> None:
        """TLS is on."""
        self.starttls = False
        self.tls = True

    def ended(self) -> None:
        """The connection is gone."""
        self.hook("ended", None)
