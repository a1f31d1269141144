"""How the rows of a twin follow each other.

A batch does not say which number must have come before a row. But the twin publishes what follows
without a hole, or tells a gap; so the row before, in its own stream, is what must have come before.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.numbers import IntColumn
from kit.connector.contract.venue import TradeNumbering
from kit.marketdata.model.columns import BookRows, TradeRows

UNKNOWN = -1


class Chain:
    """The newest number of each instrument in one channel of the twin."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}

    def broken(self, gaps: Iterable[types_pb2.Gap]) -> None:
        """These stand before the next rows: the row after them follows nothing that is known."""
        for gap in gaps:
            if not gap.symbol:
                self._newest.clear()
            elif gap.reason != types_pb2.GAP_REASON_OUT_OF_ORDER:
                self._newest.pop(gap.symbol, None)

    def clear(self) -> None:
        """Something of the stream itself was missed."""
        self._newest.clear()

    def before(self, symbols: Iterable[tuple[str, IntColumn]], numbers: IntColumn) -> IntColumn:
        """The number before each row; UNKNOWN for the first of an instrument. A row that came late
        follows the one before it by number."""
        found = np.full(len(numbers), UNKNOWN, dtype=np.int64)
        for symbol, part in symbols:
            newest = self._newest.get(symbol, UNKNOWN)
            for row in part.tolist():
                number = int(numbers[row])
                if number > newest:
                    found[row], newest = newest, number
                else:
                    found[row] = number - 1
            self._newest[symbol] = newest
        return found


def trades_in_order(chain: Chain, rows: TradeRows, numbering: TradeNumbering) -> TradeRows:
    """With the numbers that must have come before. The first row of an instrument is left out where
    nothing shows what it follows."""
    if rows.trade_id_text is not None:
        return rows
    if numbering is TradeNumbering.CONSECUTIVE:
        return replace(rows, previous_id=rows.trade_id - 1)
    before = chain.before(rows.symbols.rows_of(), rows.trade_id)
    return replace(rows, previous_id=before).take(np.flatnonzero(before != UNKNOWN))


def updates_in_order(chain: Chain, rows: BookRows) -> BookRows:
    """As for trades; whole books, which follow nothing, stay."""
    before = chain.before(rows.symbols.rows_of(), rows.last_sequence)
    known = (before != UNKNOWN) | (rows.snapshot > 0)
    return replace(rows, previous_sequence=before).take(np.flatnonzero(known))
