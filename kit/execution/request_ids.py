"""The ids that callers give to their orders, where they say more than a name.

::

    lc-<lifecycle id, 32 hexadecimal digits>-<number>   an order of a chain of events
    <request id>~<number>                               a later attempt of a stop or an exit
    <request id>/<symbol>/<number>                      an order that closes a position for Flatten
"""

import re

ATTEMPT_MARK = "~"
"""Between the caller's request id, which cannot contain it, and the number of the attempt."""
ATTEMPTS_MAX = 12
CLOSE_MARK = "/"
"""In the request id of an order that closes a position for Flatten. Callers' ids cannot contain
it."""

_LIFECYCLE = re.compile(r"lc-([0-9a-f]{32})(?:-[0-9]+)?(?:~[0-9]+)?(?:/.+)?")


def lifecycle_prefix(lifecycle_id: bytes) -> str:
    """How the request ids of the orders of a chain begin."""
    return f"lc-{lifecycle_id.hex()}"


def lifecycle_request_id(lifecycle_id: bytes, number: int) -> str:
    """The request id of an order of a chain, numbered from 1."""
    return f"{lifecycle_prefix(lifecycle_id)}-{number}"


def lifecycle_of(request_id: str) -> bytes:
    """The lifecycle id in a request id; empty for an order that belongs to no chain."""
    found = _LIFECYCLE.fullmatch(request_id)
    return bytes.fromhex(found[1]) if found else b""


def attempt_request_id(request_id: str, number: int) -> str:
    """The request id of another attempt of the same order, numbered from 1."""
    first, _, _ = request_id.partition(ATTEMPT_MARK)
    return first if number == 1 else f"{first}{ATTEMPT_MARK}{number}"
