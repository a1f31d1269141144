"""The records of a paper account on disk.

Each record holds the new state of everything that one event has changed, so an event is on disk
completely or not at all, and replaying it twice changes nothing. Structs are arrays on disk: fields
are only appended, with a default.
"""

from decimal import Decimal

import msgspec


class PaperInstrumentRecord(msgspec.Struct, frozen=True, array_like=True):
    """The terms of a traded instrument."""

    symbol: str
    base: str
    quote: str
    settle: str
    pays_funding: bool
    multiplier: Decimal
    step: Decimal


class PaperOrderRecord(msgspec.Struct, frozen=True, array_like=True):
    """An order."""

    number: int
    client_order_id: str
    symbol: str
    side: int
    type: int
    size: Decimal
    price: Decimal | None
    """None: a market order."""
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
    """Whether it has not entered the book yet."""
    created_time_ns: int
    updated_time_ns: int
    inverse_weight: Decimal = Decimal(0)
    """Sum of size / price of an inverse contract's fills; 0 in records of earlier versions."""


class PaperFillRecord(msgspec.Struct, frozen=True, array_like=True):
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


class PaperCashFlowRecord(msgspec.Struct, frozen=True, array_like=True):
    """A change of a balance that is no fill."""

    number: int
    kind: int
    symbol: str
    asset: str
    amount: Decimal
    time_ns: int


class PaperPositionRecord(msgspec.Struct, frozen=True, array_like=True):
    """A position: size, cost, and realised profit in the settlement asset."""

    symbol: str
    size: Decimal
    cost: Decimal
    realized: Decimal


class StreamCursorRecord(msgspec.Struct, frozen=True, array_like=True):
    """The last batch of a channel that was read."""

    channel: int
    epoch: int
    sequence: int


class PaperAccountChange(msgspec.Struct, frozen=True, array_like=True):
    """One change of an account. ``last_number``: the highest number of an order or fill."""

    last_number: int
    listed: tuple[PaperInstrumentRecord, ...] = ()
    orders: tuple[PaperOrderRecord, ...] = ()
    fills: tuple[PaperFillRecord, ...] = ()
    totals: tuple[tuple[str, Decimal], ...] = ()
    """Balances by asset."""
    held: tuple[PaperPositionRecord, ...] = ()
    reached: tuple[StreamCursorRecord, ...] = ()
    """How far the market had been read; empty if it cannot be read again."""
    flows: tuple[PaperCashFlowRecord, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PaperAccountChange)


def encode(step: PaperAccountChange) -> bytes:
    """Return a change as bytes."""
    return _encoder.encode(step)


def decode(payload: bytes) -> PaperAccountChange:
    """Return the change in bytes. Raises msgspec.DecodeError."""
    return _decoder.decode(payload)
