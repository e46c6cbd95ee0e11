"""Faults of POP3 over the length of a session: framing, login, locks, marks (RFC 1939)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

from conformance.server.base import Fault
from conformance.server.faults._tools import Hooks

_R = "rfc1939/"


def pop(name: str, requirement: str, summary: str, hooks: Hooks, **settings: Any) -> Fault:
    return Fault(name, requirement, summary, "pop3", {hook: own(hook, run) for hook, run in hooks.items()}, settings)


def own(hook: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """SMTP sessions of the same server, which deliver the seeds, are left alone."""
    nothing = hook in ("instead", "after")
    return lambda session, *rest: run(session, *rest) if session.family == "pop3" else None if nothing else rest[0]


def _before(verb: str, answer: bytes) -> Hooks:
    return {"instead": lambda s, v, r: answer if v == verb and s.state == "authorization" else None}


def after_failure(verb: str, answer: bytes) -> Hooks:
    """A verb is answered so once a login was refused."""
    return {"instead": lambda s, v, r: answer if v == verb and s.errors and s.state == "authorization" else None}


def open_box(session: Any, name: str) -> bytes:
    session.name = None
    session._open(name)
    return b""


# -- framing ----------------------------------------------------------------------------------


def _splits_long_lines(size: int) -> Hooks:
    """A fixed buffer: what does not fit is the next command."""

    def command(session: Any, line: bytes) -> bytes:
        if len(line) > size:
            session.buffer[:0] = line[size:] + b"\r\n"
        return line[:size]

    return {"command": command}


# -- login ------------------------------------------------------------------------------------


def _first_name(session: Any, verb: str) -> None:
    """A second USER is answered positively but the first name counts."""
    if verb == "USER":
        session.name = session.memory.setdefault("name", session.name)


def _first_name_falls_back(session: Any, verb: str, rest: bytes) -> bytes | None:
    """An unknown name logs in to the first account if the password is right."""
    if (
        verb == "PASS"
        and session.state == "authorization"
        and session.name
        and session.name not in session.world.accounts
    ):
        name, password = next(iter(session.world.accounts.items()))
        return open_box(session, name) if rest == password.encode() else None
    return None


def _keeps_name(session: Any, verb: str) -> None:
    """CAPA and the like leave the name standing."""
    if verb == "CAPA" and session.state == "authorization":
        session.name = session.previous


def _keeps_name_on_error(session: Any, octets: bytes, verb: str) -> bytes:
    if verb == "USER" and octets.startswith(b"+OK"):
        session.memory["kept"] = session.name
    return octets


def _pass_after_error(session: Any, verb: str, rest: bytes) -> bytes | None:
    if verb == "PASS" and session.name is None and session.state == "authorization":
        kept = session.memory.pop("kept", None)
        if kept is not None:
            session.name = kept
    elif verb == "PASS":
        session.memory.pop("kept", None)
    return None


def _locks_on_failure(session: Any, verb: str) -> None:
    """The maildrop is locked before the password is looked at."""
    if verb == "PASS" and session.state == "authorization" and session.previous in session.world.accounts:
        session.world.storage.mailbox(session.previous).locked = True


def _lock_refused_opens(session: Any, octets: bytes, verb: str) -> bytes:
    """The session is in TRANSACTION although it was refused."""
    if b"[IN-USE]" in octets and session.box is None and session.memory.get("user"):
        box = session.world.storage.mailbox(session.memory["user"])
        session.box, session.messages = box, box.messages()
    return octets


def _notes_user(session: Any, line: bytes) -> bytes:
    if line[:5].upper() == b"USER ":
        session.memory["user"] = line[5:].decode("latin-1")
    return line


def _owns(session: Any, octets: bytes, verb: str) -> bytes:
    """The newcomer has the messages from now on."""
    if verb == "PASS" and octets.startswith(b"+OK") and session.box:
        session.box.owner = session
    return octets


def _stolen(session: Any, verb: str, rest: bytes) -> bytes | None:
    if session.box and getattr(session.box, "owner", session) is not session and verb in ("STAT", "RETR"):
        return b"+OK 0 0\r\n" if verb == "STAT" else b"-ERR no such message\r\n"
    return None


def _marks_outlive(session: Any) -> None:
    if session.deleted:
        session.box.marks = {session.messages[number - 1].uid for number in session.deleted}


def _marks_return(session: Any, octets: bytes, verb: str) -> bytes:
    if verb == "PASS" and session.box and octets.startswith(b"+OK"):
        marks: set[str] = getattr(session.box, "marks", set())
        session.deleted = {n for n, one in enumerate(session.messages, 1) if one.uid in marks}
    return octets


def _updates_before_login(session: Any, verb: str, rest: bytes) -> bytes | None:
    """QUIT after USER runs an update on that user's maildrop."""
    if verb == "QUIT" and session.state == "authorization" and session.name in session.world.accounts:
        box = session.world.storage.mailbox(session.name)
        box.remove({one.uid for one in box.messages()[:1]})
    return None


