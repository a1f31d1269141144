"""Books what the inspector reads of the ledger's tables: positions, profit and cash."""

from decimal import Decimal

from venuemesh.ledger.v1 import postings_pb2

from kit.accounting.contract import Contract, ContractAssets
from kit.accounting.money import ATOM, ATOMS_PER_UNIT, atoms_of
from kit.accounting.position import Position
from kit.events import event_log
from kit.events.subjects import event_group_id
from tests.simulation.chain.processes import EXECUTIONS
from tests.simulation.chain.venue import BUY

CAPITAL = 100_000
"""USDT at the begin."""
ACCOUNTS = {
    postings_pb2.ACCOUNT_CODE_CASH: "",
    postings_pb2.ACCOUNT_CODE_REALIZED_PROFIT: "BTCUSDT",
}
_ACCOUNT = (
    "INSERT INTO ledger_accounts (code, venue, account, asset, symbol, strategy, debits, credits,"
    " entries, newest_time_ns) VALUES (%s, 'binance', 'paper', 'USDT', %s, %s, %s, %s, 1, %s)"
    " ON CONFLICT (venue, account, code, asset, symbol, strategy) DO UPDATE"
    " SET (debits, credits, entries, newest_time_ns) = (ledger_accounts.debits + excluded.debits,"
    " ledger_accounts.credits + excluded.credits, ledger_accounts.entries + 1,"
    " greatest(ledger_accounts.newest_time_ns, excluded.newest_time_ns))"
)
_HELD = (
    "SELECT size, cost FROM ledger_positions"
    " WHERE (venue, account, symbol, strategy) = ('binance', 'paper', 'BTCUSDT', %s)"
)
_HOLD = (
    "INSERT INTO ledger_positions VALUES ('binance', 'paper', 'BTCUSDT', %s, %s, %s)"
    " ON CONFLICT (venue, account, symbol, strategy) DO UPDATE"
    " SET (size, cost) = (excluded.size, excluded.cost)"
)
_GROUP = (
    "INSERT INTO ledger_groups VALUES ((SELECT count(*) + 1 FROM ledger_groups), %s, 1, %s, %s, %s,"
    " '', '', '') ON CONFLICT (group_id) DO NOTHING"
)
CASH, REALIZED = ACCOUNTS


async def begin(connection, instrument):
    """The account as it is before its first order."""
    terms = [instrument.settlement_asset]
    await connection.execute(
        "INSERT INTO ledger_contracts VALUES ('binance', 'BTCUSDT', 'BTC', 'USDT', %s, 1)", terms
    )
    amount = [CASH, "", "", CAPITAL * ATOMS_PER_UNIT, 0, 0]
    await connection.execute(_ACCOUNT, amount)


class Recorder:
    """Stores executions, and books fills."""

    def __init__(self, database, relay, clock, owner, instrument):
        self._database, self._relay, self._clock = database, relay, clock
        self._owner = owner
        assets = ContractAssets("BTC", "USDT", instrument.settlement_asset)
        self._contract = Contract("BTCUSDT", assets)

    async def book(self, events, instruments, move):
        async with self._database.transaction() as connection:
            await move(connection)
            for event in events:
                if event.HasField("order_filled"):
                    await self._book(connection, event)
            await event_log.append(connection, EXECUTIONS, events, self._clock.time_ns())
        self._relay.wake()

    async def _book(self, connection, event):
        fill, now_ns = event.order_filled.fill, self._clock.time_ns()
        group = [event_group_id(event.event_id), now_ns, now_ns, event.event_id]
        if (await connection.execute(_GROUP, group)).rowcount != 1:
            return
        owner = self._owner(event.lifecycle_id)
        row = await (await connection.execute(_HELD, [owner])).fetchone()
        size, cost = (int(row[0]), int(row[1])) if row else (0, 0)
        position = Position(self._contract, size, cost)
        filled = atoms_of(Decimal(fill.size))
        value = self._contract.value(atoms_of(Decimal(fill.price)), filled)
        profit = position.trade(fill.side == BUY, value, filled)
        await connection.execute(_HOLD, [owner, position.size, position.cost])
        gain = [max(-profit, 0), max(profit, 0), now_ns]
        await connection.execute(_ACCOUNT, [REALIZED, "BTCUSDT", owner, *gain])


assert ATOM * ATOMS_PER_UNIT == 1
