"""What the documents and the schema list is what the code takes."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import tomllib
from pathlib import Path

import pytest

from conformance import cli, target
from conformance.protocol import customer
from conformance.report.coverage import fates
from conformance.scenario import build, delivered, dialogue, directive, functions, names
from conformance.scenario.loader import load
from conformance.scenario.model import AMBIENT, EFFECTS, SERVICES
from conformance.session import sasl

HERE = Path(__file__).resolve().parent.parent
README = (HERE / "README.md").read_text("utf-8")
LANGUAGE = (HERE / "scenarios" / "README.md").read_text("utf-8")
SCHEMA = json.loads((HERE / "conformance" / "scenario" / "schema.json").read_text("utf-8"))


def code() -> set[str]:
    """The words that stand in back quotes."""
    prose = re.sub(r"(?s)```.*?```", "", LANGUAGE)
    return {word for line in prose.splitlines() for span in re.findall(r"`([^`]+)`", line) for word in re.findall(r"[A-Za-z0-9_-]+", span)}


@pytest.mark.parametrize(
    "listed",
    [
        build.FILE_KEYS, build.SCENARIO_KEYS, delivered.KEYS, EFFECTS, SERVICES, AMBIENT, names.BASE_NAMES,
        dialogue._CASE_TEXT, customer.ANSWERS, customer.FORMS,
    ],
)  # fmt: skip
def test_words_of_the_language(listed: tuple[str, ...]) -> None:
    assert set(listed) - code() == set()


def test_functions() -> None:
    assert {name for name in functions.ARITY if f"`{name}(" not in LANGUAGE and f" {name}(" not in LANGUAGE} == set()
    assert functions.ARITY.keys() == functions.FUNCTIONS.keys() | functions.PLAYER_FUNCTIONS.keys()


def test_directives() -> None:
    known = {*directive._HANDLERS, *directive._PLAIN, *directive.VERDICTS, "when", "otherwise", "end", "segment", "split"}
    written = {word for one in re.findall(r"-- ([a-z|\\-]+)", LANGUAGE) for word in one.replace("\\", "").split("|")}
    assert known - written == set()


def test_mechanisms() -> None:
    plain = {name for name in sasl.MECHANISMS if " " not in name and not name.endswith("-PLUS")}
    assert {name for name in plain if name not in LANGUAGE} == set()


def test_openings() -> None:
    assert {name for _family, name in load().openings} - code() == set()


def test_the_schema_has_the_loader_s_keys() -> None:
    scenario = SCHEMA["$defs"]["scenario"]["properties"]
    assert set(SCHEMA["properties"]) == set(build.FILE_KEYS)
    assert set(scenario) == set(build.SCENARIO_KEYS)
    assert set(scenario["cases"]["additionalProperties"]["properties"]) == set(build.CASE_OVERRIDES)
    assert set(scenario["delivered"]["anyOf"][1]["properties"]) == set(delivered.KEYS)
    assert set(scenario["ambient"]["enum"]) == set(AMBIENT)
    assert set(SCHEMA["$defs"]["effect"]["enum"]) == set(EFFECTS)
    assert set(SCHEMA["$defs"]["service"]["enum"]) == set(SERVICES)


def test_the_target_file() -> None:
    text = next(block for block in re.findall(r"```toml\n(.*?)```", README, re.S) if "[services]" in block)
    example = tomllib.loads(text)
    assert set(example["mail"]) == set(target.MAIL_KEYS)
    assert set(example["accounts"][0]) == {field.name for field in dataclasses.fields(target.Account)}
    assert set(example["limits"]) == {field.name for field in dataclasses.fields(target.Limits)}
    assert set(example["services"]) <= set(target.PORTS)
    defaults = dataclasses.asdict(target.Limits())
    assert example["limits"] == defaults


def test_the_commands_and_options_of_run() -> None:
    parser = cli._parser()
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction)).choices
    assert {name for name in commands if f"{name}" not in README} == set()
    options = {option for action in commands["run"]._actions for option in action.option_strings if option.startswith("--")}
    assert {option for option in options if option not in README} - {"--help"} == set()


def test_the_tree() -> None:
    tree = README.partition("## Where things are")[2]
    files = {path.name for path in (HERE / "conformance").glob("*.py")} - {"__init__.py", "__main__.py"}
    folders = {path.name + "/" for path in (HERE / "conformance").iterdir() if (path / "__init__.py").is_file()}
    assert {name for name in files | folders if name not in tree} == set()


def test_every_requirement_is_tried_or_says_why_not() -> None:
    open_ones = [one.id for found in fates(load()).values() for one, fate in found if fate == "open"]
    assert not open_ones
