"""What an error of a venue means for an order: rejected, or outcome unknown. Pure.

An order is rejected only when that is certain: the venue has said so with a code or text that is
known, or the request was never sent. Everything else leaves the outcome unknown. ccxt's error
classes do not tell the two apart (a timeout behind the matching engine is an ExchangeError on some
venues), so the venue's own codes decide, then its text, and ccxt's class only where both are
unknown.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.contract import OutcomeUnknown, RejectReason, RequestRejected, Verdict

DETAIL_MAX = 300
"""Characters of a venue's text that are kept."""
STATUSES: Mapping[int, RejectReason] = {
    418: orders_pb2.REJECT_REASON_RATE_LIMIT,
    429: orders_pb2.REJECT_REASON_RATE_LIMIT,
}
"""HTTP statuses of calls that were turned away before they reached the matching engine."""

CCXT_CLASSES: Mapping[str, RejectReason] = {
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
"""By ccxt's error class, for codes that are in no table."""


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
    by_text: Mapping[str, RejectReason] = field(default_factory=dict)
    """By a part of the message, in lower case; the first that fits. Looked up before the codes."""
    unclear: frozenset[str] = frozenset()
    """Codes after which the order may exist or not."""
    not_found: frozenset[str] = frozenset()
    """Codes that say that there is no such (open) order."""
    statuses: Mapping[int, RejectReason] = field(default_factory=lambda: STATUSES)
    """HTTP statuses of calls that did not reach the matching engine."""

    def decode(self, body: str) -> VenueError | None:
        """Return the error in the text of an answer, or None."""
        try:
            return self.find_error(msgspec.json.decode(body))
        except (msgspec.DecodeError, LookupError, TypeError, ValueError):
            return None

    def is_not_found(self, verdict: Verdict) -> bool:
        """Whether a verdict says that there is no such open order."""
        return isinstance(verdict, RequestRejected) and verdict.detail.startswith(
            tuple(self.not_found)
        )

    def verdict_of_error(self, error: VenueError) -> Verdict:
        """The verdict for an error that came in an answer which ccxt takes for a success."""
        if error.code in self.unclear:
            return OutcomeUnknown(str(error))
        return RequestRejected(self._reason(error) or orders_pb2.REJECT_REASON_OTHER, str(error))

    def verdict(
        self, status: int, body: str, error: VenueError | None, ccxt_classes: list[str]
    ) -> Verdict:
        """The verdict for an answer which ccxt takes for an error. ``error``: found in ``body``;
        ``ccxt_classes``: of ccxt's exception and its bases, the nearest first."""
        if status in self.statuses:
            return RequestRejected(self.statuses[status], f"HTTP {status} {body}"[:DETAIL_MAX])
        if error is None:
            return OutcomeUnknown(f"HTTP {status} {body}"[:DETAIL_MAX])
        if error.code in self.unclear:
            return OutcomeUnknown(str(error))
        reason = self._reason(error)
        if reason is not None:
            return RequestRejected(reason, str(error))
        if status >= 500:
            return OutcomeUnknown(f"HTTP {status} {error}")
        known = next((CCXT_CLASSES[name] for name in ccxt_classes if name in CCXT_CLASSES), None)
        if known is not None:
            return RequestRejected(known, str(error))
        # ccxt's OperationFailed covers timeouts, a busy or unavailable venue, and answers that make
        # no sense: the venue may have executed the request.
        if "OperationFailed" in ccxt_classes:
            return OutcomeUnknown(str(error))
        return RequestRejected(orders_pb2.REJECT_REASON_OTHER, str(error))

    def _reason(self, error: VenueError) -> "RejectReason | None":
        message = error.message.lower()
        for text, reason in self.by_text.items():
            if text in message:
                return reason
        if error.code in self.not_found:
            return orders_pb2.REJECT_REASON_OTHER
        return self.by_code.get(error.code)
