"""Mailboxes in memory and as Maildir."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.server.storage import Storage


@pytest.fixture(params=["memory", "maildir"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return Storage(tmp_path if request.param == "maildir" else None)


def test_order_octets_and_unique_ids(storage: Storage) -> None:
    texts = [b"%d\r\n" % n for n in range(300)] + [b"", b"no end", bytes(range(256))]
    for text in texts:
        storage.deliver("alice", text)
    found = storage.mailbox("alice").messages()
    assert [one.octets for one in found] == texts
    assert len({one.uid for one in found}) == len(texts)
    assert all(re.fullmatch(r"[\x21-\x7e]{1,70}", one.uid) for one in found)  # RFC 1939 section 7
    assert storage.mailbox("bob").messages() == []


def test_remove(storage: Storage) -> None:
    for text in (b"a", b"b", b"c"):
        storage.deliver("alice", text)
    box = storage.mailbox("alice")
    kept = [box.messages()[0], box.messages()[2]]
    gone = box.messages()[1].uid
    box.remove({gone, "never-seen"})
    assert box.messages() == kept
    storage.deliver("alice", b"b")
    assert box.messages()[:2] == kept and box.messages()[2].uid != gone


def test_maildir_survives_a_restart(tmp_path: Path) -> None:
    before = Storage(tmp_path)
    for text in (b"one\r\n", b"two\r\n"):
        before.deliver("alice", text)
    after = Storage(tmp_path)
    assert after.mailbox("alice").messages() == before.mailbox("alice").messages()
    after.deliver("alice", b"three\r\n")
    assert [one.octets for one in Storage(tmp_path).mailbox("alice").messages()] == [
        b"one\r\n",
        b"two\r\n",
        b"three\r\n",
    ]


def test_flags_of_another_reader_do_not_change_the_unique_id(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.deliver("alice", b"text")
    (one,) = storage.mailbox("alice").messages()
    new = tmp_path / "alice" / "new" / one.uid
    new.rename(tmp_path / "alice" / "cur" / f"{one.uid}:2,S")
    assert storage.mailbox("alice").messages() == [one]
    storage.mailbox("alice").remove({one.uid})
    assert storage.mailbox("alice").messages() == []
