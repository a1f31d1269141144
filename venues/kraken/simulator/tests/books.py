"""A client of Kraken's books that knows nothing of ours: it works on texts."""

import json
import zlib
from collections.abc import Iterable, Sequence

Level = tuple[str, str]
"""Price and size."""

CHECKED_LEVELS = 10


class ClientBook:
    """A book as a client keeps it that does what the documentation says."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self.claimed = 0
        """The newest checksum that was reported."""

    def apply(self, frame: bytes) -> None:
        """A snapshot or an update."""
        self.apply_read(json.loads(frame, parse_float=str))

    def apply_read(self, frame: dict) -> None:
        """The same, numbers as text."""
        (row,) = frame["data"]
        for name, side in self.sides.items():
            if frame["type"] == "snapshot":
                side.clear()
            for level in row[name]:
                side[level["price"]] = level["qty"]
            for price in [price for price, qty in side.items() if not _digits(qty)]:
                del side[price]
            if len(side) > self.depth:
                for price in self.best_first(name)[self.depth :]:
                    del side[price]
        self.claimed = row["checksum"]

    def best_first(self, name: str) -> list[str]:
        """The prices of a side."""
        return sorted(self.sides[name], key=_digits, reverse=name == "bids")

    def levels(self, name: str) -> list[Level]:
        """Prices and sizes of a side, best first."""
        return [(price, self.sides[name][price]) for price in self.best_first(name)]

    def checksum(self) -> int:
        """Of the book as it is."""
        texts = [
            str(_digits(text))
            for name in ("asks", "bids")
            for level in self.levels(name)[:CHECKED_LEVELS]
            for text in level
        ]
        return zlib.crc32("".join(texts).encode())


class BookPublisher:
    """An exchange with one book, which sends the updates of a test with correct checksums."""

    def __init__(self, symbol: str = "BTC/USDT", ask: str = "20.0") -> None:
        self.book = ClientBook(10)
        self._symbol = symbol
        self._ask = ask

    def begin(self, bid: str, size: str = "1.00000000", off_by: int = 0) -> bytes:
        """The whole book: one bid and one ask. ``off_by``: how wrong the checksum is."""
        return self._say("snapshot", [(bid, size)], [(self._ask, "2.00000000")], off_by)

    def go_on(self, bid: str, size: str = "1.00000000", off_by: int = 0) -> bytes:
        """Another size of a bid."""
        return self._say("update", [(bid, size)], [], off_by)

    def _say(self, kind: str, bids: Sequence[Level], asks: Sequence[Level], off_by: int) -> bytes:
        self.book.apply(book_frame(kind, self._symbol, bids, asks, 0))
        return book_frame(kind, self._symbol, bids, asks, self.book.checksum() + off_by)


def book_frame(
    kind: str, symbol: str, bids: Iterable[Level], asks: Iterable[Level], checksum: int
) -> bytes:
    """As Kraken writes it."""
    said_bids, said_asks = (
        ",".join(f'{{"price":{price},"qty":{size}}}' for price, size in side)
        for side in (bids, asks)
    )
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":[{said_bids}],'
        f'"asks":[{said_asks}],"checksum":{checksum},"timestamp":"2026-07-20T03:39:38.235508Z"}}]}}'
    ).encode()


def _digits(text: str) -> int:
    """All prices of a market have the same decimal places, so that these order them."""
    return int(text.replace(".", ""))