def _retr_removes_on_loss(session: Any) -> None:
    session.box.remove({session.messages[number - 1].uid for number in session.memory.get("read", ())})


def notes_retr(session: Any, verb: str, rest: bytes) -> bytes | None:
    if verb == "RETR" and session.box and rest.isdigit() and int(rest) in session.present():
        session.memory.setdefault("read", set()).add(int(rest))
    elif verb == "RSET":
        session.memory.pop("read", None)
    return None


def removes_read(session: Any, numbers: set[int]) -> set[int]:
    return numbers.union(session.memory.get("read", ()))


def _rset_late(session: Any, numbers: set[int]) -> set[int]:
    return numbers.union(session.memory.get("ever", ()))


def _notes_dele(session: Any, verb: str) -> None:
    if verb == "DELE":
        session.memory.setdefault("ever", set()).update(session.deleted)


def _rereads(session: Any, line: bytes) -> bytes:
    """The maildrop is read afresh with every command."""
    if session.box:
        session.messages = session.box.messages()
    return line


def _renumbers(session: Any, verb: str) -> None:
    if verb == "DELE" and session.box:
        session.messages = [one for n, one in enumerate(session.messages, 1) if n not in session.deleted]
        session.deleted = set()


def _uid_by_number(session: Any, uid: str) -> str:
    for number, one in enumerate(session.messages, 1):
        if one.uid == uid:
            return f"msg{number}"
    return uid


def _uid_fresh_without_quit(session: Any, uid: str) -> str:
    return f"{getattr(session.world, 'memory_lost', 0)}.{uid}"


def _counts_losses(session: Any) -> None:
    session.world.memory_lost = getattr(session.world, "memory_lost", 0) + 1


def _toggles(session: Any, text: str) -> str:
    """STAT counts what RETR has shown as gone."""
    count, size = text.split()
    return f"{max(0, int(count) - len(session.memory.get('read', ())))} {size}"


# -- APOP -------------------------------------------------------------------------------------


def _apop(accept: Callable[[str, str], bool]) -> Hooks:
    """APOP by another comparison of (right digest, given)."""

    def instead(session: Any, verb: str, rest: bytes) -> bytes | None:
        words = rest.decode("latin-1").split(" ")
        if (
            verb != "APOP"
            or len(words) != 2
            or session.state != "authorization"
            or words[0] not in session.world.accounts
        ):
            return None
        right = hashlib.md5((session.timestamp + session.world.accounts[words[0]]).encode()).hexdigest()
        return open_box(session, words[0]) if accept(right, words[1]) else None

    return {"instead": instead}


def _apop_other_stamp(session: Any, verb: str, rest: bytes) -> bytes | None:
    """A digest over any timestamp that the server has given is right."""
    words = rest.decode("latin-1").split(" ")
    if verb == "APOP" and len(words) == 2 and session.state == "authorization" and words[0] in session.world.accounts:
        password = session.world.accounts[words[0]]
        for stamp in session.world.memory_stamps:
            if hashlib.md5((stamp + password).encode()).hexdigest() == words[1]:
                return open_box(session, words[0])
    return None


