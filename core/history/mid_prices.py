"""The middle of the best bid and ask at past times, from the recorded quotes."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2

from kit.accounting.amounts import add, product
from kit.accounting.costed_orders import Figure, Unknown
from kit.base.clock import NANOSECONDS_PER_DAY, Clock
from kit.base.database import Connection, Database

TIMES_AT_ONCE = 200
"""Of one statement."""
LATE_NS = NANOSECONDS_PER_DAY
"""How late quotes may be recorded. What is missing later stays missing."""
HALF = Decimal("0.5")

_INSTRUMENTS = """
    SELECT venue, symbol, instrument_id FROM instruments
    JOIN unnest(%s::text[], %s::text[]) AS wanted (venue, symbol) USING (venue, symbol)
"""
# The next quote says how far quotes are recorded, and where a gap of the whole channel ends.
_QUOTES = """
    SELECT before.received_time_ns, before.bid_price, before.ask_price, after.received_time_ns
    FROM unnest(%(ids)s::integer[], %(times)s::bigint[]) WITH ORDINALITY
        AS wanted (instrument_id, time_ns, number)
    LEFT JOIN LATERAL (
        SELECT received_time_ns, bid_price, ask_price FROM quote_rows
        WHERE quote_rows.instrument_id = wanted.instrument_id
            AND received_time_ns > wanted.time_ns - %(age_ns)s
            AND received_time_ns <= wanted.time_ns
        ORDER BY received_time_ns DESC, sequence DESC, venue_time_ns DESC LIMIT 1
    ) AS before ON true
    LEFT JOIN LATERAL (
        SELECT received_time_ns FROM quote_rows
        WHERE quote_rows.instrument_id = wanted.instrument_id
            AND received_time_ns > wanted.time_ns
            AND received_time_ns <= wanted.time_ns + %(age_ns)s
        ORDER BY received_time_ns LIMIT 1
    ) AS after ON true
    ORDER BY wanted.number
"""
# The quotes of a venue are one stream, which is recorded in its order.
_RECORDED = """
    SELECT EXISTS (
        SELECT FROM quote_rows
        WHERE instrument_id IN (SELECT instrument_id FROM instruments WHERE venue = wanted.venue)
            AND received_time_ns > wanted.time_ns
            AND received_time_ns <= wanted.time_ns + %(age_ns)s
    )
    FROM unnest(%(venues)s::text[], %(times)s::bigint[]) WITH ORDINALITY
        AS wanted (venue, time_ns, number)
    ORDER BY wanted.number
"""
# Of what has arrived out of order nothing is missing.
_GAPS = f"""
    SELECT venue, symbol, detected_time_ns FROM gap_rows
    WHERE venue = ANY (%(venues)s) AND channel = {types_pb2.CHANNEL_QUOTES}
        AND reason <> {types_pb2.GAP_REASON_OUT_OF_ORDER}
        AND detected_time_ns > %(start_ns)s AND detected_time_ns <= %(end_ns)s
"""


class WantedMid(NamedTuple):
    """An instrument and a time."""

    venue: str
    symbol: str
    time_ns: int


class MidPrice(NamedTuple):
    """The mid, and when its quote was received (0 if it is not known)."""

    price: Figure
    quote_time_ns: int = 0


class _Quote(NamedTuple):
    """The newest quote up to a time, and when the next one was received."""

    received_time_ns: int | None
    bid: Decimal | None
    ask: Decimal | None
    next_time_ns: int | None


Gaps = Mapping[str, Sequence[tuple[str | None, int]]]
"""By venue: the symbol, None for all of them, and when it was detected."""


class MidPrices:
    """Reads mids. A quote counts for ``age_max_ns``."""

    def __init__(self, database: Database, clock: Clock, age_max_ns: int) -> None:
        self._database = database
        self._clock = clock
        self.age_max_ns = age_max_ns

    async def at(self, wanted: Collection[WantedMid]) -> dict[WantedMid, MidPrice]:
        """The mid of each of these times. Raises StoreUnavailable."""
        now_ns = self._clock.time_ns()
        past = sorted(one for one in wanted if one.time_ns < now_ns)
        found = dict.fromkeys(wanted, MidPrice(Unknown.NOT_YET))
        for begin in range(0, len(past), TIMES_AT_ONCE):
            part = past[begin : begin + TIMES_AT_ONCE]
            async with self._database.transaction() as connection:
                quotes = await self._quotes(connection, part)
                recorded = await self._recorded(connection, quotes, now_ns)
                gaps = await self._gaps(connection, part)
            for one, quote in quotes.items():
                if one in recorded:
                    found[one] = self._mid(one, quote, gaps)
        return found

    async def _quotes(
        self, connection: Connection, wanted: Sequence[WantedMid]
    ) -> dict[WantedMid, _Quote]:
        names = sorted({(one.venue, one.symbol) for one in wanted})
        arguments = [[venue for venue, _ in names], [symbol for _, symbol in names]]
        rows = await (await connection.execute(_INSTRUMENTS, arguments)).fetchall()
        ids = {(venue, symbol): number for venue, symbol, number in rows}
        values = {
            "ids": [ids.get((one.venue, one.symbol)) for one in wanted],
            "times": [one.time_ns for one in wanted],
            "age_ns": self.age_max_ns,
        }
        quotes = await (await connection.execute(_QUOTES, values)).fetchall()
        return {one: _Quote(*row) for one, row in zip(wanted, quotes, strict=True)}

    async def _recorded(
        self, connection: Connection, quotes: Mapping[WantedMid, _Quote], now_ns: int
    ) -> set[WantedMid]:
        """The times of which all quotes are recorded that there will be."""
        doubtful = [
            one
            for one, quote in quotes.items()
            if quote.next_time_ns is None and now_ns - one.time_ns < LATE_NS
        ]
        values = {
            "venues": [one.venue for one in doubtful],
            "times": [one.time_ns for one in doubtful],
            "age_ns": self.age_max_ns,
        }
        rows = await (await connection.execute(_RECORDED, values)).fetchall()
        unrecorded = {one for one, (is_there,) in zip(doubtful, rows, strict=True) if not is_there}
        return quotes.keys() - unrecorded

    async def _gaps(self, connection: Connection, wanted: Sequence[WantedMid]) -> Gaps:
        times = [one.time_ns for one in wanted]
        values = {
            "venues": sorted({one.venue for one in wanted}),
            "start_ns": min(times) - self.age_max_ns,
            "end_ns": max(times) + self.age_max_ns,
        }
        gaps: dict[str, list[tuple[str | None, int]]] = defaultdict(list)
        async for venue, symbol, detected_ns in await connection.execute(_GAPS.encode(), values):
            gaps[venue].append((symbol, detected_ns))
        return gaps

    def _mid(self, wanted: WantedMid, quote: _Quote, gaps: Gaps) -> MidPrice:
        received_ns, bid, ask = quote.received_time_ns, quote.bid, quote.ask
        if received_ns is None or bid is None or ask is None or not 0 < bid <= ask:
            return MidPrice(Unknown.NO_QUOTE)
        # A gap lasts from its detection to the next quote. One of the whole channel begins with the
        # last quote before its detection: it may tell of a process that was down.
        next_ns = quote.next_time_ns or wanted.time_ns + self.age_max_ns
        for symbol, detected_ns in gaps.get(wanted.venue, ()):
            until_ns = next_ns if symbol is None else wanted.time_ns
            if symbol in (None, wanted.symbol) and received_ns < detected_ns <= until_ns:
                return MidPrice(Unknown.QUOTE_GAP)
        return MidPrice(product(add(bid, ask), HALF), received_ns)
