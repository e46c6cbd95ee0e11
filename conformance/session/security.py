"""The steps ``-- tls`` and ``-- auth``."""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from conformance.protocol.ntlm import NtlmError
from conformance.protocol.reply import show
from conformance.scenario.functions import octets as as_octets
from conformance.scenario.model import Auth, Tls
from conformance.session import sasl
from conformance.session.connection import TransportError
from conformance.session.play import Ended, Line, Play
from conformance.session.sasl_spnego import Unplayable


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
    return _names(der) if der else b""


@functools.lru_cache(256)
def _names(der: bytes) -> bytes:
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
    if line.family == "pop3":
        await play.before_login(line, step.verb)
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
