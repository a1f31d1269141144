"""Whether the books balance, and whether all accounts are read, is measured."""

from types import SimpleNamespace

from core.ledger.metrics import LedgerMetrics
from core.ledger.tests.executions import SPOT, fill
from kit.base.telemetry import Meter


async def test_an_asset_that_does_not_balance_is_counted(books):
    meter, discovery = Meter("ledger"), SimpleNamespace(unread=3)
    metrics = LedgerMetrics(meter, discovery)

    def value(name: str):
        return meter.registry.get_sample_value(f"venuemesh_ledger_{name}")

    await books.book(fill(SPOT, 1, "1", "60000"))
    await metrics.compare(books.database)
    assert value("unbalanced_assets") == 0
    assert value("accounts_unread") == 3
    async with books.database.transaction() as connection:
        await connection.execute(
            "UPDATE ledger_accounts SET debits = debits + 1 WHERE code = 2 AND asset = 'USDT'"
        )
    await metrics.compare(books.database)
    assert value("unbalanced_assets") == 1
