"""The settings of the ledger."""

import msgspec

from core.ledger.position_state import AVERAGE, COST_METHODS
from kit.base.errors import SettingError


class LedgerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "ledger"."""

    port: int = 8120
    """gRPC port, of Ledger and Admin."""
    readers_max: int = 64
    """Concurrent calls of StreamEntries."""
    cost_method: str = AVERAGE
    """How the cost of what a strategy sells is found: "average", or "fifo", first in, first out. It
    cannot change once a fill is booked."""
    tigerbeetle_addresses: str = ""
    """host:port of each replica of TigerBeetle, with commas between, where totals are kept then.
    "": in PostgreSQL only."""
    tigerbeetle_cluster: int = 0
    """The id of its cluster."""

    def __post_init__(self) -> None:
        if self.readers_max <= 0:
            raise SettingError("ledger.readers_max", self.readers_max, "must be above 0")
        if self.tigerbeetle_cluster < 0:
            cluster = self.tigerbeetle_cluster
            raise SettingError("ledger.tigerbeetle_cluster", cluster, "must be 0 or more")
        addresses = self.tigerbeetle_addresses
        for address in addresses.split(",") if addresses else ():
            host, _, port = address.strip().rpartition(":")
            if not host or not port.isdecimal():
                allowed = "must be host:port, with commas between several"
                raise SettingError("ledger.tigerbeetle_addresses", addresses, allowed)
        if self.cost_method not in COST_METHODS:
            raise SettingError(
                "ledger.cost_method", self.cost_method, f"must be one of {', '.join(COST_METHODS)}"
            )
