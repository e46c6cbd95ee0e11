"""junit.xml by the junit-xml package: one testsuite per command, the requirement as properties of each case."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from junit_xml import TestCase, TestSuite

from conformance.report.record import Record, Result
from conformance.report.text import clean, dialogue, explain


def junit(record: Record) -> Iterator[str]:
    """A suite at a time. A fail is a failure, an inconclusive result an error; what did not apply or is waived is skipped, with the reason."""
    suites: dict[str, list[Result]] = {}
    for result in record.results:
        suites.setdefault(f"{result['service']} {result['command']}", []).append(result)
    about = {key: str(value) for key, value in (
        ("target", record.target.get("name", "")), ("suite", record.suite.get("version", "")), ("digest", record.suite.get("digest", "")),
    )}  # fmt: skip
    counts = record.summary
    whole = {
        "tests": len(record.results), "failures": counts["fail"], "errors": counts["inconclusive"],
        "skipped": counts["not-applicable"] + counts["waived"], "disabled": 0,
        "time": f"{sum(result['duration'] for result in record.results):.3f}",
    }  # fmt: skip
    attributes = "".join(f' {key}="{value}"' for key, value in whole.items())
    yield f'<?xml version="1.0" encoding="utf-8"?>\n<testsuites name="mail-conformance"{attributes}>'
    for name, results in suites.items():
        suite = TestSuite(
            clean(name), [_case(result) for result in results], hostname=clean(str(record.target.get("host", ""))),
            timestamp=record.started, properties={key: clean(value) for key, value in about.items()},
        )  # fmt: skip
        element = suite.build_xml_doc()
        # junit-xml has properties for suites alone: each case gets its own here.
        for case, result in zip(element.iter("testcase"), results):
            case.insert(0, _properties(result))
        yield ElementTree.tostring(element, encoding="unicode")
    yield "</testsuites>\n"


def _case(result: Result) -> TestCase:
    case = TestCase(
        name=clean(result["id"]), classname=clean(result["id"].rpartition("/")[0].replace("/", ".")),
        elapsed_sec=result["duration"], stdout=clean("\n".join(dialogue(result))),
    )  # fmt: skip
    message = clean(result["reason"]) or result["verdict"]
    verdict = result["verdict"]
    if verdict == "fail":
        case.add_failure_info(message=message, output=clean(explain(result)))
    elif verdict == "inconclusive":
        case.add_error_info(message=message, output=clean(explain(result)))
    elif verdict in ("not-applicable", "waived"):
        case.add_skipped_info(message=message)
    return case


def _properties(result: Result) -> ElementTree.Element:
    found = ElementTree.Element("properties")
    pairs = [
        ("requirement", " ".join(result["requirements"])), ("level", result["level"]), ("verdict", result["verdict"]),
        ("rfc", f"{result['document']} section {result['section']}"), ("title", result["title"]),
    ]  # fmt: skip
    if result["verdict"] == "deviation":
        pairs.append(("reason", result["reason"]))
    pairs += [("note", note) for note in result["notes"]]
    for name, value in pairs:
        ElementTree.SubElement(found, "property", name=name, value=clean(value))
    return found
