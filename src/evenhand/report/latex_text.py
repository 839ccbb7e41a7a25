r"""Escapes text for LaTeX, whatever engine and font encoding the document has."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

PREAMBLE = r"""% XeTeX and LuaTeX print what the font has a sign for; all else is printed as code points.
\ifdefined\evenhandchar\else
  \DeclareRobustCommand{\evenhandchar}[2]{#2\hspace{0pt}}
  \ifdefined\Umathchar
    \DeclareRobustCommand{\evenhandchar}[2]{\iffontchar\font`#1 #1\else#2\hspace{0pt}\fi}
  \fi
\fi"""
r"""Defines the command that escaped text may contain."""

_SIGNS: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedblright{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    # After `\\`, which ends a row, a bracket would begin an optional argument, and a star would forbid a page break.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "\u00a0": "~",
    "\u200b": r"\hspace{0pt}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "→": r"$\to$",
    "∞": r"$\infty$",
    "α": r"$\alpha$",
    "ε": r"$\varepsilon$",
    "χ": r"$\chi$",
    "½": r"$\frac12$",
    "²": r"\textsuperscript{2}",
    "°": r"\textdegree{}",
    "–": "--",
    "—": "---",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "…": r"\ldots{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
}
_ACCENTS: Mapping[str, str] = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0323": "d",
    "\u0327": "c",
    "\u0331": "b",
}
"""The accents that every font encoding of LaTeX can put on a letter."""

_LIGATURE = re.compile(r"-(?=-)|,(?=,)|(?<=[!?])(?=\\textasciigrave)")


def escaped(text: str) -> str:
    r"""The text as LaTeX that prints the same characters, in any cell, caption or heading.

    Characters that not every engine prints are arguments of `\evenhandchar`, which `PREAMBLE` defines.

    Example:
        >>> print(escaped("50% of R&D_[x]"))
        50\% of R\&D\_{[}x{]}
        >>> print(escaped("Šárka −3"))
        \v{S}\'{a}rka $-$3
    """
    signs = "".join(map(_sign, unicodedata.normalize("NFC", re.sub(r"[\t\n\r ]+", " ", text))))
    return _LIGATURE.sub(lambda found: found[0] + "{}", signs)


def _sign(sign: str) -> str:
    """One character as LaTeX."""
    if sign in _SIGNS:
        return _SIGNS[sign]
    if sign.isascii():
        return sign if sign.isprintable() else " "
    base, *marks = unicodedata.normalize("NFD", sign)
    if base.isascii() and base.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
        letter = {"i": r"\i", "j": r"\j"}.get(base, base) if marks[0] not in ("\u0327", "\u0323", "\u0331") else base
        return f"\\{_ACCENTS[marks[0]]}{{{letter}}}"
    return f"\\evenhandchar{{{sign}}}{{U+{ord(sign):04X}}}"
