"""The balances that fills, fees and cash flows make."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

from venuemesh.common.v1 import types_pb2

from kit.accounting.amounts import EXACT
from kit.accounting.money import amount_of, atoms_of
from kit.accounting.position import Position
from kit.execution.cash_flows import VenueCashFlow
from kit.execution.contract import VenueFill
from kit.execution.paper.instrument_terms import PaperInstrumentTerms


def made_balances(
    terms: Mapping[str, PaperInstrumentTerms],
    fills: Iterable[VenueFill],
    flows: Iterable[VenueCashFlow],
    *,
    profit_at_settlement: bool = False,
) -> dict[str, Decimal]:
    """Return the balances that are not zero, by asset, of an account that began with nothing.
    ``terms``: by symbol. ``fills``: in the venue's order. ``profit_at_settlement``: profit of fills
    is among the flows."""
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    positions: dict[str, Position] = {}

    def add(asset: str, amount: Decimal) -> None:
        found[asset] = EXACT.add(found[asset], amount)

    for fill in fills:
        traded, buys = terms[fill.symbol], fill.side == types_pb2.SIDE_BUY
        value = traded.value(fill.price, fill.size)
        if traded.is_spot:
            add(traded.base, fill.size if buys else -fill.size)
            add(traded.quote, amount_of(-value if buys else value))
        else:
            position = positions.setdefault(fill.symbol, Position(traded.contract))
            profit = position.trade(buys, value, atoms_of(fill.size))
            add(traded.settle, amount_of(0 if profit_at_settlement else profit))
        for fee in fill.fees:
            add(fee.asset, -fee.amount)
    for flow in flows:
        add(flow.asset, flow.amount)
    return {asset: amount for asset, amount in found.items() if amount}
