"""The configuration of a key of Coinbase.

https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/data-api
"""

from collections.abc import Collection, Mapping
from typing import Any

from kit.connector.orders import text_conversion
from kit.connector.orders.rest_session import RestQuerySession
from kit.connector.orders.server_time import ServerTimeQuery
from kit.execution.account_configuration import AccountConfiguration


def server_time_ns(answer: Mapping[str, Any]) -> int:
    """{"iso":"2023-06-25T00:45:32Z","epochSeconds":"1687653932","epochMillis":"1687653932134"}"""
    return text_conversion.time_ns(answer["epochMillis"])


class CoinbaseConfigurationApi:
    """Spot."""

    server_time = ServerTimeQuery("v3PublicGetBrokerageTime", server_time_ns)

    async def read(
        self, queries: RestQuerySession, symbols: Collection[str]
    ) -> AccountConfiguration:
        """GET key_permissions: {"can_view":true,"can_trade":true,"can_transfer":false,…}."""
        answer = await queries.ask("v3PrivateGetBrokerageKeyPermissions")
        return AccountConfiguration(
            may_trade=bool(answer["can_trade"]),
            excess_permissions=["withdraw"] if answer["can_transfer"] else [],
        )
