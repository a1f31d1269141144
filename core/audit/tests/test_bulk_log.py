"""The benchmarks' way to a log of millions of events makes the rows that the log's writer makes."""

from benchmarks import bulk_log
from benchmarks.bulk_log import fill_log, pairs
from core.audit.tests.rig import EXECUTIONS, Rig, rig_for
from kit.events import event_log

TABLES = (
    "SELECT * FROM events ORDER BY stream, sequence",
    "SELECT stream, sequence FROM event_streams ORDER BY stream",
    "SELECT * FROM event_positions ORDER BY consumer, stream",
    "SELECT * FROM audit_leaves ORDER BY index",
    "SELECT * FROM audit_nodes ORDER BY level, index",
)
EVENTS = 250


async def tables(rig: Rig) -> list[list[tuple]]:
    async with rig.database.transaction() as connection:
        return [
            await (await connection.execute(statement.encode())).fetchall() for statement in TABLES
        ]


async def test_rows_are_those_of_the_writer(postgres_url, tmp_path, monkeypatch):
    monkeypatch.setattr(bulk_log, "BATCH", 100)
    async with rig_for(postgres_url, tmp_path) as rig:
        await fill_log(rig, EVENTS)
        filled = await tables(rig)
        await rig.execute("TRUNCATE events, event_positions, audit_leaves, audit_nodes")
        await rig.execute("UPDATE event_streams SET sequence = 0")
        async with rig.database.transaction() as connection:
            await event_log.append(connection, EXECUTIONS, pairs(0, EVENTS), rig.now_ns)
        await rig.write()
        written = await tables(rig)
        assert [len(rows) for rows in filled] == [EVENTS, 6, 1, EVENTS, EVENTS - EVENTS.bit_count()]
        assert filled[:2] == written[:2]
        assert [row for row in written[2] if row[2]] == filled[2]
        assert filled[3:] == written[3:]
        await rig.sign()
        assert await rig.difference() == ""
