"""The errors that cross a process boundary, and their one translation to gRPC.

VenuemeshError
├── BadRequest            INVALID_ARGUMENT     correct the request
├── BadPageToken          INVALID_ARGUMENT     start the list again
├── UnknownInstrument     NOT_FOUND            see ListInstruments
├── UnknownService        NOT_FOUND            see Registry.ListServices
├── UnknownVenue          NOT_FOUND            see Catalog.ListVenues
├── CursorExpired         OUT_OF_RANGE         record a gap, start from the earliest
├── SubscriberTooSlow     RESOURCE_EXHAUSTED   resume from the cursor, or be conflated
├── TooManySubscribers    RESOURCE_EXHAUSTED   try again later
├── RateLimited           RESOURCE_EXHAUSTED   try again after retry_after_ms
├── VenueUnavailable      UNAVAILABLE          try again later
├── StoreUnavailable      UNAVAILABLE          try again later
├── Draining              UNAVAILABLE          try again, another instance answers
├── ServiceUnavailable    UNAVAILABLE          try again later
├── OriginNotAllowed           PERMISSION_DENIED    call from a known host
├── NotSupported          FAILED_PRECONDITION  ask another process
├── PortInUse             FAILED_PRECONDITION  stop what uses it, or configure another
├── InvalidOrder          INVALID_ARGUMENT     correct the order
├── ApprovalRejected       PERMISSION_DENIED    request a new approval
├── RequestIdReused       ALREADY_EXISTS       use a new request id
├── UnknownOrder          NOT_FOUND            no such order is known
├── UnknownAccount        NOT_FOUND            see TradeFlow.ListAccounts
├── AccountNotReady       FAILED_PRECONDITION  try again when the account is ready
├── LimitExceeded         FAILED_PRECONDITION  reduce the order, or what is open
├── CredentialsRejected    PERMISSION_DENIED    correct the account's credentials
├── TokenMissing          UNAUTHENTICATED      show a token
├── TokenInvalid          UNAUTHENTICATED      get a new token
├── TokenExpired          UNAUTHENTICATED      get a new token
├── TokenRevoked          UNAUTHENTICATED      get a new token
├── RoleMissing           PERMISSION_DENIED    call with a token that has one of the roles
├── CallerLimited         RESOURCE_EXHAUSTED   call less often, or end streams
├── GroupUnbalanced       INVALID_ARGUMENT     post one transfer for each asset
├── AmountOutOfBounds     INVALID_ARGUMENT     correct the amount
├── AccountInvalid        INVALID_ARGUMENT     correct the account of the ledger
├── GroupIdReused         ALREADY_EXISTS       use a new group id
├── UnknownEvent          NOT_FOUND            ask for an event that is logged
├── UnknownCheckpoint     NOT_FOUND            see Audit.ListCheckpoints
├── UnknownStrategy       NOT_FOUND            see Detector.ListStrategies
├── HoldEnded             FAILED_PRECONDITION  see its state
├── ProposalEnded         FAILED_PRECONDITION  request again what is still wanted
├── OtherCallerNeeded     PERMISSION_DENIED    let another person confirm it
└── InternalError         INTERNAL             look up error_id in the log

SettingError is not in this tree: it stops a process before it serves requests.
The reasons and their metadata are documented in proto/venuemesh/common/v1/errors.proto.
"""

from typing import ClassVar

import grpc
from google.rpc import error_details_pb2, status_pb2

from kit.base.store_urls import redacted

DOMAIN = "venuemesh"
STATUS_DETAILS_KEY = "grpc-status-details-bin"
TEXT_BYTES_MAX = 1000
"""Of each text of an error: gRPC cuts off an answer with more than 8 KiB of metadata."""


class VenuemeshError(Exception):
    """An error with a documented reason. The keyword arguments become its metadata."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL
    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, **metadata: object) -> None:
        super().__init__(message)
        self.message = _short(message)
        self.metadata = {key: _short(str(value)) for key, value in metadata.items()}


class BadRequest(VenuemeshError):
    """Metadata: field, value, allowed."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = "BAD_REQUEST"


class BadPageToken(VenuemeshError):
    """Metadata: page_token."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = "BAD_PAGE_TOKEN"


class UnknownInstrument(VenuemeshError):
    """Metadata: venue, symbol."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "UNKNOWN_INSTRUMENT"


class UnknownService(VenuemeshError):
    """Metadata: name."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "UNKNOWN_SERVICE"


class UnknownVenue(VenuemeshError):
    """Metadata: venue."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "UNKNOWN_VENUE"


class CursorExpired(VenuemeshError):
    """Metadata: channel, cursor, earliest, why (too_old, other_epoch, ahead)."""

    code = grpc.StatusCode.OUT_OF_RANGE
    reason = "CURSOR_EXPIRED"


class SubscriberTooSlow(VenuemeshError):
    """Metadata: channel, cursor (the last batch that was sent)."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "SUBSCRIBER_TOO_SLOW"


class TooManySubscribers(VenuemeshError):
    """Metadata: limit."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "TOO_MANY_SUBSCRIBERS"


class RateLimited(VenuemeshError):
    """Metadata: venue, retry_after_ms."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "RATE_LIMITED"


class VenueUnavailable(VenuemeshError):
    """Metadata: venue, detail."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = "VENUE_UNAVAILABLE"


