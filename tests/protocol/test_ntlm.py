"""NTLM's messages: the examples of MS-NLMP and RFC 1320, and pyspnego, which we did not write, as the server."""

from __future__ import annotations

import base64
import struct
from pathlib import Path

import pytest

from conformance.protocol import ntlm
from conformance.scenario.loader import load

PASSWORD = "wonderland-7"


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (b"", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        (b"abc", "a448017aaf21d8525fc10ae87aa6729d"),
        (b"1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_md4(text: bytes, digest: str) -> None:
    assert ntlm.md4(text).hex() == digest  # RFC 1320 section A.5


@pytest.fixture
def acceptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spnego = pytest.importorskip("spnego", reason="pyspnego is not installed")
    users = tmp_path / "users"
    users.write_text(f":alice:{PASSWORD}\nEXAMPLE:alice:{PASSWORD}\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    return spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)


@pytest.mark.parametrize(("user", "domain"), [("alice", ""), ("EXAMPLE\\alice", ""), ("alice", "EXAMPLE")])
def test_pyspnego_takes_our_messages(acceptor, user: str, domain: str) -> None:
    challenge = ntlm.Challenge(acceptor.step(ntlm.NEGOTIATE))
    acceptor.step(ntlm.authenticate(challenge, user, PASSWORD, domain))
    assert acceptor.complete
    assert acceptor.client_principal.rpartition("\\")[2] == "alice"


@pytest.mark.parametrize("password", ["", "wonderland-8", PASSWORD + "x"])
def test_pyspnego_refuses_a_wrong_password(acceptor, password: str) -> None:
    import spnego

    challenge = ntlm.Challenge(acceptor.step(ntlm.NEGOTIATE))
    with pytest.raises(spnego.exceptions.SpnegoError):
        acceptor.step(ntlm.authenticate(challenge, "alice", password))


def test_the_mic_covers_all_messages(acceptor) -> None:
    import spnego

    challenge = ntlm.Challenge(acceptor.step(ntlm.NEGOTIATE))
    assert 7 in challenge.pairs  # a timestamp: so there is a MIC
    message = bytearray(ntlm.authenticate(challenge, "alice", PASSWORD))
    message[75] ^= 1
    with pytest.raises(spnego.exceptions.SpnegoError):
        acceptor.step(bytes(message))


def _challenge(pairs: bytes = b"", *, flags: int = 0x00828205, length: int | None = None) -> bytes:
    name = "EXAMPLE".encode("utf-16-le")
    head = struct.pack("<8sIHHII8s8sHHI8s", b"NTLMSSP\0", 2, len(name), len(name), 56, flags, b"12345678", bytes(8),
                       len(pairs) if length is None else length, len(pairs), 56 + len(name), bytes(8))  # fmt: skip
    return head + name + pairs


def _pair(key: int, text: str) -> bytes:
    value = text.encode("utf-16-le")
    return struct.pack("<HH", key, len(value)) + value


def test_what_a_challenge_tells() -> None:
    found = ntlm.Challenge(_challenge(_pair(2, "EXAMPLE") + _pair(1, "MX") + _pair(3, "mx.example.test") + bytes(4)))
    assert found.told() == "NetBIOS host MX, NetBIOS domain EXAMPLE, DNS host mx.example.test"
    assert found.domain == "EXAMPLE"
    assert ntlm.Challenge(_challenge(bytes(4))).told() == "target EXAMPLE"


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "begin"),
        (b"NTLMSSX\0" + bytes(48), "begin"),
        (b"NTLMSSP\0\x02", "only 9 octets"),
        (ntlm.NEGOTIATE, "type is 1"),
        (_challenge(flags=0x00820005), "NEGOTIATE_NTLM"),
        (_challenge(bytes(4)).replace(b"12345678", bytes(8)), "all zero"),
        (_challenge(_pair(2, "X")), "end mark"),
        (_challenge(_pair(2, "EXAMPLE")[:-3]), "longer"),
        (_challenge(bytes(4), length=500), "outside"),
    ],
)
def test_what_is_no_challenge(octets: bytes, why: str) -> None:
    with pytest.raises(ntlm.NtlmError, match=why):
        ntlm.Challenge(octets)


def test_any_torn_challenge_is_refused_or_read() -> None:
    whole = _challenge(_pair(2, "EXAMPLE") + _pair(1, "MX") + bytes(4))
    for size in range(len(whole)):
        try:
            ntlm.authenticate(ntlm.Challenge(whole[:size]), "alice", PASSWORD)
        except ntlm.NtlmError:
            continue


def test_scenarios_send_the_negotiate_message_that_the_mic_presumes() -> None:
    text = base64.b64encode(ntlm.NEGOTIATE).decode()
    sending = [one for one in load().scenarios if "{type1}" in one.source]
    assert sending
    assert all(one.let["type1"].constant.decode() == text for one in sending)
