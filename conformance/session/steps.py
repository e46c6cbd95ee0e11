"""What each kind of step does. One function per step, in a table."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from conformance.protocol.customer import Manner
from conformance.protocol.ntlm import NtlmError
from conformance.protocol.reply import show
from conformance.scenario.expression import truth
from conformance.scenario.functions import octets as as_octets
from conformance.scenario.model import (
    Auth,
    Check,
    Conclude,
    Condition,
    Expect,
    ExpectLine,
    Fetch,
    Let,
    Open,
    PatternLine,
    Receive,
    Send,
    Simple,
    Tls,
    When,
)
from conformance.session import sasl
from conformance.session.connection import TransportError
from conformance.session.login import Way, log_in
from conformance.session.play import Ended, Line, Play, breathe
from conformance.session.receiver import receive_mail
from conformance.session.sasl_spnego import Unplayable

_GAP = 0.01  # seconds between forced segments
_LISTS = (b"EHLO", b"LHLO", b"CAPA")


async def send(play: Play, step: Send) -> None:
    line = play.lines[step.connection]
    if line.gone:
        return
    connection = line.live
    parts: list[list[bytes]] = [[]]
    for payload in step.payloads:
        if payload.kind == "segment":
            parts.append([])
            continue
        octets = payload.template.evaluate(play.env)
        if payload.kind.startswith("bdat"):
            last = b" LAST" if payload.kind == "bdat-last" else b""
            parts[-1].append(b"BDAT %d%s\r\n" % (len(octets), last))
        parts[-1].append(octets)
        head = parts[-1][-1 if payload.kind[:4] != "bdat" else -2][:4].upper()
        if head in _LISTS:
            line.listing = True
        line.quitting = head == b"QUIT"
        if head == b"MAIL" and b"SMTPUTF8" in octets.upper():
            line.utf8 = True
        if not octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n"):
            line.odd = True  # a bare CR or LF
        if payload.kind == "line":
            parts[-1].append(b"\r\n")
        del octets  # it may have megabytes
    chunks = [b"".join(part) for part in parts]
    del parts
    shown = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    play.transcript.add("C", shown[:8000], line.label, connection.tls is not None)
    if step.split:
        size = max(step.split, len(shown) // 400 + 1)
        chunks = [shown[i : i + size] for i in range(0, len(shown), size)]
    del shown
    for index, chunk in enumerate(chunks):
        if index:
            await breathe(0.001 if step.split else _GAP)
        await connection.send(chunk, play.limits.reply_timeout)


async def expect(play: Play, step: Expect) -> None:
    line = play.lines[step.connection]
    if line.gone:
        return
    tokens = {a.token for a in step.right} | {a.token for a in step.tolerated}
    timeout = play.limits.silence if "silent" in tokens else None
    try:
        reply = await play.receive(line, multi=bool(step.block), timeout=timeout)
    except TransportError as error:
        await _no_reply(play, step, line, error)
        return
    if reply.octets[:2] == b"\x15\x03" and "closed" in tokens:  # a TLS alert: what we sent was no TLS
        line.gone, line.reply = True, None
        return
    right = any(a.matches_code(reply.code) for a in step.right)
    received = show(reply.octets)
    if not right:
        if any(a.matches_code(reply.code) for a in step.tolerated):
            play.deviation(step, f"{reply.code} is tolerated, not right", received)
            return
        if not reply.code:
            raise Ended("inconclusive", "what came is no reply", step.source.strip(), received, step.line)
        policy = play.policy(reply, step)
        if policy:
            raise Ended("inconclusive", policy, step.source.strip(), received, step.line)
        raise play.broken(step, f"the reply is {reply.code}", received, premise=step.premise)
    captured: dict[str, bytes] = {}
    if step.text is not None:
        found = play.match(step.text, reply.text)
        if found is None:
            why = f"the reply's text does not match {step.text.source!r}"
            raise play.broken(step, why, received, premise=step.premise)
        captured |= found
    if reply.block is not None or line.family != "pop3":
        rest = reply.block if reply.block is not None else reply.texts[1:]
        why = _block(play, step.block, rest, captured)
        if why:
            raise play.broken(step, why, received, premise=step.premise)
    play.env.variables.update(captured)


def _block(play: Play, block: tuple[PatternLine, ...], rest: list[bytes], captured: dict[str, bytes]) -> str:
    """Why the following lines do not match; "" if they do."""
    ordered = [one for one in block if one.kind == "|"]
    index = 0
    for position, one in enumerate(ordered):
        if one.rest:
            following = ordered[position + 1 :]
            if any(other.rest for other in following):
                nxt = following[0]
                while index < len(rest) and (nxt.rest or play.match(nxt.pattern, rest[index]) is None):
                    index += 1
            else:
                index = max(index, len(rest) - len(following))
            continue
        found = play.match(one.pattern, rest[index]) if index < len(rest) else None
        if found is None:
            got = show(rest[index], 80) if index < len(rest) else "nothing"
            return f"line {index + 1} of the reply: {one.pattern.source!r} expected, {got} received"
        captured |= found
        play.env.variables.update(found)
        index += 1
    if ordered and index < len(rest) and not ordered[-1].rest:
        return f"the reply has {len(rest) - index} more lines than expected: {show(rest[index], 80)}"
    for one in block:
        if one.kind == "|":
            continue
        matches = (play.match(one.pattern, text, fold=True) for text in rest)
        found = next((match for match in matches if match is not None), None)
        if (found is None) == (one.kind == "*"):
            return f"{'no line' if one.kind == '*' else 'a line'} of the reply matches {one.pattern.source!r}"
        captured |= found or {}
    return ""


async def _no_reply(play: Play, step: Expect, line: Line, error: TransportError) -> None:
    right = {a.token for a in step.right}
    tolerated = {a.token for a in step.tolerated}
    received = show(error.octets) or str(error)
    kind = {"timeout": "silent"}.get(error.kind, error.kind)
    if error.octets[:2] == b"\x15\x03" and "closed" in right | tolerated:
        line.gone, line.reply = True, None  # a TLS alert: the target's TLS met what we had injected
        return
    if error.octets and kind in ("silent", "closed"):
        play.breach("grammar", "a reply that does not end", error.octets, line)
    elif kind in right | tolerated:
        if kind == "closed":
            line.gone = True
        line.reply = None
        if kind not in right:
            play.deviation(step, {"closed": "the connection was closed", "silent": "no reply came"}[kind], received)
        return
    # Where the scenario is made to end a faulty server, a server that ends is what it looks for.
    if error.kind == "closed" and "destructive" not in play.scenario.effects and not await play.alive():
        raise Ended("inconclusive", "the target went away", step.source.strip(), received, step.line)
    if error.kind == "garbage":
        raise Ended("inconclusive", str(error), step.source.strip(), received, step.line)
    if error.kind == "timeout":
        why = f"no reply within {play.limits.reply_timeout:g} s"
        if not play.in_opening and not step.premise:
            play.breach("hang", why, error.octets, line)
    else:
        why = "the target closed the connection instead of replying"
    raise play.broken(step, why, received, premise=step.premise)


async def expect_line(play: Play, step: ExpectLine) -> None:
    line = play.lines[step.connection]
    if line.gone or step.pattern is None:
        return
    try:
        octets = await line.live.line(asyncio.get_running_loop().time() + play.limits.reply_timeout)
    except TransportError as error:
        raise play.broken(step, str(error), show(error.octets), premise=step.premise) from None
    play.transcript.add("S", octets, line.label, line.live.tls is not None)
    found = play.match(step.pattern, octets.removesuffix(b"\n").removesuffix(b"\r"), fold=True)
    if found is None:
        why = f"the target's command does not match {step.pattern.source!r}"
        raise play.broken(step, why, show(octets), premise=step.premise)
    play.env.variables.update(found)


def holds(play: Play, condition: Condition, connection: str) -> bool:
    if condition.expression is not None:
        play.current = connection
        return truth(condition.expression.evaluate(play.env))
    if not condition.alternatives:
        return True
    line = play.lines[connection]
    if line.gone:
        return any(a.token == "closed" for a in condition.alternatives)
    if line.reply is None:
        return any(a.token == "silent" for a in condition.alternatives)
    code = line.reply.code
    return any(a.matches_code(code) for a in condition.alternatives)


async def when(play: Play, step: When) -> None:
    for condition, steps in step.branches:
        if condition is None or holds(play, condition, step.connection):
            await play.steps(steps)
            return


async def check(play: Play, step: Check) -> None:
    assert step.expression is not None
    # Of a connection that is gone nothing can be said, but of what was delivered or received.
    if play.lines[step.connection].gone and not {"message", "received"} & play.env.variables.keys():
        return
    play.current = step.connection
    if truth(step.expression.evaluate(play.env)):
        return
    seen = []
    for name in sorted(step.expression.names):
        value = as_octets(play.env.variables.get(name, b""))
        seen.append(f"{name} = {show(value, 300)}")
    received = "; ".join(seen) or show(as_octets(play.env.variables.get("reply", b"")))
    why = f"does not hold: {step.expression.source}"
    if step.kind == "prefer":
        play.deviation(step, why, received)
    else:
        raise play.broken(step, why, received, premise=step.kind == "assume")


async def conclude(play: Play, step: Conclude) -> None:
    if not holds(play, step.condition, step.connection):
        return
    reason = step.reason.evaluate(play.env).decode("utf-8", "replace") if step.reason else ""
    if step.verdict == "note":
        play.notes.append(reason)
        return
    reply = play.lines[step.connection].reply
    received = show(reply.octets) if reply else ""
    raise Ended(step.verdict, reason, step.source.strip(), received, step.line)


async def let(play: Play, step: Let) -> None:
    assert step.expression is not None
    play.current = step.connection
    play.env.variables[step.name] = step.expression.evaluate(play.env)


async def tls(play: Play, step: Tls) -> None:
    line = play.lines[step.connection]
    if line.gone:
        return
    certificate = play.certificate if step.certificate else None
    context = play.runner.context(version=step.version, verify=step.verify, certificate=certificate)
    if context is None:
        raise Ended("not-applicable", f"TLS {step.version} cannot be spoken here: this machine's TLS library refuses it")
    connection = line.live
    try:
        before = await connection.handshake(context, play.runner.target.host, play.limits.reply_timeout)
    except TransportError as error:
        play.transcript.remark(str(error))
        if step.refused or step.or_closed:
            line.gone = True
            return
        raise play.broken(step, str(error), show(error.octets)) from None
    play.transcript.remark(f"TLS is on ({connection.tls.version() if connection.tls else ''})")
    if before:
        play.breach("tls-buffer", "octets came in the clear after the reply to STARTTLS", before, line)
    line.offered = {}
    if step.refused:
        raise play.broken(step, "the TLS handshake was accepted", "TLS is on")
    tls_object = connection.tls
    assert tls_object is not None
    play.env.variables.update(
        tls_version=(tls_object.version() or "").encode(),
        tls_cipher=(tls_object.cipher() or ("",))[0].encode(),
        tls_names=_certificate_names(tls_object),
    )


def _certificate_names(tls_object: ssl.SSLObject) -> bytes:
    der = tls_object.getpeercert(binary_form=True)
    if not der:
        return b""
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return ",".join(names.get_values_for_type(x509.DNSName)).encode()
    except (ValueError, x509.ExtensionNotFound):
        return b""


async def auth(play: Play, step: Auth) -> None:
    line = play.lines[step.connection]
    if line.gone:
        return
    variables = play.env.variables
    listed = [one.upper() for one in line.offered.get("SASL" if line.family == "pop3" else "AUTH", ())]
    name = step.mechanism.upper()
    if name == "ANY":
        name = next((one for one in sasl.PREFERENCE if one in listed), "")
        if not name:
            raise Ended("not-applicable", f"no password mechanism that we know is offered ({' '.join(listed) or 'none'})")
    if name not in sasl.MECHANISMS:
        raise Ended("not-applicable", f"the suite cannot play {name}")
    texts = {
        key: as_octets(value.evaluate(play.env)).decode("utf-8", "replace") if value else fallback
        for key, value, fallback in (
            ("user", step.user, as_octets(variables.get("user", b"")).decode()),
            ("password", step.password, as_octets(variables.get("password", b"")).decode()),
            ("authzid", step.authzid, ""),
        )
    }
    service = "pop" if line.family == "pop3" else "smtp"
    told: list[str] = []
    known = line.live.bindings
    if name.endswith("-PLUS") and (step.binding not in known if step.binding else not known):
        raise Ended("not-applicable", f"this connection has no channel binding {step.binding}".rstrip())
    bearer = "" if step.password else as_octets(variables.get("bearer", b"")).decode()
    credentials = sasl.Credentials(
        texts["user"], texts["password"], texts["authzid"], play.runner.target.host, service,
        bearer=bearer, bindings=known, binding=step.binding, told=told,
    )  # fmt: skip
    mechanism = sasl.MECHANISMS.get(f"{step.verb} {name}") or sasl.MECHANISMS[name]
    try:
        await _exchange(play, line, name, step, mechanism(credentials))
        own = step.user is None and step.password is None and "\\" not in credentials.user
        if name == "NTLM" and own and line.live.buffer.startswith(b"535") and any(told):
            # The target file's user may be known with the server's domain only.
            await play.receive(line, multi=False)
            await _exchange(play, line, name, step, mechanism(replace(credentials, domain=told[0])))
        if name.startswith("SCRAM-") and not credentials.proven and line.live.buffer.startswith((b"235", b"+OK")):
            raise sasl.ServerFault("the login succeeds without the server's proof that it knows the password")
    except NtlmError as error:
        received = show(line.reply.octets) if line.reply else ""
        why = f"what the server says is none of the mechanism's messages: {error}"
        raise Ended("inconclusive", why, step.source.strip(), received, step.line) from None
    except Unplayable as error:
        raise Ended("not-applicable", str(error)) from None
    except sasl.ServerFault as error:
        received = show(line.reply.octets) if line.reply else ""
        raise play.broken(step, str(error), received) from None
    except sasl.SaslError as error:
        raise Ended("not-applicable" if "needs the package" in str(error) else "inconclusive", str(error)) from None


async def _at_once(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _answer(exchange: sasl.Exchange, challenge: bytes) -> bytes | None:
    """None: the mechanism is over, there is nothing to answer."""
    try:
        return exchange.send(challenge)
    except StopIteration:
        return None


async def _exchange(play: Play, line: Line, name: str, step: Auth, exchange: sasl.Exchange) -> None:
    """Up to, and without, the last reply, which the next ``S:`` matches."""
    connection = line.live
    # Kerberos asks its KDC, which takes as long as it takes.
    apart: Callable[..., Awaitable[Any]] = asyncio.to_thread if name == "GSSAPI" else _at_once
    first = await apart(next, exchange)
    command = f"{step.verb} {name}".encode()
    # The limit on command lines holds for AUTH too: RFC 4954 section 4, RFC 5034 section 4.
    room = (255 if line.family == "pop3" else 512) - len(command) - 3
    fits = first is not None and len(base64.b64encode(first) or b"=") <= room
    initial = step.initial if step.initial is not None else fits
    pending: bytes | None = first
    if initial and first is not None:
        command += b" " + (base64.b64encode(first) or b"=")
        pending = None

    def put(octets: bytes, shown: bytes) -> None:
        connection.write(octets + b"\r\n")
        play.transcript.add("C", shown, line.label, connection.tls is not None)

    put(command, f"{step.verb} {name}".encode() + (b" [initial response]" if b" " in command[len(step.verb) + 1 :] else b""))
    more = b"+" if line.family == "pop3" else b"334"
    while True:
        peeked = await connection.silence(play.limits.reply_timeout)
        if not peeked.startswith(more) or peeked.startswith(b"+OK"):
            return
        reply = await play.receive(line, multi=False)
        if pending is not None:
            answer: bytes | None = pending
            pending = None
        else:
            try:
                challenge = base64.b64decode(reply.text, validate=True)
            except binascii.Error:
                challenge = b""  # a human text (AUTH NTLM), or rubbish that the mechanism will refuse
            answer = await apart(_answer, exchange, challenge)
        put(base64.b64encode(answer) if answer is not None else b"*", b"[response]" if answer is not None else b"*")


async def open_connection(play: Play, step: Open) -> None:
    old = play.lines.get(step.name)
    if old and old.connection:
        old.connection.close()
    await play.open(step.name, step.service or play.scenario.service, step.opening)


async def fetch(play: Play, step: Fetch) -> None:
    to = as_octets(step.to.evaluate(play.env) if step.to else play.env.variables["recipient"]).decode()
    token = as_octets(play.env.variables["token"])
    try:
        messages = await play.runner.post.fetch(to, token, step.least, step.most)
    except TransportError as error:
        raise Ended("inconclusive", f"the mailbox of {to} cannot be read: {error}") from None
    play.transcript.remark(f"{len(messages)} message(s) with the token in the mailbox of {to}")
    message = messages[0] if messages else b""
    header, _, content = message.partition(b"\r\n\r\n")
    play.env.variables.update(
        copies=len(messages), message=message, header=header + b"\r\n" if header else b"", content=content
    )
    if not step.least <= len(messages) <= step.most:
        wanted = str(step.least) if step.least == step.most else f"{step.least} to {step.most}"
        within = f" within {play.limits.delivery_timeout:g} s" if len(messages) < step.least else ""
        raise play.broken(step, f"{len(messages)} copies were delivered{within}, not {wanted}", f"{len(messages)} copies", premise=step.premise)


async def simple(play: Play, step: Simple) -> None:
    line = play.lines[step.connection]
    if step.kind == "pause":
        await asyncio.sleep(step.seconds or 0)
        return
    if line.gone and step.kind != "alive":
        return
    await _SIMPLE[step.kind](play, step, line)


async def _alive(play: Play, step: Simple, line: Line) -> None:
    """A new connection is greeted: nothing that was said has ended the service."""
    trouble = TransportError("connect", "no connection")
    for attempt in range(3):  # a moment for a listener that is busy
        await asyncio.sleep(0.05 * attempt)
        try:
            connection = await play.runner.connect(line.service, tries=1)
            try:
                await connection.reply(line.family, play.limits.reply_timeout, multi=False)
                connection.write(b"QUIT\r\n")
            finally:
                connection.close()
        except TransportError as error:
            trouble = error
            if error.kind == "timeout":
                break
            continue
        play.transcript.remark("a new connection is greeted")
        return
    raise play.broken(step, f"a new connection is not served: {trouble}", str(trouble))


async def _closed(play: Play, step: Simple, line: Line) -> None:
    try:
        octets = await line.live.closing(play.limits.reply_timeout)
    except TransportError as error:
        if error.octets:
            play.transcript.add("S", error.octets, line.label)
        raise play.broken(step, str(error), show(error.octets) or "the connection stays open") from None
    line.gone = True
    play.transcript.remark("the target closed the connection")
    if octets:
        play.transcript.add("S", octets[:2000], line.label)
        raise play.broken(step, "something came before the close", show(octets))


async def _silent(play: Play, step: Simple, line: Line) -> None:
    octets = await line.live.silence(step.seconds or play.limits.silence)
    if octets:
        play.transcript.add("S", octets[:2000], line.label, line.live.tls is not None)
        raise play.broken(step, "the target does not stay silent", show(octets))
    if line.live.eof:
        play.transcript.remark("the target closed the connection")
        raise play.broken(step, "the target closed the connection", "closed")


async def _command_mode(play: Play, step: Simple, line: Line) -> None:
    connection = line.live
    if connection.buffer and not line.odd:
        extra = bytes(connection.buffer)
        play.transcript.add("S", extra[:2000], line.label, connection.tls is not None)
        raise play.broken(step, "a reply came that no command asked for", show(extra))
    connection.write(b"NOOP\r\n")
    play.transcript.add("C", b"NOOP", line.label, connection.tls is not None)
    try:
        reply = await play.receive(line, multi=False)
    except TransportError as error:
        deadly = "destructive" in play.scenario.effects
        if error.kind == "closed" and not deadly and not await play.alive():
            raise Ended("inconclusive", "the target went away", step.source.strip(), str(error), step.line) from None
        raise play.broken(step, f"NOOP got no answer: {error}", show(error.octets)) from None
    good = ("+OK", "-ERR") if line.family == "pop3" else ("250",)
    if line.service == "odmr":  # RFC 2645 section 5.4: all but EHLO, AUTH, ATRN and QUIT may be refused so
        good = ("250", "502")
    if reply.code == "421":
        raise Ended("inconclusive", "the target refuses service (421)", step.source.strip(), show(reply.octets), step.line)
    if reply.code not in good:
        raise play.broken(step, "NOOP was not answered as a command", show(reply.octets))
    if connection.buffer:
        extra = bytes(connection.buffer)
        play.transcript.add("S", extra[:2000], line.label)
        raise play.broken(step, "more than one reply came", show(extra))


async def _data_mode(play: Play, step: Simple, line: Line) -> None:
    line.live.write(b"NOOP\r\n")
    play.transcript.add("C", b"NOOP", line.label, line.live.tls is not None)
    await _silent(play, step, line)


async def _disconnect(play: Play, step: Simple, line: Line) -> None:
    if step.kind == "half-close":
        line.live.half_close()
        play.transcript.remark("we shut down our sending side")
        return
    line.live.abort() if step.kind == "abort" else line.live.close()
    line.gone = True
    play.transcript.remark("we closed the connection" if step.kind == "disconnect" else "we reset the connection")
    await asyncio.sleep(0.02)


async def _turn(play: Play, step: Simple, line: Line) -> None:
    line.turned = True
    play.transcript.remark("the roles are swapped")


async def receive(play: Play, step: Receive) -> None:
    line = play.lines[step.connection]
    if line.gone:
        return
    texts = {key: as_octets(value.evaluate(play.env)).decode("utf-8", "surrogateescape") for key, value in step.options.items()}
    offers = tuple(one.strip() for one in texts.pop("offers", "").split(",") if one.strip())
    form = texts.pop("form", "plain")
    manner = Manner(offers, {key: text.split("|") for key, text in texts.items()}, form)
    customer, ended = await receive_mail(play, line, manner)
    play.env.variables.update(
        received=b"".join(bytes(one.octets) for one in customer.messages),
        received_count=len(customer.messages),
        received_commands="\r\n".join(customer.commands).encode("utf-8", "surrogateescape"),
        received_breaches="\r\n".join(customer.breaches).encode("utf-8", "surrogateescape"),
        received_ended=ended.encode(),
    )


async def _login(play: Play, step: Simple, line: Line) -> None:
    user, password = (as_octets(play.env.variables[key]).decode() for key in ("user", "password"))
    way = play.runner.post.way or Way()
    deadline = time.monotonic() + play.limits.reply_timeout

    async def say(octets: bytes, shown: bytes) -> tuple[str, bytes]:
        line.live.write(octets + b"\r\n")
        play.transcript.add("C", shown, line.label, line.live.tls is not None)
        reply = await play.receive(line, multi=False)
        return reply.code, reply.text

    try:
        if way.tls and line.live.tls is None and (await say(b"STLS", b"STLS"))[0] == "+OK":
            await tls(play, Tls(step.line, "-- tls", line.name))
        code = await log_in(way, user, password, line.greeting, say)
        while code != "+OK" and line.reply and b"[LOGIN-DELAY" in line.reply.octets and time.monotonic() < deadline:
            await asyncio.sleep(0.25)  # RFC 2449 section 6.5: refused for its own sake, until the delay is over
            code = await log_in(way, user, password, line.greeting, say)
    except TransportError as error:
        raise Ended("inconclusive", f"the login got no answer: {error}", step.source.strip(), line=step.line) from None
    if code != "+OK":
        received = show(line.reply.octets) if line.reply else ""
        raise Ended("inconclusive", "the login was refused", step.source.strip(), received, step.line)


_SIMPLE: dict[str, Callable[[Play, Simple, Line], Awaitable[None]]] = {
    "alive": _alive,
    "closed": _closed,
    "silent": _silent,
    "command-mode": _command_mode,
    "data-mode": _data_mode,
    "disconnect": _disconnect,
    "abort": _disconnect,
    "half-close": _disconnect,
    "turn": _turn,
    "login": _login,
}
HANDLERS: dict[type, Callable[[Play, Any], Awaitable[None]]] = {
    Send: send,
    Expect: expect,
    ExpectLine: expect_line,
    When: when,
    Check: check,
    Conclude: conclude,
    Let: let,
    Tls: tls,
    Auth: auth,
    Open: open_connection,
    Receive: receive,
    Fetch: fetch,
    Simple: simple,
}
