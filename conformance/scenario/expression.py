"""Expressions and templates of the scenario language: ``{base64(user)}``, ``-- check len(body) == 3``.

A value is octets or a whole number (a comparison gives a bool). Grammar, lowest binding first::

    or := and {"or" and}          and := not {"and" not}         not := ["not"] cmp
    cmp := sum [("=="|"!="|"<"|"<="|">"|">=") sum]
    sum := product {("+"|"-") product}      product := atom {"*" atom}
    atom := number | "string" | name | name "(" [or {"," or}] ")" | "(" or ")" | "-" atom
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from conformance.scenario.functions import ARITY, FUNCTIONS, PLAYER_FUNCTIONS, octets

Value = bytes | int
Node = tuple[Any, ...]

_TOKEN = re.compile(
    r'\s*(?:(?P<number>\d+)|(?P<name>[A-Za-z_][A-Za-z_0-9]*)|(?P<string>"(?:[^"\\]|\\.)*")'
    r"|(?P<op>==|!=|<=|>=|[-+*<>(),]))"
)
_ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "s": b" ", "\\": b"\\", '"': b'"', "{": b"{", "}": b"}"}
_MAX = 64 * 1024 * 1024  # octets a single value may have: a slip of the pen must not eat the memory


class ExpressionError(ValueError):
    """An expression that cannot be parsed, or not be evaluated with the values at hand."""


@dataclass
class Environment:
    """What names stand for. ``functions`` are those that need a session (``offers`` …)."""

    variables: dict[str, Value] = field(default_factory=dict)
    functions: Mapping[str, Callable[..., Value]] = field(default_factory=dict)


def unescape(text: str) -> bytes:
    """The octets of an escaped text. Raises ExpressionError on an escape that does not exist."""
    out = bytearray()
    index = 0
    while index < len(text):
        char = text[index]
        if char != "\\":
            out += char.encode("utf-8")
            index += 1
            continue
        follow = text[index + 1 : index + 2]
        if follow == "x":
            digits = text[index + 2 : index + 4]
            if not re.fullmatch(r"[0-9A-Fa-f]{2}", digits):
                raise ExpressionError(rf"\x needs two hexadecimal digits, not {digits!r}")
            out.append(int(digits, 16))
            index += 4
        elif follow in _ESCAPES and follow:
            out += _ESCAPES[follow]
            index += 2
        else:
            raise ExpressionError(rf"there is no escape \{follow} (use \r \n \t \0 \s \\ \xHH \{{ \}})")
    return bytes(out)


class Expression:
    """A parsed expression. ``names`` are the variables, ``functions`` the functions that it uses."""

    __slots__ = ("_node", "functions", "names", "source")

    def __init__(self, source: str) -> None:
        self.source = source.strip()
        self._node, self.names, self.functions = _parsed(self.source)

    def evaluate(self, env: Environment) -> Value:
        """Raises ExpressionError, with the expression named, where a value does not fit."""
        try:
            return _evaluate(self._node, env)
        except ExpressionError:
            raise
        except (ValueError, TypeError, KeyError, re.error) as error:
            raise ExpressionError(f"{self.source}: {error}") from error


class Template:
    """Text with ``{expressions}``; ``escapes`` says whether backslashes mean something in it."""

    __slots__ = ("_parts", "functions", "names", "source")

    def __init__(self, source: str, *, escapes: bool = False) -> None:
        self.source = source
        self._parts, self.names, self.functions = _pieces(source, escapes)

    def evaluate(self, env: Environment) -> bytes:
        return b"".join(
            part if isinstance(part, bytes) else octets(part.evaluate(env)) for part in self._parts
        )

    @property
    def constant(self) -> bytes:
        """The octets that do not depend on anything, expressions left out."""
        return b"".join(part for part in self._parts if isinstance(part, bytes))


@lru_cache(maxsize=10_000)  # a corpus says the same things many times
def _parsed(source: str) -> tuple[Node, frozenset[str], frozenset[str]]:
    parser = _Parser(source)
    node = parser.parse()
    return node, frozenset(parser.names), frozenset(parser.functions)


@lru_cache(maxsize=10_000)
def _pieces(source: str, escapes: bool) -> tuple[tuple[bytes | Expression, ...], frozenset[str], frozenset[str]]:
    parts = tuple(_split(source, escapes))
    expressions = [part for part in parts if isinstance(part, Expression)]
    names = frozenset[str]().union(*(part.names for part in expressions))
    return parts, names, frozenset[str]().union(*(part.functions for part in expressions))


def truth(value: Value) -> bool:
    """False is 0, False and the empty text."""
    return bool(value)


def closing_brace(source: str, start: int) -> int:
    """Index of the brace that ends the expression which begins at ``start``; -1 if there is none."""
    quoted = False
    index = start
    while index < len(source):
        char = source[index]
        if quoted and char == "\\":
            index += 1
        elif char == '"':
            quoted = not quoted
        elif char == "}" and not quoted:
            return index
        index += 1
    return -1


def _split(source: str, escapes: bool) -> list[bytes | Expression]:
    parts: list[bytes | Expression] = []
    literal: list[str] = []

    def flush() -> None:
        text = "".join(literal)
        if text:
            parts.append(unescape(text) if escapes else text.encode("utf-8"))
        literal.clear()

    index = 0
    while index < len(source):
        char = source[index]
        if escapes and char == "\\":
            literal.append(source[index : index + 2])
            index += 2
        elif source.startswith(("{{", "}}"), index):
            literal.append(char)
            index += 2
        elif char == "{":
            end = closing_brace(source, index + 1)
            if end < 0:
                raise ExpressionError(f"unbalanced '{{' in {source!r} (write {{{{ for a literal brace)")
            flush()
            parts.append(Expression(source[index + 1 : end]))
            index = end + 1
        elif char == "}":
            raise ExpressionError(f"unbalanced '}}' in {source!r} (write }}}} for a literal brace)")
        else:
            literal.append(char)
            index += 1
    flush()
    return parts


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.names: set[str] = set()
        self.functions: set[str] = set()
        self.tokens: list[tuple[str, str]] = []
        position = 0
        text = source.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if not match:
                raise ExpressionError(f"cannot read {text[position:]!r} in the expression {source!r}")
            kind = str(match.lastgroup)
            self.tokens.append((kind, match.group(kind)))
            position = match.end()
        self.index = 0

    def parse(self) -> Node:
        if not self.tokens:
            raise ExpressionError("an empty expression")
        node = self._or()
        if self.index < len(self.tokens):
            raise ExpressionError(f"unexpected {self.tokens[self.index][1]!r} in {self.source!r}")
        return node

    def _peek(self) -> str:
        return self.tokens[self.index][1] if self.index < len(self.tokens) else ""

    def _take(self, *wanted: str) -> str:
        found = self._peek()
        if found in wanted and self.tokens[self.index][0] != "string":
            self.index += 1
            return found
        return ""

    def _or(self) -> Node:
        node = self._and()
        while self._take("or"):
            node = ("or", node, self._and())
        return node

    def _and(self) -> Node:
        node = self._not()
        while self._take("and"):
            node = ("and", node, self._not())
        return node

    def _not(self) -> Node:
        return ("not", self._not()) if self._take("not") else self._compare()

    def _compare(self) -> Node:
        node = self._sum()
        operator = self._take("==", "!=", "<=", ">=", "<", ">")
        return ("compare", operator, node, self._sum()) if operator else node

    def _sum(self) -> Node:
        node = self._product()
        while operator := self._take("+", "-"):
            node = ("add" if operator == "+" else "subtract", node, self._product())
        return node

    def _product(self) -> Node:
        node = self._atom()
        while self._take("*"):
            node = ("multiply", node, self._atom())
        return node

    def _atom(self) -> Node:
        if self.index >= len(self.tokens):
            raise ExpressionError(f"{self.source!r} ends too early")
        kind, text = self.tokens[self.index]
        self.index += 1
        if kind == "number":
            return ("value", int(text))
        if kind == "string":
            return ("value", unescape(text[1:-1]))
        if kind == "name" and text not in ("and", "or", "not"):
            return self._call(text) if self._take("(") else self._name(text)
        if text == "(":
            node = self._or()
            if not self._take(")"):
                raise ExpressionError(f"a ')' is missing in {self.source!r}")
            return node
        if text == "-":
            return ("subtract", ("value", 0), self._atom())
        raise ExpressionError(f"unexpected {text!r} in {self.source!r}")

    def _name(self, name: str) -> Node:
        self.names.add(name)
        return ("name", name)

    def _call(self, name: str) -> Node:
        if name not in ARITY:
            raise ExpressionError(f"there is no function {name!r} (see scenarios/README.md)")
        arguments: list[Node] = []
        if not self._take(")"):
            arguments.append(self._or())
            while self._take(","):
                arguments.append(self._or())
            if not self._take(")"):
                raise ExpressionError(f"a ')' is missing in {self.source!r}")
        low, high = ARITY[name]
        if not low <= len(arguments) <= high:
            raise ExpressionError(f"{name}() takes {low} to {high} arguments, not {len(arguments)}")
        self.functions.add(name)
        return ("call", name, tuple(arguments))


def _number(value: Value) -> int:
    if isinstance(value, int):
        return int(value)
    if value.isdigit():
        return int(value)
    raise ExpressionError(f"{value[:40]!r} is not a number")


def _comparable(left: Value, right: Value) -> tuple[Any, Any]:
    """Numbers with numbers where both are; a text that is no number never equals a number."""
    if isinstance(left, bytes) and isinstance(right, bytes):
        return left, right
    if isinstance(left, bytes) and not left.isdigit():
        return left, octets(right)
    if isinstance(right, bytes) and not right.isdigit():
        return octets(left), right
    return _number(left), _number(right)


def _compare(operator: str, left: Value, right: Value) -> bool:
    if operator in ("==", "!="):
        a, b = _comparable(left, right)
        return bool((a == b) == (operator == "=="))
    x, y = _number(left), _number(right)  # order is for numbers only
    return {"<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y}[operator]


def _evaluate(node: Node, env: Environment) -> Value:
    kind = node[0]
    if kind == "value":
        return node[1]  # type: ignore[no-any-return]
    if kind == "name":
        try:
            return env.variables[node[1]]
        except KeyError:
            raise ExpressionError(f"the variable {node[1]!r} has no value here") from None
    if kind == "call":
        function = env.functions.get(node[1]) or FUNCTIONS.get(node[1])
        if function is None:
            raise ExpressionError(f"{node[1]}() needs a session")
        return function(*(_evaluate(argument, env) for argument in node[2]))
    if kind in ("or", "and"):
        left = truth(_evaluate(node[1], env))
        return left if left == (kind == "or") else truth(_evaluate(node[2], env))
    if kind == "not":
        return not truth(_evaluate(node[1], env))
    if kind == "compare":
        return _compare(node[1], _evaluate(node[2], env), _evaluate(node[3], env))
    left_value, right_value = _evaluate(node[1], env), _evaluate(node[2], env)
    if kind == "add":
        if isinstance(left_value, int) or isinstance(right_value, int):
            return _number(left_value) + _number(right_value)
        return left_value + right_value
    if kind == "subtract":
        return _number(left_value) - _number(right_value)
    if isinstance(left_value, bytes) and isinstance(right_value, int):
        if len(left_value) * right_value > _MAX:
            raise ExpressionError(f"a text of {len(left_value) * right_value} octets is too long")
        return left_value * right_value
    return _number(left_value) * _number(right_value)


__all__ = [
    "FUNCTIONS", "PLAYER_FUNCTIONS", "Environment", "Expression", "ExpressionError", "Template", "Value",
    "closing_brace", "truth", "unescape",
]  # fmt: skip
