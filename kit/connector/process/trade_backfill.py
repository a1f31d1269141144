"""Requests missing trades at once, while later ones are held; see trades/trade_sequencer.py."""

import asyncio
from collections.abc import Sequence

import numpy as np
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.errors import VenuemeshError
from kit.base.telemetry import Meter
from kit.connector.contract.venue import VenueHistory
from kit.connector.trades.buffered_trades import BufferedNumberedTrades, BufferedTrades
from kit.connector.trades.trade_sequencer import TradeSequencer
from kit.marketdata.model.columns import NumberColumn, SymbolColumn, TradeRows

BEHIND_WAIT_S = 0.25
"""Delay before the next request to a history that is behind the feed."""

_log = telemetry.logger("venue.refill")


class TradeBackfill:
    """Requests the trades of each hole. Those that do not come in time are a gap."""

    def __init__(
        self,
        trade_sequencer: TradeSequencer,
        history: VenueHistory,
        patience_s: float,
        meter: Meter,
        clock: Clock,
    ) -> None:
        """Later trades wait for up to ``patience_s``."""
        self._trade_sequencer = trade_sequencer
        self._history = history
        self._patience_s = patience_s
        self._meter = meter
        self._clock = clock
        self._running: set[BufferedTrades] = set()
        for name in ("refilled_trades_total", "refill_failures_total"):
            self._meter.count(name, 0)

    async def run(self) -> None:
        wanted = self._trade_sequencer.refill_wanted
        self._trade_sequencer.patience_s = self._patience_s
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await wanted.wait()
                    wanted.clear()
                    for hold in self._trade_sequencer.held.values():
                        if hold not in self._running:
                            self._running.add(hold)
                            group.create_task(self._fill(hold))
        finally:
            self._trade_sequencer.patience_s = 0

    async def _fill(self, hold: BufferedTrades) -> None:
        why = ""
        try:
            async with asyncio.timeout(self._trade_sequencer.left_s(hold)):
                await self._ask(hold)
        except TimeoutError:
            why = f"they did not come within {self._patience_s:g} s"
        except VenuemeshError as error:
            why = error.message
        except (ValueError, OverflowError) as error:
            # A number or an id that is none.
            why = f"an answer that cannot be read: {error}"
        finally:
            self._running.discard(hold)
        if not hold.is_whole:
            self._meter.count("refill_failures_total")
            _log.warning("trades stay missing", extra={"symbol": hold.symbol, "detail": why})
        self._trade_sequencer.release(hold, why)

    async def _ask(self, hold: BufferedTrades) -> None:
        while self._trade_sequencer.held.get(hold.symbol) is hold:
            request = hold.next_request()
            if request is None:
                return
            if hold.incomplete_responses:
                await self._clock.sleep(BEHIND_WAIT_S)
            found = await self._history.trades(
                hold.symbol, request.first_trade_id, request.start_time_ns, request.count
            )
            rows = _rows(found, hold, self._clock.time_ns()) if found else None
            self._meter.count("refilled_trades_total", hold.on_response(request, rows))


def _rows(
    trades: Sequence[market_data_pb2.Trade], hold: BufferedTrades, received_time_ns: int
) -> TradeRows:
    """The trades as rows of the feed. Raises ValueError."""
    count = len(trades)
    texts = [trade.trade_id for trade in trades]
    numbered = isinstance(hold, BufferedNumberedTrades)
    ids = np.array([int(text) for text in texts] if numbered else [0] * count, dtype=np.int64)
    return TradeRows(
        symbols=SymbolColumn.of([hold.symbol] * count),
        price=NumberColumn.parse([trade.price for trade in trades]),
        size=NumberColumn.parse([trade.size for trade in trades]),
        side=np.array([trade.side for trade in trades], dtype=np.int64),
        venue_time_ns=np.array([trade.venue_time_ns for trade in trades], dtype=np.int64),
        received_time_ns=np.full(count, received_time_ns, dtype=np.int64),
        trade_id=ids,
        previous_id=ids - 1 if numbered else None,
        trade_id_text=None if numbered else texts,
    )
