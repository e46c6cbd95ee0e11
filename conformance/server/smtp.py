"""A strict SMTP, submission and LMTP session, sans I/O (RFC 5321, 6409, 2033 and the extensions of its EHLO list)."""

from __future__ import annotations

import base64
import re
import secrets
import time
from dataclasses import dataclass, field

from conformance.server import sasl
from conformance.server.base import Session, World
from conformance.server.smtp_grammar import Path, Syntax, domain_ok, parameters, path

# verb → the states in which it may come; a missing entry is 503. States: new, greeted, mail, rcpt.
_ANY = frozenset({"new", "greeted", "mail", "rcpt"})
STATES: dict[str, frozenset[str]] = {
    "HELO": _ANY, "EHLO": _ANY, "LHLO": _ANY, "NOOP": _ANY, "RSET": _ANY, "QUIT": _ANY, "HELP": _ANY,
    "VRFY": _ANY, "EXPN": _ANY, "TURN": _ANY, "ATRN": frozenset({"greeted"}),
    "ETRN": frozenset({"greeted"}),
    "STARTTLS": frozenset({"greeted"}), "AUTH": frozenset({"greeted"}),
    "MAIL": frozenset({"greeted"}), "RCPT": frozenset({"mail", "rcpt"}),
    "DATA": frozenset({"rcpt"}), "BDAT": frozenset({"rcpt"}),
}  # fmt: skip
_BARE = frozenset({"DATA", "RSET", "QUIT", "TURN"})  # verbs that take no argument
_RECEIVED = re.compile(rb"(?im)^Received:")


def _without_return_path(octets: bytes) -> bytes:
    """Final delivery leaves one Return-Path, ours: RFC 5321 section 4.4."""
    header, blank, content = octets.partition(b"\r\n\r\n")
    if b"return-path:" not in header.lower():
        return octets
    header = re.sub(rb"(?im)^Return-Path:[^\n]*\n?(?:[ \t][^\n]*\n?)*", b"", header + b"\r\n")
    return header.removesuffix(b"\r\n") + blank + content if header else content if not blank else b"\r\n" + content


@dataclass
class Transaction:
    """One mail transaction (RFC 5321 section 3.3)."""

    sender: Path | None = None
    recipients: list[tuple[Path, str]] = field(default_factory=list)  # with the mailbox's user
    body: str = "7BIT"
    utf8: bool = False
    chunks: bytearray = field(default_factory=bytearray)
    chunked: bool = False  # a BDAT came: DATA is out of sequence (RFC 3030 section 2)
    refused: bool = False  # a chunk was refused: the rest of the message is too


