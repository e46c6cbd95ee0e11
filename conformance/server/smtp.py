"""A strict SMTP, submission and LMTP session, sans I/O (RFC 5321, 6409, 2033). Its extensions are in extensions/."""

from __future__ import annotations

import re
from collections.abc import Callable

from conformance.server import sasl
from conformance.server.base import Session, World
from conformance.server.extensions import GREETED, Extension, Roster, Verb
from conformance.server.smtp_grammar import Syntax, domain_ok, parameters, path
from conformance.server.transaction import Recipient, Transaction, received, return_path, without_return_path

# The core's commands. A state that is missing from a verb's row is 503. States: new, greeted, mail, rcpt.
CORE: dict[str, Verb] = {
    "HELO": Verb("do_helo"),
    "EHLO": Verb("do_ehlo"),
    "LHLO": Verb("do_ehlo"),
    "NOOP": Verb("do_noop"),
    "RSET": Verb("do_rset", bare=True),
    "QUIT": Verb("do_quit", bare=True),
    "HELP": Verb("do_help"),
    "VRFY": Verb("do_vrfy", utf8=True, long=True),
    "EXPN": Verb("do_expn", utf8=True, long=True),
    "MAIL": Verb("do_mail", GREETED, utf8=True, long=True),
    "RCPT": Verb("do_rcpt", frozenset({"mail", "rcpt"}), utf8=True, long=True),
    "DATA": Verb("do_data", frozenset({"rcpt"}), bare=True),
}
_RECEIVED = re.compile(rb"(?im)^Received:")


