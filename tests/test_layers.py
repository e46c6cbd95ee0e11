"""DESIGN: scenario/ and protocol/ know nothing of sockets."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import conformance

ROOT = Path(conformance.__file__).parent
FILES = [path for part in ("scenario", "protocol") for path in sorted((ROOT / part).rglob("*.py"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_sockets(path: Path) -> None:
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    assert not {name.split(".")[0] for name in names} & {"socket", "ssl", "asyncio", "smtplib", "poplib"}
    later = ("session", "report", "server", "plugin", "cli", "engine", "gather")
    assert not [name for name in names if name.startswith(tuple(f"conformance.{part}" for part in later))]
