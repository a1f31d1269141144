"""Trades of one instrument that are held back because trades before them are missing.

Held trades know which trades to request from the venue's history, take the responses, and in the
end return all trades in order. They do no I/O.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kit.base.number_columns import IntColumn
from kit.connector.trades.continuity_checker import LastRow, times_of
from kit.marketdata.model.columns import NumberColumn, SymbolColumn, TradeRows, zeros

PAGE_MAX = 1_000
"""Trades of one request."""
NEWEST = 100
"""Trades of a request where ids have no order; Bybit keeps 60."""
BEHIND_MAX = 3
"""So many responses in a row may end before the hole does: a venue's history may be late."""


@dataclass(frozen=True, slots=True)
class TradeHistoryRequest:
    """Arguments of VenueHistory.trades."""

    first_trade_id: int
    last_trade_id: int
    """The last missing id. Both ids are 0 to request the newest trades, whatever their ids."""
    start_time_ns: int
    count: int


class BufferedTrades(Protocol):
    """Held trades, and which are missing before them."""

    @property
    def symbol(self) -> str:
        """The instrument."""

    @property
    def row_count(self) -> int:
        """Number of held trades, with those from the history."""

    @property
    def duplicates(self) -> int:
        """Number of dropped trades that are held already."""

    @property
    def is_whole(self) -> bool:
        """Whether no trade is missing any more."""

    @property
    def incomplete_responses(self) -> int:
        """Number of responses in a row that ended before the hole does."""

    def add(self, rows: TradeRows) -> None:
        """Hold trades of the feed: later trades, and late ones."""

    def next_request(self) -> TradeHistoryRequest | None:
        """The next request, or None if no trade is missing or the venue has no further trades."""

    def on_response(self, request: TradeHistoryRequest, rows: TradeRows | None) -> int:
        """Hold the missing trades of a response, oldest first. Returns how many there were."""

    def rows(self) -> TradeRows:
        """All held trades in order."""


class BufferedNumberedTrades:
    """Held trades whose numeric ids show which ones are missing."""

    def __init__(self, symbol: str, last: LastRow) -> None:
        """``last`` is the newest trade before the hole."""
        self.symbol = symbol
        self.last = last
        self.row_count = self.duplicates = self.incomplete_responses = 0
        self._missing: list[tuple[int, int]] = []
        """First and last ids of each hole, ascending."""
        self._first = 0
        """The first id after the first hole."""
        self._top = last.number
        self._asked_to = 0
        """The venue has responded for ids up to this one."""
        self._parts: list[TradeRows] = []

    @property
    def is_whole(self) -> bool:
        """Whether no trade is missing any more."""
        return not self._missing

    def reconnected_before(self, trade_id: int) -> bool:
        """Whether this trade, or an earlier held one, is the first of a connection."""
        return self.last.reconnected and trade_id <= self._first

    def add(self, rows: TradeRows) -> None:
        """Hold trades of the feed: later trades, and late ones."""
        assert rows.previous_id is not None
        numbers, befores = rows.trade_id.tolist(), rows.previous_id.tolist()
        places = [
            place
            for place, (number, before) in enumerate(zip(numbers, befores, strict=True))
            if self._is_new(number, before)
        ]
        self.duplicates += len(rows) - len(places)
        self.row_count += len(places)
        if places:
            self._parts.append(_take(rows, places))

    def next_request(self) -> TradeHistoryRequest | None:
        """A request from the first missing id that the venue has not responded for to one after the
        last missing one: a response with that one is complete."""
        left = [one for one in self._missing if one[1] > self._asked_to]
        if not left:
            return None
        first, last = max(left[0][0], self._asked_to + 1), left[-1][1]
        return TradeHistoryRequest(first, last, self.last.time_ns, min(PAGE_MAX, last - first + 2))

    def on_response(self, request: TradeHistoryRequest, rows: TradeRows | None) -> int:
        """Hold the missing trades of a response, oldest first. Returns how many there were."""
        newest = 0 if rows is None else int(rows.trade_id.max())
        if newest >= request.first_trade_id:
            self.incomplete_responses = 0
            self._asked_to = min(newest, request.last_trade_id)
        else:
            self.incomplete_responses += 1
            if self.incomplete_responses >= BEHIND_MAX:
                self._asked_to = request.last_trade_id
        if rows is None:
            return 0
        places = [place for place, one in enumerate(rows.trade_id.tolist()) if self._misses(one)]
        if places:
            self.add(_take(rows, places))
        return len(places)

    def ready(self) -> TradeRows | None:
        """Release the trades before the first missing one, by id; None when there are none."""
        if not self._missing or self._missing[0][0] <= self.last.number + 1:
            return None
        rows = self.rows()
        is_ready = rows.trade_id < self._missing[0][0]
        ready, rest = (rows.take(np.flatnonzero(some)) for some in (is_ready, ~is_ready))
        self._parts, self.row_count = [rest], len(rest)
        newest = int(ready.trade_id[-1])
        self.last = LastRow(newest, int(times_of(ready)[-1]), self.last.reconnected)
        return ready

    def rows(self) -> TradeRows:
        """All held trades by id."""
        whole = joined(self._parts)
        return whole.take(np.argsort(whole.trade_id, kind="stable"))

    def _is_new(self, number: int, before: int) -> bool:
        if number > self._top:
            if before > self._top:
                self._missing.append((self._top + 1, before))
                self._first = self._first or before + 1
            self._top = number
            return True
        # An older one is checked at the release: it may fill an earlier hole.
        return self._is_filled(before + 1, number) or number <= self.last.number

    def _is_filled(self, first: int, last: int) -> bool:
        """Mark these ids as no longer missing. Returns whether one of them was."""
        start = bisect_left(self._missing, first, key=_last)
        stop = bisect_right(self._missing, last, key=_first)
        if start >= stop:
            return False
        rest = [
            (self._missing[start][0], first - 1),
            (last + 1, self._missing[stop - 1][1]),
        ]
        self._missing[start:stop] = [one for one in rest if one[0] <= one[1]]
        return True

    def _misses(self, number: int) -> bool:
        place = bisect_left(self._missing, number, key=_last)
        return place < len(self._missing) and self._missing[place][0] <= number


