"""Where an account is told of something."""

from kit.simulator.dialect import Channel, Stream
from kit.simulator.matching.contract import AccountEvent, OrderChanged, PositionChanged

NAMES_MAX = 100_000


class AccountStreams:
    """One stream object per name, so that faults can be aimed at what an account is told."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str], Stream] = {}

    def get(self, name: str, symbol: str = "") -> Stream:
        """``symbol``: the instrument that it is about, if it is about one."""
        stream = self._by_name.get((name, symbol))
        if stream is None:
            stream = Stream(f"{name} {symbol}".rstrip(), Channel.OTHER, symbol)
            if len(self._by_name) < NAMES_MAX:
                self._by_name[name, symbol] = stream
        return stream


def symbol_of(event: AccountEvent) -> str:
    """The instrument of what has happened; "" for money."""
    if isinstance(event, OrderChanged):
        return event.order.ticket.symbol
    return event.position.symbol if isinstance(event, PositionChanged) else ""
