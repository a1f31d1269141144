"""Writes what the inspector reads of the ledger's tables, as the ledger does."""

from dataclasses import dataclass

from venuemesh.ledger.v1 import postings_pb2

from core.inspector.risk_facts import REALIZED
from core.inspector.tests.rig import START_NS
from kit.accounting.money import ATOMS_PER_UNIT
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.events.subjects import event_group_id

CASH = postings_pb2.ACCOUNT_CODE_CASH
FEES = postings_pb2.ACCOUNT_CODE_FEES
FUNDING = postings_pb2.ACCOUNT_CODE_FUNDING_PROFIT

_ACCOUNT = (
    "INSERT INTO ledger_accounts (code, venue, account, asset, symbol, strategy)"
    " VALUES (%s, 'binance', 'paper', 'USDT', 'BTCUSDT', %s) ON CONFLICT DO NOTHING"
)
_KNOWN = (
    "SELECT account_id, debits, credits, entries, newest_time_ns FROM ledger_accounts"
    " WHERE code = %s AND strategy = %s"
)
_CHANGED = (
    "UPDATE ledger_accounts SET (debits, credits, entries, newest_time_ns) = (%s, %s, %s, %s)"
    " WHERE account_id = %s"
)


@dataclass
class Booked:
    """A result in USDT; a loss is negative."""

    number: int
    seconds_ago: int
    profit: int
    chain: bytes = b""
    """The lifecycle of the fill."""
    code: int = REALIZED
    strategy: str = "ema_cross"


async def book(rig, *results):
    async with rig.database.transaction() as connection:
        for one in results:
            await _book(connection, one)


async def _book(connection, one):
    key, time_ns = [one.code, one.strategy], START_NS - one.seconds_ago * NANOSECONDS_PER_SECOND
    await connection.execute(_ACCOUNT, key)
    known = await (await connection.execute(_KNOWN, key)).fetchone()
    account_id, debited, credited, entries, newest_ns = known
    event_id = one.number.to_bytes(16)
    if one.chain:
        await connection.execute(
            "INSERT INTO events VALUES ('executions', %s, %s, %s, '', 0, '')",
            [one.number, event_id, one.chain],
        )
    await connection.execute(
        "INSERT INTO ledger_groups VALUES (%s, %s, 1, %s, %s, %s, '', '', '')",
        [one.number, event_group_id(event_id), time_ns, time_ns, event_id],
    )
    # A debit is a loss.
    amount = -one.profit * ATOMS_PER_UNIT
    debited, credited = debited + max(amount, 0), credited + max(-amount, 0)
    newest_ns = max(newest_ns, time_ns)
    await connection.execute(
        "INSERT INTO ledger_entries VALUES (%s, %s, %s, 0, 0, %s, %s, %s, %s)",
        [account_id, entries + 1, one.number, amount, debited - credited, time_ns, newest_ns],
    )
    changed = [debited, credited, entries + 1, newest_ns, account_id]
    await connection.execute(_CHANGED, changed)


async def hold(rig, size, symbol="BTCUSDT", strategy="ema_cross", **place):
    """Have a position in the books."""
    where = {"venue": "binance", "account": "paper"} | place
    async with rig.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO ledger_positions VALUES (%s, %s, %s, %s, %s, 0)",
            [where["venue"], where["account"], symbol, strategy, int(size * ATOMS_PER_UNIT)],
        )


async def is_booked(rig, event):
    """The ledger has booked a fill."""
    async with rig.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO ledger_groups VALUES (1, %s, 1, 0, 0, %s, '', '', '')",
            [event_group_id(event.event_id), event.event_id],
        )
