"""Names of Kraken's streams: ``book-100 BTC/USDT``, ``ohlc-1 BTC/USDT``, ``ticker-bbo BTC/USDT``,
``trade BTC/USDT``. Kraken itself names none; these say what is subscribed to."""

from kit.simulator.dialect import Channel, Stream

NAMES_MAX = 100_000
"""More names than these come from garbage, and are not remembered."""
CHANNELS = {
    "book": Channel.BOOK,
    "ohlc": Channel.CANDLES,
    "ticker": Channel.TICKERS,
    "trade": Channel.TRADES,
}
DEPTHS = (10, 25, 100, 500, 1000)
DEPTH_USUAL = 10
INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10_080, 21_600)
"""Minutes."""
INTERVAL_USUAL = 1
TRIGGERS = ("trades", "bbo")
TRIGGER_USUAL = "trades"


class KrakenStreams:
    """Every stream that was ever named, one object per name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Stream] = {}

    def get(self, channel: str, symbol: str, variant: object = "") -> Stream:
        """The stream of a channel, in a variant: a book's depth, a ticker's trigger, a candle's
        minutes."""
        kind = f"{channel}-{variant}" if variant else channel
        name = f"{kind} {symbol}"
        stream = self._by_name.get(name)
        if stream is None:
            stream = Stream(name, CHANNELS.get(channel, Channel.OTHER), symbol)
            if len(self._by_name) < NAMES_MAX:
                self._by_name[name] = stream
        return stream


def variant_of(stream: Stream) -> str:
    """ "100" for ``book-100 BTC/USDT``."""
    return stream.name.partition(" ")[0].partition("-")[2]
