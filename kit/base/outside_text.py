"""Text from outside the mesh, such as names of instruments, reasons of venues, labels of orders.

A model might take such text for an instruction. It is bounded in length, and without characters
that a person would not see.
"""

import unicodedata

LENGTH_MAX = 400
CUT = "… [cut]"
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters: control, format (as the direction of text), surrogates, private and
unassigned ones, separators of lines."""


def cleaned(text: str) -> str:
    """Without hidden characters, and at most LENGTH_MAX long."""
    text = visible(text)
    return text if len(text) <= LENGTH_MAX else text[: LENGTH_MAX - len(CUT)] + CUT


def visible(text: str) -> str:
    """Without hidden characters, of any length."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character in "\n\t\r":
        return " "
    return "" if unicodedata.category(character) in HIDDEN else character
