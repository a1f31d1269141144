"""Wires History: settings, database, service."""

from venuemesh.history.v1 import history_pb2

from core.history.book_store import HistoricalBookStore
from core.history.column_responses import ColumnResponses
from core.history.coverage_store import CoverageStore
from core.history.fee_schedules import FeeSchedules
from core.history.list_store import ListStore
from core.history.mid_prices import MidPrices
from core.history.order_cost_store import OrderCostStore
from core.history.service import HistoryServicer
from core.history.settings import HistorySettings
from core.history.stored_orders import StoredOrders
from kit.base import settings as setting_files
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, SystemClock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.migration import wait_for_schema
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.storage.archive.archive import Archive

SERVICE = "history"


def main() -> int:
    """Run History until it is stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(HistorySettings, SERVICE)
    return run_process(SERVICE, mesh, lambda: run(settings, mesh))


async def run(settings: HistorySettings, mesh: MeshSettings) -> None:
    """Run History in this event loop."""
    runtime = Runtime(ProcessIdentity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    clock = SystemClock()
    database = Database(mesh.database_login_url, metrics=runtime.store_metrics)
    degraded_reasons = DegradedReasons(runtime.meter)
    archive = Archive(mesh.database_login_url)
    quote_age_max_ns = settings.quote_age_max_ms * NANOSECONDS_PER_MILLISECOND
    mids = MidPrices(database, clock, quote_age_max_ns)
    schedules = FeeSchedules(mesh.registry, clock)
    history = HistoryServicer(
        ListStore(database),
        HistoricalBookStore(database),
        CoverageStore(database),
        ColumnResponses(archive, database, settings.readers_max),
        OrderCostStore(database, StoredOrders(database), mids, schedules),
    )
    runtime.serve(history_pb2.DESCRIPTOR, "History", history, raw=("Read", "ReadBars"))
    runtime.run_task(
        "schema", lambda: wait_for_schema(mesh.database_login_url, degraded_reasons, clock)
    )
    for finish in (archive.close, database.close, schedules.close):
        runtime.at_end(finish)
    await runtime.run()
