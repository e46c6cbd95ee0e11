"""What is expected of the target: replies, and commands after the roles have swapped."""

from __future__ import annotations

import asyncio

from conformance.protocol.reply import show
from conformance.scenario.model import Expect, ExpectLine, PatternLine, matching, named
from conformance.session.connection import TransportError
from conformance.session.play import Ended, Line, Play


async def expect(play: Play, step: Expect) -> None:
    line = play.lines[step.connection]
    if line.gone:
        return
    timeout = play.limits.silence if step.allows("silent") else None
    try:
        reply = await play.receive(line, multi=bool(step.block), timeout=timeout)
    except TransportError as error:
        await _no_reply(play, step, line, error)
        return
    if reply.octets[:2] == b"\x15\x03" and step.allows("closed"):  # a TLS alert: what we sent was no TLS
        line.gone, line.reply = True, None
        return
    if not matching(reply.code, step.right):
        if matching(reply.code, step.tolerated):
            play.deviation(step, f"{reply.code} is tolerated, not right", show(reply.octets))
            return
        if not reply.code:
            raise Ended("inconclusive", "what came is no reply", step.source.strip(), show(reply.octets), step.line)
        policy = play.policy(reply, step)
        if policy:
            raise Ended("inconclusive", policy, step.source.strip(), show(reply.octets), step.line)
        raise play.broken(step, f"the reply is {reply.code}", show(reply.octets), premise=step.premise)
    captured: dict[str, bytes] = {}
    if step.text is not None:
        found = play.match(step.text, reply.text)
        if found is None:
            why = f"the reply's text does not match {step.text.source!r}"
            raise play.broken(step, why, show(reply.octets), premise=step.premise)
        captured |= found
    if reply.block is not None or line.family != "pop3":
        rest = reply.block if reply.block is not None else reply.texts[1:]
        why = _block(play, step.block, rest, captured)
        if why:
            raise play.broken(step, why, show(reply.octets), premise=step.premise)
    play.env.variables.update(captured)


def _block(play: Play, block: tuple[PatternLine, ...], rest: list[bytes], captured: dict[str, bytes]) -> str:
    """Why the following lines do not match; "" if they do."""
    ordered = [one for one in block if one.kind == "|"]
    index = 0
    for position, one in enumerate(ordered):
        if one.rest:
            following = ordered[position + 1 :]
            if any(other.rest for other in following):
                nxt = following[0]
                while index < len(rest) and (nxt.rest or play.match(nxt.pattern, rest[index]) is None):
                    index += 1
            else:
                index = max(index, len(rest) - len(following))
            continue
        found = play.match(one.pattern, rest[index]) if index < len(rest) else None
        if found is None:
            got = show(rest[index], 80) if index < len(rest) else "nothing"
            return f"line {index + 1} of the reply: {one.pattern.source!r} expected, {got} received"
        captured |= found
        play.env.variables.update(found)
        index += 1
    if ordered and index < len(rest) and not ordered[-1].rest:
        return f"the reply has {len(rest) - index} more lines than expected: {show(rest[index], 80)}"
    for one in block:
        if one.kind == "|":
            continue
        matches = (play.match(one.pattern, text, fold=True) for text in rest)
        found = next((match for match in matches if match is not None), None)
        if (found is None) == (one.kind == "*"):
            return f"{'no line' if one.kind == '*' else 'a line'} of the reply matches {one.pattern.source!r}"
        captured |= found or {}
    return ""


async def _no_reply(play: Play, step: Expect, line: Line, error: TransportError) -> None:
    received = show(error.octets) or str(error)
    kind = {"timeout": "silent"}.get(error.kind, error.kind)
    if error.octets[:2] == b"\x15\x03" and step.allows("closed"):
        line.gone, line.reply = True, None  # a TLS alert: the target's TLS met what we had injected
        return
    if error.octets and kind in ("silent", "closed"):
        play.breach("grammar", "a reply that does not end", error.octets, line)
    elif step.allows(kind):
        if kind == "closed":
            line.gone = True
        line.reply = None
        if not named(kind, step.right):
            play.deviation(step, {"closed": "the connection was closed", "silent": "no reply came"}[kind], received)
        return
    # Where the scenario is made to end a faulty server, a server that ends is what it looks for.
    if error.kind == "closed" and "destructive" not in play.scenario.effects and not await play.alive():
        raise Ended("inconclusive", "the target went away", step.source.strip(), received, step.line)
    if error.kind == "garbage":
        raise Ended("inconclusive", str(error), step.source.strip(), received, step.line)
    if error.kind == "timeout":
        why = f"{'the reply does not end' if error.octets else 'no reply'} within {play.limits.reply_timeout:g} s"
        if not play.in_opening and not step.premise:
            play.breach("hang", why, error.octets, line)
    else:
        why = "the target closed the connection instead of replying"
    raise play.broken(step, why, received, premise=step.premise)


async def expect_line(play: Play, step: ExpectLine) -> None:
    line = play.lines[step.connection]
    if line.gone or step.pattern is None:
        return
    try:
        octets = await line.live.line(asyncio.get_running_loop().time() + play.limits.reply_timeout)
    except TransportError as error:
        raise play.broken(step, str(error), show(error.octets), premise=step.premise) from None
    play.transcript.add("S", octets, line.label, line.live.tls is not None)
    found = play.match(step.pattern, octets.removesuffix(b"\n").removesuffix(b"\r"), fold=True)
    if found is None:
        why = f"the target's command does not match {step.pattern.source!r}"
        raise play.broken(step, why, show(octets), premise=step.premise)
    play.env.variables.update(found)
