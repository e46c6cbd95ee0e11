"""Kerberos for real: a throw-away KDC, the bundled server with its key, the player with a ticket."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "wonderland-7"
_SELECT = ("esmtp/auth-gssapi/*", "exchange/x-exps/gssapi*")


@pytest.fixture(scope="module")
def realm() -> Iterator[Any]:
    """k5test's realm, with alice and the server's key."""
    k5test = pytest.importorskip("k5test", reason="the package k5test is not installed")
    pytest.importorskip("gssapi", reason="the package gssapi is not installed")
    pytest.importorskip("spnego", reason="pyspnego is not installed")
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    if not shutil.which("krb5kdc", path=path):
        pytest.skip("no KDC is installed (Debian: krb5-kdc, krb5-admin-server, krb5-user)")
    for base in range(61000, 65000, 20):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", base)):
                break
    found = k5test.K5Realm(
        create_host=False, get_creds=False, portbase=base,
        krb5_conf={"libdefaults": {"dns_canonicalize_hostname": "false", "rdns": "false"}},
    )  # fmt: skip
    found.addprinc("alice", PASSWORD)
    found.addprinc("smtp/127.0.0.1")
    found.extract_keytab("smtp/127.0.0.1", found.keytab)
    yield found
    found.stop()


def _run(realm: Any, folder: Path, user: str) -> dict[str, dict[str, Any]]:
    realm.kinit(user, PASSWORD)
    kerberos = {key: value for key, value in realm.env.items() if key.startswith("KRB5")}
    select = [word for one in _SELECT for word in ("--select", one)]
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "run", "--profile", "exchange", *select, "--report", str(folder)],
        env={**os.environ, **kerberos}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (folder / "results.json").is_file(), done.stdout + done.stderr
    return {one["id"]: one for one in json.loads((folder / "results.json").read_text())["results"]}


def test_a_ticket_logs_in(realm: Any, tmp_path: Path) -> None:
    results = _run(realm, tmp_path, "alice")
    for name in ("ticket-clear", "ticket-tls", "ticket-for-another"):
        assert results[f"esmtp/auth-gssapi/{name}"]["verdict"] == "pass"
    # By SPNEGO, without the security layers' messages.
    assert "SPNEGO logs in" in json.dumps(results["exchange/x-exps/gssapi-clear"])
    assert all(one["verdict"] in ("pass", "not-applicable") for one in results.values())


def test_a_ticket_of_a_stranger_does_not(realm: Any, tmp_path: Path) -> None:
    realm.addprinc("mallory", PASSWORD)  # a principal, and no account
    results = _run(realm, tmp_path, "mallory")
    assert results["esmtp/auth-gssapi/ticket-clear"]["verdict"] == "fail"
    assert "535" in results["esmtp/auth-gssapi/ticket-clear"]["reason"]