class StoreUnavailable(VenuemeshError):
    """Metadata: store."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = "STORE_UNAVAILABLE"


class ProcessDraining(VenuemeshError):
    """No metadata."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = "DRAINING"


class ServiceUnavailable(VenuemeshError):
    """No metadata."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = "SERVICE_UNAVAILABLE"


class OriginNotAllowed(VenuemeshError):
    """No metadata."""

    code = grpc.StatusCode.PERMISSION_DENIED
    reason = "FOREIGN_PAGE"


class NotSupported(VenuemeshError):
    """Metadata: service, wanted."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "NOT_SUPPORTED"


class PortInUse(VenuemeshError):
    """Metadata: venue, port."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PORT_IN_USE"


class InvalidOrder(VenuemeshError):
    """Metadata: field, value, allowed, nearest (a valid value, where there is one)."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = "INVALID_ORDER"


class ApprovalRejected(VenuemeshError):
    """Metadata: why, one of those in docs/ORDERS.md#approvals."""

    code = grpc.StatusCode.PERMISSION_DENIED
    reason = "APPROVAL_REFUSED"


class InstanceReplaced(VenuemeshError):
    """Metadata: name, instance."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = "INSTANCE_REPLACED"


class RequestIdReused(VenuemeshError):
    """Metadata: request_id."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = "REQUEST_ID_REUSED"


class UnknownOrder(VenuemeshError):
    """Metadata: client_order_id."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "UNKNOWN_ORDER"


class UnknownAccount(VenuemeshError):
    """Metadata: account."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "UNKNOWN_ACCOUNT"


class AccountNotReady(VenuemeshError):
    """Metadata: account, state, detail."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "ACCOUNT_NOT_READY"


class LimitExceeded(VenuemeshError):
    """Metadata: whose (the account or the key), limit_name, field, value, limit."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "LIMIT_EXCEEDED"


class CredentialsRejected(VenuemeshError):
    """Metadata: account, detail."""

    code = grpc.StatusCode.PERMISSION_DENIED
    reason = "CREDENTIALS_REFUSED"


class TokenMissing(VenuemeshError):
    """No metadata."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = "TOKEN_MISSING"


class TokenInvalid(VenuemeshError):
    """No metadata."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = "TOKEN_INVALID"


class TokenExpired(VenuemeshError):
    """Metadata: token_id."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = "TOKEN_EXPIRED"


class TokenRevoked(VenuemeshError):
    """Metadata: token_id."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = "TOKEN_REVOKED"


class RoleMissing(VenuemeshError):
    """Metadata: method, roles."""

    code = grpc.StatusCode.PERMISSION_DENIED
    reason = "ROLE_MISSING"


class CallerLimited(VenuemeshError):
    """Metadata: limit."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "CALLER_LIMITED"


class GroupUnbalanced(VenuemeshError):
    """Metadata: group_id, field, debit_asset, credit_asset."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = "GROUP_UNBALANCED"


class AmountOutOfBounds(VenuemeshError):
    """Metadata: field, value, allowed."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = "AMOUNT_OUT_OF_BOUNDS"


class AccountInvalid(VenuemeshError):
    """Metadata: field, value, allowed."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = "ACCOUNT_INVALID"


class GroupIdReused(VenuemeshError):
    """Metadata: group_id."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = "GROUP_ID_REUSED"


class UnknownEvent(VenuemeshError):
    """Metadata: event_id."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "UNKNOWN_EVENT"


class UnknownCheckpoint(VenuemeshError):
    """Metadata: size."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "UNKNOWN_CHECKPOINT"


class UnknownStrategy(VenuemeshError):
    """Metadata: strategy."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "UNKNOWN_STRATEGY"


class HoldEnded(VenuemeshError):
    """Metadata: hold_id, state."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "HOLD_ENDED"


class ProposalEnded(VenuemeshError):
    """Metadata: request_id, state."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PROPOSAL_ENDED"


class OtherCallerNeeded(VenuemeshError):
    """Metadata: request_id, caller (who proposed it)."""

    code = grpc.StatusCode.PERMISSION_DENIED
    reason = "OTHER_CALLER_NEEDED"


class InternalError(VenuemeshError):
    """Metadata: error_id."""


class SettingError(Exception):
    """A setting is invalid. The text has the key, the value and the allowed values, and of a
    password stars."""

    def __init__(self, key: str, value: object, allowed: str) -> None:
        self.key = key
        self.value = redacted(value) if isinstance(value, str) else value
        self.allowed = redacted(allowed)
        super().__init__(f"setting {key} = {self.value!r}: {self.allowed}")


def _short(text: str) -> str:
    if len(text.encode(errors="replace")) <= TEXT_BYTES_MAX:
        return text
    kept = text.encode(errors="replace")[:TEXT_BYTES_MAX].decode(errors="ignore")
    return f"{kept}… ({len(text)} characters)"


def error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo | None:
    """The reason and metadata of a server's error, or None."""
    for key, value in error.trailing_metadata() or ():
        if key != STATUS_DETAILS_KEY:
            continue
        status = status_pb2.Status.FromString(value)
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                return info
    return None


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The reason of a server's error, or ""."""
    info = error_info(error)
    return info.reason if info is not None else ""
