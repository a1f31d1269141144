"""Amounts of several assets in one currency, at the middle of the best prices of spot markets."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from venuemesh.ledger.v1 import equity_pb2

from core.ledger.contracts import InstrumentKey
from core.ledger.market_prices import MarketPrices, TimedPrice
from core.ledger.spot_pairs import SpotPair, SpotPairs
from kit.accounting.amounts import plain
from kit.accounting.money import atoms_text

BRIDGES_MAX = 4
"""Assets by way of which another is converted: the most common quote assets."""


class Step(NamedTuple):
    """A conversion at one price."""

    pair: SpotPair
    price: TimedPrice
    to: str
    """The asset that it leads to."""

    @property
    def factor(self) -> Fraction:
        price = Fraction(self.price.price)
        return price if self.to == self.pair.quote else 1 / price

    def message(self) -> equity_pb2.ConversionPrice:
        return equity_pb2.ConversionPrice(
            venue=self.pair.venue,
            symbol=self.pair.symbol,
            price=plain(self.price.price),
            inverted=self.to == self.pair.base,
            time_ns=self.price.time_ns,
        )


Rates = Mapping[str, Sequence[Step]]
"""By asset; those whose rate is known. The currency itself needs no step."""


Place = tuple[str, str, str, str]
"""Venue, account, symbol and strategy; those that are not told apart are empty."""


class Amount(NamedTuple):
    """An amount to be converted."""

    place: Place
    asset: str
    atoms: int | None
    """None: not known."""


class Valuation:
    """The prices of instruments and the rates of assets, as they are now."""

    def __init__(self, pairs: SpotPairs, prices: MarketPrices) -> None:
        self._pairs = pairs
        self.prices = prices

    async def convert(self, amounts: Sequence[Amount], currency: str) -> equity_pb2.Conversion:
        """The total of each place in a currency, and what it was converted at."""
        assets = {one.asset for one in amounts if one.atoms}
        rates = await self.rates(assets, currency)
        return equity_pb2.Conversion(
            totals=converted(amounts, currency, rates), rates=rate_messages(rates, assets)
        )

    async def rates(self, assets: Collection[str], currency: str) -> Rates:
        """The rates of assets in a currency."""
        pairs = await self._pairs.known()
        rates: dict[str, Sequence[Step]] = {currency: ()}
        wanted = sorted(set(assets) - {currency})
        rates |= await self._direct(pairs, wanted, currency)
        if missing := [asset for asset in wanted if asset not in rates]:
            quotes = Counter(pair.quote for pair in pairs)
            bridges = [name for name, _ in quotes.most_common(BRIDGES_MAX) if name != currency]
            rates |= await self._bridged(pairs, missing, bridges, currency)
        return rates

    async def _bridged(
        self, pairs: Sequence[SpotPair], assets: Sequence[str], bridges: Sequence[str], to: str
    ) -> dict[str, Sequence[Step]]:
        last = await self._direct(pairs, bridges, to)
        found: dict[str, Sequence[Step]] = {}
        for bridge in bridges:
            rest = [asset for asset in assets if asset not in found and asset != bridge]
            if bridge in last and rest:
                first = await self._direct(pairs, rest, bridge)
                found |= {asset: (*steps, *last[bridge]) for asset, steps in first.items()}
        return found

    async def _direct(
        self, pairs: Sequence[SpotPair], assets: Collection[str], to: str
    ) -> dict[str, Sequence[Step]]:
        """The rates of assets with a market of their own against another asset, of the first venue
        whose price is known."""
        wanted = {(asset, to) for asset in assets} | {(to, asset) for asset in assets}
        markets = sorted(pair for pair in pairs if (pair.base, pair.quote) in wanted)
        keys = [InstrumentKey(pair.venue, pair.symbol) for pair in markets]
        prices = await self.prices.timed(keys)
        found: dict[str, Sequence[Step]] = {}
        for pair, key in zip(markets, keys, strict=True):
            price = prices.get(key)
            asset = pair.base if pair.quote == to else pair.quote
            if price is not None and price.price > 0 and asset not in found:
                found[asset] = (Step(pair, price, to),)
        return found


def converted(
    amounts: Iterable[Amount], currency: str, rates: Rates
) -> list[equity_pb2.ConvertedTotal]:
    """The total of each place in a currency; what is not in it is listed."""
    totals: dict[Place, equity_pb2.ConvertedTotal] = {}
    sums: dict[Place, Fraction] = {}
    for place, asset, atoms in amounts:
        total = totals.get(place)
        if total is None:
            venue, account, symbol, strategy = place
            total = totals[place] = equity_pb2.ConvertedTotal(
                venue=venue, account=account, symbol=symbol, strategy=strategy, currency=currency
            )
        if atoms is None:
            total.not_included.add(
                asset=asset, reason=equity_pb2.NOT_INCLUDED_REASON_AMOUNT_UNKNOWN
            )
        elif atoms and asset not in rates:
            reason = equity_pb2.NOT_INCLUDED_REASON_RATE_UNKNOWN
            total.not_included.add(asset=asset, amount=atoms_text(atoms), reason=reason)
        else:
            sums[place] = sums.get(place, Fraction(0)) + atoms * factor(rates.get(asset, ()))
    for place, total in totals.items():
        if place in sums:
            # Cut towards zero.
            total.amount = atoms_text(int(sums[place]))
    return [total for _, total in sorted(totals.items())]


def factor(steps: Iterable[Step]) -> Fraction:
    """What one unit of an asset is worth."""
    product = Fraction(1)
    for step in steps:
        product *= step.factor
    return product


def rate_messages(rates: Rates, used: Collection[str]) -> list[equity_pb2.ConversionRate]:
    """The rates of the assets that were used, by asset."""
    return [
        equity_pb2.ConversionRate(asset=asset, prices=[step.message() for step in steps])
        for asset, steps in sorted(rates.items())
        if steps and asset in used
    ]
