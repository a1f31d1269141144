"""Amounts in one currency are exact, name their prices, and leave out what is not known."""

from decimal import Decimal

import pytest
from venuemesh.ledger.v1 import equity_pb2, ledger_pb2

from core.ledger.market_prices import TimedPrice
from core.ledger.profit import equity_amounts, profit_amounts
from core.ledger.spot_pairs import SpotPair
from core.ledger.valuation import Amount, Valuation
from kit.accounting.money import parse_atoms

RATE_UNKNOWN = equity_pb2.NOT_INCLUDED_REASON_RATE_UNKNOWN
AMOUNT_UNKNOWN = equity_pb2.NOT_INCLUDED_REASON_AMOUNT_UNKNOWN
WHOLE = ("", "", "", "")
PAIRS = [
    SpotPair("binance", "BTCUSDT", "BTC", "USDT"),
    SpotPair("binance", "ETHBTC", "ETH", "BTC"),
    SpotPair("bybit", "BTCUSDT", "BTC", "USDT"),
    SpotPair("coinbase", "BTC-USD", "BTC", "USD"),
    SpotPair("okx", "DOGE-USDT", "DOGE", "USDT"),
]


class Markets:
    """Spot markets, and the prices of those that have a book."""

    def __init__(self, **prices: str) -> None:
        self.prices = {tuple(name.split("_", 1)): price for name, price in prices.items()}

    async def known(self):
        return PAIRS

    async def timed(self, instruments):
        return {
            key: TimedPrice(Decimal(self.prices[key.venue, key.symbol]), 7)
            for key in instruments
            if (key.venue, key.symbol) in self.prices
        }


async def total(amounts: dict[str, str], currency: str, **prices: str):
    markets = Markets(**prices)
    found = [Amount(WHOLE, asset, parse_atoms(text)) for asset, text in amounts.items()]
    conversion = await Valuation(markets, markets).convert(found, currency)
    (only,) = conversion.totals
    return only, conversion.rates


async def test_amounts_are_added_up_in_the_currency():
    found, rates = await total(
        {"BTC": "0.000000000000000003", "USDT": "-7.1"}, "USDT", binance_BTCUSDT="60000.05"
    )
    assert (found.currency, found.amount) == ("USDT", "-7.09999999999981999985".removesuffix("85"))
    assert not found.not_included
    (rate,) = rates
    (price,) = rate.prices
    assert (rate.asset, price.venue, price.symbol, price.price) == (
        "BTC",
        "binance",
        "BTCUSDT",
        "60000.05",
    )
    assert (price.inverted, price.time_ns) == (False, 7)


async def test_a_quote_asset_is_divided_and_cut():
    found, rates = await total({"USDT": "1"}, "BTC", binance_BTCUSDT="30000")
    assert found.amount == "0.000033333333333333"
    assert rates[0].prices[0].inverted


async def test_the_price_of_another_venue_counts_where_the_first_has_none():
    found, rates = await total({"BTC": "1"}, "USDT", bybit_BTCUSDT="61000")
    assert found.amount == "61000"
    assert rates[0].prices[0].venue == "bybit"


async def test_an_asset_without_a_market_in_the_currency_takes_two_steps():
    found, rates = await total({"ETH": "2"}, "USDT", binance_BTCUSDT="60000", binance_ETHBTC="0.05")
    assert found.amount == "6000"
    assert [one.symbol for one in rates[0].prices] == ["ETHBTC", "BTCUSDT"]


async def test_what_has_no_rate_is_listed_and_not_counted():
    found, rates = await total({"DOGE": "5", "USDT": "2", "XYZ": "0"}, "USDT")
    assert found.amount == "2"
    (missing,) = found.not_included
    assert (missing.asset, missing.amount, missing.reason) == ("DOGE", "5", RATE_UNKNOWN)
    assert not rates


async def test_a_total_of_nothing_that_is_known_is_not_known():
    found, _ = await total({"DOGE": "5"}, "EUR")
    assert found.amount == ""
    assert len(found.not_included) == 1


@pytest.mark.parametrize("price", ["0", "-5"])
async def test_a_price_that_cannot_be_is_none(price):
    found, _ = await total({"BTC": "1"}, "USDT", binance_BTCUSDT=price)
    assert found.amount == ""


def test_open_profit_that_is_not_known_is_listed_beside_the_rest():
    profit = ledger_pb2.Profit(
        venue="okx", strategy="s1", asset="USDT", realized="5", fees="-1", funding="0.5"
    )
    place = ("okx", "", "", "s1")
    assert list(profit_amounts(profit)) == [
        Amount(place, "USDT", parse_atoms("4.5")),
        Amount(place, "USDT", None),
    ]
    equity = ledger_pb2.Equity(asset="USDT", cash="7")
    assert equity_amounts([equity], WHOLE) == [
        Amount(WHOLE, "USDT", parse_atoms("7")),
        Amount(WHOLE, "USDT", None),
    ]


async def test_an_amount_that_is_not_known_is_listed():
    markets = Markets()
    amounts = [Amount(WHOLE, "USDT", 10**18), Amount(WHOLE, "USDT", None)]
    (found,) = (await Valuation(markets, markets).convert(amounts, "USDT")).totals
    assert found.amount == "1"
    assert [one.reason for one in found.not_included] == [AMOUNT_UNKNOWN]
