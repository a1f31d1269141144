"""What an error of a venue means for an order: rejected, or outcome unknown. Pure.

An order counts as rejected only when the venue's answer proves it: the answer carries a code that
the venue's table lists, under an HTTP status with which the venue sends such codes, or the status
alone says that the call was turned away before the matching engine. Every other answer leaves the
outcome unknown, and the venue is queried for the order. ccxt's error classes are not used: ccxt
gives the same class to certain rejections and to failures behind the matching engine.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.contract import OutcomeUnknown, RejectReason, RequestRejected, Verdict

DETAIL_MAX = 300
"""Characters of a venue's text that are kept."""
OK = 200
STATUSES: Mapping[int, RejectReason] = {
    418: orders_pb2.REJECT_REASON_RATE_LIMIT,
    429: orders_pb2.REJECT_REASON_RATE_LIMIT,
}
"""HTTP statuses of calls that were turned away before they reached the matching engine."""


@dataclass(frozen=True, slots=True)
class VenueError:
    """An error as the venue's answer states it."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code} {self.message}".strip()[:DETAIL_MAX]


@dataclass(frozen=True, slots=True)
class ErrorTable:
    """A venue's errors, and what each means for an order."""

    find_error: Callable[[Any], VenueError | None]
    """Returns the error in an answer (decoded JSON), or None. May raise LookupError, TypeError or
    ValueError for something that is no answer of the venue."""
    by_code: Mapping[str, RejectReason] = field(default_factory=dict)
    """The codes that prove a rejection. A code that is missing here leaves the outcome unknown."""
    by_text: Mapping[str, RejectReason] = field(default_factory=dict)
    """Reasons by a part of the message, in lower case; the first that fits. They are used for
    codes whose reason is OTHER, and never decide whether an order was rejected."""
    not_found: frozenset[str] = frozenset()
    """Codes that say that there is no such (open) order."""
    error_statuses: frozenset[int] = frozenset({OK, 400, 401, 403, 404})
    """HTTP statuses with which the venue sends its codes."""
    other_statuses: Mapping[str, int] = field(default_factory=dict)
    """HTTP statuses of codes that have another one."""
    statuses: Mapping[int, RejectReason] = field(default_factory=lambda: STATUSES)
    """HTTP statuses of calls that did not reach the matching engine."""

    def decode(self, body: str) -> VenueError | None:
        """Return the error in the text of an answer, or None."""
        try:
            return self.find_error(msgspec.json.decode(body))
        except (msgspec.DecodeError, AttributeError, LookupError, TypeError, ValueError):
            return None

    def is_not_found(self, verdict: Verdict) -> bool:
        """Whether a verdict states that there is no such open order."""
        return _has_code(verdict, self.not_found)

    def is_of_other_request(self, verdict: Verdict) -> bool:
        """Whether a verdict on a new order has a code that no venue gives to one."""
        return _has_code(verdict, self.not_found - self.by_code.keys())

    def verdict(self, status: int, error: VenueError | None, body: str = "") -> Verdict:
        """The verdict for an answer that states an error. ``error``: the error that was found in
        ``body``; None for an answer that is not of the venue's form."""
        if status in self.statuses:
            return RequestRejected(self.statuses[status], f"HTTP {status} {body}"[:DETAIL_MAX])
        if error is None:
            return OutcomeUnknown(f"HTTP {status} {body}"[:DETAIL_MAX])
        if status not in {*self.error_statuses, self.other_statuses.get(error.code)}:
            return OutcomeUnknown(f"HTTP {status} {error}"[:DETAIL_MAX])
        reason = self._reason(error)
        return OutcomeUnknown(str(error)) if reason is None else RequestRejected(reason, str(error))

    def _reason(self, error: VenueError) -> "RejectReason | None":
        """Why the order was rejected; None for a code that proves no rejection."""
        if error.code in self.not_found:
            return orders_pb2.REJECT_REASON_OTHER
        reason = self.by_code.get(error.code)
        if reason != orders_pb2.REJECT_REASON_OTHER:
            return reason
        message = error.message.lower()
        return next((named for text, named in self.by_text.items() if text in message), reason)


def _has_code(verdict: Verdict, codes: Iterable[str]) -> bool:
    return isinstance(verdict, RequestRejected) and any(
        verdict.detail == code or verdict.detail.startswith(f"{code} ") for code in codes
    )
