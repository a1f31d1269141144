"""A journal that an earlier version wrote is read exactly.

``stored_journal.hex`` is a journal with a record of every kind, of the version before the layers of
the kit. ``stored_journal_orders.txt`` is what that version made of it, as an ExecutionSnapshot,
with the trigger price that orders state since.
"""

from collections import Counter
from pathlib import Path

import msgspec
from google.protobuf import text_format
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import snapshots_pb2

from kit.execution.journal import records
from kit.execution.journal.journal import read
from kit.execution.orders import order_states
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.balances_and_positions import BalancesAndPositions
from kit.execution.orders.order_messages import order_message
from kit.execution.tests.simulated_process import run, world
from tests.support.manual_clock import ManualClock

FOLDER = Path(__file__).parent
JOURNAL = bytes.fromhex((FOLDER / "stored_journal.hex").read_text())
SNAPSHOT = text_format.Parse(
    (FOLDER / "stored_journal_orders.txt").read_text(), snapshots_pb2.ExecutionSnapshot()
)


def starts_with(after, before):
    """Whether a record, and each record in it, begins with the fields that it had."""
    if not isinstance(before, list):
        return after == before
    if before and all(isinstance(part, list) for part in before):
        return len(after) == len(before) and all(map(starts_with, after, before))
    return len(after) >= len(before) and all(map(starts_with, after, before))


def listed(symbol):
    """Every symbol is listed, and the unit of its sizes is not known."""
    return types_pb2.Instrument(symbol=symbol)


def test_every_order_balance_and_position_is_restored():
    state = AccountState("fake", "main", ManualClock(), [], None, listed)
    known = BalancesAndPositions(ManualClock(), [], lambda symbol: None)
    kinds = Counter()
    for payload in read(JOURNAL).payloads:
        record = records.decode(payload)
        assert records.decode(records.encode(record)) == record
        before, after = map(msgspec.msgpack.decode, (payload, records.encode(record)))
        assert starts_with(after, before), "fields are only added at the end"
        kinds[type(record)] += 1
        if isinstance(record, records.BalanceRecord | records.PositionRecord):
            known.replay(record)
        else:
            state.index.replay(record)
    later = {
        records.FillCoverageRecord,
        records.JournalIdentityRecord,
        records.RequestAnswered,
    }
    assert kinds.keys() == set(records.Record.__args__) - later
    restored = snapshots_pb2.ExecutionSnapshot(
        orders=[order_message(order) for order in state.index.orders.values()],
        balances=known.balance_messages(),
        positions=known.position_messages(),
    )
    assert restored == SNAPSHOT


def test_account_starts_from_an_older_journal():
    async def scenario():
        found = world()
        found.disk.content = bytearray(JOURNAL)
        found.start()
        await found.let_pass(0.01)
        orders = {one.request_id: one for one in found.account.state.index.orders.values()}
        assert orders.keys() == {one.request_id for one in SNAPSHOT.orders}
        assert orders["unanswered"].state == order_states.UNKNOWN
        assert orders["stop"].held_here
        assert orders["trailing"].best_price is not None
        assert found.account.verifier.fencing_epoch == 1
        assert found.account.dead_man.is_armed

    run(scenario())
