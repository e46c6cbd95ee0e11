"""Loads a scenarios folder into a Corpus, or says of every mistake where it is.

Everything is validated here, never during a run: keys, ids, requirements, variables, connections, openings.
"""

from __future__ import annotations

import gc
import hashlib
from pathlib import Path

from conformance.scenario.build import FILE_KEYS, SCENARIO_KEYS, Builder
from conformance.scenario.dialogue import Reader, Scope
from conformance.scenario.errors import ScenarioError, ScenarioErrors
from conformance.scenario.expression import ExpressionError, Template
from conformance.scenario.model import LEVELS, Corpus, Opening, Requirement, Scenario, Seed
from conformance.scenario.names import BASE_NAMES
from conformance.scenario.source import Table, Text, Tree, corpus_root, read

__all__ = ["FILE_KEYS", "SCENARIO_KEYS", "ScenarioError", "ScenarioErrors", "corpus_root", "load"]
_PHASES = ("plain", "tls", "auth")
_ASIDE = ("openings.yaml", "seeds.yaml")


def load(root: Path | None = None) -> Corpus:
    """Reads every file below ``root``. Raises ScenarioErrors that name all mistakes at once."""
    collecting = gc.isenabled()
    gc.disable()  # nothing of what is made here is garbage; looking for it costs a third of the time
    try:
        return _load(root)
    finally:
        if collecting:
            gc.enable()


def _load(root: Path | None) -> Corpus:
    folder = root or corpus_root()
    errors: list[ScenarioError] = []
    if not folder.is_dir():
        raise ScenarioErrors([ScenarioError(folder, 1, "no such folder", "name a folder of scenario files")])
    digest = hashlib.sha256()
    texts: dict[Path, str] = {}
    for path in sorted(folder.rglob("*.yaml")):
        octets = path.read_bytes()
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + octets)
        try:
            texts[path] = octets.decode("utf-8")
        except UnicodeDecodeError as error:
            errors.append(ScenarioError(path, 1, f"not UTF-8: {error}", "save the file as UTF-8"))
    requirements: dict[str, Requirement] = {}
    for path, text in texts.items():
        if path.parent == folder / "requirements":
            requirements.update(_requirements(path, text, errors))
    fallback = corpus_root()
    if folder != fallback and not requirements and fallback.is_dir():
        requirements = dict(_shared_requirements(fallback, errors))
    openings = _openings(folder, texts, errors)
    seeds = _seeds(folder, texts, errors)
    builder = Builder(folder, requirements, openings, seeds, errors)
    scenarios: list[Scenario] = []
    for path, text in texts.items():
        if path.parent != folder / "requirements" and path.name not in _ASIDE:
            tree = read(path, text, errors)
            if tree:
                scenarios += builder.file(path, tree)
    builder.unique(scenarios)
    if errors:
        raise ScenarioErrors(errors)
    return Corpus(folder, tuple(scenarios), requirements, openings, seeds, digest.hexdigest())


def _shared_requirements(root: Path, errors: list[ScenarioError]) -> dict[str, Requirement]:
    found: dict[str, Requirement] = {}
    for path in sorted((root / "requirements").glob("*.yaml")):
        found.update(_requirements(path, path.read_text("utf-8"), errors))
    return found


def _requirements(path: Path, text: str, errors: list[ScenarioError]) -> dict[str, Requirement]:
    tree = read(path, text, errors)
    found: dict[str, Requirement] = {}
    if not tree:
        return found
    keys(path, tree, ("document", "title", "requirements"), errors)
    document, entries = tree.get("document"), tree.get("requirements")
    if not isinstance(document, Text) or not isinstance(entries, Table):
        remedy = "a requirements file has document, title, requirements"
        errors.append(ScenarioError(path, tree.line, "document or requirements is missing", remedy))
        return found
    for key, line, value in entries:
        if not isinstance(value, Table):
            errors.append(ScenarioError(path, line, f"{key} is not a mapping", "give it level and text"))
            continue
        keys(path, value, ("level", "text", "implied", "invisible", "contested"), errors)
        entry = {name: tree.value for name, _line, tree in value if isinstance(tree, Text)}
        section, slash, slug = key.partition("/")
        if not slash or not slug:
            errors.append(ScenarioError(path, line, f"{key!r} is not section/slug", "for example 4.1.4/rcpt-needs-mail"))
        if entry.get("level") not in LEVELS:
            errors.append(ScenarioError(path, line, f"level {entry.get('level')!r}", f"one of {', '.join(LEVELS)}"))
            continue
        if not entry.get("text"):
            errors.append(ScenarioError(path, line, f"{key} has no text", "paraphrase the statement"))
        identity = f"{path.stem}/{key}"
        found[identity] = Requirement(
            identity, document.value, section, entry["level"], entry.get("text", "").strip(),
            entry.get("implied", "").lower() == "true", entry.get("invisible", "").strip(),
            entry.get("contested", "").strip(),
        )  # fmt: skip
    return found


