"""What a target offers, asked once: greeting, EHLO or CAPA in the clear, after TLS, after AUTH."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import secrets
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from conformance.protocol.reply import keywords, show
from conformance.scenario.model import family
from conformance.session.connection import TransportError
from conformance.session.delay import TooLong
from conformance.session.login import Way, candidates
from conformance.session.post import _Client

if TYPE_CHECKING:
    from conformance.session.runner import Runner

# 538 of RFC 4954 section 6, 530 of RFC 3207 section 4, 523 of RFC 5248 section 2.4, or whatever code says why.
_WANTS_TLS = re.compile(rb"5[0-9][0-9][ -](?:5\.7\.1[01]\b|.*(?i:\btls\b|starttls|encrypt))|5(?:23|24|38)")


async def probe_service(runner: Runner, service: str) -> str:
    """Fills ``runner``'s facts for one service. Returns "" or the trouble in one line."""
    kind = family(service)
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    try:
        client = _Client(await runner.connect(service), kind, runner.target.limits.reply_timeout)
    except TransportError as error:
        return str(error)
    try:
        greeting = await client.reply()
        runner.greetings[service] = runner.redact(show(greeting.octets).strip())
        if greeting.code == "220":
            runner.greeted.add(service)
        try:
            found["plain"] = await _ask(runner, client, service)
        except TransportError:
            if kind != "pop3":
                raise
            found["plain"] = {}  # CAPA is optional: who stumbles over it is asked everything else, and told
            raise
        if "AUTH" in found["plain"] and runner.target.services[service].tls != "implicit":
            runner.facts.withheld[service] = await _withheld(runner, service, found["plain"]["AUTH"])
        starttls = "STLS" if kind == "pop3" else "STARTTLS"
        if starttls in found["plain"] and runner.target.services[service].tls == "starttls":
            reply = await client.say(starttls.encode())
            context = runner.context()
            if reply.code in ("220", "+OK") and context is not None:
                await client.connection.handshake(context, runner.target.host, runner.target.limits.reply_timeout)
                found["tls"] = await _ask(runner, client, service)
        elif runner.target.services[service].tls == "implicit":
            found["tls"] = found["plain"]
        after = await _after_login(runner, client, service, found)
        if after is not None:
            found["auth"] = after
    except TransportError as error:
        if "plain" not in found:
            return f"{service}: {error}"
    finally:
        for phase, words in found.items():
            runner.facts.offers[service, phase] = words
            if kind == "pop3":
                runner.delay.announce(words)
            runner.capabilities.setdefault(service, {})[phase] = [" ".join((key, *rest)) for key, rest in words.items()]
        client.connection.write(b"QUIT\r\n")
        client.connection.close()
    return ""


async def _ask(runner: Runner, client: _Client, service: str) -> dict[str, tuple[str, ...]]:
    if family(service) == "pop3":
        reply = await client.say(b"CAPA", multi=True)
        (runner.without_capa.discard if reply.code == "+OK" else runner.without_capa.add)(service)
        return keywords(reply.block or []) if reply.code == "+OK" else {}
    verb = b"LHLO " if service == "lmtp" else b"EHLO "
    reply = await client.say(verb + runner.client.encode())
    return keywords(reply.texts[1:]) if reply.code == "250" else {}


@contextlib.asynccontextmanager
async def _session(runner: Runner, service: str) -> AsyncIterator[_Client]:
    """A connection of its own, past the greeting and the list. Raises TransportError."""
    client = _Client(await runner.connect(service), family(service), runner.target.limits.reply_timeout)
    try:
        await client.reply()
        await _ask(runner, client, service)
        yield client
    finally:
        client.connection.close()


