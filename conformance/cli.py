"""The command ``mail-conformance``. Imports are late: listing must not pay for playing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from conformance import __version__, interrupts

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
        if command is not _run:  # which notes interrupts to its end
            interrupts.release()
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
    prove.add_argument("--unproven", action="store_true", help="list the scenarios that pass on the clean server and that no fault has made fail")
    compare = add("compare", _compare, "what changed between two runs")
    compare.add_argument("old")
    compare.add_argument("new")
    return parser


def _run(options: argparse.Namespace) -> int:
    from conformance.run import run

    return run(options)


def _serve(options: argparse.Namespace) -> int:
    import asyncio
    import signal

    from conformance.server.app import ReferenceServer, UnknownFault, UnknownProfile

    ports = {service: getattr(options, service) for service in SERVICES}
    for service, port in ports.items():
        if not 0 <= port <= 65535:
            raise UsageError(f"--{service} {port}: a port is a number from 0 (any) to 65535")
    if options.accounts < 1:
        raise UsageError("--accounts is a number above 0")
    maildir = Path(options.maildir) if options.maildir else None
    try:
        server = ReferenceServer(
            faults=options.fault, profile=options.profile, maildir=maildir, ports=ports, accounts=options.accounts,
            host=options.host,
        )  # fmt: skip
        if maildir is not None:
            maildir.mkdir(parents=True, exist_ok=True)
    except (UnknownFault, UnknownProfile) as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"--maildir {maildir}: {error.strerror}") from None

    async def serve() -> None:
        try:
            await server.start()
        except OSError as error:
            raise UsageError(f"a port cannot be had: {error.strerror or error}") from None
        ended = asyncio.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, ended.set)
        if options.write_target:
            try:
                server.write_target(Path(options.write_target))
            except OSError as error:
                await server.stop()
                raise UsageError(f"--write-target {options.write_target}: {error.strerror}") from None
        print("ready", flush=True)
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
    for why in runner.trouble.values():
        print(f"mail-conformance: {why}", file=sys.stderr)
    if len(runner.trouble) == len(services):
        return 3
    print(f'name = "{targets[0].host}"\nhost = "{targets[0].host}"\n\n[services]')
    for name, service in services.items():
        print(f"# {runner.trouble[name]}" if name in runner.trouble else f"{name} = {service.port}")
    for name, phases in runner.capabilities.items():
        for phase, words in phases.items():
            print(f"# {name} ({phase}): {', '.join(words)}")
    print('\n# [mail]\n# domain = ""\n# recipient = ""\n\n# [[accounts]]\n# user = ""\n# password = ""\n# address = ""')
    return 3 if runner.trouble else 0


def _list(options: argparse.Namespace) -> int:
    if not options.select:
        import gc

        from conformance.scenario.outline import outline
        from conformance.scenario.source import corpus_root

        gc.disable()  # this process ends at once
        entries = outline(corpus_root())
        if entries:
            print("\n".join(f"{name}  [{level}] {title}" for name, level, title in entries))
            return 0
    from conformance.scenario.loader import load
    from conformance.scenario.select import SelectionError, select

    try:
        found = select(load().scenarios, options.select)
    except SelectionError as error:
        raise UsageError(str(error)) from None
    if not found:
        raise UsageError(f"no scenario matches {' or '.join(options.select) or 'anything'}")
    print("\n".join(f"{one.id}  [{one.level}] {one.title}" for one in found))
    return 0


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
    raise UsageError(f"there is no scenario {options.id!r}{_near(options.id, [one.id for one in corpus.scenarios])}")


def _near(name: str, names: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, list(names), 3)
    return f" (near: {', '.join(near)})" if near else ""


def _lint(options: argparse.Namespace) -> int:
    from conformance.scenario.loader import load

    path = Path(options.path) if options.path else None
    if path is not None and path.is_file():
        if path.suffix != ".yaml":
            raise UsageError(f"{path}: no scenario file: these end in .yaml")
        return _lint_file(path)
    corpus = load(path)
    print(f"{len(corpus.scenarios)} scenarios, {len(corpus.requirements)} requirements: no mistakes")
    return 0


def _lint_file(path: Path) -> int:
    """One file, read with all that stands beside it."""
    from conformance.scenario.errors import ScenarioErrors
    from conformance.scenario.loader import load

    whole = path.resolve()
    parents = list(whole.parents)
    root = next((one for one in parents if (one / "openings.yaml").is_file() or (one / "requirements").is_dir()), None)
    root = root or parents[min(1, len(parents) - 1)]  # DIR/service/command.yaml
    try:
        count = sum(1 for one in load(root).scenarios if one.path.resolve() == whole)
    except ScenarioErrors as found:
        mine = [error for error in found.errors if error.path.resolve() == whole]
        if mine:
            raise ScenarioErrors(mine) from None
        print(f"{path}: no mistakes here, but elsewhere in {root} (mail-conformance lint {root})")
        return 0
    print(f"{path}: {count} scenarios: no mistakes")
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
    if not chosen:
        raise UsageError(f"no scenario matches {' or '.join(options.select) or 'anything'} (mail-conformance list)")
    from conformance.server.faults import FAULTS

    for name in options.fault:
        if name not in FAULTS:
            raise UsageError(f"there is no fault {name!r}{_near(name, FAULTS)} (mail-conformance faults lists them)")
    return asyncio.run(prove(corpus, chosen, options.fault, print, profile=options.profile or "", unproven=options.unproven))


def _compare(options: argparse.Namespace) -> int:
    from conformance.report.compare import compare, read_results
    from conformance.report.record import RecordError

    try:
        lines, worse = compare(read_results(Path(options.old)), read_results(Path(options.new)))
    except RecordError as error:
        raise UsageError(str(error)) from None
    print("\n".join(lines) or "nothing changed")
    return int(worse)
