"""OKX's instruments in the simulated markets: spot and swaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kit.simulator.listing import InstrumentKind, Listing
from kit.simulator.market_events import Instrument
from kit.simulator.text_conversion import short

SUFFIX = "-SWAP"
TYPES = {InstrumentKind.SPOT: "SPOT", InstrumentKind.PERPETUAL: "SWAP"}
"""``instType``"""


@dataclass(frozen=True, slots=True)
class OkxInstrumentType:
    """The differences between spot and swaps, as parameters."""

    kind: InstrumentKind
    suffix: str
    """The end of each symbol."""
    instruments: Sequence[Instrument]
    contract_sizes: Mapping[str, str]
    """Base units of one contract, by base; empty for spot, where sizes are base units."""

    def listing(self, instrument: Instrument) -> Listing:
        """A simulated instrument as OKX lists it, without a minimum notional."""
        return Listing(
            f"{instrument.base}-{instrument.quote}{self.suffix}",
            instrument.base,
            instrument.quote,
            tick_size=short(instrument.price_text(1)),
            lot_size=short(instrument.size_text(1)),
            minimum_notional="0",
            kind=self.kind,
            contract_size=self.contract_sizes.get(instrument.base, ""),
            settle=instrument.quote if self.contract_sizes else "",
        )


SPOT = OkxInstrumentType(
    InstrumentKind.SPOT,
    suffix="",
    instruments=(
        Instrument("BTC", "USDT", 1, 8, 1, 61_800.0, 0.05, 0.030, 4.0),
        Instrument("ETH", "USDT", 2, 6, 1, 2_650.0, 0.8, 0.035, 3.0),
        Instrument("SOL", "USDT", 2, 6, 1, 158.0, 12.0, 0.045, 2.0),
        Instrument("XRP", "USDT", 4, 6, 1, 0.5800, 900.0, 0.045, 1.0),
        Instrument("DOGE", "USDT", 5, 6, 1, 0.10400, 4_000.0, 0.050, 1.0),
        Instrument("ETH", "BTC", 5, 6, 1, 0.04290, 0.8, 0.015, 0.5),
    ),
    contract_sizes={},
)
SWAP = OkxInstrumentType(
    InstrumentKind.PERPETUAL,
    suffix=SUFFIX,
    instruments=(
        Instrument("BTC", "USDT", 1, 2, 1, 61_800.0, 5.0, 0.030, 4.0),
        Instrument("ETH", "USDT", 2, 2, 1, 2_650.0, 8.0, 0.035, 3.0),
        Instrument("SOL", "USDT", 2, 2, 1, 158.0, 12.0, 0.045, 2.0),
        Instrument("XRP", "USDT", 4, 2, 1, 0.5800, 9.0, 0.045, 1.0),
        Instrument("DOGE", "USDT", 5, 2, 1, 0.10400, 4.0, 0.050, 1.0),
    ),
    contract_sizes={"BTC": "0.01", "ETH": "0.1", "SOL": "1", "XRP": "100", "DOGE": "1000"},
)
"""The sizes are in contracts."""
