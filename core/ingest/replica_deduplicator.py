"""Removes rows that two replicas have both published around a failover.

The new replica is read from the last batch that the old one had certainly included. Some of the
following rows came from the old replica too, in its last milliseconds; they are removed. Books
restart with snapshots. Tickers, marks and candles are states, so a few may be repeated.
"""

from collections.abc import Iterable
from typing import Any

from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.cursor import Channel, Cursor
from kit.marketdata.model.batches import Batch, columns_of

OVERLAPPING = (types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_QUOTES)
LAST_ENTRIES = 1_000
"""The newest entries of the old replica that are compared."""
OVER_AFTER_NS = 10 * NANOSECONDS_PER_SECOND


class ReplicaDeduplicator:
    """The last rows of the old replica in one channel."""

    def __init__(self, channel: Channel, last: Cursor, batches: Iterable[bytes]) -> None:
        """``batches`` are the newest of the old replica, ``last`` the cursor of the last one."""
        self._channel = channel
        self._last = last
        self._ids: set[tuple[str, int | str]] = set()
        self._newest: dict[str, tuple[int, int]] = {}
        """Sequence and time of the newest quote."""
        self._since_ns = 0
        for payload in batches:
            self._learn(Batch.FromString(payload))

    def is_over(self, peer_cursor: Cursor, published_time_ns: int) -> bool:
        """Return whether no row from this batch on can be from the old replica: the new one has
        included all of it, or enough time has passed."""
        if peer_cursor.epoch == self._last.epoch and peer_cursor >= self._last:
            return True
        return published_time_ns - self._since_ns > OVER_AFTER_NS

    def without(self, payload: bytes) -> bytes:
        """Return the batch without the rows that the old replica has published."""
        batch = Batch.FromString(payload)
        columns = columns_of(batch)
        if columns is None:
            return payload
        is_trades = self._channel == types_pb2.CHANNEL_TRADES
        is_known = self._is_known_trade if is_trades else self._is_known_quote
        symbols = [batch.instruments[place].symbol for place in columns.instrument]
        kept = [row for row, symbol in enumerate(symbols) if not is_known(columns, symbol, row)]
        if len(kept) == len(symbols):
            return payload
        for field, column in columns.ListFields():
            values = [column[row] for row in kept]
            columns.ClearField(field.name)
            getattr(columns, field.name).extend(values)
        if not kept:
            batch.ClearField("columns")
        return batch.SerializeToString()

    def _learn(self, batch: Batch) -> None:
        self._since_ns = batch.published_time_ns
        columns = columns_of(batch)
        if columns is None:
            return
        for row, place in enumerate(columns.instrument):
            symbol = batch.instruments[place].symbol
            if self._channel == types_pb2.CHANNEL_TRADES:
                trade_id = _trade_id(columns, row)
                # Trades without an id cannot be told apart.
                self._ids.update([(symbol, trade_id)] if trade_id else [])
            else:
                found = columns.sequence[row], columns.venue_time_ns[row]
                self._newest[symbol] = max(found, self._newest.get(symbol, (0, 0)))

    def _is_known_trade(self, columns: Any, symbol: str, row: int) -> bool:
        return (symbol, _trade_id(columns, row)) in self._ids

    def _is_known_quote(self, columns: Any, symbol: str, row: int) -> bool:
        if symbol not in self._newest:
            return False
        sequence, time_ns = self._newest[symbol]
        if sequence:
            return bool(columns.sequence[row] <= sequence)
        # A quote of the same time may be a different one.
        return bool(columns.venue_time_ns[row] < time_ns)


def _trade_id(columns: Any, row: int) -> int | str:
    found: int | str = (
        columns.trade_id_text[row] if columns.trade_id_text else columns.trade_id[row]
    )
    return found
