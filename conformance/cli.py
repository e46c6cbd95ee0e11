"""The command ``mail-conformance``. Imports are late: listing must not pay for playing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from conformance import __version__

PROFILES = ("default", "exchange")
SERVICES = ("smtp", "submission", "smtps", "odmr", "lmtp", "pop3", "pop3s")


class UsageError(Exception):
    """Exit status 2, with this line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    command: Callable[[argparse.Namespace], int] | None = getattr(options, "call", None)
    if command is None:
        parser.print_help()
        return 2
    from conformance.scenario.errors import ScenarioErrors

    try:
        return command(options)
    except (UsageError, ScenarioErrors) as error:
        print(f"mail-conformance: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mail-conformance", description="A conformance test suite for mail servers.")
    parser.add_argument("--version", action="version", version=f"mail-conformance {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND")

    def add(name: str, call: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(call=call)
        return sub

    run = add("run", _run, "play the scenarios against a target; without one, against the bundled server")
    run.add_argument("--target", action="append", default=[], metavar="FILE|URL", help="target file or URL (repeatable)")
    run.add_argument("--profile", choices=PROFILES, help="of the bundled server (without --target)")
    run.add_argument("--level", choices=("must", "should"), default="must")
    run.add_argument("--select", action="append", default=[], metavar="EXPR")
    run.add_argument("--report", metavar="DIR", help="write results.json, junit.xml and report.html there")
    run.add_argument("--baseline", metavar="results.json", help="exit 1 only for what got worse")
    run.add_argument("--waivers", metavar="FILE", help="known failures (TOML)")
    run.add_argument("--safe", action="store_true", help="leave out every scenario with side effects")
    run.add_argument("--slow", action="store_true", help="also scenarios that wait for minutes")
    run.add_argument("--destructive", action="store_true", help="also probes that may end a faulty server")
    run.add_argument("--connections", type=int, metavar="N", help="sessions at a time")
    run.add_argument("--scenarios", metavar="DIR", help="another folder of scenario files")
    run.add_argument("-n", dest="workers", default="0", metavar="WORKERS", help="processes (pytest-xdist)")

    serve = add("serve", _serve, "run the bundled reference server")
    serve.add_argument("--fault", action="append", default=[], metavar="NAME")
    serve.add_argument("--profile", choices=PROFILES, default="", help="default: that of the faults")
    serve.add_argument("--write-target", metavar="FILE")
    serve.add_argument("--maildir", metavar="DIR", help="keep mail there instead of in memory")
    serve.add_argument("--accounts", type=int, default=16, metavar="N")
    serve.add_argument("--host", default="127.0.0.1")
    for service in SERVICES:
        serve.add_argument(f"--{service}", type=int, default=0, metavar="PORT", help="0: any")

    probe = add("probe", _probe, "write a target file from what a host offers")
    probe.add_argument("url", nargs="+")
    listing = add("list", _list, "list the scenarios")
    listing.add_argument("--select", action="append", default=[], metavar="EXPR")
    show = add("show", _show, "show one scenario")
    show.add_argument("id")
    lint = add("lint", _lint, "check scenario files")
    lint.add_argument("path", nargs="?")
    coverage = add("coverage", _coverage, "which requirements the scenarios cover")
    coverage.add_argument("-v", "--verbose", action="store_true")
    add("faults", _faults, "list the named faults of the bundled server")
    prove = add("prove", _prove, "show that scenarios can fail: play them against each named fault")
    prove.add_argument("--select", action="append", default=[], metavar="EXPR")
    prove.add_argument("--fault", action="append", default=[], metavar="NAME")
    prove.add_argument("--profile", choices=PROFILES, help="only the faults of this profile of the bundled server")
    compare = add("compare", _compare, "what changed between two runs")
    compare.add_argument("old")
    compare.add_argument("new")
    return parser


def _run(options: argparse.Namespace) -> int:
    import pytest

    from conformance import plugin
    from conformance.report.compare import compare, read_results
    from conformance.report.record import RecordError
    from conformance.scenario.loader import corpus_root, load
    from conformance.scenario.select import SelectionError, select
    from conformance.target import Target, TargetError

    root = Path(options.scenarios) if options.scenarios else corpus_root()
    if options.connections is not None and options.connections < 1:
        raise UsageError("--connections is a number above 0")
    if options.profile and options.target:
        raise UsageError("--profile is the bundled server's: leave it out where there is a --target")
    try:
        corpus = load(root)
        if not select(corpus.scenarios, options.select):
            raise UsageError(f"no scenario matches {' or '.join(options.select) or 'anything'} (mail-conformance list)")
        for name in options.target:
            Target.parse(name)
        baseline = read_results(Path(options.baseline)) if options.baseline else None
        if options.waivers:
            _check_waivers(Path(options.waivers))
    except (SelectionError, TargetError, RecordError) as error:
        raise UsageError(str(error)) from None
    arguments = ["-q", "--no-header", "-p", "no:cacheprovider", "-o", "addopts=", "--tb=short", "-c", _ini(),
                 "--rootdir", str(root.parent), "--continue-on-collection-errors", "-W", "ignore::pytest.PytestAssertRewriteWarning"]  # fmt: skip
    for key in ("target", "select"):
        for value in getattr(options, key):
            arguments.append(f"--conformance-{key}={value}")
    for key in ("level", "report", "baseline", "waivers", "connections", "scenarios", "profile"):
        if getattr(options, key) is not None:
            arguments.append(f"--conformance-{key}={getattr(options, key)}")
    arguments += [f"--conformance-{key}" for key in ("safe", "slow", "destructive") if getattr(options, key)]
    if options.workers not in ("0", ""):
        arguments += ["-n", options.workers]
    keeper = _Keeper()
    known = [] if _registered() else [plugin]
    code = pytest.main([*arguments, str(root)], plugins=[keeper, *known])
    status = plugin.status(keeper.config) if keeper.config else None
    trouble = keeper.config.stash.get(plugin.ERROR, "") if keeper.config else ""
    if trouble:
        raise UsageError(trouble)
    if status is None:
        return 130 if code == pytest.ExitCode.INTERRUPTED else 2
    if code == pytest.ExitCode.INTERRUPTED:
        return 130
    if baseline is not None and keeper.config:
        lines, worse = compare(baseline, keeper.config.stash[plugin._KEY].records[0].data())
        print("\n".join(lines) or "nothing changed against the baseline")
        return int(worse)
    return status


def _check_waivers(path: Path) -> None:
    from conformance.report.record import Record, apply_waivers

    apply_waivers(Record({}, ""), path)


class _Keeper:
    """Keeps hold of the run's configuration, from which the status is read."""

    config = None

    def pytest_configure(self, config) -> None:  # type: ignore[no-untyped-def]
        if not hasattr(config, "workerinput"):
            self.config = config


def _ini() -> str:
    """An empty configuration, so that a project's own pytest settings do not reach into ``run``."""
    return str(Path(__file__).with_name("run.ini"))


def _registered() -> bool:
    from importlib.metadata import entry_points

    return any(point.value == "conformance.plugin" for point in entry_points(group="pytest11"))


def _serve(options: argparse.Namespace) -> int:
    import asyncio
    import signal

    from conformance.server.app import ReferenceServer, UnknownFault, UnknownProfile

    ports = {service: getattr(options, service) for service in SERVICES}
    maildir = Path(options.maildir) if options.maildir else None
    try:
        server = ReferenceServer(
            faults=options.fault, profile=options.profile, maildir=maildir, ports=ports, accounts=options.accounts,
            host=options.host,
        )  # fmt: skip
    except (UnknownFault, UnknownProfile) as error:
        raise UsageError(str(error)) from None

    async def serve() -> None:
        try:
            await server.start()
        except OSError as error:
            raise UsageError(f"a port cannot be had: {error.strerror or error}") from None
        if options.write_target:
            server.write_target(Path(options.write_target))
        print("ready", flush=True)
        ended = asyncio.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, ended.set)
        await ended.wait()
        await server.stop()

    asyncio.run(serve())
    return 0


