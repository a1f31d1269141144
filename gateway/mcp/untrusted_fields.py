"""Which fields of answers have text from outside the mesh; an answer names them."""

import re

from kit.base.outside_text import cleaned, visible

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


def own(name: str, text: str) -> str:
    """The text of one of OWN_FIELDS: a caller may have named a venue that does not exist."""
    return visible(text) if name in UNCUT_FIELDS else cleaned(text)


def is_number(text: str) -> bool:
    """Whether it is a decimal number, or empty."""
    return NUMBER.fullmatch(text) is not None
