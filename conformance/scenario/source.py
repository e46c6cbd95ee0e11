"""YAML with the line of every key and value, read by libyaml, so that errors can name the place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from conformance.scenario.errors import ScenarioError

_Base: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = ("", "~", "null", "Null", "NULL")


class _Loader(_Base):  # type: ignore[misc]
    """Every scalar is a text or nothing: whether one could be a number or a date is never asked."""

    def resolve(self, kind: type, value: str | None, implicit: tuple[bool, bool]) -> str:
        if kind is yaml.ScalarNode:
            return "tag:yaml.org,2002:" + ("null" if implicit[0] and value in _NULL else "str")
        return "tag:yaml.org,2002:" + ("map" if kind is yaml.MappingNode else "seq")




@dataclass(frozen=True)
class Text:
    """A scalar. ``line`` is where its first line of content stands."""

    value: str
    line: int
    plain: bool


@dataclass(frozen=True)
class Listing:
    items: tuple[Tree, ...]
    line: int


@dataclass(frozen=True)
class Table:
    entries: dict[str, tuple[int, Tree]]  # key → (line of the key, value)
    line: int

    def get(self, key: str) -> Tree | None:
        entry = self.entries.get(key)
        return entry[1] if entry else None

    def __iter__(self) -> Iterator[tuple[str, int, Tree]]:
        return ((key, line, value) for key, (line, value) in self.entries.items())


Tree = Text | Listing | Table


def corpus_root() -> Path:
    """The corpus that belongs to this package: the checkout's ``scenarios/``, or the wheel's copy."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "corpus"
    return installed if installed.is_dir() else package.parent / "scenarios"


def read(path: Path, text: str, errors: list[ScenarioError]) -> Table | None:
    """The file's mapping, or None with an error appended. Duplicate keys are errors."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        errors.append(ScenarioError(path, mark.line + 1 if mark else 1, f"not YAML: {problem}"))
        return None
    if not isinstance(node, yaml.MappingNode):
        errors.append(ScenarioError(path, 1, "the file is not a mapping", "begin with `command:` and `service:`"))
        return None
    tree = _convert(path, node, errors)
    return tree if isinstance(tree, Table) else None


def _convert(path: Path, node: yaml.Node, errors: list[ScenarioError]) -> Tree:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        entries: dict[str, tuple[int, Tree]] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            key = str(key_node.value)
            if key in entries:
                remedy = f"it stands first at line {entries[key][0]}; rename or remove one"
                errors.append(ScenarioError(path, key_line, f"duplicate key {key!r}", remedy))
                continue
            entries[key] = (key_line, _convert(path, value_node, errors))
        return Table(entries, line)
    if isinstance(node, yaml.SequenceNode):
        return Listing(tuple(_convert(path, child, errors) for child in node.value), line)
    block = getattr(node, "style", None) in ("|", ">")
    null = node.tag == "tag:yaml.org,2002:null"
    return Text("" if null else str(node.value), line + 1 if block else line, getattr(node, "style", None) is None)
