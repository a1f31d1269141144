"""The streams of an exchange: one object per name, so that identity is enough to compare."""

from collections.abc import Callable

from kit.simulator.dialect import Channel, ExchangeStream
from kit.simulator.matching.contract import AccountEvent, OrderChanged, PositionChanged

NAMES_MAX = 100_000
"""More names than these come from garbage, and are not remembered."""


class StreamRegistry:
    """Every stream that was named so far. ``make`` reads a name."""

    def __init__(self, make: Callable[[str], ExchangeStream]) -> None:
        self._make = make
        self._by_name: dict[str, ExchangeStream] = {}
        self._by_bytes: dict[bytes, ExchangeStream] = {}
        self.known = self._by_bytes.get
        """The stream of a name as bytes, if ``named`` has read it. Called for every frame of a
        capture."""

    def get(self, name: str) -> ExchangeStream:
        """The stream of this name; OTHER is the channel of one that the exchange does not have."""
        stream = self._by_name.get(name)
        if stream is None:
            stream = self._make(name)
            if len(self._by_name) < NAMES_MAX:
                self._by_name[name] = stream
        return stream

    def named(self, name: bytes) -> ExchangeStream:
        """The stream of a name as a frame has it."""
        stream = self._by_bytes.get(name)
        if stream is None:
            stream = self.get(name.decode(errors="replace"))
            if len(self._by_bytes) < NAMES_MAX:
                self._by_bytes[name] = stream
        return stream


class AccountStreams:
    """The streams of accounts, so that faults can be aimed at the events of an account."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str], ExchangeStream] = {}

    def get(self, name: str, symbol: str = "") -> ExchangeStream:
        """``symbol``: the instrument that it is about, if it is about one."""
        stream = self._by_name.get((name, symbol))
        if stream is None:
            stream = ExchangeStream(f"{name} {symbol}".rstrip(), Channel.OTHER, symbol)
            if len(self._by_name) < NAMES_MAX:
                self._by_name[name, symbol] = stream
        return stream


def symbol_of(event: AccountEvent) -> str:
    """The instrument that an event is about; "" for money."""
    if isinstance(event, OrderChanged):
        return event.order.ticket.symbol
    return event.position.symbol if isinstance(event, PositionChanged) else ""
