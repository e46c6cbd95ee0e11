"""The short way to a listing says what the long way says."""

from __future__ import annotations

from pathlib import Path

from conformance.scenario.loader import load
from conformance.scenario.outline import outline
from conformance.scenario.source import corpus_root


def test_it_says_what_load_says() -> None:
    assert outline(corpus_root()) == [(one.id, one.level, one.title) for one in load().scenarios]


def test_it_leaves_mistakes_to_load(tmp_path: Path) -> None:
    for number, text in enumerate(("- a\n", "scenarios: 1\n", "scenarios:\n  a: 1\n", "scenarios:\n  a:\n    title: x\n", "a: [\n", "\xff")):
        folder = tmp_path / str(number)
        (folder / "smtp").mkdir(parents=True)
        (folder / "smtp" / "x.yaml").write_bytes(text.encode("latin-1"))
        assert outline(folder) is None, text