def _notes_stamp(session: Any, octets: bytes, verb: str) -> bytes:
    if verb == "GREETING":
        if not hasattr(session.world, "memory_stamps"):
            session.world.memory_stamps = set()
        session.world.memory_stamps.add(session.timestamp)
    return octets


FAULTS = [
    # RFC 1939
    pop("pop3-line-split-255", _R + "3/commands-end-in-crlf", "what exceeds 255 octets is the next command", _splits_long_lines(255)),
    pop("pop3-line-split-1024", _R + "3/commands-end-in-crlf", "what exceeds 1024 octets is the next command", _splits_long_lines(1024), pop3_line=2000),
    pop("pop3-unimplemented-ok", _R + "3/unimplemented-command", "commands that are only known of hang the session", {"instead": lambda s, v, r: b"" if v in ("LAST", "XTND", "RPOP", "XSENDER", "MSG") else None}),
    pop("pop3-name-of-32", _R + "3/argument-of-forty-characters", "names of more than 32 characters are refused", {"instead": lambda s, v, r: b"-ERR too long\r\n" if v == "USER" and len(r) > 32 else None}),
    pop("pop3-error-long", _R + "3/response-length", "the answer to an unknown command has 600 octets", {"reply": lambda s, o, v: o[:-2] + b"." * 600 + b"\r\n" if v == "XYZZ" else o}),
    pop("pop3-transaction-at-once", _R + "4/starts-in-authorization", "STAT is answered before the login", _before("STAT", b"+OK 0 0\r\n")),
    pop("pop3-failed-login-locks", _R + "4/lock-not-taken-by-failed-login", "a wrong password leaves the maildrop locked", {"after": _locks_on_failure}),
    pop("pop3-lock-refusal-opens", _R + "4/lock-refusal-is-err", "a session that is refused the lock is in TRANSACTION", {"command": _notes_user, "reply": _lock_refused_opens}),
    pop("pop3-lock-stolen", _R + "4/lock-protects-messages", "a second login takes the messages from the first", {"lock": lambda s, locked: False, "instead": _stolen, "reply": _owns}),
    pop("pop3-marks-outlive-session", _R + "4/login-marks-nothing", "marks of a lost session hold in the next one", {"vanished": _marks_outlive, "reply": _marks_return}),
    pop("pop3-no-retry-apop", _R + "4/retry-after-refusal", "after a refused login APOP is refused", after_failure("APOP", b"-ERR no more\r\n")),
    pop("pop3-no-retry-pass", _R + "4/retry-after-refusal", "after a refused login PASS is refused", after_failure("PASS", b"-ERR no more\r\n")),
    pop("pop3-quit-refused-after-failure", _R + "4/quit-after-refusal", "after a refused login QUIT is refused", after_failure("QUIT", b"-ERR log in first\r\n")),
    pop("pop3-numbers-move-up", _R + "4/sizes-noted-at-open", "after DELE the numbers of later messages change", {"after": _renumbers}),
    pop("pop3-maildrop-reread", _R + "4/sizes-noted-at-open", "mail that arrives shows in the running session", {"command": _rereads}),
    pop("pop3-stat-refused", _R + "5/stat-positive", "STAT is not known", {"instead": lambda s, v, r: b"-ERR no such command\r\n" if v == "STAT" and s.box else None}),
    pop("pop3-list-repeats", _R + "5/list-all-multi-line", "LIST lists the last message twice", {"reply": lambda s, o, v: re.sub(rb"(?<=\r\n)([0-9]+ [0-9]+\r\n)\.\r\n\Z", rb"\1\1.\r\n", o) if v == "LIST" else o}),
    pop("pop3-uidl-leaves-last-out", _R + "7/uidl-all-multi-line", "UIDL leaves the last message out", {"reply": lambda s, o, v: re.sub(rb"(?<=\r\n)[0-9]+ [!-~]+\r\n\.\r\n\Z", b".\r\n", o) if v == "UIDL" else o}),
    pop("pop3-retr-header-only", _R + "5/retr-multi-line", "RETR sends the header only", {"octets": lambda s, o: o.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if s.verb == "RETR" else o}),
    pop("pop3-deleted-still-there", _R + "5/deleted-number-refused-everywhere", "a deleted message can be read until QUIT", {"instead": lambda s, v, r: b"+OK 1 0\r\n" if v in ("LIST", "DELE") and s.deleted and r == b"1" else b"+OK\r\n.\r\n" if v in ("RETR", "TOP") and s.deleted and r[:1] == b"1" else None}),
    pop("pop3-rset-forgotten-at-quit", _R + "5/rset-then-quit-removes-nothing", "QUIT removes what RSET had unmarked", {"after": _notes_dele, "update": _rset_late}),
    pop("pop3-quit-before-login-updates", _R + "6/quit-in-authorization-no-update", "QUIT after USER removes a message", {"command": lambda s, line: (s.memory.__setitem__("n", s.name), line)[1], "instead": lambda s, v, r: _updates_before_login(s, v, r)}),
    pop("pop3-no-rset", _R + "7/minimal-commands", "RSET is not implemented", {"instead": lambda s, v, r: b"-ERR no such command\r\n" if v == "RSET" else None}),
    pop("pop3-uid-of-lost-session", _R + "7/uidl-persists-without-update", "unique-ids change when a session is lost", {"uid": _uid_fresh_without_quit, "vanished": _counts_losses}),
    pop("pop3-uid-is-number", _R + "7/uidl-not-reused", "the unique-id is the message number", {"uid": _uid_by_number}),
    pop("pop3-quit-refused-after-user", _R + "7/user-then-quit", "QUIT after USER is refused", {"instead": lambda s, v, r: b"-ERR PASS is wanted\r\n" if v == "QUIT" and s.name and s.state == "authorization" else None}),
    pop("pop3-capa-keeps-user", _R + "7/pass-immediately-after-user", "PASS is accepted after USER and CAPA", {"after": _keeps_name}),
    pop("pop3-error-keeps-user", _R + "7/pass-immediately-after-user", "PASS is accepted after USER and a refused command", {"reply": _keeps_name_on_error, "instead": _pass_after_error}),
    pop("pop3-pass-one-login-a-server", _R + "7/pass-right-password", "one session locks all maildrops", {"instead": lambda s, v, r: b"-ERR [IN-USE] try later\r\n" if v == "PASS" and any(b.locked for b in s.world.storage._boxes.values()) else None}),
    pop("pop3-first-user-counts", _R + "7/pass-of-that-user", "of two USER commands the first counts", {"after": _first_name}),
    pop("pop3-unknown-user-gets-in", _R + "7/pass-of-that-user", "an unknown name logs in to the first account", {"instead": _first_name_falls_back}),
    pop("pop3-apop-refuses-right", _R + "7/apop-right-digest", "the digest is expected in upper case", {"instead": lambda s, v, r: b"-ERR [AUTH] wrong digest\r\n" if v == "APOP" and r != r.upper() else None}),
    pop("pop3-apop-prefix", _R + "7/apop-digest-form", "digests are compared up to the shorter length", _apop(lambda right, given: bool(given) and right.startswith(given[:32]) and right[: len(given)] == given[: len(right)])),
    pop("pop3-apop-replay", _R + "7/apop-old-timestamp", "a digest over an earlier connection's timestamp is right", {"reply": _notes_stamp, "instead": _apop_other_stamp}),
    pop("pop3-apop-without-timestamp", _R + "7/apop-needs-timestamp", "APOP works over the password alone where the greeting has no timestamp", {"reply": lambda s, o, v: re.sub(rb" <[^>]*>", b"", o) if v == "GREETING" else o, "instead": lambda s, v, r: open_box(s, "alice") if v == "APOP" and s.state == "authorization" and r.count(b" ") == 1 else None}),
    pop("pop3-read-is-removed-when-lost", _R + "8/download-and-delete-only-by-quit", "what was read is removed when the session is lost", {"instead": notes_retr, "vanished": _retr_removes_on_loss}),
    pop("pop3-stat-without-read", _R + "9/stat-after-any-order", "STAT leaves out what was read", {"instead": notes_retr, "stat": _toggles}),
]  # fmt: skip
