"""Text from outside the mesh, such as names of instruments, reasons of venues, labels of orders.

A model might take such text for an instruction. It is bounded in length, and without characters
that a person would not see; an answer names the fields that have it.
"""

import re
import unicodedata

LENGTH_MAX = 400
CUT = "… [cut]"
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters: control, format (as the direction of text), surrogates, private and
unassigned ones, separators of lines."""
NUMBER = re.compile(r"[+-]?[0-9.]*(?:[eE][+-]?[0-9]+)?")
OWN_FIELDS = frozenset(
    {
        *("account", "address", "currency", "exchange", "file", "grpc_services", "http_address"),
        *("instance_id", "interval", "kind", "mesh_id", "metrics_address", "name"),
        *("next_page_token", "policy", "policy_version", "segment", "service_id", "venue"),
        *("version", "world"),
    }
)
"""Fields whose text is the mesh's own, or that of its settings. They are not marked."""
UNCUT_FIELDS = frozenset({"next_page_token", "policy"})
"""Of those, the ones that are of use only as a whole."""


def cleaned(text: str) -> str:
    """Without hidden characters, and at most LENGTH_MAX long."""
    text = _visible(text)
    return text if len(text) <= LENGTH_MAX else text[: LENGTH_MAX - len(CUT)] + CUT


def own(name: str, text: str) -> str:
    """The text of one of OWN_FIELDS: a caller may have named a venue that does not exist."""
    return _visible(text) if name in UNCUT_FIELDS else cleaned(text)


def is_number(text: str) -> bool:
    """Whether it is a decimal number, or empty."""
    return NUMBER.fullmatch(text) is not None


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character in "\n\t\r":
        return " "
    return "" if unicodedata.category(character) in HIDDEN else character
