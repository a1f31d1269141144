"""The services of a venue: one that is read now, or one whose record is played."""

from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.admin import VenueAdmin
from kit.base.runtime import Runtime
from kit.connector.process.market_data import MarketDataServicer
from kit.execution.account_registry import AccountRegistry


def serve(
    runtime: Runtime,
    market_data: MarketDataServicer,
    accounts: AccountRegistry,
    control: VenueAdmin,
) -> None:
    """Serve MarketData, TradeFlow where there is an account, and Admin's actions on the venue."""
    runtime.serve(market_data_pb2.DESCRIPTOR, "MarketData", market_data, raw=["Subscribe"])
    accounts.serve(runtime)
    runtime.control_venue(control)
