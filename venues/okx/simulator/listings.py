"""What OKX lists: the spot markets and swaps that are simulated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from kit.accounting.fees import FeeTier
from kit.simulator.events import Instrument
from kit.simulator.history import Candle
from kit.simulator.listing import InstrumentKind, Listing
from kit.simulator.texts import plain, short

SUFFIX = "-SWAP"
TYPES = {InstrumentKind.SPOT: "SPOT", InstrumentKind.PERPETUAL: "SWAP"}
"""OKX's instType."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One of OKX's kinds of instruments: what spot and swaps do not share, as parameters."""

    kind: InstrumentKind
    suffix: str
    """How its symbols end."""
    instruments: Sequence[Instrument]
    contract_sizes: Mapping[str, str]
    """Base units of one contract, by base; none for spot, whose sizes are base units."""
    fee_tiers: Sequence[FeeTier]

    def symbol(self, instrument: Instrument) -> str:
        """``BTC-USDT`` or ``BTC-USDT-SWAP``."""
        return f"{instrument.base}-{instrument.quote}{self.suffix}"

    def listing(self, instrument: Instrument) -> Listing:
        """A simulated instrument as OKX lists it, which has no smallest notional."""
        return Listing(
            self.symbol(instrument),
            instrument.base,
            instrument.quote,
            tick_size=short(instrument.price_text(1)),
            lot_size=short(instrument.size_text(1)),
            minimum_notional="0",
            kind=self.kind,
            contract_size=self.contract_sizes.get(instrument.base, ""),
            settle=instrument.quote if self.contract_sizes else "",
        )


def volumes(candle: Candle, listing: Listing) -> tuple[str, str, str]:
    """OKX's vol, volCcy and volCcyQuote: what was traded as sizes count it; for spot in quote
    units, for swaps in base units; in quote units."""
    one = Decimal(listing.contract_size or 1)
    value = candle.quote_volume * one
    middle = candle.volume * one if listing.contract_size else value
    return plain(candle.volume), plain(middle), plain(value)


SPOT = Segment(
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
    fee_tiers=(FeeTier(Decimal("0.0008"), Decimal("0.001")),),
)
SWAP = Segment(
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
    fee_tiers=(FeeTier(Decimal("0.0002"), Decimal("0.0005")),),
)
"""Sizes of these count contracts."""
