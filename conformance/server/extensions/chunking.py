"""CHUNKING: RFC 3030 section 2."""

from __future__ import annotations

import re

from conformance.server.extensions import Extension, Verb

_CHUNK = re.compile(r"([0-9]{1,20})( LAST)?\Z", re.I)


class Chunking(Extension):
    rank = 14
    verbs = {"BDAT": Verb("bdat", frozenset({"rcpt"}))}

    def offer(self) -> str:
        return "CHUNKING"

    def bdat(self, text: str) -> None:
        match = _CHUNK.match(text)
        session = self.session
        if not match:
            session.say("501", "5.5.4", "BDAT size [LAST]")
            return
        size, last = int(match[1]), bool(match[2])
        session.mail.chunked = True
        if len(session.mail.chunks) + size > session.settings.max_size:
            self._drop(size, last, ("552", "5.3.4", "the message is too big"))
        elif session.mail.refused:
            self._drop(size, last, ("503", "5.5.1", "an earlier chunk was refused"))
        else:
            session.expect_octets(size, session.mail.chunks.extend, lambda: self._taken(last))

    def out_of_sequence(self, verb: str, text: str) -> bool:
        """The octets of a refused chunk are taken off the stream all the same (RFC 3030 section 2)."""
        match = _CHUNK.match(text)
        if self.session.greeted == "HELO" or not match or not int(match[1]):
            return False
        self._drop(int(match[1]), False, ("503", "5.5.1", "bad sequence of commands"))
        return True

    def _drop(self, size: int, last: bool, answer: tuple[str, str, str]) -> None:
        def done() -> None:
            self.session.verb = "BDAT"
            self.session.mail.refused = True
            self.session.say(*answer)
            if last:
                self.session.reset()

        self.session.expect_octets(size, lambda octets: None, done)

    def _taken(self, last: bool) -> None:
        self.session.verb = "BDAT"
        if last:
            self.session.finish(bytes(self.session.mail.chunks))
        else:
            self.session.say("250", "2.0.0", f"{len(self.session.mail.chunks)} octets so far")


EXTENSIONS = [Chunking]
