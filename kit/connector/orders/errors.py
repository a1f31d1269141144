"""What a venue's error means for an order: refused, or nobody knows. Pure.

An order is refused only when that is sure: the venue has said so in words that are known, or the
request has never left. All else is unclear. ccxt's classes of errors do not tell the two apart (a
timeout behind the matching engine is an ExchangeError on some venues), so the venue's own codes
decide, then its words, and ccxt's class only where those say nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.contract import OutcomeUnknown, Rejected, RejectReason, Verdict

WORDS_MAX = 300
STATUSES: Mapping[int, RejectReason] = {
    418: orders_pb2.REJECT_REASON_RATE_LIMIT,
    429: orders_pb2.REJECT_REASON_RATE_LIMIT,
}
"""HTTP statuses with which a venue's door turns calls away."""

CLASSES: Mapping[str, RejectReason] = {
    "InsufficientFunds": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "OrderImmediatelyFillable": orders_pb2.REJECT_REASON_WOULD_TAKE,
    "OrderNotFillable": orders_pb2.REJECT_REASON_WOULD_NOT_FILL,
    "DuplicateOrderId": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "BadSymbol": orders_pb2.REJECT_REASON_INSTRUMENT,
    "MarketClosed": orders_pb2.REJECT_REASON_INSTRUMENT,
    "ContractUnavailable": orders_pb2.REJECT_REASON_INSTRUMENT,
    "RateLimitExceeded": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "DDoSProtection": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "AuthenticationError": orders_pb2.REJECT_REASON_PERMISSION,
    "PermissionDenied": orders_pb2.REJECT_REASON_PERMISSION,
    "AccountSuspended": orders_pb2.REJECT_REASON_PERMISSION,
    "AccountNotEnabled": orders_pb2.REJECT_REASON_PERMISSION,
    "RestrictedLocation": orders_pb2.REJECT_REASON_PERMISSION,
    "ManualInteractionNeeded": orders_pb2.REJECT_REASON_PERMISSION,
    "OnMaintenance": orders_pb2.REJECT_REASON_MAINTENANCE,
    "NotSupported": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "OperationRejected": orders_pb2.REJECT_REASON_OTHER,
    "InvalidOrder": orders_pb2.REJECT_REASON_OTHER,
    "OrderNotFound": orders_pb2.REJECT_REASON_OTHER,
    "InvalidNonce": orders_pb2.REJECT_REASON_OTHER,
    "BadRequest": orders_pb2.REJECT_REASON_OTHER,
}
"""By ccxt's classes, where the venue's code is in no table."""


@dataclass(frozen=True, slots=True)
class VenueError:
    """The venue's error, as its answer has it."""

    code: str
    words: str


@dataclass(frozen=True, slots=True)
class ErrorTable:
    """A venue's errors."""

    said: Callable[[Any], VenueError | None]
    """Finds the error in an answer (decoded JSON); None: there is none. May raise LookupError or
    TypeError for what is no answer of the venue."""
    by_code: Mapping[str, RejectReason]
    by_words: Mapping[str, RejectReason] = field(default_factory=dict)
    """By a part of the words, in lower case; the first that fits. Before the codes."""
    unclear: frozenset[str] = frozenset()
    """Codes after which the order may be there or not."""
    absent: frozenset[str] = frozenset()
    """Codes that say that there is no such (open) order."""
    statuses: Mapping[int, RejectReason] = field(default_factory=lambda: STATUSES)
    """HTTP statuses of calls that have not come to where orders are made."""
    classes: Mapping[str, RejectReason] = field(default_factory=lambda: CLASSES)

    def find(self, body: str) -> VenueError | None:
        """The error in the text of an answer."""
        try:
            return self.said(msgspec.json.decode(body))
        except (msgspec.DecodeError, LookupError, TypeError, ValueError):
            return None

    def receipt(self, said: VenueError) -> Verdict:
        """What an error means that came as an ordinary answer."""
        words = f"{said.code} {said.words}".strip()[:WORDS_MAX]
        if said.code in self.unclear:
            return OutcomeUnknown(words)
        return Rejected(self._reason(said) or orders_pb2.REJECT_REASON_OTHER, words)

    def verdict(self, status: int, body: str, classes: list[str]) -> Verdict:
        """What an answer means that ccxt takes for an error. ``classes``: of ccxt's exception and
        of what it is made of, the nearest first."""
        if status in self.statuses:
            return Rejected(self.statuses[status], f"HTTP {status} {body}"[:WORDS_MAX])
        said = self.find(body)
        if said is None:
            return OutcomeUnknown(f"HTTP {status} {body}"[:WORDS_MAX])
        words = f"{said.code} {said.words}".strip()[:WORDS_MAX]
        if said.code in self.unclear:
            return OutcomeUnknown(words)
        reason = self._reason(said)
        if reason is not None:
            return Rejected(reason, words)
        if status >= 500:
            return OutcomeUnknown(f"HTTP {status} {words}")
        known = next((self.classes[name] for name in classes if name in self.classes), None)
        if known is not None:
            return Rejected(known, words)
        # Of what ccxt calls a failed operation (timeouts, a venue that is busy or not available,
        # answers that make no sense) the venue may have done its part.
        if "OperationFailed" in classes:
            return OutcomeUnknown(words)
        return Rejected(orders_pb2.REJECT_REASON_OTHER, words)

    def _reason(self, said: VenueError) -> "RejectReason | None":
        heard = said.words.lower()
        for words, reason in self.by_words.items():
            if words in heard:
                return reason
        if said.code in self.absent:
            return orders_pb2.REJECT_REASON_OTHER
        return self.by_code.get(said.code)
