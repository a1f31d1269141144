"""What the accounts of simulated exchanges have, exactly, for those who test the mesh."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from kit.simulator.dialect import MarketView
from kit.simulator.matching.contract import FillView

NEWEST_FILLS_MAX = 100


class FillState(msgspec.Struct, frozen=True, kw_only=True):
    """An execution."""

    symbol: str
    trade_id: int
    is_buy: bool
    price: Decimal
    size: Decimal
    fee: Decimal
    fee_asset: str
    profit: Decimal
    """Realised by it in a derivative, without its fee."""
    time_ns: int


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """One account of one exchange."""

    venue: str
    account: str
    balances: Mapping[str, Decimal]
    """By asset, whole."""
    positions: Mapping[str, Decimal]
    """Those in derivatives that are open, by symbol; negative if short."""
    open_orders: int
    newest_fills: list[FillState]
    """The newest first."""


def account_states(venues: Iterable[tuple[str, MarketView]]) -> list[AccountState]:
    """The accounts that exist; none in a replay."""
    return [
        AccountState(
            venue=venue,
            account=account,
            balances={one.asset: one.total for one in engine.balances(account)},
            positions={one.symbol: one.size for one in engine.positions(account)},
            open_orders=len(engine.open_orders(account)),
            newest_fills=[
                _fill(one) for one in engine.fills(account)[: -NEWEST_FILLS_MAX - 1 : -1]
            ],
        )
        for venue, market_view in venues
        if (engine := market_view.engine) is not None
        for account in engine.accounts
    ]


def _fill(fill: FillView) -> FillState:
    ticket = fill.order.ticket
    return FillState(
        symbol=ticket.symbol,
        trade_id=fill.trade_id,
        is_buy=ticket.buys,
        price=fill.price,
        size=fill.size,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        profit=fill.profit,
        time_ns=fill.time_ns,
    )
