"""Shows characters that do not print, or that reorder a line, as escapes such as `\\x1b` and `\\u2028`."""

from __future__ import annotations

import re

_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters, line and paragraph separators, soft hyphens, invisible marks, and marks of writing direction.

The joiners U+200C and U+200D are no part of it: languages and emoji are written with them.
"""
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def hides(text: str) -> bool:
    """Return whether a text has characters that a reader would not see, or that change how others are seen."""
    return _HIDDEN.search(text) is not None


def visible(text: str, keep: str = "") -> str:
    r"""Return a text with its hidden characters as escapes, except those of `keep`.

    Example:
        >>> print(visible("\x1b[31mred"))
        \x1b[31mred
        >>> print(visible("first\nsecond\u2028third", keep="\n"))
        first
        second\u2028third
    """
    return _HIDDEN.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(sign: str) -> str:
    code = ord(sign)
    if sign in _NAMED:
        return _NAMED[sign]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
