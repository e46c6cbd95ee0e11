"""The receiving side after the roles have turned (RFC 2645 section 5.3, RFC 821 section 3.8), sans I/O.

We are the customer: a plain SMTP server that takes what the target, now the client, sends, and writes down every rule for
clients that it breaks. ``take`` is fed one line (or the octets of a chunk) at a time and returns the answer.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CLOSE = "close"  # an answer: we close the connection instead of replying
ANSWERS = ("greeting", "ehlo", "helo", "mail", "rcpt", "data", "end", "quit")
FORMS = ("plain", "multi", "octets")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")  # RFC 5321 section 4.1.2
_PATH = re.compile(r'(?P<space> ?)(?P<path><(?:"(?:[^"\\]|\\.)*"|[^<>"])*>)(?P<rest>(?: [^ ]+)*)\Z')
_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(?:=[\x21-\x3c\x3e-\x7e]+)?\Z")
_CHUNK = re.compile(r"([0-9]{1,20})( LAST)?\Z", re.I)
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
# parameter → the keyword that lets a client use it
_MAIL = {
    "SIZE": "SIZE", "BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN", "AUTH": "AUTH", "BY": "DELIVERBY",
    "MT-PRIORITY": "MT-PRIORITY", "REQUIRETLS": "REQUIRETLS", "HOLDFOR": "FUTURERELEASE", "HOLDUNTIL": "FUTURERELEASE",
}  # fmt: skip
_RCPT = {"NOTIFY": "DSN", "ORCPT": "DSN"}
_PATIENCE = 10  # commands that lead nowhere: two servers that refuse each other's replies would never end
_LAST_OF_GROUP = ("EHLO", "HELO", "DATA", "QUIT", "NOOP", "VRFY", "EXPN")  # RFC 2920 section 3.1


@dataclass(frozen=True)
class Manner:
    """How we play the receiver. ``answers``: what to say, in turn (the last one again and again); ``form`` of all replies.

    ``450 later if <one@`` answers the commands that hold ``<one@``.
    """

    offers: tuple[str, ...] = ()
    answers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    form: str = "plain"


@dataclass
class Message:
    sender: str
    body: str = "7BIT"
    recipients: list[str] = field(default_factory=list)
    octets: bytearray = field(default_factory=bytearray)


class Customer:
    """One reversed session. ``breaches``: one line for each rule that the client broke, ``kind: what``."""

    def __init__(self, name: str, manner: Manner) -> None:
        self.name = name
        self.manner = manner
        self.offered: set[str] = set()
        self.commands: list[str] = []
        self.messages: list[Message] = []
        self.breaches: list[str] = []
        self.greeted = ""
        self.mail: Message | None = None
        self.chunk = 0  # octets of a chunk that come next
        self.in_data = False
        self._line_begins = True  # in the data: what comes is the begin of a line
        self._only_lf = True  # in the data: no line ended in CRLF
        self.ended = ""  # "quit", "cut"
        self._idle = 0  # commands that lead nowhere
        self._refused_ehlo = False
        self._content_ended = False  # the content of a message may be the first in a group
        self._last_chunk = False
        self._asked: dict[str, int] = {}

    # -- what we say --------------------------------------------------------------------------

    def greeting(self) -> str:
        return self._answer("greeting", f"220 {self.name} ready")

    def _answer(self, kind: str, usual: str) -> str:
        """The next answer of this kind; one that ends in `` if TEXT`` is for commands that hold the text, as often as they come."""
        wanted = self.manner.answers.get(kind, ())
        command = self.commands[-1] if self.commands else ""
        plain: list[str] = []
        for one in wanted:
            answer, condition, text = one.strip().partition(" if ")
            if not condition:
                plain.append(answer or usual)
            elif text in command:
                return self._chosen(answer)
        if not plain:
            return usual
        index = self._asked.get(kind, 0)
        self._asked[kind] = index + 1
        return self._chosen(plain[min(index, len(plain) - 1)])

    def _chosen(self, answer: str) -> str:
        if answer == CLOSE:
            self.ended = "cut"
        return answer

    def form(self, answer: str) -> bytes:
        """The octets of an answer. In the form ``multi`` all but those to EHLO, whose lines mean something, are lengthened."""
        lines = answer.split("\n")
        ehlo = bool(self.commands) and self.commands[-1][:4].upper() == "EHLO"
        if self.manner.form == "multi" and len(lines) == 1 and not ehlo:
            lines = [answer, "", "last of several"]
        code = answer[:3]
        texts = [line[4:] if index == 0 else line for index, line in enumerate(lines)]
        wire = [f"{code}-{text}\r\n" for text in texts[:-1]]
        wire.append(f"{code} {texts[-1]}\r\n" if texts[-1] else f"{code}\r\n")  # RFC 5321 section 4.2: no blank without a text
        return "".join(wire).encode("utf-8", "surrogateescape")

    # -- what the client says -----------------------------------------------------------------

    def breach(self, kind: str, what: str) -> None:
        if f"{kind}: {what}" not in self.breaches:
            self.breaches.append(f"{kind}: {what}")

    def early(self, octets: bytes) -> None:
        """Octets that came before our answer to the last command."""
        command = self.commands[-1] if self.commands else ""
        verb = command[:4].upper()
        if verb == "QUIT":
            self.breach("after-quit", f"{octets[:40]!r} follows QUIT")
        elif "PIPELINING" not in self.offered:
            self.breach("pipelined", f"{octets[:40]!r} came before the answer to {command[:40]!r}; PIPELINING is not offered")
        elif verb in _LAST_OF_GROUP and not self._content_ended:
            self.breach("pipelined", f"{verb} is not the last command of its group")

    def take(self, octets: bytes) -> str | None:
        """The answer to one line as it came, or to ``chunk`` octets; None: there is none."""
        self._content_ended = False
        if self.chunk:
            self.chunk = 0
            return self._chunked(octets)
        line = octets.removesuffix(b"\n").removesuffix(b"\r")
        if not octets.endswith(b"\r\n") or b"\r" in line:
            self.breach("line-end", f"{octets[-40:]!r} does not end in CRLF alone")
        if self.in_data:
            return self._text(octets)
        text = line.decode("utf-8", "surrogateescape")
        self.commands.append(text)
        if len(octets) > 512 + 1024:
            self.breach("long-command", f"a command of {len(octets)} octets")
        word, _blank, rest = text.partition(" ")
        method = getattr(self, f"_{word.lower()}", None) if word.upper() in _VERBS else None
        self._idle += method is None
        if self._idle > _PATIENCE:
            self.ended = "cut"
            return f"421 {self.name} this leads nowhere"
        if method is None and word.upper() in _ASIDE:
            return _ASIDE[word.upper()]
        if method is None:
            self.breach("unknown-command", repr(text[:60]))
            return "500 not known here"
        return method(rest)  # type: ignore[no-any-return]

    def _ehlo(self, rest: str) -> str:
        self._identity("EHLO", rest)
        answer = self._answer("ehlo", "\n".join([f"250 {self.name}", *self.manner.offers]))
        if answer[:1] == "2":
            self.greeted, self.mail = "EHLO", None
            self.offered = {offer.split()[0].upper() for offer in self.manner.offers}
        else:
            self._refused_ehlo = True
        return answer

    def _helo(self, rest: str) -> str:
        if not self._refused_ehlo:
            self.breach("helo", "HELO, though EHLO was not refused")
        self._identity("HELO", rest)
        answer = self._answer("helo", f"250 {self.name}")
        if answer[:1] == "2":
            self.greeted, self.mail, self.offered = "HELO", None, set()
        return answer

    def _identity(self, verb: str, rest: str) -> None:
        good = bool(_DOMAIN.match(rest)) and len(rest) <= 255
        if rest.startswith("[") and rest.endswith("]"):
            inner = rest[1:-1]
            try:
                ipaddress.ip_address(inner[5:] if inner[:5].upper() == "IPV6:" else inner)
                good = True
            except ValueError:
                good = False
        if not good:
            self.breach("identity", f"{verb} names {rest[:60]!r}, no domain and no address literal")

    def _mail(self, rest: str) -> str:
        if not self.greeted:
            self.breach("sequence", "MAIL before EHLO or HELO was accepted")
        if self.mail is not None:
            self.breach("sequence", "MAIL inside a transaction")
        path, parameters = self._path("FROM:", rest, _MAIL)
        size = next((one[5:] for one in parameters if one[:5].upper() == "SIZE="), "")
        if size and not size.isdigit():
            self.breach("parameter", f"SIZE={size} is no number")
        answer = self._answer("mail", "250 sender ok")
        if answer[:1] == "2":
            body = next((one[5:].upper() for one in parameters if one[:5].upper() == "BODY="), "7BIT")
            self.mail = Message(path, body)
        return answer

    def _rcpt(self, rest: str) -> str:
        path, _parameters = self._path("TO:", rest, _RCPT)
        if self.mail is None:
            if "PIPELINING" not in self.offered:
                self.breach("sequence", "RCPT without an accepted MAIL")
            return "503 MAIL first"
        answer = self._answer("rcpt", "250 recipient ok")
        if answer[:1] == "2":
            self.mail.recipients.append(path)
        return answer

    def _path(self, prefix: str, rest: str, known: Mapping[str, str]) -> tuple[str, list[str]]:
        match = _PATH.match(rest[len(prefix) :])
        verb = "MAIL" if prefix == "FROM:" else "RCPT"
        if rest[: len(prefix)].upper() != prefix or not match or (verb == "RCPT" and match["path"] == "<>"):
            self.breach("path", f"{verb} {rest[:60]!r} is not {prefix}<path>")
            return "", []
        if match["space"]:
            self.breach("space", f"{verb} has a space after the colon")
        parameters = match["rest"].split()
        for one in parameters:
            keyword = known.get(one.partition("=")[0].upper())
            if not _PARAMETER.match(one):
                self.breach("parameter", f"{one!r} is no parameter")
            elif keyword not in self.offered:
                self.breach("parameter", f"{one!r} was not offered")
        return match["path"][1:-1], parameters

    def _to_content(self, verb: str) -> str:
        """"" if a message may come now, else the refusal."""
        if self.mail is not None and self.mail.recipients:
            return ""
        if "PIPELINING" not in self.offered:
            self.breach("sequence", f"{verb} without an accepted recipient")
        return "503 no recipient was accepted" if self.mail is None else "554 no valid recipients"

    def _data(self, rest: str) -> str:
        if rest:
            self.breach("unknown-command", f"DATA {rest[:40]!r}")
        if self.mail is not None and self.mail.octets:
            self.breach("sequence", "DATA after BDAT")
        refusal = self._to_content("DATA")
        if refusal:
            return refusal
        answer = self._answer("data", "354 go on")
        if answer[:1] == "3":
            self.in_data = self._line_begins = self._only_lf = True
        elif answer != CLOSE:
            self.mail = None
        return answer

    def _text(self, octets: bytes) -> str | None:
        """What ends in LF is a line only if it ends in CRLF (RFC 5321 section 4.1.1.4), or if the client has sent nothing else."""
        assert self.mail is not None
        begins = self._line_begins
        if (octets == b".\r\n" and begins) or (octets == b".\n" and self._only_lf):
            self.in_data = False
            return self._taken()
        self._line_begins = octets.endswith(b"\r\n")
        self._only_lf = self._only_lf and not self._line_begins
        if begins or self._only_lf:
            if octets.startswith(b".") and not octets.startswith(b".."):
                self.breach("stuffing", f"the line {octets[:40]!r} begins with a dot that was not doubled")
            octets = octets.removeprefix(b".")
        if len(octets) > 1000:
            self.breach("long-line", f"a text line of {len(octets)} octets")
        self.mail.octets += octets.removesuffix(b"\n").removesuffix(b"\r") + b"\r\n"
        return None

    def _bdat(self, rest: str) -> str | None:
        match = _CHUNK.match(rest)
        if "CHUNKING" not in self.offered:
            self.breach("unknown-command", "BDAT, which was not offered")
        if not match:
            self.breach("chunk", f"BDAT {rest[:40]!r}")
            return "501 BDAT size [LAST]"
        self.chunk, self._last_chunk = int(match[1]), bool(match[2])
        return None if self.chunk else self._chunked(b"")

    def _chunked(self, octets: bytes) -> str:
        refusal = self._to_content("BDAT")
        if refusal:
            return refusal
        assert self.mail is not None
        self.mail.octets += octets
        return self._taken() if self._last_chunk else "250 chunk ok"

    def _taken(self) -> str:
        mail = self.mail
        assert mail is not None
        self.mail, self._content_ended = None, True
        octets = bytes(mail.octets)
        if any(octet > 127 for octet in octets):
            if "8BITMIME" not in self.offered:
                self.breach("8bit", "octets above 127, though 8BITMIME is not offered")
            elif mail.body == "7BIT":
                self.breach("8bit", "octets above 127, though MAIL did not say BODY=8BITMIME")
        if mail.body != "BINARYMIME" and _BARE.search(octets):
            self.breach("line-end", "a bare CR or LF in the content")
        answer = self._answer("end", "250 taken")
        if answer[:1] == "2":
            self.messages.append(mail)
        return answer

    def _rset(self, rest: str) -> str:
        self.mail = None
        return "250 reset"

    def _noop(self, rest: str) -> str:
        return "250 ok"

    def _quit(self, rest: str) -> str:
        if rest:
            self.breach("unknown-command", f"QUIT {rest[:40]!r}")
        answer = self._answer("quit", f"221 {self.name} closes")
        self.ended = self.ended or "quit"
        return answer


_VERBS = ("EHLO", "HELO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT")
_ASIDE = {"VRFY": "252 cannot verify", "EXPN": "502 not here", "HELP": "214 no help"}  # a client may ask; nothing follows from it
