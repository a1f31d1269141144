"""Changes of instrument_terms: the terms of each instrument, and their validity."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.json_format import MessageToDict
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from core.recorder.column_buffer import MalformedBatch
from kit.base.cursor import Cursor, StreamKey
from kit.base.database import Connection
from kit.marketdata.model.batches import Batch

# A venue publishes all its listings at each start; unchanged ones are no change. A new row begins
# where the row before ends, and never before that row began: a clock may step back.
WRITE = """
WITH reported AS (
    SELECT * FROM unnest(
        %s::text[], %s::text[], %s::bigint[], %s::smallint[], %s::jsonb[], %s::bigint[],
        %s::bigint[]
    ) AS reported (venue, symbol, time_ns, change, definition, epoch, sequence)
),
changed AS (
    SELECT reported.*, greatest(reported.time_ns, newest.valid_from_ns + 1) AS valid_from_ns
    FROM reported LEFT JOIN instrument_terms AS newest
        ON newest.venue = reported.venue AND newest.symbol = reported.symbol
        AND newest.valid_to_ns IS NULL
    WHERE newest.definition IS DISTINCT FROM reported.definition
),
ended AS (
    UPDATE instrument_terms AS before SET valid_to_ns = changed.valid_from_ns FROM changed
    WHERE before.venue = changed.venue AND before.symbol = changed.symbol
        AND before.valid_to_ns IS NULL
)
INSERT INTO instrument_terms (venue, symbol, valid_from_ns, change, definition, epoch, sequence)
SELECT venue, symbol, valid_from_ns, change, definition, epoch, sequence FROM changed
"""


class InstrumentTermsChange(NamedTuple):
    """A change of an instrument's terms."""

    venue: str
    symbol: str
    time_ns: int
    change: int
    definition: str
    """JSON: the fields of Instrument by their names in the contract."""
    epoch: int
    sequence: int


@dataclass(frozen=True, slots=True)
class InstrumentTermsUpdates:
    """Changes of instrument_terms, in the order in which they were published."""

    changes: Sequence[InstrumentTermsChange]
    table: str = "instrument_terms"
    days_ns: Sequence[int] = ()

    async def write(self, connection: Connection, *, careful: bool) -> int:
        """As in Rows. What is as it was is not counted as there already: it is no event."""
        for part in _once_each(self.changes):
            await connection.execute(WRITE, list(map(list, zip(*part, strict=True))))
        return 0


def terms_of(key: StreamKey, cursor: Cursor, batch: Batch) -> list[InstrumentTermsChange]:
    """The changes in a batch of STATUS. Raises MalformedBatch."""
    columns = batch.status
    rows = len(columns.instrument)
    if any(
        len(column) != rows
        for column in (columns.change, columns.definition, columns.received_time_ns)
    ):
        raise MalformedBatch("columns differ in length")
    return [
        InstrumentTermsChange(
            key.venue, _symbol(definition), time_ns, change, _definition(definition), *cursor
        )
        for definition, time_ns, change in zip(
            columns.definition, columns.received_time_ns, columns.change, strict=True
        )
        if change != batch_pb2.STATUS_CHANGE_UNSPECIFIED
    ]


def _symbol(definition: types_pb2.Instrument) -> str:
    if not definition.symbol:
        raise MalformedBatch("an instrument without a symbol")
    return definition.symbol


def _definition(definition: types_pb2.Instrument) -> str:
    fields = MessageToDict(
        definition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    if any("\0" in value for value in fields.values()):
        raise MalformedBatch("a text that PostgreSQL cannot hold")
    return json.dumps(fields)


def _once_each(changes: Sequence[InstrumentTermsChange]) -> Iterator[list[InstrumentTermsChange]]:
    """Split changes into parts that name each instrument once, for one statement each."""
    part: dict[tuple[str, str], InstrumentTermsChange] = {}
    for term in changes:
        if (term.venue, term.symbol) in part:
            yield list(part.values())
            part = {}
        part[term.venue, term.symbol] = term
    if part:
        yield list(part.values())
