"""One connection to the target: raw octets in and out, TLS on the live connection, deadlines, bounds."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import socket
import ssl
import struct
import time

from conformance.protocol.binding import KeyLog, bindings
from conformance.protocol.reply import Reply, last_line, pop3_reply, smtp_reply

MAX_LINE = 64 * 1024
MAX_REPLY = 48 * 1024 * 1024
_PIECE = 1024 * 1024  # octets written at once
_LONE_DOT = re.compile(rb"(?<=\n)\.\r?\n\Z")
_HERE = re.compile(r"127(\.[0-9]{1,3}){3}")
_ODD_END = 0.3  # seconds in which more data follows a dot that was none
_HIGH = 8 * 1024 * 1024  # octets buffered before we stop reading
KEY_LOG = KeyLog()  # for contexts whose connections SASL may be bound to


def _final(buffer: bytearray, whole: int, fresh: bool) -> int:
    """Where the line of one dot that ends a POP3 reply begins, -1 if it is not among the first ``whole`` octets: a line
    ends in CRLF (RFC 1939 section 3). ``fresh``: what was before the buffer ended so."""
    if fresh and buffer.startswith(b".\r\n"):
        return 0
    at = buffer.find(b"\r\n.\r\n", 0, whole)
    return at + 2 if at >= 0 else -1


def _at_once(host: str, port: int) -> socket.socket | None:
    """A socket on this very machine connects while one asks: half of what the loop's way costs. None where it does not."""
    if not _HERE.fullmatch(host):
        return None
    sock = socket.socket()
    sock.setblocking(False)
    for _try in range(2):
        if sock.connect_ex((host, port)) in (0, errno.EISCONN):
            return sock
    sock.close()
    return None


class TransportError(Exception):
    """Transport trouble: ``kind`` is closed, timeout, connect, tls or garbage; ``octets`` what had come."""

    def __init__(self, kind: str, message: str, octets: bytes = b"") -> None:
        super().__init__(message)
        self.kind = kind
        self.octets = octets


class _Protocol(asyncio.Protocol):
    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connection._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.connection._received(data)

    def eof_received(self) -> bool:
        self.connection._ended()
        return True  # keep our side open: a half-closed peer may be written to

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection._ended(lost=True)


