"""What the venue offers in one run."""

from dataclasses import dataclass, replace

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.contract import OrderCapabilities
from kit.execution.tests.fake_venue import ALL_TYPES, CAPABILITIES
from kit.execution.tests.simulated_process import SPOT

PERPETUAL = types_pb2.Instrument()
PERPETUAL.CopyFrom(SPOT)
PERPETUAL.kind = types_pb2.INSTRUMENT_KIND_PERPETUAL
NATIVE_TYPES = ALL_TYPES - {orders_pb2.ORDER_TYPE_TRAILING_STOP}


@dataclass(frozen=True)
class Terms:
    """What the venue offers in one run."""

    instrument: types_pb2.Instrument
    capabilities: OrderCapabilities
    takes_fee_in_base: bool
    lists_newest_fills_first: bool

    @classmethod
    def drawn(cls, chance, batch_max):
        """Draw a venue."""
        is_spot = chance.random() < 0.5
        types = NATIVE_TYPES if chance.random() < 0.4 else CAPABILITIES.types
        capabilities = replace(
            CAPABILITIES,
            types=types,
            has_positions=not is_spot,
            amends_stop_price=chance.random() < 0.7,
            amends_later=chance.random() < 0.3,
            reduce_only=chance.random() < 0.7,
            finds_by_client_id=chance.random() < 0.8,
            batch_max=batch_max,
        )
        instrument = SPOT if is_spot else PERPETUAL
        return cls(instrument, capabilities, chance.random() < 0.5, chance.random() < 0.5)

    @property
    def text(self):
        """The terms in a few words, for the history."""
        kind = "spot" if self.capabilities.has_positions is False else "perpetual"
        stops = "stops" if self.capabilities.types is NATIVE_TYPES else "no stops"
        batches = f"{self.capabilities.batch_max} orders in a call"
        return f"{kind}, {stops} at the venue, {batches}"
