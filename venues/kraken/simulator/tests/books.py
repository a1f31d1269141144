"""A client of Kraken's books that knows nothing of ours: it works on texts."""

import json
import zlib
from decimal import Decimal

CHECKED_LEVELS = 10


class ClientBook:
    """A book as a client keeps it that does what the documentation says."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self.claimed = 0
        """The newest checksum that was told."""

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
            for price in [price for price, qty in side.items() if Decimal(qty) == 0]:
                del side[price]
            for price in self.best_first(name)[self.depth :]:
                del side[price]
        self.claimed = row["checksum"]

    def best_first(self, name: str) -> list[str]:
        """The prices of a side."""
        return sorted(self.sides[name], key=Decimal, reverse=name == "bids")

    def levels(self, name: str) -> list[tuple[str, str]]:
        """Prices and sizes of a side, best first."""
        return [(price, self.sides[name][price]) for price in self.best_first(name)]

    def checksum(self) -> int:
        """Of the book as it is."""
        texts = [
            text.replace(".", "").lstrip("0")
            for name in ("asks", "bids")
            for level in self.levels(name)[:CHECKED_LEVELS]
            for text in level
        ]
        return zlib.crc32("".join(texts).encode())
