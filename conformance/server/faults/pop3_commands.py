"""Faults of POP3's own commands: states, counts, deletion, TOP, UIDL, locks (RFC 1939)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import instead as _instead
from conformance.server.faults._tools import reply as _reply

_R = "rfc1939/"


def _pop(name: str, requirement: str, summary: str, hooks: dict[str, Callable[..., Any]] | None = None, **settings: Any) -> Fault:
    return Fault(name, requirement, summary, "pop3", hooks or {}, settings)


def _early(verb: str) -> dict[str, Callable[..., Any]]:
    return _instead(verb, b"+OK\r\n", "authorization")


def _rewrite(pattern: bytes, new: bytes) -> dict[str, Callable[..., Any]]:
    """Commands are read more kindly than they should be."""
    return {"command": lambda s, line: re.sub(pattern, new, line)}


def _deleted_ok(verb: str) -> dict[str, Callable[..., Any]]:
    """A verb does not look whether the message is marked."""

    def found(session: Any, word: str, rest: bytes) -> bytes | None:
        number = rest.split(b" ")[0]
        if word == verb and session.state == "transaction" and number.isdigit() and int(number) in session.deleted:
            return b"+OK %s 0\r\n" % number if verb in ("LIST", "DELE", "UIDL") else b"+OK\r\n.\r\n"
        return None

    return {"instead": found}


def _any_number(verb: str) -> dict[str, Callable[..., Any]]:
    """A verb takes numbers that no message has."""

    def found(session: Any, word: str, rest: bytes) -> bytes | None:
        number = rest.split(b" ")[0]
        if word == verb and session.state == "transaction" and number.isdigit():  # noqa: SIM102
            if not 1 <= int(number) <= len(session.messages):
                return b"+OK %s 0\r\n" % number if verb in ("LIST", "DELE", "UIDL") else b"+OK\r\n.\r\n"
        return None

    return {"instead": found}


def _remove(session: Any, numbers: set[int]) -> None:
    session.box.remove({session.messages[number - 1].uid for number in numbers})


def _delete_at_once(session: Any, verb: str) -> None:
    if verb == "DELE" and session.box:
        _remove(session, set(session.deleted))


def _kept_marks(session: Any, verb: str) -> None:
    if verb == "DELE":
        session.memory["marks"] = set(session.deleted)
    elif verb == "RSET":
        session.deleted |= session.memory.get("marks", set())


def _renumbered(session: Any, octets: bytes, verb: str) -> bytes:
    if verb != "LIST" or not session.deleted or octets.count(b"\r\n") < 3:
        return octets
    first, *lines = octets.split(b"\r\n")
    out = [re.sub(rb"^[0-9]+", b"%d" % (index + 1), line) for index, line in enumerate(lines)]
    return b"\r\n".join([first, *out])


def _with_deleted(session: Any, octets: bytes, verb: str) -> bytes:
    if verb in ("LIST", "UIDL") and octets.endswith(b"\r\n.\r\n") and session.deleted:
        more = b"".join(b"%d 0\r\n" % number for number in sorted(session.deleted))
        return octets[:-3] + more + b".\r\n"
    return octets


def _wrapped(line: bytes) -> bytes:
    return re.sub(rb"(?i)^(RETR|DELE|LIST|TOP|UIDL) ([0-9]{5,})", lambda m: m[1] + b" %d" % (int(m[2]) % 2**32), line)


def _vanish_removes(session: Any) -> None:
    _remove(session, session.deleted)


def _end_is_line_end(session: Any) -> None:
    if bytes(session.buffer).upper() == b"QUIT":
        _remove(session, session.deleted)


def _locks_all(session: Any, verb: str, rest: bytes) -> bytes | None:
    others = (box for name, box in session.world.storage._boxes.items() if name != session.name)
    return b"-ERR [IN-USE] busy\r\n" if verb == "PASS" and any(box.locked for box in others) else None


def _steals_lock(session: Any, verb: str) -> None:
    if verb == "PASS" and session.state == "authorization" and getattr(session, "previous", None):
        session.world.storage.mailbox(session.previous).locked = False


def _prefix(session: Any, verb: str, rest: bytes) -> bytes | None:
    """A password is compared up to the shorter length."""
    if verb != "PASS" or session.state != "authorization" or not session.name or not rest:
        return None
    right = session.world.accounts.get(session.name, "").encode()
    size = min(len(right), len(rest))
    if right and rest[:size] == right[:size]:
        name, session.name = session.name, None
        session._open(name)
        return b""
    return None


def _folded(session: Any, verb: str, rest: bytes) -> bytes | None:
    if verb != "PASS" or session.state != "authorization" or not session.name:
        return None
    if rest.lower() == session.world.accounts.get(session.name, "").lower().encode():
        name, session.name = session.name, None
        session._open(name)
        return b""
    return None


def _remembers(session: Any, verb: str) -> None:
    """A refused PASS leaves the name standing."""
    if verb == "PASS" and session.state == "authorization":
        session.name = session.previous


def _any_apop(session: Any, verb: str, rest: bytes) -> bytes | None:
    name = rest.split(b" ")[0].decode("latin-1")
    if verb == "APOP" and rest.count(b" ") == 1 and session.state == "authorization" and name in session.world.accounts:
        session._open(name)
        return b""
    return None


def _same_stamp(session: Any, octets: bytes, verb: str) -> bytes:
    if verb == "GREETING":
        session.timestamp = "<1.1@mx.example.test>"
        return re.sub(rb"<[^>]*>", b"<1.1@mx.example.test>", octets)
    return octets


_LATE = {verb: _instead(verb, b"+OK\r\n", "transaction") for verb in ("USER", "PASS", "APOP", "STLS")}
_EARLY = [
    _pop(f"pop3-{verb.lower()}-before-login", _R + "3/wrong-state", f"{verb} is answered positively before the login", _early(verb))
    for verb in ("STAT", "LIST", "RETR", "DELE", "NOOP", "RSET", "TOP", "UIDL")
]  # fmt: skip
_DELETED = [
    _pop(f"pop3-{verb.lower()}-takes-deleted", _R + requirement, f"{verb} takes the number of a deleted message", _deleted_ok(verb))
    for verb, requirement in (
        ("LIST", "5/list-deleted-refused"), ("RETR", "5/retr-deleted-refused"), ("DELE", "5/dele-deleted-refused"),
        ("TOP", "7/top-deleted-refused"), ("UIDL", "7/uidl-deleted-refused"),
    )
]  # fmt: skip
_NONE = [
    _pop(f"pop3-{verb.lower()}-takes-any-number", _R + requirement, f"{verb} takes a number that no message has", _any_number(verb))
    for verb, requirement in (
        ("LIST", "5/list-no-such-message"), ("RETR", "5/retr-no-such-message"), ("DELE", "5/dele-no-such-message"),
        ("TOP", "7/top-no-such-message"), ("UIDL", "7/uidl-no-such-message"),
    )
]  # fmt: skip
_BARE = [
    _pop(f"pop3-{verb.lower()}-without-argument", _R + requirement, f"{verb} without its argument is accepted", _instead(verb, answer, rest=b""))
    for verb, requirement, answer in (
        ("RETR", "5/retr-needs-number", b"+OK\r\n.\r\n"), ("DELE", "5/dele-needs-number", b"+OK\r\n"),
        ("TOP", "7/top-needs-both-arguments", b"+OK\r\n.\r\n"), ("USER", "7/user-needs-name", b"+OK\r\n"),
        ("PASS", "7/pass-needs-argument", b"+OK\r\n"), ("APOP", "7/apop-needs-both-arguments", b"+OK\r\n"),
    )
]  # fmt: skip

FAULTS = [
    *_EARLY, *_DELETED, *_NONE, *_BARE,
    _pop("pop3-greeting-negative", _R + "4/greeting-is-positive", "the greeting is negative", _reply("GREETING", lambda o: b"-ERR" + o[3:])),
    _pop("pop3-greeting-two-lines", _R + "4/greeting-is-one-line", "the greeting has a second line", _reply("GREETING", lambda o: o + b"+OK welcome\r\n")),
    _pop("pop3-greeting-long", "rfc2449/4/response-of-512-octets", "the greeting is longer than 512 octets", _reply("GREETING", lambda o: o[:-2] + b"." * 600 + b"\r\n")),
    _pop("pop3-greeting-control", "rfc2449/3/greeting-syntax", "the greeting holds a tab", _reply("GREETING", lambda o: o.replace(b" POP3", b"\tPOP3"))),
    _pop("pop3-status-lower-case", _R + "3/status-upper-case", "the status indicator is in lower case", {"reply": lambda s, o, v: o.replace(b"+OK", b"+ok", 1) if o.startswith(b"+OK") else o}),
    _pop("pop3-error-lower-case", _R + "3/status-upper-case", "the negative status indicator is in lower case", {"reply": lambda s, o, v: o.replace(b"-ERR", b"-err", 1) if o.startswith(b"-ERR") else o}),
    _pop("pop3-status-without-space", "rfc2449/3/single-line-syntax", "text follows the status indicator without a space", _reply("NOOP", lambda o: b"+OKdone\r\n")),
    _pop("pop3-bare-lf-replies", _R + "3/responses-end-in-crlf", "replies end in LF", {"reply": lambda s, o, v: o.replace(b"\r\n", b"\n") if v in ("STAT", "NOOP") else o}),
    _pop("pop3-multi-line-bare-lf", _R + "3/multi-line-lines-end-in-crlf", "the lines of messages end in LF", {"block": lambda s, o, lines: o.replace(b"\r\n", b"\n") if s.verb == "RETR" else o}),
    _pop("pop3-unknown-command-ok", _R + "3/unknown-command", "an unknown command is answered positively", {"instead": lambda s, v, r: b"+OK\r\n" if v in ("XYZZ", "XYZ", "EHLO", "STATX") else None}),
    _pop("pop3-two-replies", _R + "3/one-response-per-command", "NOOP is answered twice", _instead("NOOP", b"+OK\r\n+OK\r\n", "transaction")),
    _pop("pop3-empty-line-ignored", _R + "3/invalid-syntax", "an empty line is ignored", _instead("", b"")),
    _pop("pop3-case-sensitive", _R + "3/keywords-case-insensitive", "keywords are recognised in upper case only", {"command": lambda s, line: b"XXXX" + line if line[:1].islower() or line[:4] in (b"StAt", b"nOoP", b"Retr") else line}),
    _pop("pop3-keyword-prefix", _R + "3/unknown-command", "only four letters of a keyword are looked at", _rewrite(rb"^(STAT|RETR|NOOP)[A-Z]+", rb"\1")),
    _pop("pop3-echoes-long-commands", "rfc2449/4/response-of-512-octets", "a refusal repeats the whole command", {"instead": lambda s, v, r: b"-ERR no such command " + v.encode() * 3 + b" " + r + b"\r\n" if len(v) > 200 else None}),
    _pop("pop3-short-command-line", "rfc2449/4/command-of-255-octets", "commands of more than 80 octets are refused", None, pop3_line=80),
    _pop("pop3-extra-argument-stat", _R + "3/excess-arguments", "STAT ignores an argument", _rewrite(rb"^STAT .*", b"STAT")),
    _pop("pop3-extra-argument-noop", _R + "3/excess-arguments", "NOOP ignores an argument", _rewrite(rb"^NOOP .*", b"NOOP")),
    _pop("pop3-extra-argument-quit", _R + "3/excess-arguments", "QUIT ignores an argument", _rewrite(rb"^QUIT .*", b"QUIT")),
    _pop("pop3-extra-argument-retr", _R + "3/excess-arguments", "RETR ignores a second argument", _rewrite(rb"^(RETR|DELE|LIST|UIDL) ([0-9]+) .*", rb"\1 \2")),
    _pop("pop3-double-space", _R + "3/single-space-separates", "several blanks or a tab separate like one", _rewrite(rb"[ \t]+", b" ")),
    _pop("pop3-signed-number", _R + "3/plus-sign", "a number may have a plus sign", _rewrite(rb" [+]([0-9])", rb" \1")),
    _pop("pop3-number-with-tail", _R + "3/invalid-syntax", "what follows the digits of a number is ignored", _rewrite(rb"^(RETR|LIST|DELE|UIDL|TOP) ([0-9]+)[a-z,-][^ ]*", rb"\1 \2")),
    _pop("pop3-negative-number", _R + "3/invalid-syntax", "a negative number counts from the end", _rewrite(rb"^(RETR|LIST|DELE|UIDL|TOP) -[01]", rb"\1 1")),
    _pop("pop3-number-wraps", _R + "5/retr-no-such-message", "a number is taken modulo 2 to the 32nd", {"command": lambda s, line: _wrapped(line)}),
    _pop("pop3-leading-zero-octal", _R + "4/decimal", "a number with a leading zero is octal", {"command": lambda s, line: re.sub(rb" 0([0-7]+)$", lambda m: b" %d" % int(m[1], 8), line)}),
    _pop("pop3-error-logs-out", _R + "3/error-keeps-session", "an unknown command ends the session", {"instead": lambda s, v, r: (setattr(s, "closing", True), b"-ERR goodbye\r\n")[1] if v == "XYZZ" else None}),  # type: ignore[func-returns-value]
    _pop("pop3-idle-two-seconds", _R + "3/autologout-minimum", "an idle session is closed after a second and a half", None, timeout=1.5),
    _pop("pop3-user-in-transaction", _R + "3/authorization-command-in-transaction", "USER is accepted after the login", _LATE["USER"]),
    _pop("pop3-pass-in-transaction", _R + "3/authorization-command-in-transaction", "PASS is accepted after the login", _LATE["PASS"]),
    _pop("pop3-apop-in-transaction", _R + "3/authorization-command-in-transaction", "APOP is accepted after the login", _LATE["APOP"]),
    _pop("pop3-stls-in-transaction", "rfc2595/4/stls-authorization-only", "STLS is accepted after the login", _LATE["STLS"]),
    _pop("pop3-stat-two-spaces", _R + "5/stat-format", "two spaces follow +OK in the answer to STAT", _reply("STAT", lambda o: o.replace(b"+OK ", b"+OK  ", 1))),
    _pop("pop3-stat-talks", _R + "5/stat-no-more", "text follows the size in the answer to STAT", _reply("STAT", lambda o: o[:-2] + b" octets\r\n" if o.startswith(b"+OK") else o)),
    _pop("pop3-stat-counts-deleted", _R + "5/stat-without-deleted", "STAT counts deleted messages", {"stat": lambda s, t: f"{len(s.messages)} {t.split()[1]}"}),
    _pop("pop3-stat-sums-deleted", _R + "5/stat-without-deleted", "STAT counts the size of deleted messages", {"stat": lambda s, t: f"{t.split()[0]} {sum(s.size(n + 1) for n in range(len(s.messages)))}"}),
    _pop("pop3-stat-off-by-one", _R + "5/stat-count", "STAT tells one message too many", {"stat": lambda s, t: f"{int(t.split()[0]) + 1} {t.split()[1]}"}),
    _pop("pop3-stat-size-wrong", _R + "5/stat-size", "STAT's size leaves the last message out", {"stat": lambda s, t: f"{t.split()[0]} {sum(s.size(n) for n in s.present()[:-1])}"}),
    _pop("pop3-list-talks", _R + "5/scan-listing-no-more", "text follows the size in a scan listing", {"block": lambda s, o, lines: o.replace(b"\r\n", b" octets\r\n") if s.verb == "LIST" else o}),
    _pop("pop3-list-tab", _R + "5/scan-listing-format", "a tab stands in a scan listing", {"block": lambda s, o, lines: o.replace(b" ", b"\t") if s.verb == "LIST" else o}),
    _pop("pop3-list-empty-refused", _R + "5/list-empty", "LIST on an empty maildrop is refused", {"instead": lambda s, v, r: b"-ERR no messages\r\n" if v == "LIST" and s.box and not r and not s.present() else None}),
    _pop("pop3-list-one-multi-line", _R + "5/list-one-single-line", "LIST with a number is multi-line", {"reply": lambda s, o, v: o + b".\r\n" if v == "LIST" and re.match(rb"[+]OK [0-9]+ [0-9]+\r\n\Z", o) else o}),
    _pop("pop3-list-with-deleted", _R + "5/list-without-deleted", "LIST lists deleted messages", {"reply": lambda s, o, v: _with_deleted(s, o, v) if v == "LIST" else o}),
    _pop("pop3-list-renumbers", _R + "5/list-without-deleted", "LIST numbers what is left afresh", {"reply": _renumbered}),
    _pop("pop3-numbers-from-zero", _R + "4/numbers-from-one", "LIST numbers messages from 0", {"block": lambda s, o, lines: re.sub(rb"(?m)^([0-9]+) ", lambda m: b"%d " % (int(m[1]) - 1), o) if s.verb == "LIST" else o}),
    _pop("pop3-size-counts-lf", _R + "11/octets-with-crlf", "a line end counts as one octet", {"size": lambda s, n: n - 5}),
    _pop("pop3-size-counts-stuffing", _R + "11/stuffing-not-counted", "the dots of stuffing are counted", {"size": lambda s, n: n if s.verb not in ("LIST", "STAT") else n + sum(o.octets.count(b"\r\n.") for o in s.messages[:1])}),
    _pop("pop3-size-rounded", _R + "5/list-exact-size", "sizes are rounded up to blocks", {"size": lambda s, n: -(-n // 1024) * 1024}),
    _pop("pop3-no-stuffing", _R + "3/byte-stuffing", "a leading dot is not doubled", {"block": lambda s, o, lines: b"".join(line + b"\r\n" for line in lines)}),
    _pop("pop3-lone-dot-only-stuffed", _R + "5/retr-byte-stuffed", "only a line of one dot is stuffed", {"block": lambda s, o, lines: b"".join((b"." if line == b"." else b"") + line + b"\r\n" for line in lines)}),
    _pop("pop3-stuffs-everywhere", _R + "3/only-leading-dots-stuffed", "dots at the end of a line are doubled too", {"block": lambda s, o, lines: re.sub(rb"([a-z])\.\r\n", rb"\1..\r\n", o) if s.verb == "RETR" else o}),
    _pop("pop3-top-no-stuffing", _R + "7/top-byte-stuffed", "TOP does not stuff", {"block": lambda s, o, lines: b"".join(line + b"\r\n" for line in lines) if s.verb == "TOP" else o}),
    _pop("pop3-retr-trims", _R + "5/retr-whole-message", "blanks at the ends of lines are lost", {"octets": lambda s, o: re.sub(rb"[ \t]+\r\n", b"\r\n", o)}),
    _pop("pop3-retr-drops-empty-tail", _R + "5/retr-whole-message", "empty lines at the end of a message are lost", {"octets": lambda s, o: re.sub(rb"(\r\n){2,}\Z", b"\r\n", o)}),
    _pop("pop3-retr-strips-eighth-bit", _R + "5/retr-whole-message", "the eighth bit is cleared", {"octets": lambda s, o: bytes(octet & 0x7F for octet in o)}),
    _pop("pop3-retr-cut", _R + "5/retr-whole-message", "a message is cut at 64 KiB", {"octets": lambda s, o: o[:65536]}),
    _pop("pop3-retr-folds-lines", _R + "5/retr-whole-message", "long lines are broken", {"octets": lambda s, o: re.sub(rb"([^\r\n]{500})(?=[^\r\n])", rb"\1\r\n", o)}),
    _pop("pop3-retr-next-message", _R + "5/retr-that-message", "RETR sends the first message whatever the number", _rewrite(rb"^RETR [0-9]+$", b"RETR 1")),
    _pop("pop3-retr-deletes", _R + "5/retr-does-not-delete", "RETR marks the message as deleted", {"after": lambda s, v: s.deleted.add(1) if v == "RETR" and s.box and s.messages else None}),
    _pop("pop3-dele-at-once", _R + "5/dele-waits-for-update", "DELE removes the message at once", {"after": _delete_at_once}),
    _pop("pop3-dele-nothing", _R + "5/dele-marks", "DELE marks nothing", {"after": lambda s, v: s.deleted.clear() if v == "DELE" else None}),
    _pop("pop3-noop-unmarks", _R + "5/noop-does-nothing", "NOOP takes the marks off", {"after": lambda s, v: s.deleted.clear() if v == "NOOP" else None}),
    _pop("pop3-noop-refused", _R + "5/noop-positive", "NOOP is not known", _instead("NOOP", b"-ERR no such command\r\n", "transaction")),
    _pop("pop3-rset-refused", _R + "5/rset-positive", "RSET without a marked message is refused", {"instead": lambda s, v, r: b"-ERR nothing is marked\r\n" if v == "RSET" and s.box and not s.deleted else None}),
    _pop("pop3-rset-keeps-marks", _R + "5/rset-unmarks", "RSET leaves the marks", {"after": _kept_marks}),
    _pop("pop3-rset-logs-out", _R + "5/rset-keeps-transaction", "RSET ends the TRANSACTION state", {"after": lambda s, v: s.release() if v == "RSET" else None}),
    _pop("pop3-quit-removes-nothing", _R + "6/quit-removes-marked", "QUIT removes nothing", {"update": lambda s, n: set()}),
    _pop("pop3-quit-removes-all", _R + "6/quit-keeps-unmarked", "QUIT removes all messages", {"update": lambda s, n: set(range(1, len(s.messages) + 1))}),
    _pop("pop3-quit-keeps-open", _R + "6/quit-closes", "the connection stays open after QUIT", {"after": lambda s, v: setattr(s, "closing", False) if v == "QUIT" else None}),
    _pop("pop3-quit-refused-before-login", _R + "4/quit-in-authorization", "QUIT before the login is refused", _instead("QUIT", b"-ERR log in first\r\n", "authorization")),
    _pop("pop3-quit-silent", _R + "6/quit-replies", "QUIT closes without a reply", {"reply": lambda s, o, v: b"" if v == "QUIT" and s.user else o}),
    _pop("pop3-quit-keeps-lock", _R + "6/quit-releases-lock", "QUIT does not release the lock", {"unlock": lambda s, v: s.verb == "QUIT"}),
    _pop("pop3-vanished-removes", _R + "6/no-update-without-quit", "a session that vanishes removes what it marked", {"vanished": _vanish_removes}),
    _pop("pop3-end-of-stream-ends-a-line", _R + "6/unfinished-quit-removes-nothing", "a QUIT that the end of the connection cuts off is carried out", {"vanished": _end_is_line_end}),
    _pop("pop3-vanished-keeps-lock", _R + "6/lock-released-without-quit", "a session that vanishes keeps its lock", {"unlock": lambda s, v: s.verb != "QUIT"}),
    _pop("pop3-no-lock", _R + "4/exclusive-lock", "a second session gets in", {"lock": lambda s, v: False}),
    _pop("pop3-one-lock-for-all", _R + "7/pass-right-password", "while one mailbox is open, none other opens", {"instead": _locks_all}),
    _pop("pop3-failed-login-unlocks", _R + "4/exclusive-lock", "a login that is refused releases the lock of another session", {"after": _steals_lock}),
    _pop("pop3-top-one-more", _R + "7/top-line-count", "TOP sends a line too many", {"top": lambda s, n: n + 1}),
    _pop("pop3-top-one-less", _R + "7/top-line-count", "TOP sends a line too few", {"top": lambda s, n: max(0, n - 1)}),
    _pop("pop3-top-no-empty-line", _R + "7/top-header-blank-lines", "TOP 0 leaves the empty line out", {"top": lambda s, n: n or -1}),
    _pop("pop3-top-zero-is-all", _R + "7/top-zero", "TOP 0 sends everything", {"top": lambda s, n: n or 10**6}),
    _pop("pop3-top-limit", _R + "7/top-beyond-end", "TOP refuses more lines than there are", {"instead": lambda s, v, r: b"-ERR too many lines\r\n" if v == "TOP" and s.box and r.split(b" ")[-1].isdigit() and int(r.split(b" ")[-1]) > 5 else None}),
    _pop("pop3-top-negative", _R + "7/top-line-count-not-negative", "a negative line count is taken as 0", _rewrite(rb"^(TOP [0-9]+) -[0-9]+$", rb"\1 0")),
    _pop("pop3-top-default-count", _R + "7/top-needs-both-arguments", "TOP without a line count sends ten lines", _rewrite(rb"^(TOP [0-9]+)$", rb"\1 10")),
    _pop("pop3-uid-long", _R + "7/uidl-characters", "a unique-id has 80 octets", {"uid": lambda s, u: (u * 80)[:80]}),
    _pop("pop3-uid-eighth-bit", _R + "7/uidl-characters", "a unique-id holds an octet above 0x7E", {"uid": lambda s, u: u + "\x7f"}),
    _pop("pop3-uid-blank", _R + "7/uidl-format", "something follows the unique-id", {"uid": lambda s, u: u + " x"}),
    _pop("pop3-uid-all-same", _R + "7/uidl-unique", "all messages have the same unique-id", {"uid": lambda s, u: "uid"}),
    _pop("pop3-uid-of-session", _R + "7/uidl-persists", "unique-ids are of the session", {"uid": lambda s, u: f"{s.timestamp[1:9]}.{u}"}),
    _pop("pop3-uidl-one-multi-line", _R + "7/uidl-one-single-line", "UIDL with a number is multi-line", {"reply": lambda s, o, v: o + b".\r\n" if v == "UIDL" and o.startswith(b"+OK ") and o.count(b"\r\n") == 1 else o}),
    _pop("pop3-uidl-with-deleted", _R + "7/uidl-without-deleted", "UIDL lists deleted messages", {"reply": lambda s, o, v: _with_deleted(s, o, v) if v == "UIDL" else o}),
    _pop("pop3-uidl-empty-refused", _R + "7/uidl-empty", "UIDL on an empty maildrop is refused", {"instead": lambda s, v, r: b"-ERR no messages\r\n" if v == "UIDL" and s.box and not r and not s.present() else None}),
    _pop("pop3-pass-prefix", _R + "7/pass-wrong-password", "passwords are compared up to the shorter length", {"instead": _prefix}),
    _pop("pop3-pass-any-case", _R + "7/pass-wrong-password", "passwords are compared without their case", {"instead": _folded}),
    _pop("pop3-pass-again", _R + "7/pass-user-used-once", "after a refused PASS another one needs no USER", {"after": _remembers}),
    _pop("pop3-pass-without-user", _R + "7/pass-needs-user", "PASS without USER is answered positively", {"instead": lambda s, v, r: b"+OK\r\n" if v == "PASS" and s.state == "authorization" and s.name is None else None}),
    _pop("pop3-user-refused-after-failure", _R + "7/user-after-failure", "after a refused login USER is refused", {"instead": lambda s, v, r: b"-ERR no more\r\n" if v == "USER" and s.errors else None}),
    _pop("pop3-apop-any-digest", _R + "7/apop-wrong-digest", "APOP takes any digest", {"instead": _any_apop}),
    _pop("pop3-apop-missing", _R + "7/apop-timestamp-means-apop", "the greeting has a timestamp but APOP is not known", _instead("APOP", b"-ERR no such command\r\n")),
    _pop("pop3-apop-same-timestamp", _R + "7/apop-timestamp-differs", "every greeting has the same timestamp", {"reply": _same_stamp}),
    _pop("pop3-apop-timestamp-form", _R + "7/apop-timestamp-syntax", "the timestamp has no at sign", _reply("GREETING", lambda o: re.sub(rb"<([^@>]*)@", rb"<\1.", o))),
]  # fmt: skip