def _probe(options: argparse.Namespace) -> int:
    import asyncio
    from dataclasses import replace

    from conformance.scenario.loader import load
    from conformance.session.runner import Runner
    from conformance.target import Target, TargetError

    try:
        targets = [Target.from_url(url) for url in options.url]
    except TargetError as error:
        raise UsageError(str(error)) from None
    services = {name: one for target in targets for name, one in target.services.items()}
    runner = Runner(replace(targets[0], services=services), load(), safe=True)
    asyncio.run(runner.probe([]))
    print(f'name = "{targets[0].host}"\nhost = "{targets[0].host}"\n\n[services]')
    for name, service in services.items():
        print(f"# {runner.trouble[name]}" if name in runner.trouble else f"{name} = {service.port}")
    for name, phases in runner.capabilities.items():
        for phase, words in phases.items():
            print(f"# {name} ({phase}): {', '.join(words)}")
    print('\n# [mail]\n# domain = ""\n# recipient = ""\n\n# [[accounts]]\n# user = ""\n# password = ""\n# address = ""')
    return 3 if runner.trouble else 0


def _list(options: argparse.Namespace) -> int:
    from conformance.scenario.loader import load
    from conformance.scenario.select import SelectionError, select

    try:
        found = select(load().scenarios, options.select)
    except SelectionError as error:
        raise UsageError(str(error)) from None
    print("\n".join(f"{one.id}  [{one.level}] {one.title}" for one in found))
    return 0 if found else 2


