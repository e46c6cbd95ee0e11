"""The traceability matrix: per document and level, what the corpus covers."""

from __future__ import annotations

from conformance.scenario.model import Corpus, Requirement


def fates(corpus: Corpus) -> dict[str, list[tuple[Requirement, str]]]:
    """Document → (requirement, fate): covered, contested, not visible, open."""
    cited = {one.id for scenario in corpus.scenarios for one in scenario.requirements}
    found: dict[str, list[tuple[Requirement, str]]] = {}
    for requirement in corpus.requirements.values():
        if requirement.id in cited:
            fate = "contested" if requirement.contested else "covered"
        else:
            fate = "not visible" if requirement.invisible else "open"
        found.setdefault(requirement.document, []).append((requirement, fate))
    return found


def coverage_lines(corpus: Corpus, *, verbose: bool = False) -> list[str]:
    """A table for people; with ``verbose`` every requirement that is open or not visible, and why."""
    columns = ("covered", "contested", "not visible", "open")
    lines = [f"{'document':24} {'level':11}" + "".join(f"{column:>13}" for column in columns)]
    total = dict.fromkeys(columns, 0)
    for document, entries in sorted(fates(corpus).items()):
        for level in ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"):
            counts = {c: sum(1 for r, fate in entries if r.level == level and fate == c) for c in columns}
            if any(counts.values()):
                lines.append(f"{document:24} {level:11}" + "".join(f"{counts[c]:>13}" for c in columns))
            for column in columns:
                total[column] += counts[column]
    lines.append(f"{'all':24} {'':11}" + "".join(f"{total[c]:>13}" for c in columns))
    if verbose:
        for entries in fates(corpus).values():
            for requirement, fate in entries:
                if fate in ("open", "not visible"):
                    lines.append(f"{fate}: {requirement.id}: {requirement.invisible or requirement.text}")
    return lines
