"""Both ends of one TLS connection compute the same channel bindings; other connections have others."""

from __future__ import annotations

import hashlib
import ssl

import pytest
import trustme

from conformance.protocol.binding import END_POINT, EXPORTER, UNIQUE, KeyLog, bindings, end_point


def _ends(version: ssl.TLSVersion) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The bindings of a client and of a server that have shaken hands in memory."""
    authority = trustme.CA()
    leaf = authority.issue_cert("mx.example.test")
    log = KeyLog()
    contexts = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(contexts[0])
    leaf.configure_cert(contexts[1])
    for context in contexts:
        context.minimum_version = context.maximum_version = version
        if log.path:
            context.keylog_filename = log.path
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = contexts[0].wrap_bio(down, up, server_hostname="mx.example.test")
    server = contexts[1].wrap_bio(up, down, server_side=True)
    secrets = {client: b"", server: b""}
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for end in (client, server):
            log.clear()
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                pass
            secrets[end] = log.secret() or secrets[end]
    certificate = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
    assert client.getpeercert(binary_form=True) == certificate
    first, second = (bindings(end.version(), end.get_channel_binding, certificate, secrets[end]) for end in (client, server))
    return first, second


def test_tls_1_3() -> None:
    client, server = _ends(ssl.TLSVersion.TLSv1_3)
    assert client == server
    if not KeyLog().path:
        pytest.skip("this system has no anonymous files")
    assert list(client) == [EXPORTER, END_POINT]
    assert len(client[EXPORTER]) == 32
    assert client[EXPORTER] != _ends(ssl.TLSVersion.TLSv1_3)[0][EXPORTER]


def test_tls_1_2() -> None:
    client, server = _ends(ssl.TLSVersion.TLSv1_2)
    assert client == server
    assert list(client) == [UNIQUE, END_POINT]


def test_end_point_takes_the_hash_of_the_signature() -> None:
    der = ssl.PEM_cert_to_DER_cert(trustme.CA().issue_cert("x.example").cert_chain_pems[0].bytes().decode())
    assert end_point(der) == hashlib.sha256(der).digest()
    assert end_point(b"no certificate") == b""
