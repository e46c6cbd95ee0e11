"""The player holds the server to SCRAM's rules; an independent server is content with the player."""

from __future__ import annotations

import base64

import pytest
from scramp import ScramMechanism

from conformance.session.sasl import MECHANISMS, Credentials, ServerFault


def server(mechanism: str):  # type: ignore[no-untyped-def]
    known = ScramMechanism(mechanism)
    binding = ("tls-server-end-point", b"hashed") if mechanism.endswith("-PLUS") else None
    return known.make_server(lambda user: known.make_auth_info("wonderland-7") if user == "a=b,c" else None, channel_binding=binding)


def client(mechanism: str, password: str = "wonderland-7"):  # type: ignore[no-untyped-def]
    credentials = Credentials("a=b,c", password, bindings={"tls-exporter": b"x", "tls-server-end-point": b"hashed"},
                              binding="tls-server-end-point")  # fmt: skip
    return credentials, MECHANISMS[mechanism](credentials)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"])
def test_another_server(mechanism: str) -> None:
    theirs, (credentials, ours) = server(mechanism), client(mechanism)
    theirs.set_client_first(next(ours).decode())
    theirs.set_client_final(ours.send(theirs.get_server_first().encode()).decode())
    assert ours.send(theirs.get_server_final().encode()) == b""
    assert credentials.proven == [mechanism]


@pytest.mark.parametrize(
    "change",
    [
        lambda final: b"v=" + base64.b64encode(bytes(20)),
        lambda final: b"v=",
        lambda final: b"",
        lambda final: final + b"x",
    ],
)
def test_a_wrong_signature(change) -> None:  # type: ignore[no-untyped-def]
    theirs, (credentials, ours) = server("SCRAM-SHA-1"), client("SCRAM-SHA-1")
    theirs.set_client_first(next(ours).decode())
    theirs.set_client_final(ours.send(theirs.get_server_first().encode()).decode())
    with pytest.raises(ServerFault, match="signature"):
        ours.send(change(theirs.get_server_final().encode()))
    assert not credentials.proven


@pytest.mark.parametrize("first", [b"r=other,s=c2FsdA==,i=4096", b"r={},s=c2FsdA==,i=4096", b"s=c2FsdA==", b"\xff", b"r={}x,s=c2FsdA==,i=0"])
def test_a_wrong_first_message(first: bytes) -> None:
    _credentials, ours = client("SCRAM-SHA-1")
    nonce = next(ours).rpartition(b"r=")[2]
    with pytest.raises(ServerFault):
        ours.send(first.replace(b"{}", nonce))


def test_an_error_is_answered_so_that_the_server_can_finish() -> None:
    _credentials, ours = client("SCRAM-SHA-1")
    nonce = next(ours).rpartition(b"r=")[2]
    assert ours.send(b"r=" + nonce + b"x,s=c2FsdA==,i=1").startswith(b"c=biws,")
    assert ours.send(b"e=invalid-proof") == b""
