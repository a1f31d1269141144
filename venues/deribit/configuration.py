"""The configuration of Deribit's account, and of its key.

https://docs.deribit.com/articles/access-scope
https://docs.deribit.com/api-reference/account-management/private-get_account_summaries
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from kit.connector.orders import text_conversion
from kit.connector.orders.rest_session import RestQuerySession
from kit.connector.orders.server_time import ServerTimeQuery
from kit.execution.account_configuration import AccountConfiguration, MarginMode
from venues.deribit.order_socket import login_params

MARGIN_MODELS: Mapping[str, MarginMode] = {
    "segregated_sm": "cross",
    "cross_sm": "cross",
    "segregated_pm": "portfolio",
    "cross_pm": "portfolio",
}
"""In each model, all positions of a currency share its margin."""


def server_time_ns(answer: Mapping[str, Any]) -> int:
    """{"result":1550147385946,…}"""
    return text_conversion.time_ns(answer["result"])


class DeribitConfigurationApi:
    """All instruments of an account."""

    server_time = ServerTimeQuery("publicGetGetTime", server_time_ns)

    async def read(
        self, queries: RestQuerySession, symbols: Collection[str]
    ) -> AccountConfiguration:
        """GET public/auth: {"scope":"account:read trade:read_write wallet:read_write …"}; the
        secret is not sent, it signs here. GET private/get_account_summaries:
        {"summaries":[{"currency":"BTC","margin_model":"segregated_sm",…},…]}."""
        answer = await queries.ask("publicGetAuth", login_params(queries.exchange))
        scopes = answer["result"]["scope"].split()
        summaries = (await queries.ask("privateGetGetAccountSummaries"))["result"]["summaries"]
        return AccountConfiguration(
            # The venue has no hedge mode.
            position_mode="one_way",
            margin_mode=margin_mode_of(row.get("margin_model") for row in summaries),
            may_trade="trade:read_write" in scopes,
            excess_permissions=["withdraw"] if "wallet:read_write" in scopes else [],
        )


def margin_mode_of(models: Iterable[str | None]) -> MarginMode | None:
    """Return the margin mode of an account; None if the currencies differ, or one is not known."""
    modes = {MARGIN_MODELS.get(model or "") for model in models}
    return modes.pop() if len(modes) == 1 else None