class SmtpSession(Session):
    family = "smtp"

    def __init__(self, world: World, service: str, *, tls: bool) -> None:
        super().__init__(world, service, tls=tls)
        self.lmtp = service == "lmtp"
        self.greeted = ""  # HELO, EHLO, LHLO
        self.client = ""
        self.mail = Transaction()
        self.exchange: sasl.SaslExchange | None = None
        self.errors = 0
        self.counts: dict[str, int] = {}
        self.domains: frozenset[str] = frozenset()
        self.searched = 0  # octets of the data that hold no end of it
        self.reader: Callable[[], bool] | None = None  # what takes the input in place of the command parser
        self.roster = world.rosters.get(service) or world.rosters.setdefault(service, Roster(world.profile, service))
        self.extensions: list[Extension] = [kind(self) for kind in self.roster.kinds]

    # -- replies ------------------------------------------------------------------------------

    def say(self, code: str, status: str, *texts: str) -> None:
        """One reply; ``status`` is the enhanced code, "" where there is none (RFC 2034 section 4)."""
        prefix = f"{status} " if status else ""
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

    def expect_line(self, limit: int, handler: Callable[[bytes, bool], None]) -> None:
        """The next line, of at most ``limit`` octets, goes to ``handler(line, overlong)``."""

        def read() -> bool:
            line = self.next_line(limit)
            if line is None:
                return False
            overlong, self.overlong = self.overlong, False
            self.reader = None
            handler(line, overlong)
            return True

        self.reader = read

    def expect_octets(self, count: int, take: Callable[[bytes], object], done: Callable[[], None]) -> None:
        """The next ``count`` octets go to ``take`` as they come; then ``done`` is called."""
        left = count

        def read() -> bool:
            nonlocal left
            part = bytes(self.buffer[:left])
            del self.buffer[: len(part)]
            left -= len(part)
            take(part)
            if left:
                return False
            self.reader = None
            done()
            return True

        self.reader = read

    def advance(self) -> bool:
        if self.reader:
            return self.reader() and self._bounded()
        settings = self.settings
        line = self.next_line(max(settings.command_line + settings.extra_line, settings.auth_line + 2))
        if line is None:
            return False
        line = self.hook("command", line)
        overlong, self.overlong = self.overlong, False
        if overlong:
            self.verb = ""
            self.say("500", "5.5.2", "line too long")
        else:
            self._command(line)
        return self._bounded()

    def _bounded(self) -> bool:
        if self.errors > self.settings.max_errors and not self.closing:
            self.put(f"421 {self.settings.host} too many errors\r\n".encode())
            self.closing = True
        return True

    def having(self, method: str) -> list[Extension]:
        """The extensions for which the method does anything."""
        return [self.extensions[place] for place in self.roster.having[method]]

    def known(self, name: str) -> tuple[object, Verb] | tuple[None, None]:
        """A verb of the present phase, with whose method it is."""
        if name in CORE:
            wrong = name in ("HELO", "EHLO") if self.lmtp else name == "LHLO"
            return (None, None) if wrong else (self, CORE[name])
        for place in self.roster.verbs.get(name, ()):
            extension = self.extensions[place]
            if extension.knows(name):
                return extension, extension.verbs[name]
        return None, None

    def _command(self, line: bytes) -> None:
        word, _blank, rest = line.partition(b" ")
        self.verb = word.decode("ascii", "replace").upper()
        owner, verb = self.known(self.verb)
        limit = self.settings.command_line - 2
        if verb and verb.long:
            limit = limit + self.settings.extra_line if verb.utf8 else self.settings.auth_line
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
        if self.service == "odmr" and self.verb in ("MAIL", "RCPT", "DATA", "BDAT", "VRFY", "EXPN"):
            self.say("502", "5.5.1", "this port is for ATRN")  # RFC 2645 section 5
            return
        if verb is None:
            self.say("500", "5.5.1", "command not recognised")
            return
        argument = rest.rstrip(b" \t")  # trailing blanks: RFC 5321 section 4.1.1
        try:
            text = argument.decode("utf-8")
        except UnicodeDecodeError:
            self.say("501", "5.5.2", "the argument is not UTF-8")
            return
        if not text.isascii() and not verb.utf8:
            self.say("501", "5.5.4", "the argument is not ASCII")
            return
        if text and verb.bare:
            self.say("501", "5.5.4", f"{self.verb} takes no argument")
            return
        if self.state not in self.hook("states", verb.states, self.verb):
            refuse = getattr(owner, "out_of_sequence", None)
            if refuse is None or not refuse(self.verb, text):
                self.say("503", "5.5.1", "bad sequence of commands")
            return
        getattr(owner, verb.method)(text)
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

    def offers(self) -> list[str]:
        """The EHLO list in the present phase."""
        return [line for extension in self.having("offer") if (line := extension.offer())]

    def secured(self) -> None:
        super().secured()
        keep = (self.greeted, self.client, self.user, self.mail)
        self.greeted, self.client, self.user = "", "", ""  # RFC 3207 section 4.2: all is forgotten
        self.reset()
        for extension in self.having("secured"):
            extension.secured()
        for function in self.hooks.get("secured", ()):
            function(self, keep)

    def ended(self) -> None:
        super().ended()
        for extension in self.having("ended"):
            extension.ended()

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
            mail = Transaction(sender=sender, parameters=parameters(rest))
            self._check(mail.parameters, "mail_parameters", mail)
            for extension in self.having("mail"):
                extension.mail(mail)
        except Syntax as error:
            self.say(error.code, error.status, error.text)
            return
        self.mail = mail
        self.say("250", *mail.answer)

    def _check(self, found: dict[str, str | None], kind: str, *about: object) -> None:
        """Each parameter by the extension that knows it. Raises Syntax."""
        if not found:
            return
        if self.greeted == "HELO":
            raise Syntax("555", "5.5.4", "parameters need EHLO")
        known = {
            name: (extension, method)
            for extension in self.extensions
            for name, method in getattr(extension, kind).items()
            if extension.takes(name)
        }
        for key, value in found.items():
            if key not in known:
                raise Syntax("555", "5.5.4", f"{key} is not known")
            extension, method = known[key]
            getattr(extension, method)(*about, value)

    def do_rcpt(self, text: str) -> None:
        if text[:3].upper() != "TO:":
            self.say("501", "5.5.4", "RCPT TO:<path>")
            return
        try:
            to, rest = path(
                text[3:], null=False, postmaster=True, utf8=self.mail.utf8,
                local_limit=self.settings.local_part, limit=self.settings.path,
            )  # fmt: skip
            recipient = Recipient(to, "", parameters(rest))
            self._check(recipient.parameters, "rcpt_parameters", self.mail, recipient)
        except Syntax as error:
            self.say(error.code, error.status, error.text)
            return
        if to.domain and to.domain.lower() not in (self.settings.domain, self.settings.host):
            if self.user not in self.world.accounts and not self.world.customer(to.domain):  # the anonymous user is none
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
            recipient.user = user
            try:
                for extension in self.having("recipient"):
                    extension.recipient(self.mail, recipient)
            except Syntax as error:
                self.say(error.code, error.status, error.text)
                return
            self.mail.recipients.append(recipient)
            self.say("250", "2.1.5", "recipient ok")

    # -- DATA ---------------------------------------------------------------------------------

    def do_data(self, text: str) -> None:
        if self.mail.body == "BINARYMIME" or self.mail.chunked:
            self.say("503", "5.5.1", "BDAT, not DATA, goes with this transaction")  # RFC 3030 sections 2, 3
            return
        self.say("354", "", "end with a line of one dot")
        self.reader, self.searched = self._data, 0
        self.buffer[:0] = b"\r\n"  # so that a dot in the very first line is one at the beginning of a line

    def _data(self) -> bool:
        ends = [(at, len(end)) for end in self.settings.data_ends if (at := self.buffer.find(end, self.searched)) >= 0]
        if not ends:
            self.searched = max(0, len(self.buffer) - 8)  # large data comes in many pieces
            if len(self.buffer) > self.settings.max_size + 1_000_000:
                del self.buffer[1000:-1000]  # far too big already: only the end is waited for
                self.searched = 0
                self.memory["too-big"] = True
            return False
        at, length = min(ends, key=lambda end: (end[0], -end[1]))
        octets = bytes(self.buffer[: at + 2])[2:]
        del self.buffer[: at + length]
        self.reader = None
        self.verb = "DATA."
        if self.memory.pop("too-big", False) or len(octets) > self.settings.max_size + octets.count(b"\n."):
            self.finish(None, "552", "5.3.4", "the message is too big")
            return True
        octets = self.hook("unstuff", (b"\r\n" + octets).replace(b"\r\n.", b"\r\n")[2:], octets)
        bare = not octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r")
        longest = max((len(line) for line in octets.split(b"\r\n")), default=0)
        if len(octets) > self.settings.max_size:
            self.finish(None, "552", "5.3.4", "the message is too big")
        elif bare:
            self.finish(None, "554", "5.6.0", "bare CR or LF in the message")
        elif longest + 2 > self.settings.text_line:
            self.finish(None, "554", "5.6.0", "a line is too long")
        else:
            self.finish(octets)
        return True

    def finish(self, octets: bytes | None, code: str = "250", status: str = "2.0.0", text: str = "delivered") -> None:
        """Delivers, replies (LMTP: once per recipient, RFC 2033 section 4.2), ends the transaction."""
        mail = self.mail
        if octets is not None and len(_RECEIVED.findall(octets.partition(b"\r\n\r\n")[0])) >= self.settings.max_hops:
            octets, code, status, text = None, "554", "5.4.6", "too many hops"
        try:
            for extension in self.having("examine") if octets is not None else ():
                octets = extension.examine(mail, octets or b"")
        except Syntax as error:
            octets, code, status, text = None, error.code, error.status, error.text
        if octets is not None:
            for extension in self.having("accepted"):
                extension.accepted(mail, octets)
            taken = octets
            if mail.hold:
                self.world.later(mail.hold, lambda: self.deliver(mail, taken))
            else:
                self.deliver(mail, taken)
        for _recipient in mail.recipients if self.lmtp else [None]:
            self.say(code, status, text)
        self.reset()

    def deliver(self, mail: Transaction, octets: bytes) -> None:
        octets = without_return_path(octets)
        for recipient in mail.recipients:
            if recipient.user:
                content = self.hook("content", self.trace(mail, recipient) + octets, octets)
                if content is not None:
                    self.world.storage.deliver(recipient.user, content)
        for extension in self.having("delivered"):
            extension.delivered(mail, octets)

    def trace(self, mail: Transaction, recipient: Recipient) -> bytes:
        """Return-Path and Received: RFC 5321 section 4.4; the with-types are RFC 3848's and 6531's."""
        kind = "LMTP" if self.lmtp else "ESMTP" if self.greeted == "EHLO" else "SMTP"
        if kind != "SMTP":
            kind = ("UTF8" + kind.replace("ESMTP", "SMTP") if mail.utf8 else kind)
            kind += ("S" if self.tls else "") + ("A" if self.user else "")
        clauses = "".join(extension.clause(mail) for extension in self.having("clause"))
        return return_path(mail) + received(
            mail, recipient.path, client=self.client, peer=self.peer, host=self.settings.host, kind=kind, clauses=clauses
        )

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
        names = {*CORE, *(name for extension in self.extensions for name in extension.verbs)}
        known = sorted(name for name in names if self.known(name)[1])
        if text and text.upper() not in known:
            self.say("504", "5.5.4", "no help on that")
        else:
            self.say("214", "2.0.0", "commands: " + " ".join(known))

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
