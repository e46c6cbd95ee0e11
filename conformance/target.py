"""The target file: what the suite may know about a mail server (TOML; see README.md)."""

from __future__ import annotations

import difflib
import os
import ssl
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PORTS = {"smtp": 25, "submission": 587, "smtps": 465, "odmr": 366, "lmtp": 24, "pop3": 110, "pop3s": 995}
MAIL_KEYS = (
    "domain", "recipient", "second_recipient", "unknown_recipient", "relay_recipient", "seed", "client", "sender",
)  # fmt: skip


class TargetError(Exception):
    """A target file that cannot be used: where, what, and the remedy."""

    def __init__(self, where: str, message: str, remedy: str = "") -> None:
        super().__init__(f"{where}: {message}" + (f" ({remedy})" if remedy else ""))


@dataclass(frozen=True)
class Service:
    port: int
    tls: str  # none, starttls, implicit


@dataclass(frozen=True)
class Account:
    user: str
    password: str
    address: str
    bearer: str = ""  # an OAuth 2.0 token of the account
    certificate: Path | None = None  # PEM: private key and certificate with which TLS knows the account


@dataclass(frozen=True)
class Limits:
    connections: int = 8
    reply_timeout: float = 5.0
    delivery_timeout: float = 15.0
    silence: float = 0.4


@dataclass(frozen=True)
class Target:
    name: str
    host: str
    services: dict[str, Service]
    mail: dict[str, str] = field(default_factory=dict)
    accounts: tuple[Account, ...] = ()
    ca: Path | None = None
    base: Path = Path()
    limits: Limits = Limits()

    @classmethod
    def load(cls, path: Path | str) -> Target:
        """Reads a target file. Raises TargetError that names file and key."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                data = tomllib.load(file)
        except OSError as error:
            raise TargetError(str(path), error.strerror or "cannot be read", "name a target file or a URL") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TargetError(str(path), f"not TOML: {error}") from None
        return _Reader(str(path), path.parent).target(data)

    @classmethod
    def from_url(cls, url: str) -> Target:
        """``smtp://host:port``, ``pop3s://host`` …: one service, nothing else known."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS:
            raise TargetError(url, f"there is no service {parts.scheme!r}", f"one of {', '.join(PORTS)}")
        try:
            port = parts.port or PORTS[parts.scheme]
        except ValueError as error:
            raise TargetError(url, str(error)) from None
        if not parts.hostname:
            raise TargetError(url, "there is no host", "for example smtp://mx.example.test:25")
        return cls(parts.hostname, parts.hostname, {parts.scheme: _service(parts.scheme, port)})

    @classmethod
    def parse(cls, text: str) -> Target:
        """A target file or, with ``://`` in it, a URL."""
        return cls.from_url(text) if "://" in text else cls.load(text)


def _service(name: str, port: int) -> Service:
    return Service(port, "implicit" if name in ("smtps", "pop3s") else "starttls")


