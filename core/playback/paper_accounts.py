"""The paper accounts of a playback."""

import math
from dataclasses import replace

from core.playback.books import PlaybackBooks
from core.playback.paper_feed import PlaybackFeed, PlaybackTrades
from core.playback.publisher import PlaybackPublisher
from core.playback.recorded_market_data import RecordedMarketData
from kit.base import telemetry
from kit.base.clock import SystemClock
from kit.base.errors import SettingError
from kit.base.settings import MeshSettings
from kit.connector.contract import discovery
from kit.connector.contract.venue import DEFAULT_FEE_SCHEDULE, Environment
from kit.connector.publishing.hub import Hub
from kit.execution.account_registry import AccountRegistry, PublishedMarket, paper_names
from kit.execution.paper.rules import FeeSchedule, rules_of
from kit.execution.settings import OrdersSettings

_log = telemetry.logger("playback.trading")


def paper_accounts(
    hub: Hub,
    player: PlaybackPublisher,
    past: RecordedMarketData,
    books: PlaybackBooks,
    mesh: MeshSettings,
    settings: OrdersSettings,
) -> AccountRegistry:
    """Return the accounts that trade in a playback. Raises SettingError."""
    market = PublishedMarket(
        past.instrument, books, PlaybackTrades(hub, player), lambda: PlaybackFeed(hub, player)
    )
    accounts = AccountRegistry(
        hub.venue_id, mesh, settings, SystemClock(), market, discovery.require
    )
    names = paper_names(hub.venue_id, mesh, settings)
    if names:
        rules = rules_of(hub.venue_id, _fee_schedule(hub.venue_id, mesh), settings)
        # Latencies are those of the market. At full speed no clock measures it: messages take no
        # time.
        rules = replace(rules, pace=math.inf if player.speed is None else player.speed)
        for name in names:
            accounts.add_paper(name, rules)
    return accounts


def _fee_schedule(venue_id: str, mesh: MeshSettings) -> FeeSchedule:
    try:
        return discovery.require(venue_id)(Environment(mesh.world, mesh.simulator_url)).fee_schedule
    except SettingError:
        _log.warning("unknown venue: default fees apply")
        return DEFAULT_FEE_SCHEDULE
