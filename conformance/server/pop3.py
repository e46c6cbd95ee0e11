"""A strict POP3 session, sans I/O: RFC 1939, 2449, 2595, 3206, 5034, 6856."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets

from conformance.server import sasl
from conformance.server.base import Session, World
from conformance.server.pop3_text import LANGUAGES, needs_utf8, saslprep, selected, translated
from conformance.server.storage import Mailbox, Message

# verb → states; RFC 1939 sections 4 to 7. States: authorization, transaction.
_BOTH = frozenset({"authorization", "transaction"})
_IN, _BEFORE = frozenset({"transaction"}), frozenset({"authorization"})
STATES: dict[str, frozenset[str]] = {
    "USER": _BEFORE, "PASS": _BEFORE, "APOP": _BEFORE, "AUTH": _BEFORE, "STLS": _BEFORE,
    "UTF8": _BEFORE, "LANG": _BOTH, "CAPA": _BOTH, "QUIT": _BOTH,
    "STAT": _IN, "LIST": _IN, "RETR": _IN, "DELE": _IN, "NOOP": _IN, "RSET": _IN, "TOP": _IN, "UIDL": _IN,
}  # fmt: skip
# verb → (least, most) arguments; PASS keeps its blanks (RFC 1939 section 7)
_ARGUMENTS = {
    "USER": (1, 1), "PASS": (1, 99), "APOP": (2, 2), "AUTH": (0, 2), "STLS": (0, 0),
    "UTF8": (0, 0), "LANG": (0, 1), "CAPA": (0, 0), "QUIT": (0, 0),
    "STAT": (0, 0), "LIST": (0, 1), "RETR": (1, 1), "DELE": (1, 1), "NOOP": (0, 0), "RSET": (0, 0), "TOP": (2, 2),
    "UIDL": (0, 1),
}  # fmt: skip
_NUMBER = re.compile(r"[1-9][0-9]{0,8}\Z")


class Pop3Session(Session):
    family = "pop3"

    def __init__(self, world: World, service: str, *, tls: bool) -> None:
        super().__init__(world, service, tls=tls)
        self.timestamp = f"<{secrets.token_hex(8)}.{secrets.randbelow(10**6)}@{self.settings.host}>"
        self.name: str | None = None
        self.box: Mailbox | None = None
        self.messages: list[Message] = []
        self.deleted: set[int] = set()
        self.exchange: sasl.SaslExchange | None = None
        self.errors = 0
        self.utf8 = False  # RFC 6856 section 2.1
        self.language = "en"

    # -- replies ------------------------------------------------------------------------------

    def ok(self, text: str = "") -> None:
        self.put(f"+OK {translated(text, self.language)}\r\n".encode() if text else b"+OK\r\n")

    def err(self, text: str) -> None:
        self.errors += 1
        self.put(f"-ERR {translated(text, self.language)}\r\n".encode())

    def many(self, text: str, lines: list[bytes]) -> None:
        """A multi-line reply, stuffed: RFC 1939 section 3."""
        stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
        self.put(f"+OK {translated(text, self.language)}\r\n".encode() + self.hook("block", stuffed, lines) + b".\r\n")

    def greet(self) -> bytes:
        self.verb = "GREETING"
        self.ok(f"{self.settings.host} POP3 ready {self.timestamp}")
        out = bytes(self.out)
        self.out.clear()
        return out

    @property
    def state(self) -> str:
        return "transaction" if self.box else "authorization"

    # -- input --------------------------------------------------------------------------------

    def advance(self) -> bool:
        line = self.next_line(self.settings.auth_line + 2)
        if line is None:
            return False
        overlong, self.overlong = self.overlong, False
        if self.exchange is not None:
            self._response(line, overlong)
            return True
        line = self.hook("command", line)
        limit = self.settings.auth_line if line[:5].upper() == b"AUTH " else self.settings.pop3_line - 2
        if overlong or len(line) > limit:
            self.verb = ""
            self.err("the line is too long")
        else:
            self._command(line)
        if self.errors > self.settings.max_errors:
            self.closing = True
        return True

    def _command(self, line: bytes) -> None:
        word, blank, rest = line.partition(b" ")
        self.verb = word.decode("ascii", "replace").upper()
        answer = self.instead(self.verb, rest)
        if answer is not None:
            if answer:
                self.put(answer)
            return
        previous, self.name = self.name, None if self.verb != "PASS" else self.name
        if self.verb not in STATES:
            self.err("no such command")
            return
        try:
            text = rest.decode("utf-8")
        except UnicodeDecodeError:
            self.err("the argument is not UTF-8")
            return
        if any(ord(char) < 32 or ord(char) == 127 for char in text) or word != word.strip():
            self.err("control characters have no place in a command")
            return
        words = text.split(" ") if blank else []
        low, high = _ARGUMENTS[self.verb]
        if not low <= len(words) <= high or ("" in words and self.verb != "PASS"):
            self.err("wrong number of arguments")
        elif self.state not in self.hook("states", STATES[self.verb], self.verb):
            self.err("this state does not allow it")
        else:
            self.previous = previous
            getattr(self, f"do_{self.verb.lower()}")(*([text] if self.verb == "PASS" else words))
            for function in self.hooks.get("after", ()):
                function(self, self.verb)

    # -- AUTHORIZATION ------------------------------------------------------------------------

    def mechanisms(self) -> tuple[str, ...]:
        return sasl.offered(self.channel, plaintext=self.settings.plaintext_auth)

    def do_capa(self) -> None:
        words = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER",
                 "SASL " + " ".join(self.mechanisms())]  # fmt: skip
        words += ["USER", "UTF8 USER", "LANG"]
        if not self.tls and self.state == "authorization":
            words.append("STLS")
        if self.state == "transaction":
            words.append("IMPLEMENTATION mail-conformance")
        words = self.hook("capabilities", words)
        self.many("capabilities follow", [word.encode() for word in words])

    def prepared(self, text: str) -> str | None:
        """A name or password by SASLprep, or None with the error said: RFC 6856 section 2.2."""
        try:
            return saslprep(text)
        except ValueError:
            self.err("a prohibited character")
            return None

    def do_user(self, name: str) -> None:
        self.name = self.prepared(name)
        if self.name is not None:
            self.ok("now the password")

    def do_pass(self, password: str) -> None:
        name, self.name = self.name, None
        if name is None:
            self.err("USER first")
            return
        ready = self.prepared(password)
        if ready is None:
            return
        if name in self.world.accounts and secrets.compare_digest(
            self.world.accounts[name].encode(), ready.encode()
        ):
            self._open(name)
        else:
            self.err("[AUTH] wrong name or password")

    def do_apop(self, name: str, digest: str) -> None:
        ready = self.prepared(name)
        if ready is None:
            return
        name = ready
        password = self.world.accounts.get(name)
        right = hashlib.md5((self.timestamp + (password or "")).encode()).hexdigest()
        if password is not None and secrets.compare_digest(right.encode(), digest.encode()):
            self._open(name)
        else:
            self.err("[AUTH] wrong name or digest")

    def do_utf8(self) -> None:
        self.utf8 = True
        self.ok("UTF-8 mode")

    def do_lang(self, wanted: str = "") -> None:
        """RFC 6856 section 3.2."""
        if not wanted:
            self.many("languages follow", [f"{tag} {name}".encode() for tag, name in LANGUAGES.items()])
        elif (tag := selected(wanted)) is None:
            self.err("no such language")
        else:
            self.language = tag
            self.ok(f"{tag} {translated('texts are in this language', tag)}")

    def do_stls(self) -> None:
        if self.tls:
            self.err("TLS is on already")
        else:
            self.ok("begin TLS")
            self.starttls = True

    def secured(self) -> None:
        super().secured()
        keep, self.name = self.name, None
        self.utf8, self.language = False, "en"  # nothing from the clear is relied on: RFC 2595 section 4
        for function in self.hooks.get("secured", ()):
            function(self, keep)

    def do_auth(self, name: str = "", initial: str = "") -> None:
        if not name:
            self.many("mechanisms follow", [one.encode() for one in self.mechanisms()])
        elif name.upper() not in self.mechanisms():
            self.err("no such mechanism")
        else:
            self.exchange = sasl.SaslExchange(
                name.upper(), self.world.accounts, self.settings.host, self.channel
            )
            self._authenticate(initial.encode() if initial else None)

    def _response(self, line: bytes, overlong: bool) -> None:
        self.verb = "AUTH"
        line = self.hook("response", line)
        if overlong or len(line) > self.settings.auth_line - 2:
            self.exchange = None
            self.err("the response is too long")
        elif line == b"*":
            self.exchange = None
            self.err("cancelled")
        else:
            self._authenticate(line)

    def _authenticate(self, text: bytes | None) -> None:
        assert self.exchange is not None
        try:
            kind, value = self.exchange.step(None if text is None else sasl.decode(text))
        except sasl.Malformed as error:
            self.exchange = None
            self.err(str(error))
        except sasl.Refused:
            self.exchange = None
            self.err("[AUTH] wrong credentials")
        else:
            if kind == "challenge":
                assert isinstance(value, bytes)
                self.put(b"+ " + base64.b64encode(value) + b"\r\n")
            else:
                self.exchange = None
                self._open(str(value))

    def _open(self, name: str) -> None:
        box = self.world.storage.mailbox(name)
        if box.locked and self.hook("lock", True):
            self.err("[IN-USE] another session has this mailbox")
            return
        box.locked = True
        self.user, self.box = name, box
        self.messages = box.messages()
        self.deleted = set()
        self.ok(f"{len(self.messages)} messages")

    # -- TRANSACTION --------------------------------------------------------------------------

    def octets(self, number: int) -> bytes:
        return self.hook("octets", self.messages[number - 1].octets)  # type: ignore[no-any-return]

    def size(self, number: int) -> int:
        """Octets as they are sent, without stuffing (RFC 1939 section 11)."""
        return int(self.hook("size", _size(self.octets(number))))

    def present(self) -> list[int]:
        return [n for n in range(1, len(self.messages) + 1) if n not in self.deleted]

    def number(self, text: str) -> int:
        """A message that is there, else 0 with the error said."""
        if not _NUMBER.match(text):
            self.err("a message number is wanted")
        elif int(text) not in self.present():
            self.err("no such message")
        else:
            return int(text)
        return 0

    def sendable(self, number: int) -> bool:
        """Whether the mode is right for the message; else the error is said: RFC 6856 sections 2.1 and 5."""
        if self.utf8 or not self.hook("needs_utf8", needs_utf8(self.messages[number - 1].octets)):
            return True
        self.err("[UTF8] the header needs UTF-8 mode")
        return False

    def do_stat(self) -> None:
        numbers = self.present()
        self.ok(self.hook("stat", f"{len(numbers)} {sum(self.size(n) for n in numbers)}"))

    def do_list(self, text: str = "") -> None:
        if not text:
            self.many("scan listing follows", [b"%d %d" % (n, self.size(n)) for n in self.present()])
        elif number := self.number(text):
            self.ok(f"{number} {self.size(number)}")

    def do_uidl(self, text: str = "") -> None:
        def uid(number: int) -> str:
            return str(self.hook("uid", self.messages[number - 1].uid))

        if not text:
            self.many("unique ids follow", [f"{n} {uid(n)}".encode() for n in self.present()])
        elif number := self.number(text):
            self.ok(f"{number} {uid(number)}")

    def do_retr(self, text: str) -> None:
        if (number := self.number(text)) and self.sendable(number):
            self.many(f"{self.size(number)} octets", _lines(self.octets(number)))

    def do_top(self, text: str, count: str) -> None:
        if not re.fullmatch("[0-9]{1,9}", count):
            self.err("a number of lines is wanted")
        elif (number := self.number(text)) and self.sendable(number):
            lines = _lines(self.octets(number))
            head = lines.index(b"") + 1 if b"" in lines else len(lines)
            self.many("top of message follows", lines[: head + int(self.hook("top", int(count)))])

    def do_dele(self, text: str) -> None:
        if number := self.number(text):
            self.deleted.add(number)
            self.ok(f"message {number} deleted")

    def do_noop(self) -> None:
        self.ok("done")

    def do_rset(self) -> None:
        self.deleted.clear()
        self.ok(f"{len(self.messages)} messages")

    def do_quit(self) -> None:
        if self.box:
            self.box.remove({self.messages[n - 1].uid for n in self.hook("update", set(self.deleted))})
        self.ok("goodbye")
        self.release()
        self.closing = True

    def release(self) -> None:
        if self.box:
            self.box.locked = bool(self.hook("unlock", False))
            self.box = None

    def ended(self) -> None:
        """No QUIT, no UPDATE: RFC 1939 section 6."""
        super().ended()
        if self.box:
            for function in self.hooks.get("vanished", ()):
                function(self)
        self.release()


def _lines(octets: bytes) -> list[bytes]:
    """Lines without their ends. A bare LF ends a stored line too, so that on the wire every line ends in CRLF
    (RFC 1939 section 3); a bare CR is an octet like others."""
    whole = octets.count(b"\n") == octets.count(b"\r\n")
    lines = octets.split(b"\r\n") if whole else re.split(rb"\r?\n", octets)
    return lines[:-1] if not lines[-1] else lines


def _size(octets: bytes) -> int:
    """What the lines have together, each with its CRLF."""
    bare = octets.count(b"\n") - octets.count(b"\r\n")
    return len(octets) + bare + (2 if octets and not octets.endswith(b"\n") else 0)
