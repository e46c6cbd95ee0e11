"""BURL: RFC 4468. Regular IMAP URLs of this host name messages of the user's own mailbox; there are no URLAUTH tokens to honour."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from conformance.server.extensions import Extension, Verb

_ARGUMENT = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+)(?: (LAST))?\Z", re.I)
_PATH = re.compile(r"/INBOX(?:;UIDVALIDITY=\d+)?/;UID=(\d+)\Z", re.I)


class Burl(Extension):
    """Section 3.1: on the submission port only; without "imap" until the client has logged in."""

    rank = 26
    services = frozenset({"submission"})
    verbs = {"BURL": Verb("burl", frozenset({"rcpt"}), long=True)}

    def offer(self) -> str:
        return f"BURL imap imap://{self.session.settings.host}" if self.session.user else "BURL"

    def burl(self, text: str) -> None:
        session = self.session
        match = _ARGUMENT.match(text)
        if not match:
            session.say("501", "5.5.4", "BURL absolute-URI [LAST]")
            return
        octets = self._resolved(match[1])
        if octets is None:
            session.reset()  # section 3.2: the whole transaction fails
            session.say("554", "5.6.6", "the URL cannot be resolved")
            return
        session.mail.chunked = True
        session.mail.chunks.extend(octets)
        if len(session.mail.chunks) > session.settings.max_size:
            session.reset()
            session.say("554", "5.3.4", "the message is too big")
        elif match[2]:
            session.finish(bytes(session.mail.chunks))
        else:
            session.say("250", "2.5.0", "waiting for more")

    def _resolved(self, url: str) -> bytes | None:
        """What the URL stands for, as this user may see it (section 3.3)."""
        parts, session = urlsplit(url), self.session
        owner, _at, host = parts.netloc.rpartition("@")
        path = _PATH.match(parts.path)
        if parts.scheme.lower() != "imap" or host.lower() != session.settings.host or not path:
            return None
        if owner and unquote(owner).lower() != session.user.lower():
            return None
        messages = session.world.storage.mailbox(session.user).messages()
        number = int(path[1])
        return messages[number - 1].octets if 0 < number <= len(messages) else None


EXTENSIONS = [Burl]