async def _withheld(runner: Runner, service: str, listed: tuple[str, ...]) -> frozenset[str]:
    """The mechanisms that are listed in the clear and refused there for want of encryption.

    Asked on a connection of its own: the first mechanism that is begun ends it. Passwords in the clear come first.
    """
    found: set[str] = set()
    with contextlib.suppress(TransportError):
        async with _session(runner, service) as client:
            for name in sorted({word.upper() for word in listed}, key=lambda one: (one not in ("PLAIN", "LOGIN"), one)):
                reply = await client.say(b"AUTH " + name.encode())
                if reply.code == "334":
                    break
                if _WANTS_TLS.match(reply.octets):
                    found.add(name)
            else:
                client.connection.write(b"QUIT\r\n")
    return frozenset(found)


async def noop_code(runner: Runner, service: str) -> str:
    """How NOOP is answered in a session where nothing went wrong; "" if that cannot be learnt."""
    with contextlib.suppress(TransportError):
        async with _session(runner, service) as client:
            code = (await client.say(b"NOOP")).code
            client.connection.write(b"QUIT\r\n")
            return code
    return ""


async def _after_login(
    runner: Runner, client: _Client, service: str, found: dict[str, dict[str, tuple[str, ...]]]
) -> dict[str, tuple[str, ...]] | None:
    """The list after a login, on the same connection; None if that could not be had."""
    if not runner.target.accounts:
        return None
    account = runner.target.accounts[0]
    token = base64.b64encode(b"\0" + account.user.encode() + b"\0" + account.password.encode())
    if family(service) == "pop3":
        heard = b""

        async def say(octets: bytes, shown: bytes) -> tuple[str, bytes]:
            nonlocal heard
            reply = await client.say(octets)
            heard = reply.text
            return reply.code, reply.text

        banner = runner.greetings[service].encode()
        deadline = time.monotonic() + runner.target.limits.reply_timeout
        for way in candidates(found.get("tls") or found["plain"], banner, False):
            while True:
                try:
                    if await runner.delay.log_in(way, account.user, account.password, banner, say) == "+OK":
                        return await _ask(runner, client, service)
                except TooLong:
                    return None
                # A session that somebody left may hold the mailbox for a while: RFC 2449 section 8.1.1.
                if not heard.upper().startswith(b"[IN-USE") or time.monotonic() > deadline:
                    break
                await asyncio.sleep(0.1)
        return None
    offered = found.get("tls") or found["plain"]
    mechanisms = [word.upper() for word in offered.get("AUTH", ())]
    if "PLAIN" in mechanisms:
        reply = await client.say(b"AUTH PLAIN " + token)
    elif "LOGIN" in mechanisms:
        await client.say(b"AUTH LOGIN")
        await client.say(base64.b64encode(account.user.encode()))
        reply = await client.say(base64.b64encode(account.password.encode()))
    else:
        return offered if "AUTH" in offered else None
    if reply.code != "235":
        return None
    # EHLO may be refused: by one who knows ATRN and QUIT alone now (RFC 2645 section 5.2), or who takes it but once
    return await _ask(runner, client, service) or offered


async def try_unannounced(runner: Runner, filling: bool) -> None:
    """Where CAPA is refused nothing announces the optional commands of RFC 1939 section 7: they are there if they work.

    ``filling``: whether the first account's mailbox may be replaced.
    """
    post, offers = runner.post, runner.facts.offers
    silent = [one for one in sorted(runner.without_capa) if offers.get((one, "plain")) == {} == offers.get((one, "auth"))]
    if not silent:
        return
    account = runner.target.accounts[0]
    works: dict[str, tuple[str, ...]] = {}
    try:
        if filling:  # TOP needs a message
            token = secrets.token_hex(8).encode()
            with contextlib.suppress(TransportError, TooLong):
                await post.fill(account, [(b"Subject: %s\r\n\r\nprobe\r\n" % token, token, "")])
        client = await post.login(account)
        try:
            for verb, line in (("UIDL", b"UIDL"), ("TOP", b"TOP 1 0")):
                if (await client.say(line, multi=True)).code == "+OK":
                    works[verb] = ()
        finally:
            await client.leave()
    except (TransportError, TooLong):
        pass
    user: dict[str, tuple[str, ...]] = {"USER": ()} if post.way == Way("USER") else {}
    for service in silent:
        offers[service, "plain"] = user
        offers[service, "auth"] = user | works
