"""The configuration of Binance's accounts, spot and futures, and of their keys.

https://developers.binance.com/docs/wallet/account/api-key-permission
https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api
"""

from collections.abc import Collection, Mapping
from typing import Any

from kit.connector.orders import text_conversion
from kit.connector.orders.rest_session import RestQuerySession
from kit.connector.orders.server_time import ServerTimeQuery
from kit.execution.account_configuration import (
    AccountConfiguration,
    MarginMode,
    PositionMode,
    SymbolConfiguration,
    all_of,
)

MARGIN_MODES: Mapping[str, MarginMode] = {"CROSSED": "cross", "ISOLATED": "isolated"}
EXCESS_PERMISSIONS = {
    "enableWithdrawals": "withdraw",
    "enableInternalTransfer": "transfer",
    "permitsUniversalTransfer": "transfer",
}


def server_time_ns(answer: Mapping[str, Any]) -> int:
    """{"serverTime":1499827319559}"""
    return text_conversion.time_ns(answer["serverTime"])


class BinanceSpotConfigurationApi:
    """Spot."""

    server_time = ServerTimeQuery("publicGetTime", server_time_ns)

    async def read(
        self, queries: RestQuerySession, symbols: Collection[str]
    ) -> AccountConfiguration:
        """GET account: {"canTrade":true,…}, and the permissions of the key."""
        account = await queries.ask("privateGetAccount", {"omitZeroBalances": "true"})
        key = await _permissions(queries)
        return AccountConfiguration(
            may_trade=all_of(account.get("canTrade"), key.get("enableSpotAndMarginTrading")),
            excess_permissions=_excess_permissions(key),
        )


class BinanceFuturesConfigurationApi:
    """USD-M futures."""

    server_time = ServerTimeQuery("fapiPublicGetTime", server_time_ns)

    async def read(
        self, queries: RestQuerySession, symbols: Collection[str]
    ) -> AccountConfiguration:
        """GET accountConfig: {"canTrade":true,"dualSidePosition":false,…}, symbolConfig of all
        symbols, and the permissions of the key."""
        account = await queries.ask("fapiPrivateGetAccountConfig")
        rows = await queries.ask("fapiPrivateGetSymbolConfig")
        key = await _permissions(queries)
        return AccountConfiguration(
            position_mode=position_mode_of(account["dualSidePosition"]),
            symbols={row["symbol"]: symbol_configuration_of(row) for row in rows},
            may_trade=all_of(account.get("canTrade"), key.get("enableFutures")),
            excess_permissions=_excess_permissions(key),
        )


def position_mode_of(is_dual_side: Any) -> PositionMode:
    """``dualSidePosition``: true is hedge mode. Raises ValueError for anything but a boolean."""
    if not isinstance(is_dual_side, bool):
        raise ValueError(f"dualSidePosition is {is_dual_side!r}")
    return "hedge" if is_dual_side else "one_way"


def symbol_configuration_of(row: Mapping[str, Any]) -> SymbolConfiguration:
    """{"symbol":"BTCUSDT","marginType":"CROSSED","leverage":21,"isAutoAddMargin":false,…}"""
    leverage = text_conversion.amount_or_none(row["leverage"])
    return SymbolConfiguration(MARGIN_MODES.get(row["marginType"]), leverage)


async def _permissions(queries: RestQuerySession) -> Mapping[str, Any]:
    """GET /sapi/v1/account/apiRestrictions: {"enableWithdrawals":false,"enableFutures":true,
    "enableInternalTransfer":false,"enableSpotAndMarginTrading":true,…}."""
    answer: Mapping[str, Any] = await queries.ask("sapiGetAccountApiRestrictions")
    return answer


def _excess_permissions(key: Mapping[str, Any]) -> list[str]:
    return sorted({excess for name, excess in EXCESS_PERMISSIONS.items() if key.get(name)})
