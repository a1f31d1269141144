"""The configuration of Bybit's unified account, and of its key.

https://bybit-exchange.github.io/docs/v5/user/apikey-info
https://bybit-exchange.github.io/docs/v5/account/account-info
"""

from collections.abc import Collection, Mapping
from typing import Any

from kit.connector.orders.rest_session import RestQuerySession
from kit.connector.orders.server_time import ServerTimeQuery
from kit.execution.account_configuration import AccountConfiguration, MarginMode

MARGIN_MODES: Mapping[str, MarginMode] = {
    "REGULAR_MARGIN": "cross",
    "ISOLATED_MARGIN": "isolated",
    "PORTFOLIO_MARGIN": "portfolio",
}
CLASSIC = "1"
"""``unifiedMarginStatus`` of an account that is not unified."""
NOT_UNIFIED = "the account is classic (unifiedMarginStatus 1): upgrade it to a unified account"


def server_time_ns(answer: Mapping[str, Any]) -> int:
    """{"result":{"timeSecond":"1688639403","timeNano":"1688639403423213947"},…}"""
    return int(answer["result"]["timeNano"])


class BybitConfigurationApi:
    """Spot, of a unified account."""

    server_time = ServerTimeQuery("publicGetV5MarketTime", server_time_ns, resolution_ns=1)

    async def read(
        self, queries: RestQuerySession, symbols: Collection[str]
    ) -> AccountConfiguration:
        """GET /v5/user/query-api: {"readOnly":0,"permissions":{"Spot":["SpotTrade"],"Wallet":
        ["AccountTransfer","Withdraw"],…},…}, and /v5/account/info: {"marginMode":"REGULAR_MARGIN",
        "unifiedMarginStatus":6,…}."""
        key = (await queries.ask("privateGetV5UserQueryApi"))["result"]
        account = (await queries.ask("privateGetV5AccountInfo"))["result"]
        permissions = key["permissions"]
        is_classic = str(account["unifiedMarginStatus"]) == CLASSIC
        withdraws = any("Withdraw" in one for one in permissions.get("Wallet") or [])
        return AccountConfiguration(
            margin_mode=MARGIN_MODES.get(account["marginMode"]),
            may_trade=str(key["readOnly"]) == "0" and "SpotTrade" in permissions["Spot"],
            excess_permissions=["withdraw"] if withdraws else [],
            obstacles=[NOT_UNIFIED] if is_classic else [],
        )
