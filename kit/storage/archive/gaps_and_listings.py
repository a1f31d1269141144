"""Reads gaps and listings of a venue."""

from collections.abc import AsyncIterator, Collection
from typing import Any, NamedTuple

from google.protobuf.json_format import ParseDict
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.cursor import Channel
from kit.base.database import Connection

# A gap in the trades is detected after the next trade was received, and stands before that trade.
_GAPS = """
SELECT channel, symbol, reason, last_id_before, first_id_after, last_time_ns, first_time_ns,
    detected_time_ns, detail, least(detected_time_ns, behind.received_time_ns) AS time_ns
FROM gap_rows LEFT JOIN LATERAL (
    SELECT trade_rows.received_time_ns FROM trade_rows JOIN instruments USING (instrument_id)
    WHERE gap_rows.channel = %(trades)s AND first_id_after > 0 AND first_time_ns > 0
        AND instruments.venue = gap_rows.venue AND instruments.symbol = gap_rows.symbol
        AND venue_time_ns = first_time_ns AND trade_id = first_id_after
        AND trade_rows.repair_id IS NULL
) AS behind ON true
WHERE venue = %(venue)s AND channel = ANY (%(channels)s)
    AND (symbol IS NULL OR %(symbols)s::text[] IS NULL OR symbol = ANY (%(symbols)s))
ORDER BY time_ns, channel, epoch, sequence, ordinal
"""

_TERMS = """
SELECT valid_from_ns, coalesce(valid_to_ns, 0), change, definition FROM instrument_terms
WHERE venue = %(venue)s AND (%(symbols)s::text[] IS NULL OR symbol = ANY (%(symbols)s))
ORDER BY valid_from_ns, symbol
"""


class TimedGap(NamedTuple):
    """A gap, and its place among the events of its channel."""

    channel: Channel
    time_ns: int
    """The gap stands before events received at this time."""
    gap: types_pb2.Gap


class RecordedInstrumentTerms(NamedTuple):
    """The terms of an instrument for a period."""

    from_ns: int
    to_ns: int
    """0: still valid."""
    change: "batch_pb2.StatusChange.ValueType"
    definition: types_pb2.Instrument

    def is_valid_at(self, time_ns: int) -> bool:
        """Whether the instrument was listed with these terms at a time."""
        delisted = self.change == batch_pb2.STATUS_CHANGE_DELISTED
        return not delisted and self.from_ns <= time_ns and not 0 < self.to_ns <= time_ns


async def gaps_of(
    connection: Connection, venue: str, channels: Collection[Channel], symbols: Collection[str]
) -> list[TimedGap]:
    """All gaps of these channels and symbols (none: all), in order."""
    values = _values(venue, symbols) | {
        "channels": list(channels),
        "trades": int(types_pb2.CHANNEL_TRADES),
    }
    found = await connection.execute(_GAPS, values)
    return [_placed(row) async for row in _rows(found)]


async def terms_of(
    connection: Connection, venue: str, symbols: Collection[str]
) -> list[RecordedInstrumentTerms]:
    """All terms of these symbols (none: all), in order."""
    found = await connection.execute(_TERMS, _values(venue, symbols))
    return [
        RecordedInstrumentTerms(
            from_ns, to_ns, change, ParseDict(definition, types_pb2.Instrument())
        )
        async for from_ns, to_ns, change, definition in _rows(found)
    ]


def _values(venue: str, symbols: Collection[str]) -> dict[str, Any]:
    return {"venue": venue, "symbols": list(symbols) or None}


async def _rows(found: Any) -> AsyncIterator[Any]:
    async for row in found:
        yield row


def _placed(row: Any) -> TimedGap:
    channel, symbol, reason, before, after, last_ns, first_ns, detected_ns, detail, time_ns = row
    gap = types_pb2.Gap(
        symbol=symbol or "",
        reason=reason,
        last_id_before=before,
        first_id_after=after,
        last_time_ns=last_ns,
        first_time_ns=first_ns,
        detected_time_ns=detected_ns,
        detail=detail,
    )
    return TimedGap(channel, time_ns, gap)
