"""The venues of Binance's API: their ids, ports, limits and parts."""

from kit.clock import SystemClock
from kit.venue.contract import Limits, Maturity, Place, Profile, Venue
from venues.binance.book import SPOT_BOOK
from venues.binance.feed import SpotWire
from venues.binance.history import BinanceHistory

SPOT_FEED = "wss://stream.binance.com:9443"

SPOT_LIMITS = Limits(
    symbols_per_connection=200,  # 1024 streams, three for each symbol, with room to spare
    symbols_per_message=50,
    messages_per_second=4,  # five incoming messages per second, our pongs included
    ping_interval_s=None,  # the venue pings every 20 s
    silence_s=60,
    lifetime_s=24 * 3600,
)


def spot(place: Place) -> Venue:
    """Binance spot."""
    return Venue(
        venue_id="binance",
        port=5060,
        profile=Profile("Binance", "spot", Maturity.PROVEN),
        wires=(SpotWire(place.feed("binance", SPOT_FEED)),),
        book=SPOT_BOOK,
        history=BinanceHistory("binance", place.rest("binance"), SystemClock()),
        limits=SPOT_LIMITS,
        default_symbols=("BTCUSDT", "ETHUSDT"),
    )


VENUES = {"binance": spot}
