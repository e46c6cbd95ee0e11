"""The server's mechanisms against an independent SCRAM client, and message by message."""

from __future__ import annotations

import base64

import pytest
from scramp import ScramClient

from conformance.protocol import scram
from conformance.server.channel import Channel
from conformance.server.sasl import Malformed, Refused, SaslExchange, offered
from conformance.server.sasl_tokens import bearer_token

ACCOUNTS = {"alice": "wonderland-7", "bob": "builder-8", "a=b,c": "odd-9"}
BOUND = Channel(True, {"tls-exporter": b"exported", "tls-server-end-point": b"hashed"})
PLUS = ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"]


def begun(mechanism: str, *responses: bytes, channel: Channel = BOUND) -> tuple[SaslExchange, tuple[str, bytes | str]]:
    exchange = SaslExchange(mechanism, ACCOUNTS, "mx.example.test", channel)
    answer: tuple[str, bytes | str] = ("", b"")
    for response in responses:
        answer = exchange.step(response)
    return exchange, answer


@pytest.mark.parametrize("name", ["alice", "a=b,c"])
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", *PLUS])
def test_another_scram_client(mechanism: str, name: str) -> None:
    binding = ("tls-server-end-point", b"hashed") if mechanism in PLUS else None
    client = ScramClient([mechanism], name, ACCOUNTS[name], channel_binding=binding)
    exchange, (kind, challenge) = begun(mechanism, client.get_client_first().encode())
    assert kind == "challenge" and isinstance(challenge, bytes)
    client.set_server_first(challenge.decode())
    _kind, verifier = exchange.step(client.get_client_final().encode())
    assert isinstance(verifier, bytes)
    client.set_server_final(verifier.decode())
    assert exchange.step(b"") == ("success", name)


def attempt(mechanism: str, gs2: bytes, bare: bytes, *, data: bytes = b"", end: bytes = b"", header: bytes | None = None) -> str:
    """A whole exchange of alice's, with a proof that is right for what is said."""
    exchange, (_kind, first) = begun(mechanism, gs2 + bare)
    assert isinstance(first, bytes)
    cbind = base64.b64encode((gs2 if header is None else header) + data)
    without = b"c=" + cbind + b"," + first.split(b",")[0] + end
    final, right = scram.client_final(mechanism, ACCOUNTS["alice"], bare, first, without)
    assert exchange.step(final) == ("challenge", right)
    return str(exchange.step(b"")[1])


def test_what_is_right() -> None:
    assert attempt("SCRAM-SHA-1", b"n,,", b"n=alice,r=x") == "alice"
    assert attempt("SCRAM-SHA-1", b"n,a=alice,", b"n=alice,r=x") == "alice"
    assert attempt("SCRAM-SHA-1", b"n,,", b"n=alice,r=x,x=later", end=b",y=later") == "alice"
    assert attempt("SCRAM-SHA-1", b"n,,", "n=al\u00adice,r=x".encode()) == "alice"
    assert attempt(PLUS[0], b"p=tls-exporter,,", b"n=alice,r=x", data=b"exported") == "alice"


@pytest.mark.parametrize(
    ("mechanism", "gs2", "bare", "more"),
    [
        ("SCRAM-SHA-1", b"y,,", b"n=alice,r=x", {}),
        ("SCRAM-SHA-1", b"x,,", b"n=alice,r=x", {}),
        ("SCRAM-SHA-1", b"p=tls-exporter,,", b"n=alice,r=x", {"data": b"exported"}),
        ("SCRAM-SHA-1", b"n,,", b"m=x,n=alice,r=x", {}),
        ("SCRAM-SHA-1", b"n,,", b"n=alice,r=x", {"end": b",m=x"}),
        ("SCRAM-SHA-1", b"n,,", b"n=alice,r=x", {"header": b"y,,"}),
        ("SCRAM-SHA-1", b"n,,", b"n=alice,r=x", {"data": b"x"}),
        ("SCRAM-SHA-1", b"n,a=bob,", b"n=alice,r=x", {}),
        ("SCRAM-SHA-1", b"n,,", b"n==61lice,r=x", {}),
        ("SCRAM-SHA-1", b"n,,", b"n=alice=,r=x", {}),
        ("SCRAM-SHA-1", b"n,,", b"n=nobody,r=x", {}),
        ("SCRAM-SHA-1", b"n,,", b"n=\xff,r=x", {}),
        ("SCRAM-SHA-1", b"n,,", b"r=x,n=alice", {}),
        (PLUS[0], b"n,,", b"n=alice,r=x", {}),
        (PLUS[0], b"y,,", b"n=alice,r=x", {}),
        (PLUS[0], b"p=tls-unique,,", b"n=alice,r=x", {}),
        (PLUS[0], b"p=tls-exporter,,", b"n=alice,r=x", {"data": b"hashed"}),
        (PLUS[0], b"p=tls-exporter,,", b"n=alice,r=x", {}),
    ],
)
def test_what_fails_although_the_proof_is_right(mechanism: str, gs2: bytes, bare: bytes, more: dict[str, bytes]) -> None:
    with pytest.raises((Refused, Malformed)):
        attempt(mechanism, gs2, bare, **more)


