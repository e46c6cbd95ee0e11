"""Faults in the greeting, the commands and their order: RFC 5321 sections 2, 3 and 4.1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import line as _line
from conformance.server.faults._tools import says as _says
from conformance.server.faults._tools import turns as _turns

Answer = Callable[[Any, str, bytes], "bytes | None"]


def _row(verb: str, *states: str) -> dict[str, Callable[..., frozenset[str]]]:
    return {"states": lambda s, allowed, v: allowed | set(states) if v == verb else allowed}


def _after(verb: str, change: Callable[[Any], None]) -> dict[str, Callable[..., None]]:
    return {"after": lambda s, v: change(s) if v == verb else None}


def _drop(verb: str) -> dict[str, Callable[..., bytes]]:
    """After its reply to ``verb`` the server hangs up."""

    def reply(s: Any, octets: bytes, v: str) -> bytes:
        if v == verb:
            s.closing = True
        return octets

    return {"reply": reply}


def _header(old: bytes, new: bytes) -> dict[str, Callable[..., bytes]]:
    return {"content": lambda s, octets, sent: octets.replace(old, new)}


def _forget_sender(s: Any) -> None:
    s.reset()


_FIVE = b"501 5.5.4 syntax error\r\n"
_SEQ = b"503 5.5.1 bad sequence of commands\r\n"
_OK = b"250 2.0.0 ok\r\n"


def _lower_verbs(line: bytes) -> bytes:
    word = line.split(b" ")[0]
    return line if word.isupper() else b"X-" + line


FAULTS = [
    Fault(f"cmd-{name}", f"rfc5321/{requirement}", summary, "smtp", hooks)
    for name, requirement, summary, hooks in (
        ("greeting-250", "3.1/greeting-first", "The greeting is 250", _turns("GREETING", b"220 ", b"250 ")),
        ("greeting-twice", "3.1/greeting-first", "The greeting comes twice",
         {"reply": lambda s, o, v: o * 2 if v == "GREETING" else o}),
        ("greeting-no-name", "4.1.1.1/server-names-itself-in-greeting", "The greeting has no domain",
         _turns("GREETING", b"220 mx.example.test", b"220 *****")),
        ("greeting-short-name", "2.3.5/no-unqualified-names", "The greeting has a host name without domain",
         _turns("GREETING", b"mx.example.test", b"mx")),
        ("ehlo-no-name", "4.1.1.1/server-names-itself-in-ehlo", "The EHLO reply has no domain",
         _turns("EHLO", b"mx.example.test greets", b"_hello_ to")),
        ("ehlo-unknown", "2.2.1/ehlo-supported", "EHLO is not known", _says("EHLO", b"500 5.5.1 what?\r\n")),
        ("helo-unknown", "2.2.1/helo-supported", "HELO is not known", _says("HELO", b"500 5.5.1 what?\r\n")),
        ("helo-unsupported", "F.3/helo-processed", "HELO is no longer processed", _says("HELO", b"502 5.5.1 no\r\n")),
        ("helo-lists", "3.2/helo-reply-is-not-ehlo-style", "HELO is answered with extensions",
         {"reply": lambda s, o, v: b"250-mx.example.test\r\n250-PIPELINING\r\n250 SIZE\r\n" if v == "HELO" else o}),
        ("helo-no-name", "4.1.1.1/helo-replied-properly", "The HELO reply has no domain",
         _turns("HELO", b"250 mx.example.test", b"250 <ok>")),
        ("helo-empty", "4.1.1.1/helo-needs-argument", "HELO needs no argument",
         _says("HELO", _OK, lambda s, rest: not rest.strip())),
        ("ehlo-empty", "4.1.1.1/ehlo-needs-argument", "EHLO needs no argument",
         _says("EHLO", _OK, lambda s, rest: not rest.strip())),
        ("ehlo-literal", "4.1.1.1/ehlo-address-literal", "EHLO refuses address literals",
         _says("EHLO", _FIVE, lambda s, rest: rest.startswith(b"["))),
        ("ehlo-once", "4.1.4/ehlo-again", "EHLO can be given once",
         _says("EHLO", _SEQ, lambda s, rest: bool(s.greeted))),
        ("ehlo-keeps", "4.1.4/ehlo-clears-state", "EHLO leaves the transaction open",
         _says("EHLO", b"250 mx.example.test\r\n", lambda s, rest: s.state in ("mail", "rcpt") and bool(rest))),
        ("helo-keeps", "4.1.1.1/clears-transaction", "HELO leaves the transaction open",
         _says("HELO", b"250 mx.example.test\r\n", lambda s, rest: s.state in ("mail", "rcpt"))),
        ("ehlo-keyword", "2.2.2/registered-keywords-only", "An unregistered keyword is offered",
         {"capabilities": lambda s, words: [*words, "TURBO"]}),
        ("ehlo-two-blanks", "4.1.1.1/ehlo-line-syntax", "A line of the EHLO list has an underscore in its keyword",
         {"capabilities": lambda s, words: [*words, "X_LOCAL"]}),
        ("ehlo-list-on-top", "4.1.1.1/ehlo-first-line-no-keyword", "The first EHLO line is a keyword",
         _turns("EHLO", b"250-mx.example.test", b"250-PIPELINING\r\n250-XFIRST")),
        ("help-unlisted", "4.1.1.1/help-listed", "HELP works, but is not listed",
         {"capabilities": lambda s, words: [w for w in words if w != "HELP"]}),
        ("expn-unlisted", "3.5.2/expn-listed", "EXPN works, but is not listed",
         _says("EXPN", b"250 2.1.5 <alice@example.test>\r\n")),
        ("no-8bitmime", "2.4/eightbitmime-supported", "8BITMIME is not offered",
         {"capabilities": lambda s, words: [w for w in words if w != "8BITMIME"]}),
        ("ehlo-name-checked", "4.1.4/no-refusal-for-unmatched-name", "A message is refused for its EHLO name",
         _says("MAIL", b"550 5.7.1 who are you\r\n", lambda s, rest: s.client == "mail.example.com")),
        ("upper-case-verbs", "2.4/verbs-case-insensitive", "Verbs must be in upper case", _line(_lower_verbs)),
        ("upper-case-from", "2.4/keywords-case-insensitive", "FROM: must be in upper case",
         _says("MAIL", _FIVE, lambda s, rest: rest[:5].upper() == b"FROM:" and rest[:5] != b"FROM:")),
        ("upper-case-to", "2.4/keywords-case-insensitive", "TO: must be in upper case",
         _says("RCPT", _FIVE, lambda s, rest: rest[:3].upper() == b"TO:" and rest[:3] != b"TO:")),
        ("domain-case", "2.4/domains-case-insensitive", "A domain in upper case is another domain",
         _says("RCPT", b"550 5.1.1 no\r\n", lambda s, rest: b"EXAMPLE.TEST" in rest)),
        ("lower-cased-path", "2.4/local-part-case-preserved", "The return path is put into lower case",
         _line(lambda x: x.lower() if x.startswith(b"MAIL") else x)),
        ("null-path", "4.1.1.2/null-path", "The null path is refused",
         _says("MAIL", b"550 5.1.8 no\r\n", lambda s, rest: b"<>" in rest)),
        ("mail-early", "4.1.1.1/ehlo-or-helo-before-mail", "MAIL needs no EHLO", _row("MAIL", "new")),
        ("mail-nested", "4.1.4/nested-mail-refused", "MAIL inside a transaction is accepted",
         _row("MAIL", "mail", "rcpt")),
        ("mail-nested-ignored", "4.1.1.2/clears-buffers", "MAIL inside a transaction is accepted, and changes nothing",
         _says("MAIL", _OK, lambda s, rest: s.state in ("mail", "rcpt"))),
        ("mail-nested-clears", "4.1.4/nested-mail-keeps-transaction", "A refused MAIL clears the transaction",
         {"reply": lambda s, o, v: (s.reset(), o)[1] if v == "MAIL" and o.startswith(b"503") else o}),
        ("mail-ignores-parameters", "4.1.1.11/mail-unknown-parameter-555", "Unknown MAIL parameters are ignored",
         _line(lambda x: x.replace(b" XUNKNOWN=1", b"").replace(b" XUNKNOWN", b""))),
        ("rcpt-ignores-parameters", "4.1.1.11/rcpt-unknown-parameter-555", "Unknown RCPT parameters are ignored",
         _line(lambda x: x.partition(b"> ")[0] + b">" if x[:4] == b"RCPT" and b"> " in x else x)),
        ("mail-without-path", "4.1.1.2/reverse-path-required", "MAIL FROM: alone is accepted",
         _says("MAIL", _OK, lambda s, rest: rest == b"FROM:")),
        ("mail-loose-path", "4.1.2/path-well-formed", "An unclosed path is accepted",
         _says("MAIL", _OK, lambda s, rest: b"<" in rest and b">" not in rest)),
        ("no-source-routes", "4.1.2/source-route-accepted", "Source routes are a syntax error",
         _says("MAIL", _FIVE, lambda s, rest: rest[5:7] == b"<@")),
        ("rcpt-no-source-routes", "4.1.1.3/source-route-recognised", "Source routes are a syntax error in RCPT",
         _says("RCPT", _FIVE, lambda s, rest: rest[3:5] == b"<@")),
        ("no-quoted-strings", "4.1.2/quoted-string-accepted", "Quoted local parts are refused",
         _says("MAIL", _FIVE, lambda s, rest: b'"' in rest)),
        ("few-atoms", "4.1.2/atext", "Only letters, digits and dots are taken in a local part",
         _says("MAIL", _FIVE, lambda s, rest: b"+" in rest or b"=" in rest)),
        ("rcpt-early", "3.3/rcpt-needs-mail", "RCPT before MAIL gets 250",
         _says("RCPT", _OK, lambda s, rest: s.state in ("new", "greeted"))),
        ("rcpt-early-554", "4.1.4/out-of-order-503", "RCPT before MAIL gets 554",
         _says("RCPT", b"554 5.5.1 no\r\n", lambda s, rest: s.state in ("new", "greeted"))),
        ("rcpt-last-only", "4.1.1.3/appends-forward-path", "A recipient replaces those before",
         _after("RCPT", lambda s: s.mail.recipients.__delitem__(slice(0, -1)))),
        ("rcpt-refusal-resets", "4.1.1.3/refused-not-appended", "A refused recipient ends the transaction",
         {"reply": lambda s, o, v: (s.reset(), o)[1] if v == "RCPT" and o.startswith(b"550") else o}),
        ("rcpt-null", "4.1.1.3/null-forward-path-refused", "The null path is taken as a recipient",
         _says("RCPT", _OK, lambda s, rest: rest == b"TO:<>")),
        ("postmaster-needs-domain", "2.3.5/postmaster-without-domain", "A bare postmaster is refused",
         _says("RCPT", b"550 5.1.1 no\r\n", lambda s, rest: b"postmaster>" in rest.lower())),
        ("postmaster-case", "4.1.1.3/postmaster-case-insensitive", "Postmaster must be in lower case",
         _says("RCPT", b"550 5.1.1 no\r\n", lambda s, rest: b"POSTMASTER" in rest)),
        ("relay-553", "3.6.2/relay-declined-550", "Relaying is refused with 553",
         {"reply": lambda s, o, v: o.replace(b"550 5.7.1", b"553 5.7.1") if v == "RCPT" else o}),
        ("data-early", "3.3/data-without-rcpt-refused", "DATA without recipients gets 354",
         {"states": lambda s, allowed, v: allowed | {"mail"} if v == "DATA" else allowed}),
        ("data-argument", "4.1.1/data-argument-refused", "DATA with an argument is accepted",
         _line(lambda x: b"DATA" if x[:5] == b"DATA " else x)),
        ("rset-argument", "4.1.1/rset-argument-refused", "RSET with an argument is accepted",
         _says("RSET", _OK, lambda s, rest: bool(rest.strip()))),
        ("quit-argument", "4.1.1/quit-argument-refused", "QUIT with an argument is accepted",
         _line(lambda x: b"QUIT" if x[:5] == b"QUIT " else x)),
        ("trailing-blank", "4.1.1/trailing-space-tolerated", "A trailing blank is a syntax error",
         _line(lambda x: b"X-" + x if x.endswith(b" ") else x)),
        ("rset-keeps-all", "4.1.1.5/discards-sender", "RSET changes nothing", _says("RSET", _OK)),
        ("rset-keeps-recipients", "4.1.1.5/discards-recipients", "RSET changes nothing", _says("RSET", _OK)),
        ("rset-503", "4.1.1.5/250", "RSET in a transaction gets 503",
         _says("RSET", _SEQ, lambda s, rest: s.state in ("mail", "rcpt"))),
        ("rset-early", "4.1.4/rset-without-ehlo", "RSET before EHLO gets 503",
         _says("RSET", _SEQ, lambda s, rest: not s.greeted)),
        ("rset-forgets-ehlo", "4.1.1.5/noop-outside-transaction", "RSET undoes EHLO",
         _after("RSET", lambda s: setattr(s, "greeted", ""))),
        ("rset-closes", "4.1.1.5/no-close", "RSET closes the connection", _drop("RSET")),
        ("noop-early", "4.1.4/noop-without-ehlo", "NOOP before EHLO gets 503",
         _says("NOOP", _SEQ, lambda s, rest: not s.greeted)),
        ("noop-argument", "4.1.1.9/parameter-ignored", "NOOP with an argument is a syntax error",
         _says("NOOP", _FIVE, lambda s, rest: bool(rest))),
        ("noop-200", "4.1.1.9/250", "NOOP gets 200", _says("NOOP", b"200 ok\r\n")),
        ("noop-resets", "4.1.1.9/no-effect-on-buffers", "NOOP ends the transaction", _after("NOOP", _forget_sender)),
        ("help-resets", "4.1.1.8/no-effect-on-buffers", "HELP ends the transaction", _after("HELP", _forget_sender)),
        ("vrfy-resets", "4.1.1.6/no-effect-on-buffers", "VRFY ends the transaction", _after("VRFY", _forget_sender)),
        ("expn-resets", "4.1.1.7/no-effect-on-buffers", "EXPN ends the transaction", _after("EXPN", _forget_sender)),
        ("help-missing", "4.1.1.8/help-supported", "HELP is not known", _says("HELP", b"500 5.5.1 what?\r\n")),
        ("help-early", "4.1.4/help-without-ehlo", "HELP before EHLO gets 503",
         _says("HELP", _SEQ, lambda s, rest: not s.greeted)),
        ("vrfy-missing", "3.5.1/vrfy-supported", "VRFY is not known", _says("VRFY", b"502 5.5.1 no\r\n")),
        ("vrfy-early", "4.1.4/vrfy-without-ehlo", "VRFY before EHLO gets 503",
         _says("VRFY", _SEQ, lambda s, rest: not s.greeted)),
        ("expn-early", "4.1.4/expn-without-ehlo", "EXPN before EHLO gets 503",
         _says("EXPN", _SEQ, lambda s, rest: not s.greeted)),
        ("vrfy-yes-to-all", "3.5.3/no-250-unless-verified", "VRFY confirms everything",
         {"instead": lambda s, v, rest: b"250 2.1.5 <" + rest + b">\r\n" if v == "VRFY" else None}),
        ("expn-yes-to-all", "3.5.3/expn-no-250-unless-verified", "EXPN confirms everything",
         {"instead": lambda s, v, rest: b"250 2.1.5 <" + rest + b">\r\n" if v == "EXPN" else None}),
        ("vrfy-no-mailbox", "3.5.1/vrfy-250-has-mailbox", "VRFY's 250 has no mailbox",
         _says("VRFY", b"250 2.1.5 Alice it is\r\n")),
        ("vrfy-form", "3.5.1/vrfy-250-form", "VRFY's 250 has another form",
         _says("VRFY", b"250 2.1.5 <alice@example.test> is known here\r\n")),
        ("vrfy-no-brackets", "3.5.2/angle-brackets", "VRFY's address has no brackets",
         _says("VRFY", b"250 2.1.5 alice@example.test\r\n")),
        ("vrfy-route", "3.5.2/no-source-route-returned", "VRFY returns a source route",
         _says("VRFY", b"250 2.1.5 <@mx.example.test:alice@example.test>\r\n")),
        ("quit-250", "4.1.1.10/221", "QUIT gets 250", _turns("QUIT", b"221 ", b"250 ")),
        ("quit-stays", "4.1.1.10/closes", "The connection stays open after QUIT", _says("QUIT", b"221 2.0.0 bye\r\n")),
        ("unknown-closes", "3.8/unknown-command-no-close", "An unknown command closes the connection",
         _drop("FROBNICATE")),
        ("unknown-250", "3.8/unknown-command-500", "Unknown commands get 250", _says("FROBNICATE", _OK)),
        ("private-250", "4.1.5/unknown-x-command-500", "Unknown private commands get 250", _says("XFROB", _OK)),
        ("turn-for-all", "F.1/turn-needs-authentication", "TURN is accepted from anyone", _says("TURN", _OK)),
        ("no-received", "4.1.1.4/trace-inserted", "No Received field is added", _header(b"Received:", b"X-Received:")),
        ("two-digit-year", "F.5/four-digit-years", "Dates have two-digit years", _header(b" 202", b" 2")),
        ("lost-message", "2.1/accept-responsibility", "An accepted message from a foreign domain is lost",
         {"content": lambda s, octets, sent: None if b"From: someone@example.com" in sent else octets}),
        ("return-path-lost", "4.1.1.2/return-path-kept", "The return path is not kept",
         _header(b"Return-Path: <", b"Return-Path: <x-")),
        ("trace-rewritten", "3.7.2/received-unaltered", "Older Received fields are rewritten",
         _header(b"Received: from a.example.com", b"Received: from [unknown]")),
        ("extra-line", "4.1.1.4/no-extra-crlf", "An empty line is added",
         {"content": lambda s, octets, sent: octets + b"\r\n"}),
    )
]  # fmt: skip
FAULTS += [
    Fault("cmd-lf-dot-lf", "rfc5321/4.1.1.4/lf-dot-lf-no-end", "LF dot LF ends the data", "smtp",
          settings={"data_ends": (b"\r\n.\r\n", b"\n.\n")}),
    Fault("cmd-open-relay", "rfc5068/3.2/no-open-relay", "Anybody's mail is relayed", "smtp",
          _says("RCPT", _OK, lambda s, rest: b"elsewhere" in rest.lower())),
    Fault("cmd-open-submission", "rfc5068/3.1/authentication-for-all-mail", "Submission needs no authentication",
          "submission", _says("RCPT", _OK, lambda s, rest: True) | {"states": lambda s, allowed, v: allowed | {"greeted"}}),
    Fault("cmd-turn-250", "rfc821/4.3/turn-codes", "TURN is refused with 550", "smtp",
          _says("TURN", b"550 5.5.1 no\r\n")),
]  # fmt: skip
