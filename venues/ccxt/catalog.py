"""Venues by name: each exchange of ccxt.pro, with its id, port and parts.

The names are read from ccxt's files, so ccxt is not loaded before a venue runs.
"""

import json
from collections.abc import Mapping
from typing import Any

from kit.base.errors import SettingError
from kit.connector.contract.venue import (
    ConnectorMaturity,
    Environment,
    TradeNumbering,
    Venue,
    VenueFactory,
    VenueLimits,
    VenueProfile,
)
from kit.connector.rest import ccxt_loader
from venues.ccxt import book
from venues.ccxt.exchange import CcxtExchange
from venues.ccxt.feed import CcxtFeedFactory
from venues.ccxt.history import CcxtHistory

FIRST_PORT = 5100
DEPTH_USUAL = "100"
DEPTH_MAX = 1_000
TRADE_IDS = ("any", "consecutive")
ALIASES = {
    "bitfinex2": "bitfinex",
    "coinbasepro": "coinbaseexchange",
    "gateio": "gate",
    "huobi": "htx",
    "okex": "okx",
}
"""Former names of ccxt, with their present names."""

LIMITS = VenueLimits(
    symbols_per_connection=1_000,  # ccxt distributes them over sockets itself
    symbols_per_message=1,
    messages_per_second=10,
    ping_interval_s=15,
    silence_s=40,  # answers to pings count, so this is a dead socket
    requests_per_second=5,  # ccxt also limits its own rate per exchange
)


def named(name: str) -> VenueFactory:
    """The venue of an exchange. Raises SettingError."""
    names = sorted({*ccxt_loader.streaming_ids(), *ALIASES})
    if name not in names:
        raise SettingError("venue", f"ccxt:{name}", f"ccxt.pro knows {', '.join(names)}")
    port = FIRST_PORT + names.index(name)

    def make(place: Environment) -> Venue:
        return _venue(name, port, place)

    return make


def _venue(name: str, port: int, place: Environment) -> Venue:
    """Options ``config``, ``depth``, ``trade_ids``. Raises SettingError."""
    venue_id = f"ccxt_{name}"
    config = _config(venue_id, place)
    if place.world != "live" and "urls" not in config:
        raise SettingError(
            f"venues.{venue_id}.options.config",
            place.options.get("config", ""),
            f'in the world {place.world} it must have "urls" of a simulated exchange',
        )
    budget = place.request_budget(venue_id, LIMITS)
    exchange = CcxtExchange(ALIASES.get(name, name), config, budget)
    consecutive = _choice(venue_id, place, "trade_ids", TRADE_IDS) == "consecutive"
    return Venue(
        venue_id=venue_id,
        port=port,
        profile=VenueProfile(
            exchange=name,
            segment="spot and derivatives",
            maturity=ConnectorMaturity.PREVIEW,
            notes="Through ccxt.pro: books are unproven, and trades may be missed unnoticed.",
            trade_numbering=(TradeNumbering.CONSECUTIVE if consecutive else TradeNumbering.NONE),
        ),
        feed_protocols=(),
        book=book.BOOK,
        history=CcxtHistory(venue_id, exchange),
        limits=LIMITS,
        request_budget=budget,
        default_symbols=("BTC/USDT", "ETH/USDT"),
        row_feed=CcxtFeedFactory(exchange, _depth(venue_id, place), consecutive, LIMITS.silence_s),
    )


def _config(venue_id: str, place: Environment) -> Mapping[str, Any]:
    text = place.options.get("config", "{}")
    try:
        config = json.loads(text)
    except json.JSONDecodeError:
        config = None
    if not isinstance(config, dict):
        raise SettingError(f"venues.{venue_id}.options.config", text, "a JSON object, as text")
    return config


def _depth(venue_id: str, place: Environment) -> int:
    text = place.options.get("depth", DEPTH_USUAL)
    if not text.isdecimal() or not 1 <= int(text) <= DEPTH_MAX:
        allowed = f"allowed are 1 to {DEPTH_MAX}"
        raise SettingError(f"venues.{venue_id}.options.depth", text, allowed)
    return int(text)


def _choice(venue_id: str, place: Environment, option: str, allowed: tuple[str, ...]) -> str:
    chosen = place.options.get(option, allowed[0])
    if chosen not in allowed:
        known = f"allowed are {', '.join(allowed)}"
        raise SettingError(f"venues.{venue_id}.options.{option}", chosen, known)
    return chosen


VENUES: dict[str, VenueFactory] = {}
