"""The configuration of OKX's account, and of its key.

https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-account-configuration
https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-leverage
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kit.connector.orders import text_conversion
from kit.connector.orders.rest_session import RestQuerySession
from kit.connector.orders.server_time import ServerTimeQuery
from kit.execution.account_configuration import (
    AccountConfiguration,
    MarginMode,
    PositionMode,
    SymbolConfiguration,
)

SWAP = "SWAP"
POSITION_MODES: Mapping[str, PositionMode] = {"net_mode": "one_way", "long_short_mode": "hedge"}
SPOT_MODE, PORTFOLIO = "1", "4"
"""Account levels: without derivatives, and with portfolio margin."""
MARGIN_MODES: Mapping[str, MarginMode] = {"2": "cross", "3": "cross", PORTFOLIO: "portfolio"}
"""By account level. Without portfolio margin each order chooses, and orders say cross."""
SPOT_ONLY = "the account is in Spot mode (acctLv 1), which has no swaps: choose Futures mode"
LEVERAGE_SYMBOLS_MAX = 20


def server_time_ns(answer: Mapping[str, Any]) -> int:
    """{"data":[{"ts":"1597026383085"}],…}"""
    return text_conversion.time_ns(answer["data"][0]["ts"])


class OkxConfigurationApi:
    """Spot, or swaps."""

    server_time = ServerTimeQuery("publicGetPublicTime", server_time_ns)

    def __init__(self, kind: str) -> None:
        """``kind``: SPOT or SWAP."""
        self._kind = kind

    async def read(
        self, queries: RestQuerySession, symbols: Collection[str]
    ) -> AccountConfiguration:
        """GET /api/v5/account/config: {"acctLv":"2","posMode":"net_mode",
        "perm":"read_only,withdraw,trade",…}; of swaps leverage-info too."""
        row = (await queries.ask("privateGetAccountConfig"))["data"][0]
        permissions = row["perm"].split(",")
        configuration = AccountConfiguration(
            may_trade="trade" in permissions,
            excess_permissions=["withdraw"] if "withdraw" in permissions else [],
        )
        if self._kind != SWAP:
            return configuration
        level = row["acctLv"]
        # Portfolio margin has no leverage by symbol.
        return replace(
            configuration,
            position_mode=POSITION_MODES[row["posMode"]],
            margin_mode=MARGIN_MODES.get(level),
            symbols=None if level == PORTFOLIO else await _leverages(queries, sorted(symbols)),
            obstacles=[SPOT_ONLY] if level == SPOT_MODE else [],
        )


async def _leverages(
    queries: RestQuerySession, symbols: Sequence[str]
) -> dict[str, SymbolConfiguration]:
    """GET /api/v5/account/leverage-info: {"data":[{"instId":"BTC-USDT-SWAP","mgnMode":"cross",
    "posSide":"net","lever":"10"},…],…}."""
    found: dict[str, SymbolConfiguration] = {}
    for first in range(0, len(symbols), LEVERAGE_SYMBOLS_MAX):
        page = ",".join(symbols[first : first + LEVERAGE_SYMBOLS_MAX])
        params = {"instId": page, "mgnMode": "cross"}
        for row in (await queries.ask("privateGetAccountLeverageInfo", params))["data"]:
            leverage = text_conversion.amount_or_none(row["lever"])
            found[row["instId"]] = SymbolConfiguration(leverage=leverage)
    return found
