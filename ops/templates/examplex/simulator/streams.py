"""Names of Examplex's streams: ``trades:BTC-USD``, ``quotes:BTC-USD``, ``book:BTC-USD``.

To change: how the exchange names its channels.
"""

from kit.simulator.dialect import Channel, ExchangeStream

CHANNELS = {"trades": Channel.TRADES, "quotes": Channel.QUOTES, "book": Channel.BOOK}


def make_stream(name: str) -> ExchangeStream:
    """The stream of a name; OTHER is the channel of one that the exchange does not have."""
    channel, _, symbol = name.partition(":")
    return ExchangeStream(name, CHANNELS.get(channel, Channel.OTHER), symbol)
