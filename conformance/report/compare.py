"""Two runs of the same target: only what changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conformance.report.record import RecordError

_WORSE = {"pass": 0, "waived": 1, "not-applicable": 1, "deviation": 2, "inconclusive": 3, "fail": 4}


def read_results(path: Path) -> dict[str, Any]:
    """A results.json of schema 1. Raises RecordError."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror} (name a results.json)") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: not JSON: {error}") from None
    if not isinstance(data, dict) or data.get("schema") != 1 or not isinstance(data.get("results"), list):
        raise RecordError(f"{path}: not a results.json of schema 1 (write one with mail-conformance run --report DIR)")
    for number, result in enumerate(data["results"], 1):
        known = isinstance(result, dict) and isinstance(result.get("id"), str) and result.get("verdict") in _WORSE
        if not known or not isinstance(result.get("reason", ""), str):
            raise RecordError(f"{path}: result {number} has no id, or a verdict that does not exist: the file is broken")
        result.setdefault("reason", "")
    return data


def compare(old: dict[str, Any], new: dict[str, Any]) -> tuple[list[str], bool]:
    """(lines, whether anything got worse)."""
    before = {result["id"]: result for result in old["results"]}
    after = {result["id"]: result for result in new["results"]}
    lines, worse = [], False
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was is None and now is not None:
            bad = now["verdict"] in ("fail", "deviation", "inconclusive")
            lines.append(f"{'worse ' if bad else 'new   '} {name}: {now['verdict']}  {now['reason']}".rstrip())
            worse = worse or bad
        elif now is None and was is not None:
            lines.append(f"gone   {name}: was {was['verdict']}")
        elif was and now and was["verdict"] != now["verdict"]:
            bad = _WORSE[now["verdict"]] > max(_WORSE[was["verdict"]], 1)
            word = "worse " if bad else "better" if _WORSE[now["verdict"]] < _WORSE[was["verdict"]] else "changed"
            lines.append(f"{word} {name}: {was['verdict']} → {now['verdict']}  {now['reason']}".rstrip())
            worse = worse or bad
    return lines, worse
