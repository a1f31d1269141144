"""The records in the journal of an account, as msgpack arrays with a one-letter tag.

Tags and the order of fields are the format on disk: fields are added at the end, with a default.
Replaying a record twice has the same effect as replaying it once.
"""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec


class OrderIntent(msgspec.Struct, frozen=True, array_like=True, tag="i"):
    """An order that was verified and checked, before it is sent or held."""

    key: str
    request_id: str
    digest: bytes
    """Of the content as requested: a request id with another digest is another order."""
    content: bytes
    """A serialized OrderContent."""
    created_time_ns: int
    approval_expires_time_ns: int
    held_here: bool
    key_id: str = ""
    """The key that approved it. Empty in journals that older versions wrote."""
    signature: bytes = b""
    """The signature of the approval; empty as ``key_id``."""
    fencing_epoch: int = 0
    is_reduction: bool = False
    """Whether it was found to reduce only what is held."""


class GroupIntent(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    """The orders of a group, in one record: all of them are on disk, or none."""

    orders: tuple[OrderIntent, ...]


class OrderSent(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """The order is about to be sent: from here on it may be at the venue."""

    key: str
    time_ns: int


class ExternalOrder(msgspec.Struct, frozen=True, array_like=True, tag="x"):
    """An order of the account that another program placed."""

    key: str
    client_order_id: str
    content: bytes
    created_time_ns: int


class OrderUpdate(msgspec.Struct, frozen=True, array_like=True, tag="o"):
    """All that changes of an order, except its fills and amendments."""

    key: str
    venue_order_id: str
    state: int
    size: Decimal
    price: Decimal | None
    reported_filled_size: Decimal
    reported_average_price: Decimal | None
    reject_reason: int
    detail: str
    held_here: bool
    cancel_requested: bool
    venue_time_ns: int
    updated_time_ns: int
    best_price: Decimal | None
    """Of a trailing stop that is held here: the best price since it was placed."""
    is_triggered: bool
    stop_price: Decimal | None = None
    """None in journals that older versions wrote: the stop price as requested."""
    trailing_offset: Decimal | None = None
    """None as for ``stop_price``."""
    cancel_requested_by: str = ""
    """Who asked for the cancel, and by which right. Empty in journals that older versions wrote."""
    is_without_position: bool = False
    """Whether a stop that only reduces has ended and there was no position for it to reduce."""


class OrderFill(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """A fill of an order. A later record of the same fill id replaces its fees."""

    key: str
    symbol: str
    fill_id: str
    venue_order_id: str
    client_order_id: str
    side: int
    price: Decimal
    size: Decimal
    fees: tuple[tuple[str, Decimal], ...]
    liquidity: int
    venue_time_ns: int
    received_time_ns: int


class AmendmentOutcome(StrEnum):
    """The outcome of an amendment. The values are on disk."""

    PENDING = "wanted"
    """It may have been done or not."""
    DONE = "done"
    REJECTED = "refused"
    LAPSED = "lapsed"
    """The order ended, or left, before the amendment could be done."""


class Amendment(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """A requested change of an order, and its outcome."""

    key: str
    request_id: str
    digest: bytes
    size: Decimal
    price: Decimal | None
    outcome: AmendmentOutcome
    detail: str
    stop_price: Decimal | None = None
    trailing_offset: Decimal | None = None
    key_id: str = ""
    """The key that approved it. Empty in journals that older versions wrote."""
    signature: bytes = b""
    """The signature of the approval; empty as ``key_id``."""
    fencing_epoch: int = 0
    approval_expires_time_ns: int = 0

    def ended(self, outcome: AmendmentOutcome, detail: str = "") -> "Amendment":
        """The same amendment with its final outcome."""
        return msgspec.structs.replace(self, outcome=outcome, detail=detail)


class BalanceRecord(msgspec.Struct, frozen=True, array_like=True, tag="b"):
    """The account's balance of an asset."""

    asset: str
    total: Decimal
    free: Decimal


class PositionRecord(msgspec.Struct, frozen=True, array_like=True, tag="p"):
    """The account's position in a derivative."""

    symbol: str
    size: Decimal


class FencingRecord(msgspec.Struct, frozen=True, array_like=True, tag="y"):
    """The highest fencing epoch that was seen, and whether a heartbeat has armed the dead man's
    switch."""

    fencing_epoch: int
    armed: bool
    heartbeat_time_ns: int = 0
    """The signed time of the last heartbeat; 0 in journals that older versions wrote."""
    received_time_ns: int = 0
    """When the last heartbeat was received, by our wall clock."""
    received_monotonic_ns: int = 0
    """The same, by the monotonic clock of ``boot_id``."""
    boot_id: str = ""
    """The start of the machine that counts this monotonic time; empty: not known."""
    entry_fence: tuple[int, int] = (0, 0)
    """Epoch and number: approvals of entries with less are void."""


class ExecutionEpochRecord(msgspec.Struct, frozen=True, array_like=True, tag="e"):
    """The epoch of the execution stream of one run of the process."""

    epoch: int


class JournalIdentityRecord(msgspec.Struct, frozen=True, array_like=True, tag="j"):
    """The random id of a journal. Its anchor names it."""

    journal_id: str
    account: str = ""
    """As "venue/account"; empty in journals that older versions wrote."""


class FillCoverageRecord(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """The spans of time of which all fills that the venue lists are in the journal."""

    symbol: str
    """Empty: all symbols."""
    spans: tuple[tuple[int, int], ...]
    """Begin and end of each, ns, oldest first. An end is not part of its span."""
    count: int
    """Fills that the venue has listed since the listing was complete last."""


class OrderLeft(NamedTuple):
    """What Flatten could not close."""

    symbol: str
    detail: str
    size: Decimal | None
    """None: not known."""
    key: str
    """The order that it is about."""


class RequestAnswered(msgspec.Struct, frozen=True, array_like=True, tag="q"):
    """A request to cancel all orders or to flatten that was carried out."""

    request_id: str
    operation: int
    symbol: str
    """Empty: all symbols."""
    answered_time_ns: int
    approval_expires_time_ns: int
    order_keys: tuple[str, ...] = ()
    """The orders that were open."""
    left: tuple[OrderLeft, ...] = ()


Record = (
    OrderIntent
    | GroupIntent
    | OrderSent
    | ExternalOrder
    | OrderUpdate
    | OrderFill
    | Amendment
    | BalanceRecord
    | PositionRecord
    | FencingRecord
    | ExecutionEpochRecord
    | FillCoverageRecord
    | JournalIdentityRecord
    | RequestAnswered
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    """Return the bytes of a record, without the frame that the journal puts around them."""
    return _encoder.encode(record)


def decode(payload: bytes | memoryview) -> Record:
    """Read a record. Raises msgspec.DecodeError."""
    record: Record = _decoder.decode(payload)
    return record
