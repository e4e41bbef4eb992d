"""Text of others that is shown: what a reader cannot see is written out."""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, which terminals obey and XML forbids
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u206f\ufeff\ufff9-\ufffb"  # without a shape
    "\u202a-\u202e"  # change the direction of what is written around them
    "\u2028\u2029"  # end lines for some readers
    "\ud800-\udfff\ufffe\uffff"  # no characters
    "\U000e0000-\U000e007f"  # tags, which nothing shows
    "]"
)
_SHORT = {"\r": "\\r", "\f": "\\f", "\v": "\\v"}


def printable(text: str) -> str:
    """Return text in which all is seen as it stands; line feeds and tabs stay what they are.

    Characters that steer a terminal, turn the direction of writing, have no shape, or are none
    become what Python writes for them: `\\\\x1b`, `\\\\u202e`.
    """
    return _UNSEEN.sub(_written, text) if _UNSEEN.search(text) else text


def _written(found: re.Match[str]) -> str:
    character = found.group()
    number = ord(character)
    if number > 0xFFFF:
        return f"\\U{number:08x}"
    escape = f"\\x{number:02x}" if number <= 0xFF else f"\\u{number:04x}"
    return _SHORT.get(character, escape)
