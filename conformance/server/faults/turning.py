"""Faults of ETRN (RFC 1985), ATRN (RFC 2645) and TURN (RFC 821): what is answered, and how the server then behaves as client."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks
from conformance.server.faults._tools import says as _says
from conformance.server.faults._tools import turns as _reply

_OK = b"250 2.0.0 ok\r\n"


def _odmr_words(change: Callable[[list[str]], list[str]]) -> Hooks:
    return {"capabilities": lambda s, words: change(words) if s.service == "odmr" else words}


def _client(change: Callable[[bytes], bytes]) -> Hooks:
    """Everything that the server sends as client is changed."""
    return {"client": lambda s, octets, reply: change(octets)}


def _read_once(s: Any, octets: bytes) -> bytes:
    """Of a server that waits for the reply to its DATA with one read: what that brings is the reply."""
    turned = any(getattr(extension, "relay", None) for extension in s.extensions)
    return octets if not turned or octets[:1] != b"3" or octets.endswith(b"\r\n") else octets + b"\r\n"


def _content(change: Callable[[bytes], bytes]) -> Hooks:
    """The content that the server sends as client is changed, its last line aside."""

    def client(s: Any, octets: bytes, reply: Any) -> bytes:
        if octets.startswith(b"Received:"):
            return change(octets.removesuffix(b".\r\n")) + b".\r\n"
        return octets

    return {"client": client}


def _client_closes(when: Callable[[bytes], bool], instead: bytes | None = None) -> Hooks:
    """The server as client hangs up after (or, with ``instead``, in place of) such a command."""

    def client(s: Any, octets: bytes, reply: Any) -> bytes:
        if when(octets):
            s.closing = True
            return octets if instead is None else instead
        return octets

    return {"client": client}


def _mechanism(s: Any) -> str:
    return str(s.exchange.mechanism) if s.exchange else ""


def _without_user(s: Any) -> bytes:
    s.user = ""
    return b"535 5.7.8 wrong credentials\r\n"


def _with_user(s: Any) -> bytes:
    s.user = "alice"
    return b"235 2.7.0 authenticated\r\n"


def _after_failure(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "AUTH" and octets.startswith(b"535"):
        s.user = "alice"
    return octets


def _half_authenticated(s: Any, octets: bytes, verb: str) -> bytes:
    if verb == "AUTH" and octets.startswith(b"501 5.7.0"):
        s.user = "alice"
    return octets


def _turns_all_the_same(s: Any, verb: str) -> None:
    if verb == "ATRN" and s.reader is None:
        next(one for one in s.extensions if type(one).__name__ == "Atrn").turn_roles([])


def _judged(code: str, new: str, when: Callable[[Any], bool] = lambda held: True) -> Hooks:
    return {"judged": lambda s, found, held: new if found.startswith(code) and when(held) else found}


def _refusing(old: bytes, new: bytes) -> Hooks:
    return {"client": lambda s, octets, reply: new if octets == old and reply.code[:1] in "45" else octets}


def _stripped(octets: bytes) -> bytes:
    return re.sub(rb"\A(?:Received:[^\r]*\r\n(?:[ \t][^\r]*\r\n)*)+", b"", octets)


def _offered(*words: str, without: tuple[str, ...] = ()) -> Hooks:
    """The server as client takes these for offered, and does not see others."""
    return {"offered": lambda s, offers: {k: v for k, v in offers.items() if k not in without} | dict.fromkeys(words, "")}


def _others(s: Any, domains: list[str]) -> list[str]:
    return [*domains, *(f"{user}.{s.settings.dialup}" for user in s.world.accounts)]


def _unknown(s: Any, rest: bytes) -> bool:
    return bool(s.user) and b"not-ours.example" in rest


def _well_formed(rest: bytes) -> bool:
    return bool(re.fullmatch(rb"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+,?)*", rest)) and b",," not in rest and not rest.endswith(b",")


_COMMAND = re.compile(rb"(?:EHLO|HELO|MAIL|RCPT|DATA|RSET|QUIT)\b")
_ATRN: tuple[tuple[str, str, str, Hooks], ...] = (
    ("not-listed", "5.1.1/offers-auth-and-atrn", "EHLO does not list ATRN",
     _odmr_words(lambda words: [w for w in words if w != "ATRN"])),
    ("cram-not-listed", "5.1.2/cram-md5", "CRAM-MD5 is missing",
     _odmr_words(lambda words: [w.replace(" CRAM-MD5", "") for w in words])),
    ("cram-refused", "5.1.2/cram-md5-authenticates", "CRAM-MD5 never succeeds here",
     {"reply": lambda s, o, v: _without_user(s) if s.service == "odmr" and o.startswith(b"235") and _mechanism(s) == "CRAM-MD5" else o}),
    ("cram-any", "5.1.2/cram-md5-authenticates", "CRAM-MD5 takes any digest here",
     {"reply": lambda s, o, v: _with_user(s) if s.service == "odmr" and o.startswith(b"535") and _mechanism(s) == "CRAM-MD5" else o}),
    ("for-anyone", "5.2.1/needs-authentication", "ATRN is accepted before AUTH", _says("ATRN", _OK, lambda s, rest: not s.user)),
    ("no-mail-for-anyone", "5.2.1/needs-authentication", "ATRN before AUTH is answered as if after it",
     _reply("ATRN", b"530 5.7.0", b"453 4.0.0")),
    ("unauthenticated-503", "5.2.1/needs-authentication", "ATRN before AUTH gets 503", _reply("ATRN", b"530 5.7.0", b"503 5.5.1")),
    ("failed-auth-counts", "5.1.2/failed-is-not-authenticated", "A failed AUTH is enough", {"reply": _after_failure}),
    ("cancelled-auth-counts", "5.1.2/failed-is-not-authenticated", "A cancelled AUTH is enough", {"reply": _half_authenticated}),
    ("quit-needs-auth", "5.1/initial-quit", "QUIT before AUTH is refused",
     _says("QUIT", b"530 5.7.0 authentication required\r\n", lambda s, rest: s.service == "odmr" and not s.user)),
    ("quit-502", "5.2/authenticated-quit", "QUIT after AUTH is refused",
     _says("QUIT", b"502 5.5.1 only ATRN\r\n", lambda s, rest: s.service == "odmr" and bool(s.user))),
    ("foreign-accepted", "5.2.1/foreign-domain-450", "Somebody else's domain gets 250", _says("ATRN", _OK, _unknown)),
    ("foreign-453", "5.2.1/foreign-domain-450", "Somebody else's domain gets 453",
     _says("ATRN", b"453 4.0.0 you have no mail\r\n", _unknown)),
    ("foreign-550", "5.2.1/foreign-domain-450", "Somebody else's domain gets 550", _reply("ATRN", b"450 4.7.0", b"550 5.7.1")),
    ("suffix-is-enough", "5.2.1/foreign-domain-450", "A domain that ends like the customer's is the customer's",
     _says("ATRN", b"453 4.0.0 you have no mail\r\n", lambda s, rest: bool(s.user) and rest.startswith(b"not-example.test"))),
    ("every-customer", "5.2.1/foreign-domain-450", "Every customer has access to all domains", {"domains": _others}),
    ("first-domain-counts", "5.2.1/one-foreign-of-several", "Only the first domain is looked at",
     {"command": lambda s, line: line.split(b",")[0] if re.match(rb"(?i)ATRN [^,]", line) and s.user else line}),
    ("foreign-skipped", "5.2.1/one-foreign-of-several", "Domains of others are left out", {
        "command": lambda s, line: line if not s.user or not re.match(rb"(?i)ATRN .*,", line) else b"ATRN " + (b",".join(
            one for one in line[5:].split(b",") if one.decode().lower() in (s.settings.domain, f"{s.user}.{s.settings.dialup}"))
            or b"not-ours.example")}),
    ("lenient-list", "5.2.1/syntax", "Empty items of the list are skipped", {
        "command": lambda s, line: b"ATRN " + re.sub(rb",+", b",", line[5:]).strip(b",") if line.startswith(b"ATRN ") and s.user else line}),
    ("syntax-accepted", "5.2.1/syntax", "An argument that is no domain is accepted",
     _says("ATRN", _OK, lambda s, rest: bool(s.user) and not _well_formed(rest))),
    ("no-mail-550", "5.2.1/codes", "No mail is answered with 550", _reply("ATRN", b"453 4.0.0", b"550 5.0.0")),
    ("bare-501", "5.2.1/no-domains", "ATRN without domains is refused",
     _says("ATRN", b"501 5.5.4 name a domain\r\n", lambda s, rest: bool(s.user) and not rest)),
    ("bare-nothing", "5.2.1/no-domains", "ATRN without domains means none",
     _says("ATRN", b"453 4.0.0 you have no mail\r\n", lambda s, rest: bool(s.user) and not rest)),
    ("case-matters", "5.2.1/domain-case", "Domains are compared with regard to case",
     _says("ATRN", b"450 4.7.0 not your domain\r\n", lambda s, rest: bool(s.user) and rest != rest.lower())),
    ("mail-forgotten", "5.2.1/mail-waits-250", "Waiting mail is not found",
     _says("ATRN", b"453 4.0.0 you have no mail\r\n", lambda s, rest: bool(s.user) and b"dialup" in rest.lower())),
    ("turns-after-refusal", "5.3/rejected-keeps-roles", "The roles turn though ATRN was rejected", {"after": _turns_all_the_same}),
    ("speaks-first", "5.3/waits-for-greeting", "EHLO follows the 250 without our greeting",
     {"reply": lambda s, o, v: o + b"EHLO mx.example.test\r\n" if v == "ATRN" and o.startswith(b"250") else o}),
    ("stays-server", "5.3/roles-reverse", "After 250 the provider waits for commands",
     _says("ATRN", _OK, lambda s, rest: bool(s.user) and b"dialup" in rest)),
    ("helo-first", "5.3/begins-with-ehlo", "The provider says HELO", _client(lambda o: o.replace(b"EHLO ", b"HELO "))),
    ("no-fallback", "5.3/helo-fallback", "A refused EHLO ends the session",
     _client_closes(lambda o: o.startswith(b"HELO"), b"QUIT\r\n")),
    ("bad-identity", "5.3/identifies-itself", "The provider names itself with an underscore",
     _client(lambda o: re.sub(rb"^(EHLO|HELO) .*", rb"\1 mail_server\r", o))),
    ("no-identity", "5.3/identifies-itself", "EHLO without a name", _client(lambda o: re.sub(rb"^(EHLO|HELO) .*", rb"\1\r", o))),
    ("no-ehlo", "5.3/order-of-commands", "The provider begins with MAIL",
     _client(lambda o: b"MAIL FROM:<>\r\n" if o.startswith((b"EHLO", b"HELO")) else o)),
    ("no-rset", "5.3/order-of-commands", "MAIL follows a transaction that was not reset", _refusing(b"RSET\r\n", b"NOOP\r\n")),
    ("no-brackets", "5.3/command-syntax", "Paths have no brackets",
     _client(lambda o: re.sub(rb"(FROM|TO):<([^>]*)>", rb"\1:\2", o) if _COMMAND.match(o) else o)),
    ("quit-argument", "5.3/command-syntax", "QUIT has an argument", _client(lambda o: b"QUIT now\r\n" if o == b"QUIT\r\n" else o)),
    ("space-after-colon", "5.3/no-space-after-colon", "A space follows the colon",
     _client(lambda o: re.sub(rb"(FROM|TO):<", rb"\1: <", o) if _COMMAND.match(o) else o)),
    ("bare-lf", "5.3/lines-end-in-crlf", "Commands end in LF", _client(lambda o: o.replace(b"\r\n", b"\n") if _COMMAND.match(o) else o)),
    ("content-lf", "5.3/lines-end-in-crlf", "The content has bare line feeds", _content(lambda o: o.replace(b"\r\n", b"\n")[:-1] + b"\r\n")),
    ("pipelines", "5.3/one-at-a-time", "Commands are pipelined unasked", _offered("PIPELINING")),
    ("data-not-last", "5.3/one-at-a-time", "The content does not wait for the 354", {"client": lambda s, o, reply: _at_once(s, o)}),
    ("size-unasked", "5.3/only-what-is-offered", "SIZE= is used unasked", _offered("SIZE")),
    ("dsn-unasked", "5.3/only-what-is-offered", "NOTIFY= is used unasked",
     _client(lambda o: re.sub(rb"^(RCPT .*>)", rb"\1 NOTIFY=NEVER", o))),
    ("bdat-unasked", "5.3/only-what-is-offered", "BDAT is used unasked", _offered("CHUNKING")),
    ("eight-bit-sent", "5.3/eight-bit", "Octets above 127 are sent to everyone",
     _offered("8BITMIME") | _client(lambda o: o.replace(b" BODY=8BITMIME", b""))),
    ("eight-bit-not-said", "5.3/eight-bit", "BODY=8BITMIME is left out", _client(lambda o: o.replace(b" BODY=8BITMIME", b""))),
    ("body-unasked", "5.3/eight-bit", "8BITMIME is taken for granted", _offered("8BITMIME")),
    ("not-stuffed", "5.3/transparency", "Dots are not doubled", _content(lambda o: re.sub(rb"(?m)^\.\.", b".", o))),
    ("stuffed-first-only", "5.3/transparency", "Only the first dot of a message is doubled",
     _content(lambda o: re.sub(rb"(?m)^\.", b"..", re.sub(rb"(?m)^\.\.", b".", o), count=1))),
    ("stuffed-twice", "5.3/transparency", "Dots are doubled twice", _content(lambda o: re.sub(rb"(?m)^\.\.", b"...", o))),
    ("chunk-stuffed", "5.3/transparency", "Dots are doubled in BDAT too", _client(lambda o: _chunk_stuffed(o))),
    ("trailing-blanks-cut", "5.3/content-unchanged", "Trailing blanks are cut off", _content(lambda o: re.sub(rb"[ \t]+\r\n", b"\r\n", o))),
    ("long-lines-cut", "5.3/content-unchanged", "Lines are wrapped at 78",
     _content(lambda o: re.sub(rb"([^\r\n]{78})(?=[^\r\n])", rb"\1\r\n", o))),
    ("from-quoted", "5.3/content-unchanged", "From is quoted as in mbox", _content(lambda o: re.sub(rb"(?m)^From ", b">From ", o))),
    ("empty-lines-merged", "5.3/content-unchanged", "Empty lines are merged", _content(lambda o: re.sub(rb"(\r\n){3,}", b"\r\n\r\n", o))),
    ("big-message-cut", "5.3/content-unchanged", "The content is cut at 32 KiB", _content(lambda o: o[:32768] if len(o) > 32768 else o)),
    ("no-trace", "5.3/trace", "No Received field is added", _content(_stripped)),
    ("sender-lost", "5.3/envelope", "The return path is postmaster's",
     _client(lambda o: re.sub(rb"^MAIL FROM:<[^>]*>", b"MAIL FROM:<postmaster@example.test>", o))),
    ("null-sender-filled", "5.3/envelope", "The null path becomes MAILER-DAEMON",
     _client(lambda o: o.replace(b"MAIL FROM:<>", b"MAIL FROM:<MAILER-DAEMON@mx.example.test>"))),
    ("lower-cased", "5.3/envelope", "Addresses are put into lower case", _client(lambda o: o.lower() if o[:4] in (b"MAIL", b"RCPT") else o)),
    ("first-recipient-only", "5.3/envelope", "Only the first recipient is asked", {
        "waiting": lambda s, waiting, domains: [_cut(held) for held in waiting]}),
    ("one-message-only", "5.3/every-message", "One message is sent a session", {"waiting": lambda s, waiting, domains: waiting[:1]}),
    ("stops-at-refusal", "5.3/every-message", "The session ends at the first refusal", {
        "client": lambda s, o, reply: _gives_up(s, o) if reply.code[:1] in "45" and o[:4] not in (b"HELO", b"QUIT") else o}),
    ("dots-inside", "5.3/transparency", "A dot behind a blank is doubled, too", _content(lambda o: o.replace(b" .", b" .."))),
    ("eight-bit-comment", "5.3/eight-bit", "A field that is added has octets above 127", _content(lambda o: b"X-Relay: caf\xe9\r\n" + o)),
    ("segments", "5.3/any-replies", "The reply to DATA is what one read brings", {"received": _read_once}),
    ("first-line-is-all", "5.3/any-replies", "Each line of a reply is taken for a reply", {"more": lambda s, more: False}),
    ("text-needed", "5.3/any-replies", "A reply without a text is not understood", {"understood": lambda s, good, line: good and len(line) > 3}),
    ("text-searched", "5.3/any-replies", "The code is looked for in the text",
     {"understood": lambda s, good, line: good and not re.search(rb" (?:5[0-9][0-9]|421)\b", line[3:])}),
    ("only-250", "5.3/any-replies", "Only 250 counts as accepted", {"understood": lambda s, good, line: good and not re.match(rb"25[12]", line)}),
    ("short-replies", "5.3/any-replies", "A reply of more than 128 octets is not understood",
     {"understood": lambda s, good, line: good and len(line) < 128}),
    ("put-off-is-done", "5.3/kept-if-not-taken", "A 4yz reply is taken as success", _judged("4", "250")),
    ("put-off-is-refused", "5.3/kept-if-not-taken", "A 4yz reply is taken as final", _judged("4", "550")),
    ("lost-with-connection", "5.3/kept-if-not-taken", "What was not sent is dropped at the end of the session", {"kept": lambda s, kept: False}),
    ("one-for-all", "5.3/once", "All recipients are tried again if one was put off",
     {"undelivered": lambda s, rest, gone: rest + gone if rest else rest}),
    ("one-for-all-done", "5.3/once", "One accepted recipient is enough for all", {"undelivered": lambda s, rest, gone: []}),
    ("never-done", "5.3/once", "A message that was taken stays in the queue", {"undelivered": lambda s, rest, gone: rest + gone}),
    ("retries-5yz", "5.3/no-retry-after-5yz", "What was refused for good is tried again", _judged("5", "450")),
    ("silent-loss", "4/server-responsibilities", "What was refused for good vanishes", {"notice": lambda s, told, to: False}),
    ("notice-return-path", "4/server-responsibilities", "A notification has a return path",
     {"report": lambda s, octets, mail, told: octets.replace(b"Return-Path: <>", b"Return-Path: <postmaster@example.test>")}),
    ("data-all-the-same", "5.3/no-data-without-recipient", "DATA follows a refused recipient", _refusing(b"RSET\r\n", b"DATA\r\n")),
    ("no-quit", "5.3/quits", "The connection is closed without QUIT", _client_closes(lambda o: o == b"QUIT\r\n", b"")),
    ("drops-after-refusal", "5.3/quits", "A refusal ends the session without QUIT", {
        "client": lambda s, o, reply: _drops(s) if reply.code[:1] in "45" and o[:4] != b"HELO" else o}),
    ("hasty-quit", "5.3/awaits-quit-reply", "The answer to QUIT is not waited for", _client_closes(lambda o: o == b"QUIT\r\n")),
    ("after-quit", "5.3/quits", "NOOP follows QUIT", _client(lambda o: o + b"NOOP\r\n" if o == b"QUIT\r\n" else o)),
)  # fmt: skip


def _at_once(s: Any, octets: bytes) -> bytes:
    """DATA and the content leave together."""
    if octets == b"DATA\r\n":
        relay = next(one.relay for one in s.extensions if getattr(one, "relay", None))
        return octets + bytes(relay._content(relay.messages[0]))
    return b"" if octets.startswith(b"Received:") else octets


def _chunk_stuffed(octets: bytes) -> bytes:
    if not octets.startswith(b"BDAT"):
        return octets
    content = re.sub(rb"(?m)^\.", b"..", octets.partition(b"\r\n")[2])
    return b"BDAT %d LAST\r\n" % len(content) + content


def _cut(held: Any) -> Any:
    del held.recipients[1:]
    return held


def _gives_up(s: Any, octets: bytes) -> bytes:
    s.closing = True
    return b"QUIT\r\n"


def _drops(s: Any) -> bytes:
    s.closing = True
    return b""


def _mail(s: Any) -> bool:
    return s.state in ("mail", "rcpt")


def _reset(s: Any) -> bytes:
    s.reset()
    return b"503 5.5.1 bad sequence of commands\r\n"


_ETRN: tuple[tuple[str, str, str, Hooks], ...] = (
    ("parameter", "3/keyword-without-parameter", "The keyword has a parameter",
     {"capabilities": lambda s, words: ["ETRN node" if w == "ETRN" else w for w in words]}),
    ("in-transaction", "5/not-in-transaction", "ETRN inside a transaction is taken", _says("ETRN", _OK, lambda s, rest: _mail(s))),
    ("ends-transaction", "5/transaction-survives", "A refused ETRN ends the transaction",
     {"instead": lambda s, v, rest: _reset(s) if v == "ETRN" and _mail(s) else None}),
    ("before-ehlo", "5/session-first", "ETRN before EHLO gets 354", _says("ETRN", b"354 go on\r\n", lambda s, rest: not s.greeted)),
    ("once", "5/any-time-outside-transaction", "The second ETRN of a session closes it",
     {"after": lambda s, v: _counted(s) if v == "ETRN" else None}),
    ("drops-helo", "5/any-time-outside-transaction", "ETRN in a session of HELO is not answered", _says("ETRN", b"", lambda s, rest: s.greeted == "HELO")),
    ("begins-anew", "5/any-time-outside-transaction", "After ETRN another EHLO is wanted",
     {"after": lambda s, v: setattr(s, "greeted", "") if v == "ETRN" else None}),
    ("waits", "5.1/answers-at-once", "Nothing is answered while the queue is run", _says("ETRN", b"")),
    ("needs-transaction", "5/any-time-outside-transaction", "ETRN outside a transaction is a bad sequence",
     _says("ETRN", b"503 5.5.1 MAIL first\r\n", lambda s, rest: not _mail(s))),
    ("false-none", "5.1/no-false-251", "The queue is never looked at", _reply("ETRN", b"253 ", b"251 ")),
    ("count-zero", "5.1/no-false-251", "The count is always 0",
     {"reply": lambda s, o, v: re.sub(rb"253 2.0.0 \d+", b"253 2.0.0 0", o) if v == "ETRN" else o}),
    ("false-pending", "5.1/no-false-252", "Every ETRN is said to find mail",
     {"reply": lambda s, o, v: b"252 2.0.0 pending messages started\r\n" if v == "ETRN" and o.startswith(b"251") else o}),
    ("count-in-words", "5.1/count-in-253", "A 253 reply gives no number",
     {"reply": lambda s, o, v: b"253 2.0.0 some pending messages\r\n" if v == "ETRN" and o.startswith(b"25") else o}),
    ("no-argument", "5.1/argument-needed", "ETRN alone starts everything", _says("ETRN", _OK, lambda s, rest: not rest.strip())),
    ("no-argument-503", "5.1/syntax-codes", "ETRN alone gets 503",
     _says("ETRN", b"503 5.5.1 no\r\n", lambda s, rest: not rest.strip() and not _mail(s))),
    ("two-names", "5.1/ill-formed-node", "Only the first word is looked at", _says("ETRN", _OK, lambda s, rest: rest.count(b" ") == 1)),
    ("no-syntax", "5.1/ill-formed-node", "Every name is taken",
     _says("ETRN", _OK, lambda s, rest: bool(rest) and not _mail(s) and bool(s.greeted))),
    ("code-220", "5.1/valid-codes", "ETRN is answered with 220", _reply("ETRN", b"251 ", b"220 ")),
    ("code-200", "5.1/valid-codes", "ETRN is answered with 200", _reply("ETRN", b"251 ", b"200 ")),
    ("code-354", "5.1/valid-codes", "ETRN is answered with 354", _reply("ETRN", b"251 ", b"354 ")),
    ("refusal-550", "5.1/valid-codes", "A node without mail is refused with 550", _reply("ETRN", b"251 2.0.0", b"550 5.7.1")),
    ("after-message", "5/any-time-outside-transaction", "ETRN after a message is a bad sequence",
     {"content": lambda s, octets, sent: s.memory.update(sent=True) or octets,
      **_says("ETRN", b"503 5.5.1 no\r\n", lambda s, rest: "sent" in s.memory)}),
    ("at-sign", "5.3/subdomain-syntax", "The option for subdomains is a syntax error",
     _says("ETRN", b"501 5.5.4 no node\r\n", lambda s, rest: rest.startswith(b"@"))),
    ("not-implemented", "5.1/valid-codes", "ETRN is listed and not implemented",
     _says("ETRN", b"502 5.5.1 not implemented\r\n", lambda s, rest: True)),
)  # fmt: skip


def _counted(s: Any) -> None:
    s.memory["etrns"] = s.memory.get("etrns", 0) + 1
    s.closing = s.memory["etrns"] > 1


_TURN: tuple[tuple[str, str, str, Hooks], ...] = (
    ("code-550", "rfc821/4.3/turn-codes", "TURN is refused with 550", _reply("TURN", b"502 ", b"550 ")),
    ("closes", "rfc821/4.1.1/turn-refused-keeps-role", "A refused TURN ends the session",
     {"after": lambda s, v: setattr(s, "closing", True) if v == "TURN" else None}),
    ("argument", "rfc821/4.1.2/turn-without-argument", "TURN with an argument is taken",
     _says("TURN", _OK, lambda s, rest: bool(rest))),
    ("resets", "rfc821/4.1.1/turn-in-transaction", "A refused TURN ends the transaction",
     {"after": lambda s, v: s.reset() if v == "TURN" else None}),
)  # fmt: skip
_TURNED: tuple[tuple[str, str, str, Hooks], ...] = (
    ("code-220", "rfc821/4.3/turn-codes", "TURN is accepted with 220", _reply("TURN", b"250 ", b"220 ")),
    ("speaks-first", "rfc821/3.8/turn-250-swaps", "EHLO follows the 250 without our greeting",
     {"reply": lambda s, o, v: o + b"EHLO mx.example.test\r\n" if v == "TURN" and o.startswith(b"250") else o}),
    ("stays-server", "rfc821/3.8/turn-250-swaps", "After 250 the server waits for commands", _says("TURN", _OK, lambda s, rest: bool(s.user))),
    ("not-initial", "rfc821/3.8/turn-250-swaps", "The new sender begins with MAIL",
     _client(lambda o: b"MAIL FROM:<>\r\n" if o.startswith((b"EHLO", b"HELO")) else o)),
    ("nothing-sent", "rfc821/3.8/turn-250-swaps", "The mail that waits is not sent", {"waiting": lambda s, waiting, domains: []}),
    ("no-quit", "rfc821/4.1.1/turn-proper-sender", "The new sender closes without QUIT", _client_closes(lambda o: o == b"QUIT\r\n", b"")),
    ("bare-lf", "rfc821/4.1.1/turn-proper-sender", "The new sender's commands end in LF",
     _client(lambda o: o.replace(b"\r\n", b"\n") if _COMMAND.match(o) else o)),
    ("lost", "rfc821/4.1.1/turn-proper-sender", "What was not sent is dropped", {"kept": lambda s, kept: False}),
    ("never-done", "rfc821/4.1.1/turn-proper-sender", "What was taken stays in the queue",
     {"undelivered": lambda s, rest, gone: rest + gone}),
    ("for-anyone", "rfc5321/F.1/turn-needs-authentication", "TURN is accepted before AUTH",
     _says("TURN", _OK, lambda s, rest: not s.user)),
    ("all-mail", "rfc5321/F.1/turn-needs-authentication", "TURN hands out everybody's mail", {
        "waiting": lambda s, waiting, domains: s.world.queue.waiting(_others(s, []))}),
)  # fmt: skip
FAULTS = [
    *(Fault(f"atrn-{name}", f"rfc2645/{requirement}", summary, "odmr", hooks) for name, requirement, summary, hooks in _ATRN),
    *(Fault(f"etrn-{name}", f"rfc1985/{requirement}", summary, "smtp", hooks) for name, requirement, summary, hooks in _ETRN),
    *(Fault(f"turn-{name}", requirement, summary, "smtp", hooks) for name, requirement, summary, hooks in _TURN),
    *(Fault(f"turned-{name}", requirement, summary, "smtp", hooks, {"turn": True}) for name, requirement, summary, hooks in _TURNED),
    Fault("etrn-case", "rfc5321/2.4/verbs-case-insensitive", "etrn in lower case is unknown", "smtp",
          {"command": lambda s, line: b"X-UNKNOWN" if line.startswith(b"etrn") else line}),
    Fault("atrn-empty-no-quit", "rfc2645/5.2.1/no-mail-453", "With no mail the roles turn and nothing follows EHLO", "odmr",
          _client_closes(lambda o: o == b"QUIT\r\n", b""), {"empty_turn": True}),
]
