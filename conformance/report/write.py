"""Writes the reports of a run: results.json, junit.xml (junit-xml), report.html."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from junit_xml import TestCase, TestSuite, to_xml_report_string

from conformance.report.record import Record, Result
from conformance.verdict.model import VERDICTS

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """Text that XML can hold."""
    return _NOT_XML.sub("�", text)


def dialogue(result: Result) -> list[str]:
    """The transcript, the offending line marked."""
    lines = []
    for index, (seconds, side, text) in enumerate(result["transcript"]):
        mark = ">" if index == result["mark"] and result["verdict"] in ("fail", "deviation", "inconclusive") else " "
        lines.append(f"{mark} {seconds:8.3f} {side} {text}")
    return lines


def explain(result: Result) -> str:
    """Requirement, expected, received, dialogue: what a user needs to mend a server."""
    parts = [f"{result['document']} section {result['section']} ({result['level']}): {result['statement']}"]
    parts.append(f"reason:   {result['reason']}")
    for key in ("expected", "received"):
        if result[key]:
            parts.append(f"{key}: {result[key]}")
    if result["transcript"]:
        parts += ["dialogue:", *dialogue(result)]
    return "\n".join(parts)


def write_all(records: Sequence[Record], folder: Path) -> list[Path]:
    """One set of files; with several targets a folder for each. Each file appears whole or not at all."""
    written = []
    for number, record in enumerate(records, 1):
        into = folder
        if len(records) > 1:
            slug = re.sub(r"[^a-z0-9]+", "-", str(record.target.get("name", "")).lower()).strip("-")
            into = folder / f"{number}-{slug or 'target'}"
        into.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("results.json", _json(record)),
            ("junit.xml", junit(record)),
            ("report.html", clean(page(record))),
        ):
            path = into / name
            temporary = path.with_suffix(path.suffix + ".part")
            temporary.write_text(text, "utf-8")
            os.replace(temporary, path)
            written.append(path)
    return written


def _json(record: Record) -> str:
    """One result a line: easy to search, and json's fast encoder knows no indentation."""
    data = record.data()
    results = ",\n".join(json.dumps(result) for result in data.pop("results"))
    return json.dumps(data)[:-1] + f', "results": [\n{results}\n]}}\n'


def junit(record: Record) -> str:
    """One testsuite per command."""
    suites: dict[str, list[TestCase]] = {}
    for result in record.results:
        case = TestCase(
            name=clean(result["id"]), classname=clean(result["id"].rpartition("/")[0].replace("/", ".")),
            elapsed_sec=result["duration"], stdout=clean("\n".join(dialogue(result))),
        )  # fmt: skip
        message = clean(result["reason"])
        verdict = result["verdict"]
        if verdict == "fail":
            case.add_failure_info(message=message, output=clean(explain(result)))
        elif verdict == "inconclusive":
            case.add_error_info(message=message, output=clean(explain(result)))
        elif verdict in ("not-applicable", "waived"):
            case.add_skipped_info(message=message)
        case.properties = {
            "requirement": " ".join(result["requirements"]), "level": result["level"], "verdict": verdict,
            "rfc": f"{result['document']} section {result['section']}",
        }  # fmt: skip
        suites.setdefault(f"{result['service']} {result['command']}", []).append(case)
    built = []
    for name, cases in suites.items():
        built.append(TestSuite(clean(name), cases, hostname=clean(str(record.target.get("host", "")))))
    text = to_xml_report_string(built, prettyprint=False)
    return _with_properties(text, suites)


def _with_properties(text: str, suites: dict[str, list[TestCase]]) -> str:
    """junit-xml has properties for suites alone: each case gets its own here."""
    from xml.etree import ElementTree

    root = ElementTree.fromstring(text)
    cases = iter(case for group in suites.values() for case in group)
    for element in root.iter("testcase"):
        case = next(cases)
        properties = ElementTree.Element("properties")
        for name, value in case.properties.items():
            ElementTree.SubElement(properties, "property", name=name, value=clean(value))
        element.insert(0, properties)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


_STYLE = """
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}.counts{display:flex;flex-wrap:wrap;gap:.6rem;padding:0;list-style:none}.counts li{padding:.3rem .8rem;border-radius:.4rem;background:#8882}
summary{cursor:pointer;padding:.25rem 0}details{border-bottom:1px solid #8883}pre{overflow:auto;padding:.7rem;background:#8881;font-size:13px}
.v{display:inline-block;min-width:7.5rem;font-weight:600}.fail{color:#c62828}.deviation{color:#b26a00}.inconclusive{color:#7b5ea7}.pass{color:#2e7d32}.not-applicable,.waived{color:#777}
.bad{background:#c6282833;display:block}table{border-collapse:collapse}td,th{padding:.2rem .7rem;text-align:left;border-bottom:1px solid #8883}code{font-size:13px}
"""
_ORDER = ("fail", "inconclusive", "deviation", "waived", "pass", "not-applicable")


def page(record: Record) -> str:
    """A self-contained page: no script, nothing fetched, all text escaped."""
    esc = html.escape
    name = esc(str(record.target.get("name", "")))
    counts = "".join(
        f'<li class="{v}"><b>{record.summary[v]}</b> {v}</li>' for v in VERDICTS if record.summary[v] or v == "fail"
    )
    rows: dict[str, dict[str, int]] = {}
    for result in record.results:
        row = rows.setdefault(f"{result['service']} {result['command']}", dict.fromkeys(VERDICTS, 0))
        row[result["verdict"]] += 1
    table = "".join(
        f"<tr><td>{esc(key)}</td>" + "".join(f"<td>{row[v] or ''}</td>" for v in VERDICTS) + "</tr>"
        for key, row in rows.items()
    )
    parts = []
    for verdict in _ORDER:
        found = [result for result in record.results if result["verdict"] == verdict]
        if not found:
            continue
        opened = " open" if verdict in ("fail", "inconclusive", "deviation") else ""
        parts.append(f"<details{opened}><summary><h2 style='display:inline'>{verdict} ({len(found)})</h2></summary>")
        parts += [_detail(result) for result in found]
        parts.append("</details>")
    remarks = "".join(f"<p>{esc(one)}</p>" for one in record.remarks)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{name}: mail conformance</title><style>{_STYLE}</style><h1>{name}</h1>"
        f"<p>mail-conformance {esc(str(record.suite.get('version')))}, {esc(record.started)}, "
        f"{record.duration:.1f} s, {len(record.results)} scenarios</p><ul class=counts>{counts}</ul>{remarks}"
        + "".join(parts)
        + "<h2>By command</h2><table><tr><th></th>"
        + "".join(f"<th>{v}</th>" for v in VERDICTS)
        + f"</tr>{table}</table></html>\n"
    )


def _detail(result: Result) -> str:
    esc = html.escape
    lines = "".join(
        f'<span class="bad">{esc(line)}</span>' if line.startswith(">") else esc(line) + "\n"
        for line in dialogue(result)
    )
    rows = "".join(
        f"<p><b>{key}</b> <code>{esc(str(result[key]))}</code></p>"
        for key in ("reason", "expected", "received")
        if result[key]
    )
    notes = "".join(f"<p>note: {esc(note)}</p>" for note in result["notes"])
    return (
        f'<details><summary><span class="v {result["verdict"]}">{result["verdict"]}</span> '
        f"<code>{esc(result['id'])}</code> {esc(result['title'])}</summary>"
        f"<p>{esc(result['document'])} section {esc(result['section'])}, {esc(result['level'])}: "
        f"{esc(result['statement'])}</p>{rows}{notes}<pre>{lines}</pre></details>"
    )
