"""report.html: self-contained, without script, so that nothing a server said can do anything in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from conformance.report.record import Record, Result
from conformance.report.text import MARKED, clean, dialogue
from conformance.verdict.model import VERDICTS, stamp

_ORDER = ("fail", "inconclusive", "deviation", "waived", "pass", "not-applicable")
_MEANS = {
    "fail": "a MUST or MUST NOT is broken", "inconclusive": "nothing is proven: transport trouble, a policy reply, a target that went away",
    "deviation": "a SHOULD is broken, or a contested point", "waived": "known, and listed in the waiver file",
    "pass": "exercised and met", "not-applicable": "not offered by the target, or not told in its target file",
}  # fmt: skip
_SIDE = len("  " + stamp(0, "-")) - 2  # where a line of a dialogue says who speaks
_OPEN_AT_ONCE = 25  # broken results that are unfolded from the start


def page(record: Record) -> Iterator[str]:
    """Counts that filter, what is broken first, then the requirements document by document."""
    title = escape(str(record.target.get("name", "")) or "a mail server")
    summary = record.summary
    order = sorted(record.results, key=lambda one: _ORDER.index(one["verdict"]))
    style = Path(__file__).with_name("page.css").read_text("utf-8")
    bad = summary["fail"]
    word = "not conformant" if bad else "nothing proven wrong" if summary["inconclusive"] else "conformant"
    interrupted = "<p class=remark>The run was interrupted: this is what had been played by then.</p>" if record.interrupted else ""
    yield clean(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>"
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Conformance of {title}</title><style>{style}</style></head><body>"
        f"<header><h1>Conformance of {title}</h1><p class='word {'fail' if bad else 'pass'}'>{word} at level MUST</p>"
        f"<p class=about>{escape(str(record.target.get('host', '')))} · {escape(record.started)} · {record.duration:.1f} s · "
        f"{escape(str(record.suite.get('name', 'mail-conformance')))} {escape(str(record.suite.get('version', '')))}, corpus "
        f"<code>{escape(str(record.suite.get('digest', ''))[:12])}</code></p></header>"
        + interrupted
        + "".join(f"<p class=remark>{escape(remark)}</p>" for remark in record.remarks)
        + _filters(record)
        + "<section id=results><h2>Scenarios</h2>"
    )
    for index, one in enumerate(order):
        yield clean(_result(one, index < _OPEN_AT_ONCE))
    yield ("" if order else "<p>Nothing was played.</p>") + "</section>"
    yield clean(_requirements(record) + _commands(record) + _target(record) + "</body></html>\n")


def _filters(record: Record) -> str:
    """One radio button per verdict; the style sheet hides the rest."""
    summary = record.summary
    parts = [f"<label class=all><input type=radio name=f id=f-all checked><b>{len(record.results)}</b> all</label>"]
    for verdict in _ORDER:
        if summary[verdict] or verdict == "fail":
            parts.append(
                f"<label class={verdict} title='{_MEANS[verdict]}'><input type=radio name=f id=f-{verdict}>"
                f"<b>{summary[verdict]}</b> {verdict}</label>"
            )
    return f"<nav aria-label='Filter by verdict'>{''.join(parts)}</nav>"


def _anchor(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9/._-]", "-", name)


def _result(result: Result, unfold: bool) -> str:
    verdict = result["verdict"]
    opened = " open" if unfold and verdict in ("fail", "inconclusive") else ""
    rows = "".join(
        f"<dt>{key}<dd><code>{escape(str(result[key]))}</code>" for key in ("expected", "received") if result[key]
    )
    notes = "".join(f"<dt>note<dd>{escape(note)}" for note in result["notes"])
    reason = f"<dt>reason<dd>{escape(result['reason'])}" if result["reason"] else ""
    others = "".join(f", <code>{escape(name)}</code>" for name in result["requirements"][1:])
    lines = escape("\n".join(dialogue(result))).split("\n") if result["transcript"] else []
    for index, line in enumerate(lines):
        if index == result["mark"] and verdict in MARKED:
            lines[index] = f"<mark>{line}</mark>"
        elif line.startswith("- ", _SIDE):
            lines[index] = f"<i>{line}</i>"
    spoken = "<pre>" + "\n".join(lines) + "</pre>" if lines else ""
    return (
        f"<details class='r {verdict}' id='{_anchor(result['id'])}'{opened}><summary><span>{verdict}</span> "
        f"<code>{escape(result['id'])}</code> {escape(result['title'])}</summary><dl>"
        f"<dt>requirement<dd>{escape(result['document'])} section {escape(result['section'])}, <b>{escape(result['level'])}</b>: "
        f"{escape(result['statement'])} <small><code>{escape((result['requirements'] or [''])[0])}</code>{others}</small>"
        f"{reason}{rows}{notes}</dl>{spoken}</details>\n"
    )


def _requirements(record: Record) -> str:
    """Document → requirement → what its scenarios said, the worst first."""
    documents: dict[str, dict[str, list[Result]]] = {}
    for result in record.results:
        name = (result["requirements"] or [""])[0]
        documents.setdefault(result["document"], {}).setdefault(name, []).append(result)
    parts = []
    for document, found in sorted(documents.items(), key=lambda item: _natural(item[0])):
        counts = {v: sum(1 for group in found.values() for one in group if one["verdict"] == v) for v in _ORDER}
        told = ", ".join(f"<span class={v}>{count} {v}</span>" for v, count in counts.items() if count)
        rows = []
        for _name, group in sorted(found.items(), key=lambda item: (_worst(item[1]), _natural(item[1][0]["section"]), item[0])):
            one = group[0]
            links = " ".join(
                f"<a class={r['verdict']} href='#{_anchor(r['id'])}' title='{escape(r['id'], quote=True)}: {r['verdict']}'>"
                f"{escape(r['id'].rpartition('/')[2])}</a>"
                for r in group
            )
            rows.append(
                f"<tr class={_ORDER[_worst(group)]}><td>{escape(one['section'])}<td>{escape(one['level'])}"
                f"<td>{escape(one['statement'])}<div>{links}</div>"
            )
        parts.append(
            f"<details><summary><b>{escape(document)}</b> {len(found)} requirements: {told}</summary>"
            f"<table><thead><tr><th>section<th>level<th>requirement, and the scenarios that tried it</thead><tbody>{''.join(rows)}</tbody></table></details>\n"
        )
    return f"<section><h2>Requirements</h2>{''.join(parts)}</section>"


def _worst(group: list[Result]) -> int:
    return min(_ORDER.index(one["verdict"]) for one in group)


def _natural(text: str) -> list[tuple[int, str]]:
    """4.2 before 4.10, RFC 821 before RFC 5321."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"([0-9]+)", text)]


