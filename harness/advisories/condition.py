"""Conditions on a layer and how it is run: `threads > 1 and h % 4`.

Three answers are possible: what depends on something that nobody told is neither met nor not met.
`and` and `or` are answered where one side decides, whatever the other is.
"""

from __future__ import annotations

import ast
import difflib
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from simpleeval import EvalWithCompoundTypes, InvalidExpression

from harness.advisories.operators import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "abs": abs, "len": len}
MAX_TEXT = 2000
"""Characters of a condition, and of each of its terms; Python's own parser crashes on deep ones."""
MAX_DEPTH = 50
"""Expressions within expressions."""
_ALLOWED = (
    *(ast.Expression, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
    *(ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.Call),
    *(ast.Name, ast.Attribute, ast.Constant, ast.Tuple, ast.List, ast.Subscript),
)
"""What a condition is made of."""


@dataclass(frozen=True)
class Unknown:
    """Stands for a value that is not known."""

    why: str
    """What is missing, such as `the shape of its input (--shape)`."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Whether a condition is met."""

    met: bool | None
    """None where it is not known."""
    missing: tuple[str, ...] = ()
    """What it depends on, where it is not known."""


YES, NO = Answer(met=True), Answer(met=False)


class _MissingError(Exception):
    """A value is not known."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons = reasons


class _Evaluator(EvalWithCompoundTypes):  # type: ignore[misc]
    """The library's evaluator, with names that may be unknown and members by their full name."""

    def __init__(self, names: Mapping[str, Any], terms: Mapping[str, str]) -> None:
        super().__init__(operators=OPERATORS, functions=FUNCTIONS)
        self.known = names
        self.terms = terms
        # A term may be used twice by one that is used twice, and so on.
        self.values: dict[str, Any] = {}
        self.nodes[ast.Name] = self._name
        self.nodes[ast.Attribute] = self._member
        self.nodes[ast.BoolOp] = self._junction

    def _value(self, name: str) -> Any:
        if name in self.terms:
            if name not in self.values:
                self.values[name] = self._eval(_parsed(self.terms[name]).body)
            return self.values[name]
        value = self.known[name]
        if isinstance(value, Unknown):
            raise _MissingError(value.why)
        return value

    def _name(self, node: ast.Name) -> Any:
        return self._value(node.id)

    def _member(self, node: ast.Attribute) -> Any:
        return self._value(ast.unparse(node))

    def _junction(self, node: ast.BoolOp) -> Any:
        decisive = isinstance(node.op, ast.Or)
        missing: dict[str, None] = {}
        for each in node.values:
            try:
                if bool(self._eval(each)) is decisive:
                    return decisive
            except _MissingError as error:
                missing.update(dict.fromkeys(error.reasons))
        if missing:
            raise _MissingError(*missing)
        return not decisive


@dataclass(frozen=True)
class Condition:
    """An expression in Python's notation over names, without any effect; always met if empty."""

    text: str
    terms: Mapping[str, str] = field(default_factory=dict)
    """Expressions by the names that stand for them."""

    @cached_property
    def names(self) -> frozenset[str]:
        """The names it uses, members as `opt.use_packing_layout`, without those of its terms.

        Raises:
            ValueError: it is no expression.
        """
        found = (_names(tree) for tree in self._trees)
        return frozenset[str]().union(*found) - self.terms.keys()

    def check(self, known: Collection[str]) -> None:
        """Refuse an expression with mistakes.

        Args:
            known: all names that there are.

        Raises:
            ValueError: it is no expression, has a name or function that there is not, or
                something that no condition needs.
        """
        for name in sorted(self.names - set(known)):
            close = difflib.get_close_matches(name, known, 1)
            meant = f", did you mean {close[0]}?" if close else "."
            raise ValueError(f"there is no name {name}{meant} docs/corpus.md has them all")
        earlier: set[str] = set()
        for name, text in self.terms.items():
            later = (_names(_parsed(text)) & self.terms.keys()) - earlier
            if later or name in known:
                raise ValueError(f"{name}: {'uses a later one' if later else 'is a name already'}")
            earlier.add(name)
        calls = [n for tree in self._trees for n in ast.walk(tree) if isinstance(n, ast.Call)]
        for function in (ast.unparse(call.func) for call in calls):
            if function not in FUNCTIONS:
                raise ValueError(f"there is no function {function}; use {', '.join(FUNCTIONS)}")
        if any(call.keywords for call in calls):
            raise ValueError("functions take no keywords; leave them out")
        for tree in self._trees:
            _check_kinds(tree)

    @property
    def _trees(self) -> tuple[ast.Expression, ...]:
        return tuple(map(_parsed, (self.text or "True", *self.terms.values())))

    def of(self, names: Mapping[str, Any]) -> Answer:
        """Return whether it is met.

        Args:
            names: a value, or `Unknown`, for each name that it uses.

        Raises:
            ValueError: it cannot be evaluated with these values.
        """
        if not self.text:
            return YES
        try:
            return YES if _Evaluator(names, self.terms).eval(self.text) else NO
        except _MissingError as error:
            return Answer(met=None, missing=tuple(dict.fromkeys(error.reasons)))
        except (InvalidExpression, ArithmeticError, LookupError, TypeError) as error:
            raise ValueError(f"{self.text!r} cannot be evaluated: {error}") from error


def _parsed(text: str) -> ast.Expression:
    if len(text) > MAX_TEXT:
        raise ValueError(f"it has {len(text)} characters, and {MAX_TEXT} are the most; shorten it")
    try:
        with warnings.catch_warnings():
            # What Python only warns of, such as `1or w`, it would print.
            warnings.simplefilter("error", SyntaxWarning)
            tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{text!r} is no expression: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:  # a zero byte, or too deep
        raise ValueError(f"{text!r} is no expression: {error or 'too deep'}") from error
    _check_depth(tree)
    return tree


def _check_depth(tree: ast.Expression) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        raise ValueError(f"it has more than {MAX_DEPTH} expressions within each other; use `let`")


def _check_kinds(tree: ast.Expression) -> None:
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED) or (
            type(node) not in OPERATORS and isinstance(node, ast.operator | ast.cmpop | ast.unaryop)
        ):
            what = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
            raise ValueError(f"{what} is not for conditions; docs/corpus.md has what is")
        if isinstance(node, ast.Constant) and not isinstance(node.value, bool | int | float | str):
            raise ValueError(f"{ast.unparse(node)} is not for conditions; use numbers and texts")


def _names(tree: ast.Expression) -> frozenset[str]:
    nodes = list(ast.walk(tree))
    members = [node for node in nodes if isinstance(node, ast.Attribute)]
    inner = {id(node.value) for node in members}
    inner |= {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    plain = (n.id for n in nodes if isinstance(n, ast.Name) and id(n) not in inner)
    return frozenset((*plain, *map(ast.unparse, members)))