def _show(options: argparse.Namespace) -> int:
    from conformance.scenario.loader import load

    corpus = load()
    for one in corpus.scenarios:
        if one.id == options.id:
            print(f"{one.id}: {one.title}\nfile: {one.path.name}:{one.line}\nservice: {one.service}  opening: {one.opening}")
            for requirement in one.requirements:
                print(f"{requirement.id} ({requirement.level}): {requirement.text}")
            print(f"needs: {', '.join(one.needs) or '-'}\neffects: {', '.join(sorted(one.effects)) or '-'}\n")
            print(one.source.rstrip())
            return 0
    import difflib

    near = difflib.get_close_matches(options.id, [one.id for one in corpus.scenarios], 3)
    raise UsageError(f"there is no scenario {options.id!r}" + (f" (near: {', '.join(near)})" if near else ""))


def _lint(options: argparse.Namespace) -> int:
    from conformance.scenario.loader import load

    corpus = load(Path(options.path) if options.path else None)
    print(f"{len(corpus.scenarios)} scenarios, {len(corpus.requirements)} requirements: no mistakes")
    return 0


def _coverage(options: argparse.Namespace) -> int:
    from conformance.report.coverage import coverage_lines
    from conformance.scenario.loader import load

    print("\n".join(coverage_lines(load(), verbose=options.verbose)))
    return 0


def _faults(options: argparse.Namespace) -> int:
    from conformance.server.faults import FAULTS

    for fault in FAULTS.values():
        print(f"{fault.name}  {fault.requirement}  {fault.summary}")
    return 0


def _prove(options: argparse.Namespace) -> int:
    import asyncio

    from conformance.scenario.loader import load
    from conformance.scenario.select import SelectionError, select
    from conformance.session.prove import prove

    corpus = load()
    try:
        chosen = select(corpus.scenarios, options.select)
    except SelectionError as error:
        raise UsageError(str(error)) from None
    return asyncio.run(prove(corpus, chosen, options.fault, print, profile=options.profile or ""))


def _compare(options: argparse.Namespace) -> int:
    from conformance.report.compare import compare, read_results
    from conformance.report.record import RecordError

    try:
        lines, worse = compare(read_results(Path(options.old)), read_results(Path(options.new)))
    except RecordError as error:
        raise UsageError(str(error)) from None
    print("\n".join(lines) or "nothing changed")
    return int(worse)
