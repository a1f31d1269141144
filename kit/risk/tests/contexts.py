"""Orders and facts for tests of limits."""

from decimal import Decimal

import msgspec

from kit.risk.facts import DayProfit, Exposure, Losses, RecentEntries, ReferencePrice, RiskFacts
from kit.risk.measures import EntryContext, Valuation
from kit.risk.scopes import PositionKey

NOW_NS = 1_700_000_000_000_000_000
PLACE = PositionKey("binance", "main", "BTCUSDT", "ema")
FACTS = RiskFacts(
    notional=Decimal(100),
    notional_asset="USDT",
    exposures=(),
    results=(),
    recent=(),
    losses=Losses(in_row=0),
    reference=ReferencePrice(bid=Decimal(99), ask=Decimal(100), time_ns=NOW_NS),
)
RATES = {"BTC": Decimal(50_000)}
VALUATION = Valuation("USDT", RATES)
GROUPS = {"majors": ("binance/BTCUSDT", "okx/BTC-USDT")}


def context(place=PLACE, is_buy=True, prices=("100",), **facts):
    return EntryContext(
        place, is_buy, tuple(amount(price) for price in prices), NOW_NS,
        msgspec.structs.replace(FACTS, **facts), VALUATION, GROUPS,
    )  # fmt: skip


def exposure(held, buys=0, sells=0, asset="USDT", place=PLACE):
    return Exposure(
        venue=place.venue, account=place.account, symbol=place.symbol, strategy=place.strategy,
        asset=asset, held=amount(held), buys=amount(buys), sells=amount(sells),
    )  # fmt: skip


def result(profit, asset="USDT", place=PLACE):
    names = {"venue": place.venue, "account": place.account, "strategy": place.strategy}
    return DayProfit(**names, asset=asset, profit=Decimal(profit))


def recent(count, place=PLACE):
    names = {"venue": place.venue, "account": place.account, "strategy": place.strategy}
    return RecentEntries(**names, count=count)


def amount(value):
    return None if value is None else Decimal(value)