class BufferedTextIdTrades:
    """Held trades whose ids are texts without an order. After a reconnect, the venue's newest
    trades show what was missed if they reach back to a known trade."""

    def __init__(self, symbol: str, knows: Callable[[str], bool], gap_end_ns: int) -> None:
        """``knows``: whether a trade with this id was seen. ``gap_end_ns`` is the time of the
        first trade after the newest published gap; trades before it are not filled in."""
        self.symbol = symbol
        self.row_count = self.duplicates = self.incomplete_responses = 0
        self.is_whole = False
        self._is_known = knows
        self._gap_end_ns = gap_end_ns
        self._is_answered = False
        self._held: dict[str, None] = {}
        self._parts: list[TradeRows] = []

    def add(self, rows: TradeRows) -> None:
        """Hold trades of the feed."""
        places = []
        for place, text in enumerate(_texts(rows)):
            if text not in self._held and not self._is_known(text):
                self._held[text] = None
                places.append(place)
        self.duplicates += len(rows) - len(places)
        self.row_count += len(places)
        if places:
            self._parts.append(_take(rows, places))

    def next_request(self) -> TradeHistoryRequest | None:
        """A request for the newest trades, until a response is useful."""
        return None if self._is_answered else TradeHistoryRequest(0, 0, 0, NEWEST)

    def on_response(self, request: TradeHistoryRequest, rows: TradeRows | None) -> int:
        """Hold the trades between the last known one and the first held one: these were missed.
        Later ones come over the feed."""
        texts = [] if rows is None else _texts(rows)
        known = self._first_known(rows)
        end = next((place for place, text in enumerate(texts) if text in self._held), None)
        if end is None:
            self.incomplete_responses += 1
            self._is_answered = self.incomplete_responses >= BEHIND_MAX
            return 0
        self._is_answered, self.is_whole = True, known is not None
        if rows is None or known is None:
            return 0
        places = [place for place in range(known, end) if not self._is_known(texts[place])]
        if places:
            self._parts.insert(0, _take(rows, places))
            self.row_count += len(places)
            self._held.update(dict.fromkeys(texts[place] for place in places))
        return len(places)

    def rows(self) -> TradeRows:
        """All held trades in order."""
        return joined(self._parts)

    def _first_known(self, rows: TradeRows | None) -> int | None:
        if rows is None:
            return None
        reported = zip(_texts(rows), rows.venue_time_ns.tolist(), strict=True)
        for place, (text, time_ns) in enumerate(reported):
            if time_ns >= self._gap_end_ns and self._is_known(text):
                return place
        return None


def joined(parts: Sequence[TradeRows]) -> TradeRows:
    """Concatenate trades of one instrument."""

    def column(name: str) -> IntColumn:
        return np.concatenate([getattr(part, name) for part in parts])

    def optional(name: str) -> IntColumn | None:
        given = [getattr(part, name) for part in parts]
        if all(one is None for one in given):
            return None
        return np.concatenate(
            [
                zeros(len(part)) if one is None else one
                for part, one in zip(parts, given, strict=True)
            ]
        )

    texts = [text for part in parts for text in part.trade_id_text or ()]
    return TradeRows(
        symbols=SymbolColumn(parts[0].symbols.names, column("received_time_ns") * 0),
        price=_numbers([part.price for part in parts]),
        size=_numbers([part.size for part in parts]),
        side=column("side"),
        venue_time_ns=column("venue_time_ns"),
        received_time_ns=column("received_time_ns"),
        trade_id=column("trade_id"),
        previous_id=optional("previous_id"),
        trade_id_text=texts or None,
        spent=optional("spent"),
    )


def _numbers(parts: Sequence[NumberColumn]) -> NumberColumn:
    decimals = [np.broadcast_to(part.decimals, len(part)) for part in parts]
    unscaled = np.concatenate([part.unscaled for part in parts])
    return NumberColumn.compact(unscaled, np.concatenate(decimals))


def _first(ids: tuple[int, int]) -> int:
    return ids[0]


def _last(ids: tuple[int, int]) -> int:
    return ids[1]


def _take(rows: TradeRows, places: list[int]) -> TradeRows:
    return rows if len(places) == len(rows) else rows.take(np.array(places, dtype=np.int64))


def _texts(rows: TradeRows) -> list[str]:
    assert rows.trade_id_text is not None
    return rows.trade_id_text
