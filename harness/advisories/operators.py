"""What conditions can do with values: Python's operators, with results of a bounded size."""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 2**63
"""No number of a layer comes near; a product of products would fill the memory."""


def _on_numbers(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return an operator that takes numbers alone and gives small ones.

    Texts and lists can be multiplied too, and `%` formats a text to any width.
    """

    def bounded(left: Any, right: Any) -> Any:
        for value in (left, right):
            if not isinstance(value, int | float):
                raise TypeError(f"{value!r:.50} is no number")
        result = function(left, right)
        if not abs(result) <= LARGEST:
            raise OverflowError("a number is too large")
        return result

    return bounded


OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    **{
        node: _on_numbers(function)
        for node, function in (
            (ast.Add, operator.add),
            (ast.Sub, operator.sub),
            (ast.Mult, operator.mul),
            (ast.Div, operator.truediv),
            (ast.FloorDiv, operator.floordiv),
            (ast.Mod, operator.mod),
        )
    },
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, among: operator.contains(among, value),
    ast.NotIn: lambda value, among: not operator.contains(among, value),
}
"""By the node of the syntax tree."""
