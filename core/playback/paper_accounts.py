"""The paper accounts of a play, served as TradeFlow."""

import math
from dataclasses import replace
from functools import partial

from core.playback.books import PlayedBooks
from core.playback.log import PlayLog
from core.playback.paper_feed import PlayedFeed, PlayedTrades
from core.playback.past_record import PastRecord
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


class PaperAccounts:
    """The paper accounts of one play."""

    def __init__(
        self,
        venue: str,
        mesh: MeshSettings,
        settings: OrdersSettings,
        log: PlayLog,
        player: Player,
        past: PastRecord,
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
        """Serve TradeFlow, if there is an account."""
        self.accounts.serve(runtime)


def _rules(
    venue: str, mesh: MeshSettings, settings: OrdersSettings, speed: float | None
) -> PaperRules:
    """Return rules with latencies in the time of the market. At full speed there is no clock for
    them, so messages take no time."""
    rules = rules_of(venue, _house(venue, mesh), settings)
    return replace(rules, pace=math.inf if speed is None else speed)


def _house(venue: str, mesh: MeshSettings) -> FeeSchedule:
    try:
        return discovery.require(venue)(Environment(mesh.world, mesh.simulator_url)).house
    except SettingError:
        _log.warning("unknown venue: default fees apply")
        return DEFAULT_FEE_SCHEDULE
