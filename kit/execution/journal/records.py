"""What stands in the journal of an account. Replaying a record twice does no harm."""

from decimal import Decimal

import msgspec


class Intended(msgspec.Struct, frozen=True, array_like=True, tag="i"):
    """An order that is wanted."""

    key: str
    request_id: str
    digest: bytes
    """Of its content as it was asked for: another content is another order."""
    content: bytes
    """OrderContent."""
    created_time_ns: int
    approval_ends_ns: int
    held: bool


class Grouped(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    """Orders that are wanted together: all of them stand here, or none."""

    orders: tuple[Intended, ...]


class Sent(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """From here on an order may be at the venue."""

    key: str
    time_ns: int


class Foreign(msgspec.Struct, frozen=True, array_like=True, tag="x"):
    """An order that was placed elsewhere."""

    key: str
    client_order_id: str
    content: bytes
    created_time_ns: int


class Stood(msgspec.Struct, frozen=True, array_like=True, tag="o"):
    """Where an order stood: all that changes of it but its fills."""

    key: str
    venue_order_id: str
    state: int
    size: Decimal
    price: Decimal | None
    filled_told: Decimal
    average_told: Decimal | None
    reason: int
    detail: str
    held: bool
    cancel_wanted: bool
    venue_time_ns: int
    updated_time_ns: int
    best_price: Decimal | None
    """Of a trailing stop that is held: the best price since it was placed."""
    is_triggered: bool
    stop_price: Decimal | None = None
    """None in journals of before it could be changed: as it was asked for."""
    trailing_offset: Decimal | None = None
    """As the stop price."""


class Filled(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """A fill."""

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


class Amending(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """A change of an order that is wanted, and what has become of it."""

    key: str
    request_id: str
    digest: bytes
    size: Decimal
    price: Decimal | None
    outcome: str
    """One of kit.execution.orders.account_state.Outcome."""
    words: str
    stop_price: Decimal | None = None
    trailing_offset: Decimal | None = None


class Balanced(msgspec.Struct, frozen=True, array_like=True, tag="b"):
    """What the account has of an asset."""

    asset: str
    total: Decimal
    free: Decimal


class Positioned(msgspec.Struct, frozen=True, array_like=True, tag="p"):
    """What the account holds of a derivative."""

    symbol: str
    size: Decimal


class Authority(msgspec.Struct, frozen=True, array_like=True, tag="y"):
    """The highest fencing epoch that was seen, and whether it has sent a heartbeat."""

    fencing_epoch: int
    armed: bool


class Began(msgspec.Struct, frozen=True, array_like=True, tag="e"):
    """The epoch of the numbered events of this run."""

    epoch: int


Record = (
    Intended
    | Grouped
    | Sent
    | Foreign
    | Stood
    | Filled
    | Amending
    | Balanced
    | Positioned
    | Authority
    | Began
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    """A record as bytes."""
    return _encoder.encode(record)


def decode(payload: bytes | memoryview) -> Record:
    """Bytes as a record. Raises msgspec.DecodeError."""
    found: Record = _decoder.decode(payload)
    return found
