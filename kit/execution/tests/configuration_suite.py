"""What every execution client must make of the configuration of an account and its key.

The settings of the account at the simulated exchange are changed, and must be in the next answer.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock
from kit.connector.orders.venue_api import ConfigurationApi
from kit.execution.account import Account
from kit.execution.account_configuration import AccountConfiguration
from kit.execution.context import AccountContext
from kit.execution.contract import ExecutionClient, RequestAccepted
from kit.execution.journal.account_journal import AccountJournal
from kit.execution.journal.journal_file import JournalFile, SingleThreadExecutor
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.readiness import READY, REFUSED, State
from kit.execution.settings import OrdersSettings
from kit.execution.tests.client_session import ClientSession
from kit.execution.tests.simulated_process import verifier
from kit.simulator.matching.contract import AccountSettings

SKEW_S = 5.0


async def check_configuration(session: ClientSession) -> None:
    """Modes, leverage, permissions and clock are those that are set at the exchange."""
    settings = session.engine.settings("demo")
    await _check_modes(session, settings)
    await _check_permissions(session, settings)
    await _check_clock(session)


async def check_account_opens_when_it_is_put_right(session: ClientSession, folder: Path) -> None:
    """An account is refused for a wrong clock at its start and for hedge mode while it runs, and
    opens each time by itself."""
    venue, thread = session.subject.venue_id, SingleThreadExecutor("journal")
    often = OrdersSettings(reconcile_interval_s=0.1, pause_max_s=0.1)
    account = Account(
        AccountContext(venue, "demo", SystemClock(), often),
        session.client,
        AccountJournal(JournalFile(folder, "demo"), thread, SystemClock()),
        verifier(venue, "demo"),
        ReferenceMarketData(lambda symbol: None),
    )
    settings = session.engine.settings("demo")
    session.exchange.order("clock_skew", seconds=SKEW_S)
    running = asyncio.create_task(account.run())
    try:
        await _wait_for(account, REFUSED, "the venue's clock is")
        session.exchange.order("clock_skew", seconds=0)
        await _wait_for(account, READY, "")
        settings.hedge_mode = True
        await _wait_for(account, REFUSED, "position mode is hedge; one_way is needed")
        assert isinstance(await session.client.cancel_all(), RequestAccepted)
        settings.hedge_mode = False
        await _wait_for(account, READY, "")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await account.journal.close()
        thread.close()


async def _wait_for(account: Account, state: State, detail: str) -> None:
    while account.readiness.state != state or detail not in account.readiness.detail:
        await asyncio.sleep(0.02)


async def _check_modes(session: ClientSession, settings: AccountSettings) -> None:
    states, client = session.subject.states, session.client
    found = await _configuration(session, client)
    assert found.position_mode == ("one_way" if session.subject.is_derivative else None)
    assert not found.obstacles
    settings.hedge_mode = True
    is_hedge = (await _configuration(session, client)).position_mode == "hedge"
    assert is_hedge == ("hedge_mode" in states)
    settings.hedge_mode = False
    settings.leverage = 25
    leverage = _of_symbol(session, found := await _configuration(session, client))[1]
    assert leverage == (Decimal(25) if "leverage" in states else None)
    mode: Literal["isolated", "portfolio"]
    for mode in ("isolated", "portfolio"):
        before = _margin_mode(session, found)
        settings.margin_mode = mode
        stated = _margin_mode(session, await _configuration(session, client))
        assert stated == (mode if mode in states else before)
        settings.margin_mode = "cross"
    assert _margin_mode(session, found) == ("cross" if states else None)


async def _check_permissions(session: ClientSession, settings: AccountSettings) -> None:
    found = await _configuration(session, session.client)
    assert found.may_trade is True
    assert list(found.excess_permissions or ()) == []
    settings.may_trade = False
    assert (await _configuration(session, session.client)).may_trade is False
    settings.may_trade = True
    with_rights = session.make_client("withdraw-key")
    try:
        found = await _configuration(session, with_rights)
        assert list(found.excess_permissions or ()) == ["withdraw"]
    finally:
        await with_rights.close()


async def _check_clock(session: ClientSession) -> None:
    """The bound is what a busy machine needs; the skew is far beyond it."""
    bound_ns = NANOSECONDS_PER_SECOND
    offset = await session.client.clock_offset()
    assert offset is not None
    assert not offset.is_beyond(bound_ns)
    for skew_s in (SKEW_S, -SKEW_S):
        session.exchange.order("clock_skew", seconds=skew_s)
        offset = await session.client.clock_offset()
        assert offset is not None
        assert offset.is_beyond(bound_ns)
        assert (offset.offset_ns > 0) == (skew_s > 0)
    session.exchange.order("clock_skew", seconds=0)


async def _configuration(session: ClientSession, client: ExecutionClient) -> AccountConfiguration:
    return await client.configuration([session.symbol])


def _of_symbol(
    session: ClientSession, found: AccountConfiguration
) -> tuple[str | None, Decimal | None]:
    """The margin mode and the leverage of the symbol."""
    one = (found.symbols or {}).get(session.symbol)
    return (None, None) if one is None else (one.margin_mode, one.leverage)


def _margin_mode(session: ClientSession, found: AccountConfiguration) -> str | None:
    return _of_symbol(session, found)[0] or found.margin_mode


@dataclass
class PreparedQueries:
    """Answers questions about an account with prepared answers, by the raw method of ccxt."""

    answers: Mapping[str, Any]
    asked: list[tuple[str, Any]] = field(default_factory=list)

    async def ask(self, method: str, params: Any = None) -> Any:
        self.asked.append((method, params))
        return self.answers[method]


async def configuration_of(
    api: ConfigurationApi, answers: Mapping[str, Any], symbols: Collection[str] = ()
) -> AccountConfiguration:
    """What a venue's answers mean."""
    queries: Any = PreparedQueries(answers)
    return await api.read(queries, symbols)
