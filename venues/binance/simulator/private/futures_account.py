"""The private calls of USD-M futures that tell of an account: its orders, fills, money, positions.

Documentation: https://developers.binance.com/docs/derivatives/usds-margined-futures, there
account/rest-api and trade/rest-api.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.matching.contract import BalanceView, MatchingRules, OrderView, PositionView
from venues.binance.simulator.private import futures_rows as words
from venues.binance.simulator.private.calls import Route, Usage
from venues.binance.simulator.private.futures import find_conditional
from venues.binance.simulator.private.keys import Call
from venues.binance.simulator.private.spot_rows import milliseconds
from venues.binance.simulator.rest import BinanceApiError

ROWS_USUAL, ROWS_MAX = 500, 1_000
WEEK_MS = 7 * 86_400_000
END_MS = 2**63 // NANOSECONDS_PER_MILLISECOND
NOTIONAL_CAP = 1_000_000_000
ZERO = Decimal(0)
NO_POSITION = PositionView("", "", ZERO, ZERO, ZERO, ZERO, None, ZERO, ZERO)


class FuturesAccount:
    """Answers the calls."""

    def __init__(self, rules: MatchingRules, usage: Usage) -> None:
        self._rules = rules
        self._usage = usage
        self._leverage = int(1 / rules.initial_margin)

    def routes(self) -> dict[tuple[str, str], Route]:
        """By method and path."""
        root = "/fapi/v1"
        calls = {
            ("GET", f"{root}/openOrders"): Route(_open_orders, None),
            ("GET", f"{root}/allOrders"): Route(_all_orders, None, 5),
            ("GET", f"{root}/openAlgoOrders"): Route(_open_conditionals, None),
            ("GET", f"{root}/allAlgoOrders"): Route(_all_conditionals, None, 5),
            ("GET", f"{root}/userTrades"): Route(_fills, None, 5),
            ("GET", f"{root}/leverageBracket"): Route(self._brackets, None),
            ("POST", f"{root}/leverage"): Route(self._set_leverage, None),
            ("POST", f"{root}/marginType"): Route(_set_margin_type, None),
            ("GET", f"{root}/positionSide/dual"): Route(_position_mode, None, 30),
            ("POST", f"{root}/positionSide/dual"): Route(_set_position_mode, None),
            ("GET", f"{root}/multiAssetsMargin"): Route(_multi_assets, None, 30),
            ("GET", f"{root}/accountConfig"): Route(_account_config, None, 5),
            ("GET", f"{root}/symbolConfig"): Route(self._symbol_config, None, 5),
            ("GET", f"{root}/commissionRate"): Route(self._commission, None, 20),
            ("GET", f"{root}/rateLimit/order"): Route(self._rate_limits, None),
        }
        for version in ("v2", "v3"):
            root = f"/fapi/{version}"
            calls |= {
                ("GET", f"{root}/account"): Route(self._account, None, 5),
                ("GET", f"{root}/balance"): Route(_balance, None, 5),
                ("GET", f"{root}/positionRisk"): Route(self._positions, None, 5),
            }
        return calls

    def _account(self, call: Call) -> object:
        positions = call.engine.positions(call.account)
        gain = sum((one.unrealized for one in positions), ZERO)
        assets = [_asset(call, one, gain) for one in call.engine.balances(call.account)]
        totals = ("walletBalance", "marginBalance", "initialMargin", "maintMargin")
        dollars = [row for row in assets if row["asset"] == "USDT"] or assets[:1]
        sums = {
            f"total{name[0].upper()}{name[1:]}": dollars[0][name] if dollars else "0"
            for name in totals
        }
        available = dollars[0]["availableBalance"] if dollars else "0"
        return sums | {
            "totalUnrealizedProfit": words.number(gain),
            "totalPositionInitialMargin": sums["totalInitialMargin"],
            "totalOpenOrderInitialMargin": "0",
            "totalCrossWalletBalance": sums["totalWalletBalance"],
            "totalCrossUnPnl": words.number(gain),
            "availableBalance": available,
            "maxWithdrawAmount": available,
            "canTrade": True,
            "assets": assets,
            "positions": [self._position(call, one) for one in positions],
        }

    def _positions(self, call: Call) -> object:
        """Of the symbol that was asked for there is always one."""
        positions = {one.symbol: one for one in call.engine.positions(call.account)}
        if "symbol" in call.params:
            symbol = call.listing().symbol
            found = positions.get(symbol)
            if found is None:
                found = replace(NO_POSITION, symbol=symbol)
            return [self._position(call, found)]
        return [self._position(call, one) for one in positions.values()]

    def _position(self, call: Call, position: PositionView) -> dict[str, object]:
        """Account and positionRisk write the gain differently."""
        notional = position.size * position.mark_price
        kept = abs(notional) * self._rules.maintenance_margin
        margin = words.number(position.margin)
        gain = words.number(position.unrealized)
        return {
            "symbol": position.symbol,
            "positionSide": "BOTH",
            "positionAmt": words.number(position.size),
            "entryPrice": words.number(position.entry_price),
            "breakEvenPrice": words.number(position.entry_price),
            "markPrice": words.number(position.mark_price),
            "unRealizedProfit": gain,
            "unrealizedProfit": gain,
            "liquidationPrice": words.number(position.liquidation_price or ZERO),
            "isolatedMargin": "0",
            "isolatedWallet": "0",
            "isolated": False,
            "marginType": "cross",
            "isAutoAddMargin": "false",
            "leverage": str(self._leverage),
            "maxNotionalValue": str(NOTIONAL_CAP),
            "notional": words.number(notional),
            "marginAsset": "USDT",
            "initialMargin": margin,
            "maintMargin": words.number(kept),
            "positionInitialMargin": margin,
            "openOrderInitialMargin": "0",
            "adl": 0,
            "bidNotional": "0",
            "askNotional": "0",
            "updateTime": call.now_ms,
        }

    def _brackets(self, call: Call) -> object:
        """One for each symbol: the engine asks the same margin of all sizes."""
        bracket = {
            "bracket": 1,
            "initialLeverage": self._leverage,
            "notionalCap": NOTIONAL_CAP,
            "notionalFloor": 0,
            "maintMarginRatio": msgspec.Raw(words.number(self._rules.maintenance_margin).encode()),
            "cum": 0,
        }
        rows = [{"symbol": symbol, "brackets": [bracket]} for symbol in _symbols(call)]
        return rows[0] if "symbol" in call.params else rows

    def _set_leverage(self, call: Call) -> object:
        """There is only one."""
        symbol, wanted = call.listing().symbol, call.number("leverage", 0)
        if wanted != self._leverage:
            raise BinanceApiError(-4028, f"Leverage {wanted} is not valid")
        cap = str(NOTIONAL_CAP)
        return {"leverage": wanted, "maxNotionalValue": cap, "symbol": symbol}

    def _symbol_config(self, call: Call) -> object:
        row = {"marginType": "CROSSED", "isAutoAddMargin": False, "leverage": self._leverage}
        cap = {"maxNotionalValue": str(NOTIONAL_CAP)}
        return [{"symbol": symbol} | row | cap for symbol in _symbols(call)]

    def _commission(self, call: Call) -> object:
        first = self._rules.tiers[0]
        rates = {"makerCommissionRate": first.maker, "takerCommissionRate": first.taker}
        texts = {name: words.number(rate) for name, rate in rates.items()}
        return {"symbol": call.listing().symbol} | texts

    def _rate_limits(self, call: Call) -> object:
        return self._usage.order_rows(call.account, call.market_view.time_ns())


def _asset(call: Call, balance: BalanceView, gain: Decimal) -> dict[str, str | int]:
    """Gains count for dollars, as all contracts are settled in them."""
    gain = gain if balance.asset == "USDT" else ZERO
    wallet, locked = words.number(balance.total), words.number(balance.locked)
    free = words.number(max(balance.free + min(gain, ZERO), ZERO))
    return {
        "asset": balance.asset,
        "walletBalance": wallet,
        "unrealizedProfit": words.number(gain),
        "marginBalance": words.number(balance.total + gain),
        "maintMargin": "0",
        "initialMargin": locked,
        "positionInitialMargin": locked,
        "openOrderInitialMargin": "0",
        "crossWalletBalance": wallet,
        "crossUnPnl": words.number(gain),
        "availableBalance": free,
        "maxWithdrawAmount": free,
        "updateTime": call.now_ms,
    }


def _balance(call: Call) -> object:
    gain = sum((one.unrealized for one in call.engine.positions(call.account)), ZERO)
    rows = [_asset(call, one, gain) for one in call.engine.balances(call.account)]
    return [row | {"balance": row["walletBalance"], "marginAvailable": True} for row in rows]


def _symbols(call: Call) -> Sequence[str]:
    if "symbol" in call.params:
        return [call.listing().symbol]
    return [listing.symbol for listing in call.market_view.listings()]


def _asked_symbol(call: Call) -> str:
    return call.listing().symbol if "symbol" in call.params else ""


def _open_orders(call: Call) -> object:
    found = call.engine.open_orders(call.account, _asked_symbol(call))
    return [words.order_row(one) for one in found if words.is_order(one)]


def _open_conditionals(call: Call) -> object:
    found = call.engine.open_orders(call.account, _asked_symbol(call))
    return [words.algo_row(one) for one in found if not words.is_order(one)]


def _all_orders(call: Call) -> object:
    found = call.engine.orders(call.account, call.listing().symbol)
    first = call.number("orderId", 0)
    wanted = [one for one in found if words.is_order(one) and one.order_id >= first]
    return [words.order_row(one) for one in _page(call, wanted, "orderId")]


def _all_conditionals(call: Call) -> object:
    if {"algoId", "clientAlgoId"} & call.params.keys():
        one = find_conditional(call)
        return [] if one is None else [words.algo_row(one)]
    found = call.engine.orders(call.account, call.listing().symbol)
    wanted = [one for one in found if words.is_conditional(one)]
    return [words.algo_row(one) for one in _page(call, wanted, "algoId")]


def _page(call: Call, orders: Sequence[OrderView], id_name: str) -> Sequence[OrderView]:
    """From an id or a time on, the oldest; otherwise the newest."""
    start_ms, end_ms = _times_ms(call)
    limit = call.number("limit", ROWS_USUAL, ROWS_MAX)
    found = [one for one in orders if start_ms <= milliseconds(one.created_ns) <= end_ms]
    return found[:limit] if {id_name, "startTime"} & call.params.keys() else found[-limit:]


def _fills(call: Call) -> object:
    """From an id or a time on, the oldest; otherwise the newest."""
    symbol = call.listing().symbol
    start_ms, end_ms = _times_ms(call)
    first, order_id = call.number("fromId", 0), call.number("orderId", 0)
    limit = call.number("limit", ROWS_USUAL, ROWS_MAX)
    found = [
        one
        for one in call.engine.fills(call.account, symbol, start_ms * NANOSECONDS_PER_MILLISECOND)
        if one.trade_id >= first
        and order_id in (0, one.order.order_id)
        and start_ms <= milliseconds(one.time_ns) <= end_ms
    ]
    from_the_start = {"fromId", "startTime"} & call.params.keys()
    return [words.fill_row(one) for one in (found[:limit] if from_the_start else found[-limit:])]


def _times_ms(call: Call) -> tuple[int, int]:
    start_ms, end_ms = call.number("startTime", 0), call.number("endTime", END_MS)
    if {"startTime", "endTime"} <= call.params.keys() and end_ms - start_ms > WEEK_MS:
        raise BinanceApiError(-4165, "Invalid time interval: maximum is 7 days.")
    return start_ms, end_ms


def _set_margin_type(call: Call) -> object:
    if call.text("marginType") == "CROSSED":
        raise BinanceApiError(-4046, "No need to change margin type.")
    raise BinanceApiError(-4047, "Margin type cannot be changed if there exists open orders.")


def _position_mode(call: Call) -> object:
    return {"dualSidePosition": False}


def _set_position_mode(call: Call) -> object:
    if call.flag("dualSidePosition"):
        raise BinanceApiError(-4068, "Position side cannot be changed if there exists position.")
    raise BinanceApiError(-4059, "No need to change position side.")


def _multi_assets(call: Call) -> object:
    return {"multiAssetsMargin": False}


def _account_config(call: Call) -> object:
    return {
        "feeTier": 0,
        **dict.fromkeys(("canTrade", "canDeposit", "canWithdraw"), True),
        "dualSidePosition": False,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
        "updateTime": 0,
    }
