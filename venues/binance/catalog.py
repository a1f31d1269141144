"""The venues of Binance's API: their ids, ports, limits and parts."""

from kit.clock import SystemClock
from kit.venue.contract import Limits, Parsers, Venue
from venues.binance import parse
from venues.binance.book import SpotBookRule
from venues.binance.feed import BinanceWire
from venues.binance.history import BinanceHistory

LIVE_FEED = "wss://stream.binance.com:9443"

SPOT_LIMITS = Limits(
    symbols_per_connection=200,  # 1024 streams, three for each symbol, with room to spare
    requests_per_second=4,  # five incoming messages per second, our pongs included
    ping_interval_s=None,  # the venue pings every 20 s
    silence_s=60,
)


def spot(world: str, simulator_url: str) -> Venue:
    """Binance spot."""
    pretended = None if world == "live" else f"{simulator_url}/binance"
    feed = LIVE_FEED if pretended is None else pretended.replace("http", "ws", 1)
    return Venue(
        venue_id="binance",
        port=5060,
        wire=BinanceWire(feed),
        parsers=Parsers(parse.trades, parse.quotes, parse.book),
        sequence_rule=SpotBookRule(),
        history=BinanceHistory("binance", pretended, SystemClock()),
        limits=SPOT_LIMITS,
        default_symbols=("BTCUSDT", "ETHUSDT"),
    )


VENUES = {"binance": spot}
