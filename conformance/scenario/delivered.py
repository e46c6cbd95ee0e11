"""``delivered:`` is a shorthand for ``-- fetch`` and checks on what it read."""

from __future__ import annotations

from conformance.scenario.dialogue import Scope
from conformance.scenario.directive import copies
from conformance.scenario.expression import Expression, ExpressionError, Template
from conformance.scenario.model import Check, Fetch, Step
from conformance.scenario.source import Listing, Table, Text, Tree

KEYS = ("to", "copies", "body", "octets", "check", "prefer")


def delivered_steps(tree: Tree, scope: Scope) -> tuple[Step, ...]:
    """Raises ExpressionError."""
    line = tree.line
    scope.used |= {"recipient", "token"}
    scope.known |= {"copies", "message", "header", "content"}
    if isinstance(tree, Text):
        return (Fetch(line, "delivered:"), _content(tree, line, scope, _lines(tree.value)))
    if not isinstance(tree, Table):
        raise ExpressionError("a text or a mapping is wanted")
    steps: list[Step] = []
    least, most, to = 1, 1, None
    checks: list[Step] = []
    for key, where, value in tree:
        if key not in KEYS:
            raise ExpressionError(f"unknown key {key!r} (only {', '.join(KEYS)})")
        if key in ("check", "prefer"):
            items = value.items if isinstance(value, Listing) else (value,)
            for item in items:
                if not isinstance(item, Text):
                    raise ExpressionError(f"{key} is a list of expressions")
                expression = Expression(item.value)
                scope.use(expression.names, expression.functions)
                checks.append(Check(item.line, f"{key} {item.value}", kind=key, expression=expression))  # type: ignore[arg-type]
            continue
        if not isinstance(value, Text):
            raise ExpressionError(f"{key} is a text")
        if key == "to":
            to = _address(value.value)
            scope.use(to.names, to.functions)
        elif key == "copies":
            least, most = copies(value.value)
        else:
            template = _lines(value.value) if key == "body" else Template(value.value, escapes=True)
            checks.append(_content(value, where, scope, template))
    steps.append(Fetch(line, "delivered:", to=to, least=least, most=most))
    return (*steps, *checks)


def _address(text: str) -> Expression:
    """``{second_recipient}`` or the bare name."""
    return Expression(text[1:-1] if text.startswith("{") and text.endswith("}") else text)


def _lines(text: str) -> Template:
    body = text.removesuffix("\n")
    return Template("".join(line + "\r\n" for line in body.split("\n")) if text else "")


class _Equals(Expression):
    """``content == <template>``, with the template's own syntax."""

    __slots__ = ("template",)

    def __init__(self, template: Template) -> None:
        super().__init__("content")
        self.template = template
        self.source = "content == " + repr(template.source)
        self.names = template.names | {"content"}

    def evaluate(self, env):  # type: ignore[no-untyped-def]
        return env.variables.get("content", b"") == self.template.evaluate(env)


def _content(tree: Tree, line: int, scope: Scope, template: Template) -> Step:
    scope.use(template.names, template.functions)
    return Check(line, "delivered content", kind="check", expression=_Equals(template))


__all__ = ["KEYS", "delivered_steps"]