class SmtpSession(Session):
    family = "smtp"

    def __init__(self, world: World, service: str, *, tls: bool) -> None:
        super().__init__(world, service, tls=tls)
        self.lmtp = service == "lmtp"
        self.greeted = ""  # HELO, EHLO, LHLO
        self.client = ""
        self.mail = Transaction()
        self.mode = "command"  # command, data, bdat, auth
        self.exchange: sasl.SaslExchange | None = None
        self.errors = 0
        self.chunk = 0  # octets of the BDAT chunk that are still to come
        self.last_chunk = False
        self.chunk_error: tuple[str, str, str] | None = None

    # -- replies ------------------------------------------------------------------------------

    def say(self, code: str, status: str, *texts: str) -> None:
        """One reply; ``status`` is the enhanced code, "" where there is none (RFC 2034 section 4)."""
        prefix = f"{status} " if status and self.greeted in ("EHLO", "LHLO") else ""
        lines = [f"{code}{'-' if i + 1 < len(texts) else ' '}{prefix}{text}\r\n" for i, text in enumerate(texts)]
        if code[0] == "5":
            self.errors += 1
        self.put("".join(lines).encode("utf-8"))

    def greet(self) -> bytes:
        kind = "LMTP" if self.lmtp else "ESMTP"
        self.verb = "GREETING"
        self.put(f"220 {self.settings.host} {kind} ready\r\n".encode())
        out = bytes(self.out)
        self.out.clear()
        return out

    @property
    def state(self) -> str:
        if not self.greeted:
            return "new"
        if self.mail.sender is None:
            return "greeted"
        return "rcpt" if self.mail.recipients else "mail"

    def reset(self) -> None:
        self.mail = Transaction()

    # -- input --------------------------------------------------------------------------------

    def advance(self) -> bool:
        if self.mode == "data":
            return self._data()
        if self.mode == "bdat":
            return self._chunk()
        limit = self.settings.auth_line if self.mode == "auth" else self.settings.command_line + self.settings.extra_line
        line = self.next_line(max(limit, self.settings.auth_line + 2))
        if line is None:
            return False
        if self.mode == "auth":
            self._response(line)
            return True
        line = self.hook("command", line)
        overlong, self.overlong = self.overlong, False
        if overlong:
            self.verb = ""
            self.say("500", "5.5.2", "line too long")
        else:
            self._command(line)
        if self.errors > self.settings.max_errors and not self.closing:
            self.put(f"421 {self.settings.host} too many errors\r\n".encode())
            self.closing = True
        return True

    def _command(self, line: bytes) -> None:
        word, _blank, rest = line.partition(b" ")
        self.verb = word.decode("ascii", "replace").upper()
        limit = self.settings.command_line - 2
        if self.verb in ("MAIL", "RCPT", "VRFY", "EXPN"):
            limit += self.settings.extra_line
        elif self.verb == "AUTH":
            limit = self.settings.auth_line
        if len(line) > limit:
            self.say("500", "5.5.2", "line too long")
            return
        if b"\r" in line or b"\n" in line or b"\0" in line:
            self.say("500", "5.5.2", "a command holds no CR, LF or NUL")
            return
        answer = self.instead(self.verb, rest)
        if answer is not None:
            if answer:
                self.put(answer)
            return
        handler = getattr(self, f"do_{self.verb.lower()}", None) if re.fullmatch("[A-Z]+", self.verb) else None
        wrong = {"LHLO"} if not self.lmtp else {"HELO", "EHLO"}
        if self.service != "odmr":
            wrong.add("ATRN")
            if self.service != "smtp":
                wrong.add("ETRN")
        elif self.verb in ("MAIL", "RCPT", "DATA", "BDAT", "VRFY", "EXPN"):
            self.say("502", "5.5.1", "this port is for ATRN")  # RFC 2645 section 5
            return
        if handler is None or self.verb not in STATES or self.verb in wrong:
            self.say("500", "5.5.1", "command not recognised")
            return
        argument = rest.rstrip(b" \t")  # trailing blanks: RFC 5321 section 4.1.1
        try:
            text = argument.decode("utf-8")
        except UnicodeDecodeError:
            self.say("501", "5.5.2", "the argument is not UTF-8")
            return
        if not text.isascii() and self.verb not in ("MAIL", "RCPT", "VRFY", "EXPN"):
            self.say("501", "5.5.4", "the argument is not ASCII")
            return
        if text and self.verb in _BARE:
            self.say("501", "5.5.4", f"{self.verb} takes no argument")
            return
        if self.state not in self.hook("states", STATES[self.verb], self.verb):
            if self.verb == "BDAT" and self.greeted != "HELO":
                self._refuse_chunk(text)
            else:
                self.say("503", "5.5.1", "bad sequence of commands")
            return
        handler(text)
        for function in self.hooks.get("after", ()):
            function(self, self.verb)

    # -- greeting, extensions -----------------------------------------------------------------

    def do_helo(self, text: str) -> None:
        if not domain_ok(text):
            self.say("501", "5.5.4", "HELO wants a domain")
            return
        self.reset()
        self.greeted, self.client = "HELO", text
        self.say("250", "", self.settings.host)

    def do_ehlo(self, text: str) -> None:
        if not domain_ok(text):
            self.say("501", "5.5.4", f"{self.verb} wants a domain or an address literal")
            return
        self.reset()
        self.greeted, self.client = self.verb, text
        words = [f"{self.settings.host} greets {text}", *self.hook("capabilities", self.offers())]
        lines = [f"250{'-' if i + 1 < len(words) else ' '}{word}\r\n" for i, word in enumerate(words)]
        self.put("".join(lines).encode())

    do_lhlo = do_ehlo

    def offers(self) -> list[str]:
        """The EHLO list in the present phase."""
        found = ["PIPELINING", f"SIZE {self.settings.max_size}", "8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8",
                 "ENHANCEDSTATUSCODES"]  # fmt: skip
        if self.service == "odmr":
            found.append("ATRN")
        elif self.service == "smtp":
            found.append("ETRN")
        if not self.lmtp:
            found.append("HELP")
            if not self.tls:
                found.append("STARTTLS")
            if not self.user:
                found.append("AUTH " + " ".join(sasl.MECHANISMS))
        return found

    def do_starttls(self, text: str) -> None:
        if self.lmtp or self.greeted != "EHLO":
            self.say("500" if self.lmtp else "503", "5.5.1", "STARTTLS is for ESMTP sessions")
        elif text:
            self.say("501", "5.5.4", "STARTTLS takes no argument")  # RFC 3207 section 4
        elif self.tls:
            self.say("503", "5.5.1", "TLS is on already")
        else:
            self.say("220", "2.0.0", "go ahead")
            self.starttls = True

    def secured(self) -> None:
        super().secured()
        keep = (self.greeted, self.client, self.user, self.mail)
        self.greeted, self.client, self.user = "", "", ""  # RFC 3207 section 4.2: all is forgotten
        self.reset()
        for function in self.hooks.get("secured", ()):
            function(self, keep)

    # -- AUTH ---------------------------------------------------------------------------------

    def do_auth(self, text: str) -> None:
        name, _blank, initial = text.partition(" ")
        name = name.upper()
        if self.lmtp or self.greeted != "EHLO":
            self.say("503", "5.5.1", "EHLO first")
        elif self.user:
            self.say("503", "5.5.1", "authenticated already")
        elif not name:
            self.say("501", "5.5.4", "AUTH wants a mechanism")
        elif name not in sasl.MECHANISMS:
            self.say("504", "5.5.4", "no such mechanism")
        else:
            self.exchange = sasl.SaslExchange(name, self.world.accounts, self.settings.host)
            self._authenticate(initial.encode() if initial else None)

    def _response(self, line: bytes) -> None:
        self.verb = "AUTH"
        overlong, self.overlong = self.overlong, False
        self.mode = "command"
        if overlong or len(line) > self.settings.auth_line - 2:
            self.say("500", "5.5.6", "the response is too long")
        elif line == b"*":
            self.say("501", "5.7.0", "cancelled")
        else:
            self._authenticate(line)

    def _authenticate(self, text: bytes | None) -> None:
        assert self.exchange is not None
        self.mode = "command"
        try:
            response = None if text is None else sasl.decode(text)
            kind, value = self.exchange.step(response)
        except sasl.Malformed as error:
            self.say("501", "5.5.2", str(error))
        except sasl.Refused:
            self.say("535", "5.7.8", "wrong credentials")
        else:
            if kind == "challenge":
                assert isinstance(value, bytes)
                self.put(b"334 " + base64.b64encode(value) + b"\r\n")
                self.mode = "auth"
            else:
                self.user = str(value)
                self.say("235", "2.7.0", "authenticated")

    # -- MAIL, RCPT ---------------------------------------------------------------------------

    def do_mail(self, text: str) -> None:
        if self.service in ("submission", "smtps") and not self.user:
            self.say("530", "5.7.0", "authentication required")  # RFC 6409 section 4.3
            return
        if text[:5].upper() != "FROM:":
            self.say("501", "5.5.4", "MAIL FROM:<path>")
            return
        try:
            wants_utf8 = " SMTPUTF8" in text.upper()
            sender, rest = path(
                text[5:], null=True, postmaster=False, utf8=wants_utf8,
                local_limit=self.settings.local_part, limit=self.settings.path,
            )  # fmt: skip
            found = parameters(rest)
            self._parameters(found)
        except Syntax as error:
            self.say(error.code, error.status, error.text)
            return
        self.mail.sender = sender
        self.say("250", "2.1.0", "sender ok")

    def _parameters(self, found: dict[str, str | None]) -> None:
        """Raises Syntax. RFC 1870, 6152, 3030, 6531, 4954 section 5."""
        if found and self.greeted == "HELO":
            raise Syntax("555", "5.5.4", "parameters need EHLO")
        mail = Transaction()
        for key, value in found.items():
            if key == "SIZE":
                if value is None or not re.fullmatch("[0-9]{1,20}", value):
                    raise Syntax("501", "5.5.4", "SIZE wants up to 20 digits")
                if int(value) > self.settings.max_size:
                    raise Syntax("552", "5.3.4", "the message is too big")
            elif key == "BODY":
                if value is None or value.upper() not in ("7BIT", "8BITMIME", "BINARYMIME"):
                    raise Syntax("501", "5.5.4", "BODY is 7BIT, 8BITMIME or BINARYMIME")
                mail.body = value.upper()
            elif key == "SMTPUTF8":
                if value is not None:
                    raise Syntax("501", "5.5.4", "SMTPUTF8 takes no value")
                mail.utf8 = True
            elif key == "AUTH":
                if value is None:
                    raise Syntax("501", "5.5.4", "AUTH wants an address or <>")
            else:
                raise Syntax("555", "5.5.4", f"{key} is not known")
        self.mail = mail

    def do_rcpt(self, text: str) -> None:
        if text[:3].upper() != "TO:":
            self.say("501", "5.5.4", "RCPT TO:<path>")
            return
        try:
            to, rest = path(
                text[3:], null=False, postmaster=True, utf8=self.mail.utf8,
                local_limit=self.settings.local_part, limit=self.settings.path,
            )  # fmt: skip
            for key in parameters(rest):
                raise Syntax("555", "5.5.4", f"{key} is not known")
        except Syntax as error:
            self.say(error.code, error.status, error.text)
            return
        if to.domain and to.domain.lower() not in (self.settings.domain, self.settings.host):
            if not self.user:
                self.say("550", "5.7.1", "relaying is not for you")
                return
            user: str | None = ""  # accepted for relaying; nothing leaves this machine
        else:
            user = self.world.user(to.local)
        if user is None:
            self.say("550", "5.1.1", "no such user here")
        elif len(self.mail.recipients) >= self.settings.max_recipients:
            self.say("452", "4.5.3", "too many recipients")
        else:
            self.mail.recipients.append((to, user))
            self.say("250", "2.1.5", "recipient ok")

    # -- DATA and BDAT ------------------------------------------------------------------------

    def do_data(self, text: str) -> None:
        if self.mail.body == "BINARYMIME" or self.mail.chunked:
            self.say("503", "5.5.1", "BDAT, not DATA, goes with this transaction")  # RFC 3030 sections 2, 3
            return
        self.say("354", "", "end with a line of one dot")
        self.mode = "data"
        self.buffer[:0] = b"\r\n"  # so that a dot in the very first line is one at the beginning of a line

    def _data(self) -> bool:
        ends = [(at, len(end)) for end in self.settings.data_ends if (at := self.buffer.find(end)) >= 0]
        if not ends:
            if len(self.buffer) > self.settings.max_size + 1_000_000:
                del self.buffer[1000:-1000]  # far too big already: only the end is waited for
                self.memory["too-big"] = True
            return False
        at, length = min(ends)
        octets = bytes(self.buffer[: at + 2])[2:]
        del self.buffer[: at + length]
        self.mode = "command"
        self.verb = "DATA."
        octets = self.hook("unstuff", re.sub(rb"(?m)(^|\r\n)\.", rb"\1", b"\r\n" + octets)[2:], octets)
        bare = re.search(rb"(?<!\r)\n|\r(?!\n)", octets)
        longest = max((len(line) for line in octets.split(b"\r\n")), default=0)
        if self.memory.pop("too-big", False) or len(octets) > self.settings.max_size:
            self._finish(None, "552", "5.3.4", "the message is too big")
        elif bare:
            self._finish(None, "554", "5.6.0", "bare CR or LF in the message")
        elif longest + 2 > self.settings.text_line:
            self._finish(None, "554", "5.6.0", "a line is too long")
        else:
            self._finish(octets)
        return True

    def do_bdat(self, text: str) -> None:
        match = re.fullmatch(r"([0-9]{1,20})( LAST)?", text, re.I)
        if not match:
            self.say("501", "5.5.4", "BDAT size [LAST]")
            return
        self.chunk, self.last_chunk = int(match[1]), bool(match[2])
        self.chunk_error = None
        self.mode = "bdat"
        self.mail.chunked = True
        if len(self.mail.chunks) + self.chunk > self.settings.max_size:
            self.chunk_error = ("552", "5.3.4", "the message is too big")
        elif self.mail.refused:
            self.chunk_error = ("503", "5.5.1", "an earlier chunk was refused")

    def _refuse_chunk(self, text: str) -> None:
        """Out of sequence: its octets are taken off the stream all the same (RFC 3030 section 2)."""
        match = re.fullmatch(r"([0-9]{1,20})( LAST)?", text, re.I)
        if match and int(match[1]):
            self.chunk, self.last_chunk, self.mode = int(match[1]), False, "bdat"
            self.chunk_error = ("503", "5.5.1", "bad sequence of commands")
        else:
            self.say("503", "5.5.1", "bad sequence of commands")

    def _chunk(self) -> bool:
        part = self.buffer[: self.chunk]
        del self.buffer[: len(part)]
        self.chunk -= len(part)
        if self.chunk_error is None:
            self.mail.chunks += part
        if self.chunk:
            return False
        self.mode = "command"
        self.verb = "BDAT"
        if self.chunk_error:
            self.mail.refused = True
            self.say(*self.chunk_error)
            if self.last_chunk:
                self.reset()
        elif self.last_chunk:
            self._finish(bytes(self.mail.chunks))
        else:
            self.say("250", "2.0.0", f"{len(self.mail.chunks)} octets so far")
        return True

    def _finish(self, octets: bytes | None, code: str = "250", status: str = "2.0.0", text: str = "delivered") -> None:
        """Delivers, replies (LMTP: once per recipient, RFC 2033 section 4.2), ends the transaction."""
        recipients, mail = self.mail.recipients, self.mail
        if octets is not None and len(_RECEIVED.findall(octets.partition(b"\r\n\r\n")[0])) >= self.settings.max_hops:
            octets, code, status, text = None, "554", "5.4.6", "too many hops"
        if octets is not None:
            octets = _without_return_path(octets)
            for to, user in recipients:
                if user:
                    content = self.hook("content", self.trace(mail, to) + octets, octets)
                    if content is not None:
                        self.world.storage.deliver(user, content)
        for _recipient in recipients if self.lmtp else [None]:
            self.say(code, status, text)
        self.reset()

    def trace(self, mail: Transaction, to: Path) -> bytes:
        """Return-Path and Received: RFC 5321 section 4.4; the with-types are RFC 3848's and 6531's."""
        assert mail.sender is not None
        kind = "LMTP" if self.lmtp else "ESMTP" if self.greeted == "EHLO" else "SMTP"
        if kind != "SMTP":
            kind = ("UTF8" + kind.replace("ESMTP", "SMTP") if mail.utf8 else kind)
            kind += ("S" if self.tls else "") + ("A" if self.user else "")
        stamp = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())
        one = f"\r\n\tfor <{to.address}>" if len(mail.recipients) == 1 and to.domain and '"' not in to.address else ""
        if re.search(r'[\s"()<>,;:\\]', to.local):
            one = ""
        text = (
            f"Return-Path: <{mail.sender.address if not re.search(r'[^A-Za-z0-9@.!#$%&*+/=?^_{|}~-]', mail.sender.address) else ''}>\r\n"
            f"Received: from {self.client} ([{self.peer}])\r\n"
            f"\tby {self.settings.host} with {kind} id {secrets.token_hex(6)}{one};\r\n\t{stamp}\r\n"
        )
        return text.encode("utf-8")

    # -- the rest -----------------------------------------------------------------------------

    def do_rset(self, text: str) -> None:
        self.reset()
        self.say("250", "2.0.0", "reset")

    def do_noop(self, text: str) -> None:
        self.say("250", "2.0.0", "ok")

    def do_quit(self, text: str) -> None:
        self.say("221", "2.0.0", f"{self.settings.host} closes")
        self.closing = True

    def do_help(self, text: str) -> None:
        if text and text.upper() not in STATES:
            self.say("504", "5.5.4", "no help on that")
        else:
            self.say("214", "2.0.0", "commands: " + " ".join(sorted(STATES)))

    def do_vrfy(self, text: str) -> None:
        if not text:
            self.say("501", "5.5.4", "VRFY wants a name")
            return
        name = re.sub(r"(?i) SMTPUTF8$", "", text).strip("<>")  # RFC 6531 section 3.7.4.2
        local, _at, domain = name.rpartition("@") if "@" in name else (name, "", "")
        user = self.world.user(local)
        if user and domain.lower() in ("", self.settings.domain, self.settings.host):
            self.say("250", "2.1.5", f"<{local}@{self.settings.domain}>")
        else:
            ours = domain.lower() in ("", self.settings.domain, self.settings.host)
            # The class of the status agrees with the code: RFC 2034 section 4.
            self.say(*(("550", "5.1.1", "not a user here") if ours else ("252", "2.1.5", "cannot be verified here")))

    def do_expn(self, text: str) -> None:
        if text:
            self.say("550", "5.1.1", "no such list")
        else:
            self.say("501", "5.5.4", "EXPN wants a name")

    def do_etrn(self, text: str) -> None:
        """RFC 1985 section 5. Mail is delivered at once, so no queue ever holds any."""
        name = text[1:] if text[:1] in ("@", "#") else text
        if not name or (text[:1] != "#" and not domain_ok(name)) or " " in name:
            self.say("501", "5.5.4", "ETRN [@|#]node")
        elif text[:1] == "#" or name.lower().endswith(self.settings.domain):
            self.say("251", "2.0.0", "no messages are waiting for that node")
        else:
            self.say("459", "5.7.1", "that node is not allowed")

    def do_atrn(self, text: str) -> None:
        """RFC 2645 section 5.2. Nothing is queued here for a client to fetch, so the roles never turn."""
        if not self.user:
            self.say("530", "5.7.0", "authentication required")
            return
        domains = text.split(",") if text else []
        if any(not domain_ok(one) or one.startswith("[") for one in domains):
            self.say("501", "5.5.4", "ATRN [domain{,domain}]")
        elif any(one.lower() != self.settings.domain for one in domains):
            self.say("450", "4.7.0", "not your domain")
        else:
            self.say("453", "4.0.0", "you have no mail")

    def do_turn(self, text: str) -> None:
        self.say("502", "5.5.1", "not here")  # RFC 5321 appendix F.1
