"""Text of others as pages have it: in their HTML, and in the data that scripts read."""

from __future__ import annotations

from harness.util.printable import printable

_INHERITED = frozenset(
    (
        "__defineGetter__",
        "__defineSetter__",
        "__lookupGetter__",
        "__lookupSetter__",
        "__proto__",
        "constructor",
        "hasOwnProperty",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toLocaleString",
        "toString",
        "valueOf",
    )
)
"""What every object of JavaScript has: Vega looks up names among these, and draws nothing then."""


def page_text(text: str) -> str:
    """Return text in which all can be seen, and that is no name of JavaScript's own."""
    return f"{text} " if text in _INHERITED else printable(text)