class _Reader:
    def __init__(self, where: str, base: Path) -> None:
        self.where = where
        self.base = base

    def _fail(self, key: str, message: str, remedy: str = "") -> TargetError:
        return TargetError(f"{self.where}: {key}", message, remedy)

    def _known(self, table: dict[str, Any], allowed: tuple[str, ...], prefix: str = "") -> None:
        for key in table:
            if key not in allowed:
                near = difflib.get_close_matches(key, allowed, 1)
                remedy = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(allowed)}"
                raise self._fail(prefix + key, "unknown key", remedy)

    def _table(self, data: dict[str, Any], key: str) -> dict[str, Any]:
        value = data.get(key, {})
        if not isinstance(value, dict):
            raise self._fail(key, "is no table", f"write [{key}]")
        return value

    def target(self, data: dict[str, Any]) -> Target:
        self._known(data, ("name", "host", "services", "mail", "accounts", "tls", "limits"))
        host = data.get("host")
        if not isinstance(host, str) or not host:
            raise self._fail("host", "is missing", 'for example host = "mx.example.test"')
        services = {name: self._service(name, value) for name, value in self._table(data, "services").items()}
        if not services:
            raise self._fail("services", "names no service", "for example [services] smtp = 25")
        mail = self._table(data, "mail")
        self._known(mail, MAIL_KEYS, "mail.")
        for key, value in mail.items():
            if not isinstance(value, str):
                raise self._fail(f"mail.{key}", "is no text")
            if key.endswith("recipient") and "@" not in value:
                raise self._fail(f"mail.{key}", f"{value!r} is no address", "local-part@domain")
        entries = data.get("accounts", [])
        if not isinstance(entries, list):
            raise self._fail("accounts", "is no list of tables", "write [[accounts]]")
        accounts = tuple(self._account(index, entry) for index, entry in enumerate(entries, 1))
        tls = self._table(data, "tls")
        self._known(tls, ("ca",), "tls.")
        if not isinstance(tls.get("ca", ""), str):
            raise self._fail("tls.ca", "is no text", "the path of a PEM file")
        ca = self.base / tls["ca"] if "ca" in tls else None
        if ca is not None and not ca.is_file():
            raise self._fail("tls.ca", f"there is no file {ca}", "the path is relative to the target file")
        name = data.get("name", host)
        return Target(str(name), host, services, mail, accounts, ca, self.base, self._limits(data))

    def _service(self, name: str, value: Any) -> Service:
        if name not in PORTS:
            near = difflib.get_close_matches(name, PORTS, 1)
            raise self._fail(f"services.{name}", "there is no such service", f"one of {', '.join(near or PORTS)}")
        port, tls = value, _service(name, 0).tls
        if isinstance(value, dict):
            self._known(value, ("port", "tls"), f"services.{name}.")
            port, tls = value.get("port", PORTS[name]), value.get("tls", tls)
        if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
            raise self._fail(f"services.{name}", f"{port!r} is no port", "a number from 1 to 65535")
        if tls not in ("none", "starttls", "implicit"):
            raise self._fail(f"services.{name}.tls", f"{tls!r}", "none, starttls or implicit")
        return Service(port, tls)

    def _account(self, index: int, entry: Any) -> Account:
        where = f"accounts {index}"
        if not isinstance(entry, dict):
            raise self._fail(where, "is no table", "write [[accounts]]")
        self._known(entry, ("user", "password", "address", "bearer", "certificate"), f"{where}: ")
        user, password = (self._secret(f"{where}: {key}", entry.get(key)) for key in ("user", "password"))
        bearer = self._secret(f"{where}: bearer", entry["bearer"]) if "bearer" in entry else ""
        certificate = None
        if "certificate" in entry:
            certificate = self.base / str(entry["certificate"])
            if not certificate.is_file():
                raise self._fail(f"{where}: certificate", f"there is no file {certificate}", "a PEM file with key and certificate")
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, password="")
            except (ssl.SSLError, OSError) as error:
                why = getattr(error, "reason", "") or "it cannot be read"
                raise self._fail(f"{where}: certificate", f"{why}", "a PEM file with key and certificate") from None
        return Account(user, password, str(entry.get("address", user if "@" in user else "")), bearer, certificate)

    def _secret(self, where: str, value: Any) -> str:
        if isinstance(value, dict) and isinstance(value.get("env"), str):
            name = value["env"]
            if name not in os.environ:
                raise self._fail(where, f"the environment has no {name}", f"export {name}=…")
            return os.environ[name]
        if not isinstance(value, str) or not value:
            raise self._fail(where, "is missing", 'a text, or { env = "NAME" }')
        return value

    def _limits(self, data: dict[str, Any]) -> Limits:
        table = self._table(data, "limits")
        self._known(table, tuple(Limits.__dataclass_fields__), "limits.")
        for key, value in table.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise self._fail(f"limits.{key}", f"{value!r} is no number above 0")
        connections = table.get("connections", 1)
        if not isinstance(connections, int):
            raise self._fail("limits.connections", f"{connections!r} is no whole number above 0")
        return Limits(**table)