def keys(path: Path, table: Table, allowed: tuple[str, ...], errors: list[ScenarioError]) -> None:
    """Reports every key that is not in ``allowed``, with the nearest that is."""
    import difflib

    for key, line, _value in table:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, 1)
            remedy = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(allowed)}"
            errors.append(ScenarioError(path, line, f"unknown key {key!r}", remedy))


def _aside(
    folder: Path, name: str, key: str, texts: dict[Path, str], errors: list[ScenarioError]
) -> tuple[Path, Table | None]:
    """The mapping ``key`` ("" the whole) of openings.yaml or seeds.yaml; a folder without one takes the package's."""
    path = folder / name
    text = texts.get(path)
    if text is None:
        path = corpus_root() / name
        text = path.read_text("utf-8") if path.is_file() else None
    if text is None:
        return path, None
    tree = read(path, text, errors)
    found = (tree.get(key) if key else tree) if tree else None
    if tree and not isinstance(found, Table):
        errors.append(ScenarioError(path, 1, f"{key!r} is missing or no mapping"))
    return path, found if isinstance(found, Table) else None


def _openings(folder: Path, texts: dict[Path, str], errors: list[ScenarioError]) -> dict[tuple[str, str], Opening]:
    path, table = _aside(folder, "openings.yaml", "openings", texts, errors)
    found: dict[tuple[str, str], Opening] = {}
    captured: dict[tuple[str, str], set[str]] = {}
    for service, line, entries in table or ():
        if not isinstance(entries, Table) or service not in ("smtp", "lmtp", "pop3"):
            errors.append(ScenarioError(path, line, f"{service!r} is no family", "smtp, lmtp or pop3"))
            continue
        for name, name_line, value in entries:
            if not isinstance(value, Table):
                errors.append(ScenarioError(path, name_line, f"{name} is not a mapping"))
                continue
            keys(path, value, ("after", "exchange", "phase"), errors)
            after, exchange, phase = (_text(value.get(key)) for key in ("after", "exchange", "phase"))
            if after and (service, after) not in found:
                errors.append(ScenarioError(path, name_line, f"no opening {after!r} stands above", "define it first"))
            known = set(BASE_NAMES) | captured.get((service, after), set())
            scope = Scope(known)
            body = value.get("exchange")
            first = body.line if isinstance(body, Text) else name_line
            steps = Reader(path, exchange, first, scope, errors).read()
            phase = phase or (found[service, after].phase if (service, after) in found else "plain")
            if phase not in _PHASES:
                errors.append(ScenarioError(path, name_line, f"phase {phase!r}", f"one of {', '.join(_PHASES)}"))
                continue
            found[service, name] = Opening(name, service, after, steps, phase)  # type: ignore[arg-type]
            captured[service, name] = scope.known
    return found


def _text(tree: Tree | None) -> str:
    return tree.value if isinstance(tree, Text) else ""


def _seeds(folder: Path, texts: dict[Path, str], errors: list[ScenarioError]) -> dict[str, Seed]:
    path, table = _aside(folder, "seeds.yaml", "", texts, errors)
    found: dict[str, Seed] = {}
    for name, line, value in table or ():
        if not isinstance(value, Table):
            errors.append(ScenarioError(path, line, f"{name} is not a mapping", "give it octets or text"))
            continue
        keys(path, value, ("octets", "text", "via", "extension"), errors)
        octets, text = value.get("octets"), value.get("text")
        try:
            if isinstance(octets, Text):
                template = Template(octets.value, escapes=True)
            elif isinstance(text, Text):
                lines = text.value.removesuffix("\n").split("\n")
                template = Template("".join(one + "\r\n" for one in lines))
            else:
                raise ExpressionError("a seed has octets or text")
        except ExpressionError as error:
            errors.append(ScenarioError(path, line, f"{name}: {error}"))
            continue
        found[name] = Seed(name, template, _text(value.get("via")), _text(value.get("extension")))
    return found


