"""SCRAM's arithmetic against the examples of RFC 5802 section 5 and RFC 7677 section 3."""

from __future__ import annotations

import base64

import pytest

from conformance.protocol import scram

EXAMPLES = {
    "SCRAM-SHA-1": (
        b"n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        b"p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "SCRAM-SHA-256": (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
}


@pytest.mark.parametrize("mechanism", EXAMPLES)
@pytest.mark.parametrize("suffix", ["", "-PLUS"])
def test_the_rfcs_examples(mechanism: str, suffix: str) -> None:
    bare, first, proof, verifier = EXAMPLES[mechanism]
    without = b"c=biws," + first.split(b",")[0]
    assert scram.client_final(mechanism + suffix, "pencil", bare, first, without) == (without + b"," + proof, verifier)


def test_a_proof_is_of_one_password_and_one_message() -> None:
    keys = scram.keys("sha1", "pencil", b"salt of sixteen.", 4096)
    proof = scram.proof(keys, b"message")
    assert scram.proves(keys, b"message", proof)
    assert not scram.proves(keys, b"massage", proof)
    assert not scram.proves(keys, b"message", proof[:-1])
    assert not scram.proves(keys, b"message", b"")
    assert not scram.proves(scram.keys("sha1", "pencil!", b"salt of sixteen.", 4096), b"message", proof)


def test_passwords_are_prepared() -> None:
    assert scram.keys("sha1", "I\u00adX", b"salt", 1) == scram.keys("sha1", "\u2168", b"salt", 1)


def test_names() -> None:
    assert scram.escaped("a=b,c") == "a=3Db=2Cc"
    assert scram.unescaped("a=3Db=2Cc") == "a=b,c"
    for wrong in ("a=41", "a=", "a=3d", "="):
        with pytest.raises(ValueError, match="equals sign"):
            scram.unescaped(wrong)


@pytest.mark.parametrize(
    "message", [b"r=x,i=4096", b"r=x,s=c2FsdA==,i=0", b"r=x,s=c2FsdA==,i=-1", b"s=c2FsdA==,r=x,i=1", b"r=x,s=!,i=1", b"", b"\xff"]
)
def test_what_is_no_first_message_of_a_server(message: bytes) -> None:
    with pytest.raises(ValueError):
        scram.server_first(message)


def test_a_server_cannot_ask_for_any_amount_of_work() -> None:
    with pytest.raises(ValueError, match="iteration count"):
        scram.client_final("SCRAM-SHA-1", "pencil", b"n=u,r=x", b"r=xy,s=" + base64.b64encode(b"salt") + b",i=999999999", b"c=biws,r=xy")