class Connection:
    """Never raises on odd octets; raises TransportError for silence, closing and trouble with TLS."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.eof = False
        self.lost = False
        self.tls: ssl.SSLObject | None = None
        self.bindings: dict[str, bytes] = {}  # channel binding type → data, the best one first
        self._incoming: ssl.MemoryBIO
        self._outgoing: ssl.MemoryBIO
        self._handshaking = False
        self._shaken = b""  # the first octets of a handshake
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._paused = False

    @classmethod
    async def open(cls, host: str, port: int, timeout: float) -> Connection:
        self = cls()
        loop = asyncio.get_running_loop()
        try:
            if sock := _at_once(host, port):
                await loop.create_connection(lambda: _Protocol(self), sock=sock)
                return self
            async with asyncio.timeout(timeout):
                await loop.create_connection(lambda: _Protocol(self), host, port)
        except TimeoutError:
            raise TransportError("connect", f"no connection to {host}:{port} within {timeout:g} s") from None
        except OSError as error:
            known = error.errno is not None and not isinstance(error, socket.gaierror)
            why = os.strerror(error.errno) if known and error.errno else error.strerror or str(error)
            raise TransportError("connect", f"no connection to {host}:{port}: {why}") from None
        return self  # Nagle's algorithm is off: asyncio does that

    def _sock(self) -> socket.socket | None:
        return self._transport.get_extra_info("socket") if self._transport else None

    # -- what arrives -------------------------------------------------------------------------

    def _received(self, data: bytes) -> None:
        if self.tls is None and not self._handshaking:
            self.buffer += data
        else:
            self._incoming.write(data)
            if self._handshaking:
                self._shaken = self._shaken or data[:200]
            else:
                self._decrypt()
        if len(self.buffer) > _HIGH and self._transport and not self._paused:
            self._transport.pause_reading()
            self._paused = True
        self._wake()

    def _decrypt(self) -> None:
        assert self.tls is not None
        try:
            while chunk := self.tls.read(65536):
                self.buffer += chunk
            self.eof = True  # a clean close_notify
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.eof = True
        self._flush()

    def _ended(self, *, lost: bool = False) -> None:
        self.eof = True
        self.lost = self.lost or lost
        self._wake()

    async def _more(self, deadline: float) -> bool:
        """Waits for something new. False when the deadline is over."""
        if self._paused and len(self.buffer) < _HIGH and self._transport:
            self._transport.resume_reading()
            self._paused = False
        if deadline <= time.monotonic():
            return False
        # This is every reply: one future, and a timer that stays, since deadlines nearly always move on.
        loop = asyncio.get_running_loop()
        self._deadline = deadline
        if self._timer is None or self._timer.when() > deadline:
            self._watch(loop)
        self._waiter = waiter = loop.create_future()
        return bool(await waiter)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._deadline, self._late, loop)

    def _late(self, loop: asyncio.AbstractEventLoop) -> None:
        """A deadline is over, if nobody has moved it meanwhile."""
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if time.monotonic() < self._deadline:
            self._watch(loop)
        else:
            self._wake(False)

    def _wake(self, arrived: bool = True) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(arrived)

    async def line(self, deadline: float) -> bytes:
        """One line with its LF. Raises TransportError (closed, timeout, garbage)."""
        searched = 0
        while True:
            end = self.buffer.find(b"\n", searched)
            if end >= 0 and end < MAX_LINE:
                line = bytes(self.buffer[: end + 1])
                del self.buffer[: end + 1]
                return line
            if len(self.buffer) >= MAX_LINE:
                octets = bytes(self.buffer[:200])
                raise TransportError("garbage", f"a line of more than {MAX_LINE} octets", octets)
            searched = len(self.buffer)
            if self.eof:
                raise TransportError("closed", "the target closed the connection", bytes(self.buffer))
            if not await self._more(deadline):
                raise TransportError("timeout", "nothing more came", bytes(self.buffer))

    async def exactly(self, count: int, deadline: float) -> bytes:
        """So many octets. Raises TransportError (closed, timeout)."""
        while len(self.buffer) < count:
            if self.eof:
                raise TransportError("closed", "the target closed the connection", bytes(self.buffer[:200]))
            if not await self._more(deadline):
                raise TransportError("timeout", "nothing more came", bytes(self.buffer[:200]))
        octets = bytes(self.buffer[:count])
        del self.buffer[:count]
        return octets

    async def silence(self, seconds: float) -> bytes:
        """What arrives within so many seconds; b"" for silence (a close is silence too: see ``eof``)."""
        deadline = time.monotonic() + seconds
        while not self.buffer and not self.eof:
            if not await self._more(deadline):
                break
        return bytes(self.buffer)

    async def closing(self, timeout: float) -> bytes:
        """Reads until the target closes and returns what came before. Raises TransportError (timeout)."""
        deadline = time.monotonic() + timeout
        while not self.eof:
            if len(self.buffer) > MAX_REPLY or not await self._more(deadline):
                raise TransportError("timeout", "the connection stays open", bytes(self.buffer[:400]))
        octets = bytes(self.buffer)
        self.buffer.clear()
        return octets

    async def reply(self, family: str, timeout: float, *, multi: bool = False, utf8: bool = False) -> Reply:
        """One whole reply. ``multi``: a POP3 ``+OK`` is followed by lines up to a dot."""
        start = time.monotonic()
        last = start + 6 * timeout  # however it drips, there is an end
        lines: list[bytes] = []
        size = 0
        try:
            while True:
                line = await self.line(min(last, time.monotonic() + timeout) if lines else start + timeout)
                lines.append(line)
                size += len(line)
                if size > MAX_REPLY or len(lines) > 100_000:
                    raise TransportError("garbage", "a reply without end", lines[0])
                if family == "pop3" or last_line(line):
                    break
            reply = pop3_reply(lines[0]) if family == "pop3" else smtp_reply(lines, utf8=utf8)
            if multi and reply.code == "+OK":
                await self._block(reply, start, last, timeout)
        except TransportError as error:
            error.octets = b"".join(lines[:20]) + error.octets
            raise
        reply.elapsed = time.monotonic() - start
        return reply

    async def _block(self, reply: Reply, start: float, last: float, timeout: float) -> None:
        """The lines up to the one with a dot, as many at a time as have come.

        A dot next to a bare LF is data if anything follows: a message that holds line feeds. Else it is the end.
        """
        raw = bytearray()
        ending = b""
        deadline = min(last, time.monotonic() + timeout)
        while not ending:
            whole = self.buffer.rfind(b"\n") + 1
            if not whole:
                if len(self.buffer) >= MAX_LINE:
                    octets = bytes(self.buffer[:200])
                    raise TransportError("garbage", f"a line of more than {MAX_LINE} octets", octets)
                if self.eof:
                    raise TransportError("closed", "the target closed the connection", bytes(self.buffer))
                if not await self._more(deadline):
                    raise TransportError("timeout", "nothing more came", bytes(self.buffer))
                continue
            before = raw[-2:] or reply.octets[-2:]
            end = _final(self.buffer, whole, before == b"\r\n")
            if end >= 0:
                ending = b".\r\n"
            elif whole == len(self.buffer) and (odd := _LONE_DOT.search(self.buffer[-4:] if whole > 3 else before[-1:] + self.buffer)):
                if await self._more(time.monotonic() + _ODD_END):
                    continue
                ending, end = odd[0], whole - len(odd[0])
            else:
                end = whole
            raw += self.buffer[:end]
            del self.buffer[: end + len(ending)]
            if len(raw) > MAX_REPLY:
                raise TransportError("garbage", "a multi-line reply without end", bytes(raw[:200]))
            deadline = min(last, time.monotonic() + timeout)
        block = bytes(raw).split(b"\n")[:-1]
        if len(raw) >= MAX_LINE and max(map(len, block)) >= MAX_LINE:
            raise TransportError("garbage", f"a line of more than {MAX_LINE} octets", bytes(raw[:200]))
        reply.block, reply.raw = [one[:-1] if one.endswith(b"\r") else one for one in block], bytes(raw)
        reply.octets += reply.raw + ending

    # -- what leaves --------------------------------------------------------------------------

    def write(self, octets: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self.tls is None:
            self._transport.write(octets)
            return
        view = memoryview(octets)
        with contextlib.suppress(ssl.SSLError):
            while view:
                view = view[self.tls.write(view) :]
        self._flush()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and self._transport and not self._transport.is_closing():
            self._transport.write(data)

    async def send(self, octets: bytes, timeout: float) -> None:
        """Writes; what is large leaves piece by piece, as the target takes it, so that it is not held twice."""
        if len(octets) > _PIECE:
            view = memoryview(octets)
            while view and not self.lost and not self.eof:
                self.write(bytes(view[:_PIECE]))
                view = view[_PIECE:]
                await self.drained(timeout)
                if self._transport and self._transport.get_write_buffer_size() > _PIECE:
                    break  # it does not read on: its reply, or the want of one, tells
            octets = bytes(view)
        self.write(octets)
        await self.drained(timeout)

    async def drained(self, timeout: float) -> None:
        """Waits until most of what was written has left; gives up silently: the reply tells."""
        if self._transport is None or self._transport.get_write_buffer_size() < 65536:
            return
        deadline = time.monotonic() + timeout
        while self._transport.get_write_buffer_size() > 65536 and time.monotonic() < deadline and not self.lost:
            await asyncio.sleep(0.005)

    # -- TLS and endings ----------------------------------------------------------------------

    async def handshake(self, context: ssl.SSLContext, host: str, timeout: float) -> bytes:
        """TLS on the live connection. Returns what had come in the clear before. Raises TransportError."""
        before = bytes(self.buffer)
        self.buffer.clear()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        if before[:1] == b"\x16":  # the target spoke TLS at once: hand it over
            self._incoming.write(before)
            before = b""
        self._handshaking = True
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        deadline = time.monotonic() + timeout
        secret = b""
        try:
            while True:
                KEY_LOG.clear()
                try:
                    try:
                        tls.do_handshake()
                    finally:
                        secret = KEY_LOG.secret() or secret
                    break
                except ssl.SSLWantReadError:
                    self._flush()
                    if self.eof:
                        raise TransportError("tls", "the connection was closed during the TLS handshake") from None
                    if not await self._more(deadline):
                        raise TransportError("tls", "the TLS handshake stalled") from None
                except (ssl.SSLError, ValueError) as error:
                    self._flush()
                    reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or str(error)
                    raise TransportError("tls", f"the TLS handshake failed: {reason}", before or self._shaken) from None
        finally:
            self._handshaking = False
        self.tls = tls
        self.bindings = bindings(tls.version(), tls.get_channel_binding, tls.getpeercert(binary_form=True), secret)
        self._flush()
        self._decrypt()
        return before

    def half_close(self) -> None:
        if self._transport and self.tls is None and not self._transport.is_closing():
            with contextlib.suppress(OSError, NotImplementedError):
                self._transport.write_eof()
        elif self.tls is not None:
            with contextlib.suppress(ssl.SSLError):
                self.tls.unwrap()
            self._flush()

    def abort(self) -> None:
        """RST."""
        sock = self._sock()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self._transport:
            self._transport.abort()
        self._done()

    def close(self) -> None:
        if self._transport:
            self._transport.close()
        self._done()

    def _done(self) -> None:
        self.eof = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
