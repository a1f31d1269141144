"""The calls of Binance's wallet that trading clients make: coins, and what a key may do.

Documentation: https://developers.binance.com/docs/wallet/account/api-key-permission and
.../capital/all-coins-info
"""

from decimal import Decimal

from venues.binance.simulator.private.calls import Route
from venues.binance.simulator.private.keys import Call
from venues.binance.simulator.private.spot_rows import number

KEY_MADE_MS = 1_700_000_000_000


def routes() -> dict[tuple[str, str], Route]:
    """By method and path."""
    return {
        ("GET", "/sapi/v1/capital/config/getall"): Route(_coins, frozenset(), 10),
        ("GET", "/sapi/v1/account/apiRestrictions"): Route(_permissions),
        ("GET", "/sapi/v1/margin/allPairs"): Route(_nothing, frozenset({"symbol"}), signed=False),
        ("GET", "/sapi/v1/margin/isolated/allPairs"): Route(_nothing, frozenset({"symbol"})),
    }


def _coins(call: Call) -> object:
    """``[{"coin","free","locked",…,"networkList":[]}]`` of all that is listed."""
    held = {one.asset: one for one in call.engine.balances(call.account)}
    listings = call.market_view.listings()
    coins = dict.fromkeys(coin for one in listings for coin in (one.base, one.quote))
    zero = number(Decimal(0))
    rows = []
    for coin in coins:
        balance = held.get(coin)
        rows.append(
            {
                "coin": coin,
                "depositAllEnable": True,
                "withdrawAllEnable": True,
                "name": coin,
                "free": zero if balance is None else number(balance.free),
                "locked": zero if balance is None else number(balance.locked),
                **dict.fromkeys(("freeze", "withdrawing", "ipoing", "ipoable", "storage"), zero),
                "isLegalMoney": False,
                "trading": True,
                "networkList": [],
            }
        )
    return rows


def _permissions(call: Call) -> object:
    """``{"enableReading","enableWithdrawals",…}``"""
    return {
        "ipRestrict": False,
        "createTime": KEY_MADE_MS,
        "enableReading": True,
        "enableWithdrawals": call.key.may_withdraw,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": True,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": True,
        "enablePortfolioMarginTrading": False,
    }


def _nothing(call: Call) -> object:
    """There is no margin trading here."""
    return []
