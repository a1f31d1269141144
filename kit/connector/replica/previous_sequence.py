"""Restores the previous numbers of rows that come from a peer replica.

A batch does not say which number must come before a row. The peer publishes rows without holes or
with a gap, so the row before in its own stream is the one that must come before.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.number_columns import IntColumn
from kit.connector.contract.venue import TradeNumbering
from kit.marketdata.model.columns import BookRows, TradeRows

UNKNOWN = -1


class PreviousSequenceNumbers:
    """The newest number of each instrument in one channel of the peer."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}

    def on_gaps(self, gaps: Iterable[types_pb2.Gap]) -> None:
        """These gaps come before the next rows: the next row of their instruments has no known
        previous number."""
        for gap in gaps:
            if not gap.symbol:
                self._newest.clear()
            elif gap.reason != types_pb2.GAP_REASON_OUT_OF_ORDER:
                self._newest.pop(gap.symbol, None)

    def clear(self) -> None:
        """Batches of the stream were missed: forget all numbers."""
        self._newest.clear()

    def before(self, symbols: Iterable[tuple[str, IntColumn]], numbers: IntColumn) -> IntColumn:
        """The previous number of each row; UNKNOWN for the first of an instrument. The previous
        number of a late row is one less than its own."""
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


def trades_with_previous(
    links: PreviousSequenceNumbers, rows: TradeRows, numbering: TradeNumbering
) -> TradeRows:
    """Trades with previous_id. The first row of an instrument is dropped where its previous number
    is unknown."""
    if rows.trade_id_text is not None:
        return rows
    if numbering is TradeNumbering.CONSECUTIVE:
        return replace(rows, previous_id=rows.trade_id - 1)
    before = links.before(rows.symbols.rows_of(), rows.trade_id)
    return replace(rows, previous_id=before).take(np.flatnonzero(before != UNKNOWN))


def updates_with_previous(links: PreviousSequenceNumbers, rows: BookRows) -> BookRows:
    """Book updates with previous_sequence, as for trades; snapshots are kept."""
    before = links.before(rows.symbols.rows_of(), rows.last_sequence)
    known = (before != UNKNOWN) | (rows.snapshot > 0)
    return replace(rows, previous_sequence=before).take(np.flatnonzero(known))
