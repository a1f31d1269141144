"""Deribit's instruments: their names, and how they are listed.

BTC-PERPETUAL is a perpetual, BTC-25JUN21 a future, BTC-25JUN21-40000-P an option. A currency with
an underscore, as in BTC_USDC-PERPETUAL, makes a linear contract; all other futures are inverse.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.listing import InstrumentKind, Listing
from kit.simulator.market_events import Instrument
from venues.deribit.simulator.candles import number

INSTRUMENTS = (
    Instrument("BTC", "USD", 1, 0, 5, 61_800.0, 3_000.0, 0.030, 4.0, lot_units=10),
    Instrument("ETH", "USD", 2, 0, 5, 2_650.0, 2_000.0, 0.035, 3.0),
)
"""Inverse perpetuals: sizes are US dollars, in contracts of 10 and of 1."""
PERPETUAL = "PERPETUAL"
NEVER_MS = 32_503_708_800_000
"""The expiration of a perpetual."""
EXPIRY_HOUR = 8
NAME = re.compile(
    rf"(?P<base>[A-Z0-9]+)(?:_(?P<quote>[A-Z0-9]+))?"
    rf"-(?:{PERPETUAL}|(?P<day>[0-9]{{1,2}}[A-Z]{{3}}[0-9]{{2}})"
    rf"(?:-(?P<strike>[0-9]+(?:d[0-9]+)?)-(?P<right>[CP]))?)"
)


def native_symbol(instrument: Instrument) -> str:
    """``BTC-PERPETUAL``"""
    return f"{instrument.base}-{PERPETUAL}"


def is_inverse(symbol: str) -> bool:
    """Whether amounts are in US dollars, as of all futures that are not priced in a stablecoin."""
    found = NAME.fullmatch(symbol)
    return found is not None and not found["quote"] and not found["strike"]


def listing(instrument: Instrument) -> Listing:
    """A simulated instrument as Deribit lists it."""
    return Listing(
        native_symbol(instrument),
        instrument.base,
        instrument.quote,
        tick_size=instrument.price_text(1),
        lot_size=instrument.size_text(1),
        minimum_notional="0",
        kind=InstrumentKind.PERPETUAL,
        settle=instrument.base,
    )


def described(listing: Listing) -> dict[str, object] | None:
    """One entry of get_instruments; None: the name is none of Deribit."""
    found = NAME.fullmatch(listing.symbol)
    if found is None:
        return None
    inverse, is_option = is_inverse(listing.symbol), found["strike"] is not None
    marks = {"simulator": "tick and lot as seen in a capture"} if listing.derived else {}
    settlement = found["quote"] or found["base"]
    more: dict[str, object] = {
        "max_leverage": 50,
        "max_liquidation_commission": number("0.0075"),
        "future_type": "reversed" if inverse else "linear",
    }
    if is_option:
        right = "call" if found["right"] == "C" else "put"
        more = {"option_type": right, "strike": number(found["strike"].replace("d", "."))}
    day = found["day"]
    return {
        **marks,
        "tick_size": number(listing.tick_size),
        "tick_size_steps": [],
        "taker_commission": number("0.0005"),
        "settlement_period": "month" if day else "perpetual",
        "settlement_currency": settlement,
        "rfq": False,
        "quote_currency": settlement if is_option else listing.quote,
        "price_index": f"{found['base']}_{found['quote'] or 'USD'}".lower(),
        "min_trade_amount": number(listing.lot_size),
        "maker_commission": number("0"),
        "kind": "option" if is_option else "future",
        "is_active": not listing.halted,
        "state": state(listing),
        "instrument_type": "linear" if found["quote"] else "reversed",
        "instrument_name": listing.symbol,
        "expiration_timestamp": _expiration_ms(day) if day else NEVER_MS,
        "creation_timestamp": 1_534_167_754_000,
        "counter_currency": found["quote"] or "USD",
        "contract_size": number("1" if is_option else listing.lot_size),
        "block_trade_commission": number("0.0001"),
        "base_currency": found["base"],
        **more,
    }


def state(listing: Listing) -> str:
    """``open`` or ``halted``."""
    return "halted" if listing.halted else "open"


def _expiration_ms(day: str) -> int:
    date = datetime.strptime(day.title(), "%d%b%y").replace(tzinfo=UTC, hour=EXPIRY_HOUR)
    return int(date.timestamp()) * NANOSECONDS_PER_SECOND // NANOSECONDS_PER_MILLISECOND


def contracts(amount: str, listing: Listing) -> Decimal:
    """An amount as a number of contracts."""
    return Decimal(amount) / Decimal(listing.lot_size)
