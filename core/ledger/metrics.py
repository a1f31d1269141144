"""The metrics of the ledger."""

from core.ledger.account_discovery import AccountDiscovery
from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.database import Database
from kit.base.errors import StoreUnavailable
from kit.base.telemetry import Meter

INTERVAL_SECONDS = 30.0

_UNBALANCED = (
    "SELECT count(*) FROM (SELECT asset FROM ledger_accounts GROUP BY asset"
    " HAVING sum(debits) <> sum(credits)) AS found"
)
_log = telemetry.logger("ledger.metrics")


class LedgerMetrics:
    """Whether the books balance, and whether all accounts are read."""

    def __init__(self, meter: Meter, discovery: AccountDiscovery) -> None:
        self._unbalanced = meter.gauge(
            "ledger_unbalanced_assets", "Assets in which debits and credits differ"
        )
        unread = meter.gauge(
            "ledger_accounts_unread", "Accounts whose executions are not being read"
        )
        unread.set_function(lambda: discovery.unread)

    async def run(self, database: Database, clock: Clock) -> None:
        """Compare the totals now and then. Runs forever."""
        while True:
            try:
                await self.compare(database)
            except StoreUnavailable as error:
                _log.debug("not compared", extra={"detail": error.message})
            await clock.sleep(INTERVAL_SECONDS)

    async def compare(self, database: Database) -> None:
        """Raises StoreUnavailable."""
        async with database.transaction() as connection:
            row = await (await connection.execute(_UNBALANCED)).fetchone()
        self._unbalanced.set(row[0] if row else 0)