def test_an_unknown_user_cannot_be_told_from_a_known_one() -> None:
    for name in (b"alice", b"nobody"):
        salts = {begun("SCRAM-SHA-1", b"n,,n=" + name + b",r=x")[1][1].split(b",", 1)[1] for _ in range(3)}  # type: ignore[union-attr,arg-type]
        assert len(salts) == 1
        exchange, (_kind, first) = begun("SCRAM-SHA-1", b"n,,n=" + name + b",r=x")
        assert isinstance(first, bytes)
        without = b"c=biws," + first.split(b",")[0]
        final, _ = scram.client_final("SCRAM-SHA-1", "wrong", b"n=" + name + b",r=x", first, without)
        with pytest.raises(Refused):
            exchange.step(final)


def test_what_is_offered_depends_on_the_channel() -> None:
    assert offered(Channel()) == ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
    assert "PLAIN" not in offered(Channel(), plaintext=False)
    assert {"PLAIN", *PLUS, "OAUTHBEARER"} <= set(offered(BOUND, plaintext=False))
    assert "EXTERNAL" not in offered(BOUND)
    assert "EXTERNAL" in offered(Channel(True, {}, "alice"))


def test_oauthbearer() -> None:
    token = bearer_token("alice", ACCOUNTS["alice"]).encode()
    right = b"n,a=alice,\x01host=mx.example.test\x01port=587\x01auth=bearer " + token + b"\x01\x01"
    assert begun("OAUTHBEARER", right)[1] == ("success", "alice")
    for wrong in (right.replace(b"a=alice", b"a=bob"), right.replace(token, token[:-1]), right.replace(b"mx.", b"my.")):
        exchange, (kind, error) = begun("OAUTHBEARER", wrong)
        assert kind == "challenge" and isinstance(error, bytes) and b'"status"' in error
        with pytest.raises(Refused):
            exchange.step(right)
    for malformed in (b"", b"\x01", right[:-2], b"auth=Bearer " + token + b"\x01\x01"):
        with pytest.raises((Refused, Malformed)):
            begun("OAUTHBEARER", malformed)


def test_xoauth2() -> None:
    token = bearer_token("alice", ACCOUNTS["alice"]).encode()
    assert begun("XOAUTH2", b"user=alice\x01auth=Bearer " + token + b"\x01\x01")[1] == ("success", "alice")
    exchange, (kind, _error) = begun("XOAUTH2", b"user=bob\x01auth=Bearer " + token + b"\x01\x01")
    assert kind == "challenge"
    with pytest.raises(Refused):
        exchange.step(b"")


def test_external() -> None:
    known = Channel(True, {}, "alice")
    assert begun("EXTERNAL", b"", channel=known)[1] == ("success", "alice")
    assert begun("EXTERNAL", b"alice", channel=known)[1] == ("success", "alice")
    for channel, identity in ((known, b"bob"), (known, b"\0"), (known, b"\xff"), (BOUND, b""), (BOUND, b"alice")):
        with pytest.raises((Refused, Malformed)):
            begun("EXTERNAL", identity, channel=channel)


def test_anonymous() -> None:
    for trace in (b"", b"sirhc", b"someone@example.com", ("é" * 255).encode()):
        assert begun("ANONYMOUS", trace)[1] == ("success", "anonymous")
    for trace in (b"\x07", b"two@at@signs", b"x" * 256, b"\xff"):
        with pytest.raises(Malformed):
            begun("ANONYMOUS", trace)