def _commands(record: Record) -> str:
    rows: dict[str, dict[str, int]] = {}
    for result in record.results:
        row = rows.setdefault(f"{result['service']} {result['command']}", dict.fromkeys(VERDICTS, 0))
        row[result["verdict"]] += 1
    body = "".join(
        f"<tr><td>{escape(key)}" + "".join(f"<td class='n {v}'>{row[v] or ''}" for v in _ORDER)
        for key, row in sorted(rows.items())
    )
    head = "".join(f"<th>{v}" for v in _ORDER)
    return f"<section><h2>Commands</h2><table><thead><tr><th>command{head}</thead><tbody>{body}</tbody></table></section>"


def _target(record: Record) -> str:
    """What the target said of itself."""
    services = record.target.get("services") or {}
    greetings, capabilities = record.target.get("greetings") or {}, record.target.get("capabilities") or {}
    rows = []
    for name, port in services.items():
        offers = "".join(
            f"<div><b>{escape(str(phase))}</b> {escape(', '.join(map(str, words)))}</div>"
            for phase, words in (capabilities.get(name) or {}).items()
        )
        rows.append(f"<tr><td>{escape(str(name))}<td>{escape(str(port))}<td><code>{escape(str(greetings.get(name, '')))}</code>{offers}")
    head = "<tr><th>service<th>port<th>greeting, and what it offers"
    return f"<section><h2>Target</h2><table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></section>"
