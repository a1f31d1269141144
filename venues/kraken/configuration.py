"""The configuration of a key of Kraken. Spot has no margin without a leverage in the order.

https://docs.kraken.com/api-reference/account-data/get-api-key-info
"""

from collections.abc import Collection, Mapping
from typing import Any

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.connector.orders.rest_session import RestQuerySession
from kit.connector.orders.server_time import ServerTimeQuery
from kit.execution.account_configuration import AccountConfiguration


def server_time_ns(answer: Mapping[str, Any]) -> int:
    """{"result":{"unixtime":1616336594,…},…}"""
    return int(answer["result"]["unixtime"]) * NANOSECONDS_PER_SECOND


class KrakenConfigurationApi:
    """Spot."""

    server_time = ServerTimeQuery("publicGetTime", server_time_ns, NANOSECONDS_PER_SECOND)

    async def read(
        self, queries: RestQuerySession, symbols: Collection[str]
    ) -> AccountConfiguration:
        """POST GetApiKeyInfo: {"permissions":["query-funds","query-open-trades","modify-trades",
        "withdraw-funds"],…}."""
        answer = await queries.ask("privatePostGetApiKeyInfo")
        permissions = answer["result"]["permissions"]
        return AccountConfiguration(
            may_trade="modify-trades" in permissions,
            excess_permissions=["withdraw"] if "withdraw-funds" in permissions else [],
        )
