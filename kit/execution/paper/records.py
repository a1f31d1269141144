"""What stands on disk of an account on paper: steps, each with all that it changed, as it is after
it. So a step is there whole or not at all, and replaying it twice does no harm."""

from decimal import Decimal

import msgspec


class InstrumentRecord(msgspec.Struct, frozen=True, array_like=True):
    """An instrument, as it was traded."""

    symbol: str
    base: str
    quote: str
    settle: str
    pays_funding: bool
    multiplier: Decimal
    step: Decimal


class OrderRecord(msgspec.Struct, frozen=True, array_like=True):
    """An order."""

    number: int
    client_order_id: str
    symbol: str
    side: int
    type: int
    size: Decimal
    price: Decimal | None
    """None: at any price."""
    time_in_force: int
    expire_time_ns: int
    post_only: bool
    reduce_only: bool
    state: int
    reason: int
    detail: str
    filled: Decimal
    value: Decimal
    """Sum of price times size of its fills."""
    is_new: bool
    """Whether it has not come to the book yet."""
    created_time_ns: int
    updated_time_ns: int
    inverse_weight: Decimal = Decimal(0)
    """Sum of size / price of an inverse contract's fills; 0 in records of earlier versions."""


class FillRecord(msgspec.Struct, frozen=True, array_like=True):
    """A fill."""

    number: int
    order_number: int
    symbol: str
    client_order_id: str
    buys: bool
    price: Decimal
    size: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool
    time_ns: int


class PositionRecord(msgspec.Struct, frozen=True, array_like=True):
    """A position: its size, what it was opened for, and what is won by it."""

    symbol: str
    size: Decimal
    cost: Decimal
    realized: Decimal


class StreamPositionRecord(msgspec.Struct, frozen=True, array_like=True):
    """The last batch of a channel that was heard of."""

    channel: int
    epoch: int
    sequence: int


class AccountChange(msgspec.Struct, frozen=True, array_like=True):
    """Something that happened. ``last_number``: the highest of an order or a fill."""

    last_number: int
    listed: tuple[InstrumentRecord, ...] = ()
    orders: tuple[OrderRecord, ...] = ()
    fills: tuple[FillRecord, ...] = ()
    totals: tuple[tuple[str, Decimal], ...] = ()
    """What there is of an asset."""
    held: tuple[PositionRecord, ...] = ()
    reached: tuple[StreamPositionRecord, ...] = ()
    """How far the market had been heard when it happened, where that says something."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AccountChange)


def encode(step: AccountChange) -> bytes:
    """A step as bytes."""
    return _encoder.encode(step)


def decode(payload: bytes) -> AccountChange:
    """Bytes as a step. Raises msgspec.DecodeError."""
    return _decoder.decode(payload)
