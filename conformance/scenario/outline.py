"""Ids, levels and titles without reading a single dialogue: what a listing needs, at a tenth of the price of ``load``."""

from __future__ import annotations

from pathlib import Path

from conformance.scenario.errors import ScenarioError
from conformance.scenario.source import Listing, Table, Text, Tree, read

_ASIDE = ("openings.yaml", "seeds.yaml")


def outline(root: Path) -> list[tuple[str, str, str]] | None:
    """(id, level, title) in the order of ``load``; None if anything is not as it should be: ``load`` says what."""
    errors: list[ScenarioError] = []
    trees: dict[Path, Table] = {}
    levels: dict[str, str] = {}
    for path in sorted(root.rglob("*.yaml")):
        if path.name in _ASIDE:
            continue
        try:
            tree = read(path, path.read_text("utf-8"), errors)
        except UnicodeDecodeError:
            return None
        if tree is None or errors:
            return None
        if path.parent == root / "requirements":
            _levels(path, tree, levels)
        else:
            trees[path] = tree
    found: list[tuple[str, str, str]] = []
    for path, tree in trees.items():
        prefix = "/".join(path.relative_to(root).with_suffix("").parts)
        scenarios = tree.get("scenarios")
        if not isinstance(scenarios, Table):
            return None
        for slug, _line, value in scenarios:
            if not isinstance(value, Table):
                return None
            cases = value.get("cases")
            if cases is not None and not isinstance(cases, Table):
                return None
            for case, table in ((case, table) for case, _line, table in cases) if cases else (("", None),):
                if table is not None and not isinstance(table, Table):
                    return None
                title, level = _title(value, table), levels.get(_first(_pick(value, table, "requirement")))
                if not title or not level:
                    return None
                found.append((f"{prefix}/{slug}-{case}" if case else f"{prefix}/{slug}", level, title))
    return found


def _levels(path: Path, tree: Table, levels: dict[str, str]) -> None:
    entries = tree.get("requirements")
    for key, _line, value in entries if isinstance(entries, Table) else ():
        level = value.get("level") if isinstance(value, Table) else None
        if isinstance(level, Text):
            levels[f"{path.stem}/{key}"] = level.value


def _pick(value: Table, case: Table | None, key: str) -> Tree | None:
    own = case.get(key) if case else None
    return own if own is not None else value.get(key)


def _first(tree: Tree | None) -> str:
    if isinstance(tree, Listing):
        tree = tree.items[0] if tree.items else None
    return tree.value if isinstance(tree, Text) else ""


def _title(value: Table, case: Table | None) -> str:
    title = _first(_pick(value, case, "title"))
    for key, _line, text in case or ():
        if isinstance(text, Text):
            title = title.replace("{" + key + "}", text.value)
    return title
