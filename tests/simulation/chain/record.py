"""What the database has, read after and during a run."""

from core.detector import store as detector_store
from core.detector.store import InstanceKey
from core.inspector import positions, submissions
from kit.events import event_log
from kit.events.event_log import load_positions, stream_states
from kit.events.streams import EVENT_STREAMS, stream_name
from tests.simulation.chain.processes import DECISIONS, EXECUTIONS, RISK, SIGNALS

READS = {"detector": (RISK,), "advisor": (SIGNALS,), "inspector": (DECISIONS, EXECUTIONS)}
"""The streams that each consumer reads."""
INSTANCE = InstanceKey("always", "binance", "BTCUSDT")


class Record:
    """The database of a run."""

    def __init__(self, database, reads=READS):
        self._database, self._reads = database, reads

    async def why_unsettled(self, news):
        """What is on its way; "" if nothing is. ``news``: the position of the newest news of the
        venue."""
        async with self._database.transaction() as connection:
            states = await stream_states(connection, EVENT_STREAMS)
            for consumer, streams in self._reads.items():
                found = await load_positions(connection, consumer)
                for stream in streams:
                    position, newest = found.get(stream, 0), states[stream].sequence
                    if position < newest:
                        name = stream_name(stream)
                        return f"{consumer} has read {position} of {newest} events of {name}"
            query = "SELECT epoch, sequence FROM execution_intakes"
            read = await (await connection.execute(query)).fetchone()
            if news[1] and read != news:
                return f"the ledger has read {read} of {news}"
            pending = await submissions.pending(connection)
            if pending:
                return f"the outcome of {pending[0].approved[0].request_id} is not known"
            closing = await positions.closing_ids(connection)
            if closing:
                return f"the position {closing[0].hex()} is being closed"
        return ""

    async def has_pending_entry(self):
        """Whether the outcome of an entry is not known."""
        async with self._database.transaction() as connection:
            return any(one.is_entry for one in await submissions.pending(connection))

    async def events(self, stream):
        """All events of a stream."""
        async with self._database.transaction() as connection:
            return await event_log.read(connection, stream, 0)

    async def states(self):
        """The state of each stream."""
        async with self._database.transaction() as connection:
            return await stream_states(connection, EVENT_STREAMS)

    async def open_positions(self):
        """The positions of the inspector that have not ended, with their orders."""
        async with self._database.transaction() as connection:
            found = await positions.all_open(connection)
            return [(one, await positions.orders_of(connection, one)) for one in found]

    async def detector_position(self):
        """What the strategy believes to have."""
        async with self._database.transaction() as connection:
            return await detector_store.position(connection, INSTANCE)
