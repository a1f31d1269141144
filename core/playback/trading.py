"""The accounts of a playback: what makes it a TradeFlow besides a MarketData. All are on paper."""

import math
from dataclasses import replace
from functools import partial

from core.playback.books import PlayedBooks
from core.playback.feed import PlayedFeed, PlayedTrades
from core.playback.log import Log
from core.playback.past import Past
from core.playback.player import Player
from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.errors import SettingError
from kit.base.runtime import Runtime
from kit.base.settings import MeshSettings
from kit.connector.contract import discovery
from kit.connector.contract.venue import DEFAULT_FEE_SCHEDULE, Environment
from kit.execution.accounts import Accounts, paper_names
from kit.execution.paper.feed_market import FeedMarket
from kit.execution.paper.rules import FeeSchedule, PaperRules, rules_of
from kit.execution.prices import FeedPrices
from kit.execution.settings import OrdersSettings

_log = telemetry.logger("playback.trading")


class Trading:
    """Of one play."""

    def __init__(
        self,
        venue: str,
        mesh: MeshSettings,
        settings: OrdersSettings,
        log: Log,
        player: Player,
        past: Past,
        books: PlayedBooks,
        clock: Clock,
    ) -> None:
        """Raises SettingError."""
        self.accounts = Accounts(
            venue,
            mesh,
            settings,
            clock,
            lambda symbol: past.instrument(symbol, player.played_until_ns),
            FeedPrices(PlayedTrades(log), books),
        )
        for name in paper_names(venue, mesh, settings):
            rules = _rules(venue, mesh, settings, player.speed)
            self.accounts.add_paper(name, rules, partial(FeedMarket, PlayedFeed(log), books))

    def serve(self, runtime: Runtime) -> None:
        """Take orders, where there is an account."""
        self.accounts.serve(runtime)


def _rules(
    venue: str, mesh: MeshSettings, settings: OrdersSettings, speed: float | None
) -> PaperRules:
    """Latency is in the time of the market. Played as fast as it is read, the market has none that
    a clock could tell."""
    rules = rules_of(venue, _house(venue, mesh), settings)
    return replace(rules, pace=math.inf if speed is None else speed)


def _house(venue: str, mesh: MeshSettings) -> FeeSchedule:
    try:
        return discovery.require(venue)(Environment(mesh.world, mesh.simulator_url)).house
    except SettingError:
        _log.warning("not a venue that is known here: fees are the usual ones")
        return DEFAULT_FEE_SCHEDULE
