"""The reference server: listeners, TLS, certificates. The protocols are in smtp.py and pop3.py."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import trustme

from conformance.protocol.binding import KeyLog, bindings
from conformance.server import sasl_spnego
from conformance.server.base import NAMES, PASSWORD, Session, Settings, TlsLayer, World
from conformance.server.faults import FAULTS
from conformance.server.pop3 import Pop3Session
from conformance.server.sasl_tokens import bearer_token
from conformance.server.smtp import SmtpSession
from conformance.server.storage import Storage

PROFILES = ("default", "exchange")
SERVICES = ("smtp", "submission", "smtps", "odmr", "lmtp", "pop3", "pop3s")
CERTIFIED = ("carol", "dave")  # accounts that have a client certificate
_HIGH = 1 << 20


class UnknownFault(ValueError):
    """A fault name that is not in FAULTS."""


@lru_cache(maxsize=1)
def authority() -> trustme.CA:
    """One throw-away CA a process: making keys is slow."""
    return trustme.CA(organization_name="mail-conformance reference server")


@lru_cache(maxsize=16)
def server_context(layer: TlsLayer) -> tuple[ssl.SSLContext, bytes]:
    """A server's context and its certificate."""
    ca = authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if layer.ciphers:
        context.set_ciphers(layer.ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fault's versions
        context.minimum_version = getattr(ssl.TLSVersion, layer.oldest)
        context.maximum_version = getattr(ssl.TLSVersion, layer.newest)
    leaf = (ca if layer.trusted else trustme.CA()).issue_cert(*layer.names, common_name=layer.names[0])
    leaf.configure_cert(context)
    # A client may show a certificate and log in with it: RFC 4422 appendix A, RFC 8314 section 4.2.
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    if _key_log.path:
        context.keylog_filename = _key_log.path
    return context, ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


_key_log = KeyLog()


def _identity(tls: ssl.SSLObject, world: World) -> str:
    """The user whose address the client's certificate bears."""
    names: Any = (tls.getpeercert() or {}).get("subjectAltName", ())
    for kind, name in names:
        local, _at, domain = name.rpartition("@")
        if kind == "email" and domain.lower() == world.settings.domain and local in world.accounts:
            return str(local)
    return ""


class UnknownProfile(ValueError):
    """A profile that there is not, or that cannot be had here; says what to do."""


class _Channel(asyncio.Protocol):
    """Carries octets between one transport and one sans-IO session; TLS by memory BIOs, so it can begin late."""

    def __init__(self, server: ReferenceServer, service: str) -> None:
        self.server = server
        self.service = service
        implicit = service in ("smtps", "pop3s") and server.world.settings.implicit_tls
        kind = Pop3Session if service.startswith("pop3") else SmtpSession
        self.session: Session = kind(server.world, service, tls=implicit)
        self.tls: ssl.SSLObject | None = None
        self.shaken = False
        self.secret = b""  # TLS 1.3's exporter secret
        self.certificate = b""  # the server's, once TLS has begun
        self.greeted = False
        self.timer: asyncio.TimerHandle | None = None
        self.heard = 0.0  # when something came last, by the loop's clock

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.channels.add(self)
        peer = transport.get_extra_info("peername")
        self.session.peer = peer[0] if peer else "127.0.0.1"
        self.heard = time.monotonic()
        self._watch()
        if self.session.tls:
            self._begin_tls()
        else:
            with self.server.watched():
                self._greet()

    def _greet(self) -> None:
        self.greeted = True
        self._send(self.session.greet())

    def _watch(self) -> None:
        """Ends the connection once nothing has come for too long. A timer per command would cost more than the command."""
        loop = asyncio.get_running_loop()
        over = self.heard + self.session.settings.timeout
        if loop.time() >= over:
            self.transport.abort()
        else:
            self.timer = loop.call_at(over, self._watch)

    def _begin_tls(self) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context, self.certificate = server_context(self.session.settings.tls)
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.shaken = False

    def data_received(self, data: bytes) -> None:
        with self.server.watched():
            self._received(data)

    def _received(self, data: bytes) -> None:
        self.heard = time.monotonic()
        if self.tls is None:
            self._feed(data)
            return
        self.incoming.write(data)
        try:
            if not self.shaken:
                _key_log.clear()
                try:
                    self.tls.do_handshake()
                finally:
                    self.secret = _key_log.secret() or self.secret
                self.shaken = True
                self.session.channel = replace(
                    self.session.channel, secure=True, identity=_identity(self.tls, self.server.world),
                    bindings=bindings(
                        self.tls.version(), self.tls.get_channel_binding, self.certificate, self.secret
                    ),
                )  # fmt: skip
                self._pump()
                if self.greeted:
                    self.session.secured()
                    if self.session.buffer:
                        self._feed(b"")
                else:
                    self._greet()
            while chunk := self.tls.read(65536):
                self._feed(chunk)
            self.transport.close()
        except ssl.SSLWantReadError:
            self._pump()
        except ssl.SSLError:
            self._pump()
            self.transport.close()

    def _feed(self, octets: bytes) -> None:
        out = self.session.receive(octets)
        self._send(out)
        if self.session.starttls:
            self._begin_tls()
        if self.session.closing:
            self._pump()
            self.transport.close()

    def _send(self, octets: bytes) -> None:
        if self.tls is None:
            self.transport.write(octets)
        else:
            view = memoryview(octets)
            while view:
                view = view[self.tls.write(view) :]
            self._pump()
        if self.transport.get_write_buffer_size() > _HIGH:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        with contextlib.suppress(RuntimeError):
            self.transport.resume_reading()

    def _pump(self) -> None:
        if self.tls is not None and not self.transport.is_closing():
            data = self.outgoing.read()
            if data:
                self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer:
            self.timer.cancel()
        self.server.channels.discard(self)
        with self.server.watched():
            self.session.ended()


class ReferenceServer:
    """Strict, in memory by default. ``faults``: names of violations that are switched on.

    ``profile``: which extensions it has; "" is the one that the faults are made for.
    """

    def __init__(
        self, *, faults: Sequence[str] = (), profile: str = "", maildir: Path | None = None,
        ports: Mapping[str, int] | None = None, accounts: int = len(NAMES), host: str = "127.0.0.1",
    ) -> None:  # fmt: skip
        for name in faults:
            if name not in FAULTS:
                raise UnknownFault(f"there is no fault {name!r} (mail-conformance faults lists them)")
        chosen = tuple(FAULTS[name] for name in faults)
        profile = profile or next((one.profile for one in chosen if one.profile), "default")
        if profile not in PROFILES:
            raise UnknownProfile(f"there is no profile {profile!r} (only {', '.join(PROFILES)})")
        if profile == "exchange":
            try:
                sasl_spnego.load()
            except sasl_spnego.Missing as error:
                raise UnknownProfile(str(error)) from None
        settings = Settings()
        for fault in chosen:
            settings = replace(settings, **fault.settings)
        names = [NAMES[i] if i < len(NAMES) else f"user{i}" for i in range(accounts)]
        self.world = World(settings, dict.fromkeys(names, PASSWORD), Storage(maildir), chosen, profile)
        self.host = host
        self.wanted = dict.fromkeys(SERVICES, 0) | dict(ports or {})
        self.ports: dict[str, int] = {}
        self.channels: set[_Channel] = set()
        self.crashes: list[str] = []  # what was raised in a session: a mistake of ours, or of a fault's
        self._servers: list[asyncio.Server] = []

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """What is raised inside ends the session, as ever, and is noted."""
        try:
            yield
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            self.crashes.append(f"{error!r} in {Path(place.filename).name}:{place.lineno}")
            raise

    async def start(self) -> None:
        loop = asyncio.get_running_loop()

        def later(seconds: float, action: Callable[[], None]) -> object:
            def act() -> None:
                with self.watched():
                    action()

            return loop.call_later(seconds, act)

        self.world.later = later
        for service, port in self.wanted.items():
            server = await loop.create_server(
                lambda service=service: _Channel(self, service), self.host, port, backlog=512  # type: ignore[misc]
            )
            self._servers.append(server)
            self.ports[service] = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for channel in list(self.channels):
            channel.transport.abort()
        await asyncio.sleep(0)

    def target_toml(self, ca: Path) -> str:
        """The target file of this server."""
        lines = ['name = "bundled reference server"', f'host = "{self.host}"', "", "[services]"]
        lines += [f"{service} = {port}" for service, port in self.ports.items()]
        domain = self.world.settings.domain
        lines += ["", "[mail]", f'domain = "{domain}"', f'recipient = "alice@{domain}"',
                  f'second_recipient = "bob@{domain}"', f'unknown_recipient = "nobody-here@{domain}"',
                  'relay_recipient = "someone@elsewhere.example"']  # fmt: skip
        for user, password in self.world.accounts.items():
            lines += ["", "[[accounts]]", f'user = "{user}"', f'password = "{password}"', f'address = "{user}@{domain}"',
                      f'odmr_domain = "{user}.{self.world.settings.dialup}"',
                      f'bearer = "{bearer_token(user, password)}"']  # fmt: skip
            if user in CERTIFIED:
                lines.append(f'certificate = "{_certificate(ca, user).name}"')
        lines += ["", "[tls]", f'ca = "{ca.name}"', "", "[limits]", "connections = 24", "delivery_timeout = 6.0", ""]
        return "\n".join(lines)

    def write_target(self, path: Path) -> None:
        """Writes the target file, and the CA beside it."""
        ca = path.with_name(path.stem + "-ca.pem")
        authority().cert_pem.write_to_path(str(ca))
        for user in CERTIFIED:
            leaf = authority().issue_cert(f"{user}@{self.world.settings.domain}")
            leaf.private_key_and_cert_chain_pem.write_to_path(str(_certificate(ca, user)))
        path.write_text(self.target_toml(ca), "utf-8")


def _certificate(ca: Path, user: str) -> Path:
    """Where an account's certificate is, beside the CA."""
    return ca.with_name(ca.stem.removesuffix("-ca") + f"-{user}.pem")
