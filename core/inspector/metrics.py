"""The metrics of the inspector."""

from venuemesh.events.v1 import risk_pb2
from venuemesh.inspector.v1 import reconciliations_pb2

from core.inspector import modes, reconciliation_store
from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.database import Database
from kit.base.errors import StoreUnavailable
from kit.base.telemetry import Meter

INTERVAL_SECONDS = 15.0
UNPROTECTED_SECONDS = (0.0, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)

_log = telemetry.logger("inspector.metrics")


class InspectorMetrics:
    """Whether this process acts, delayed closings, positions without a stop, modes, accounts."""

    def __init__(self, meter: Meter) -> None:
        self.active = meter.gauge("inspector_acting", "1 while this process acts, otherwise 0")
        self.closing_waits = meter.gauge(
            "inspector_closing_waits", "Positions whose closing waits for something"
        )
        self.unprotected = meter.gauge(
            "inspector_positions_unprotected",
            "Positions that have no stop and are not being closed",
        )
        self.unprotected_seconds = meter.histogram(
            "inspector_position_unprotected_seconds",
            "How long a position was without its stop, each time; 0: it was seen with it only",
            UNPROTECTED_SECONDS,
        )
        self._halted = meter.gauge(
            "inspector_halted_scopes", "Scopes whose mode is HALTED, in whichever process"
        )
        self._differing = meter.gauge(
            "inspector_accounts_differing",
            "Accounts on which venue, ledger and inspector lastingly differ, in whichever process",
        )
        self._unknown = meter.gauge(
            "inspector_accounts_unreconciled",
            "Accounts of which it is not known whether the sides agree, in whichever process",
        )

    async def run(self, database: Database, world: str, clock: Clock) -> None:
        """Count modes and accounts now and then. Runs forever."""
        while True:
            try:
                await self.count_modes(database, world)
                await self.count_accounts(database, clock.time_ns())
            except StoreUnavailable as error:
                _log.debug("modes and accounts are not counted", extra={"detail": error.message})
            await clock.sleep(INTERVAL_SECONDS)

    async def count_modes(self, database: Database, world: str) -> None:
        """Raises StoreUnavailable."""
        async with database.transaction() as connection:
            found = await modes.states(connection, world)
        self._halted.set(sum(one.mode == risk_pb2.TRADING_MODE_HALTED for one in found))

    async def count_accounts(self, database: Database, now_ns: int) -> None:
        """Raises StoreUnavailable."""
        async with database.transaction() as connection:
            found = await reconciliation_store.load(connection)
        states = [one.message(now_ns).state for one in found]
        self._differing.set(states.count(reconciliations_pb2.RECONCILIATION_STATE_DIFFERS))
        self._unknown.set(states.count(reconciliations_pb2.RECONCILIATION_STATE_UNKNOWN))
