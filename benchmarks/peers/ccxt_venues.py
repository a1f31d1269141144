"""ccxt.pro reads a file of a venue's frames. Prints {"frames": …, "seconds": …} as JSON.

Run with the interpreter of the peers' environment: ``python ccxt_venues.py FRAMES``. The first line
of the file has the venue, its symbols and its REST book snapshots.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import ccxt.pro

PASSES = 2
OPTIONS = {"tradesLimit": 1000, "watchOrderBook": {"checksum": False}}
"""Its own checksums are made of floats, and fail on right books of OKX."""
BOOK_LEVELS = 1_000
CLASSES = {
    "binance": ("binance", "wss://stream.binance.com:9443/stream/ws"),
    "binance_futures": ("binanceusdm", "wss://fstream.binance.com/public/ws"),
    "bybit": ("bybit", "wss://stream.bybit.com/v5/public/spot"),
    "kraken": ("kraken", "wss://ws.kraken.com/v2"),
    "okx": ("okx", "wss://ws.okx.com:8443/ws/v5/public"),
    "okx_futures": ("okx", "wss://ws.okx.com:8443/ws/v5/public"),
    "coinbase": ("coinbase", "wss://advanced-trade-ws.coinbase.com"),
    "deribit": ("deribit", "wss://www.deribit.com/ws/api/v2"),
}
QUOTES = ("USDT", "USD", "BTC")


class Client:
    """A connection for ccxt's handlers with all subscriptions."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.subscriptions = Everything()
        self.futures: dict[str, object] = {}
        self.lastPong = 0

    def resolve(self, result: object, name: str | None = None) -> object:
        return result

    def reject(self, error: Exception, name: str | None = None) -> None:
        """Nobody waits."""


class Everything(dict[str, object]):
    """A dict that has every key."""

    def __contains__(self, key: object) -> bool:
        return True

    def __delitem__(self, key: str) -> None:
        """Continue as if the snapshot had arrived."""


def market(exchange: Any, venue: str, symbol: str) -> Any:
    """The market as ccxt would load it."""
    contract = venue in ("binance_futures", "okx_futures", "deribit")
    plain = symbol.replace("-SWAP", "").replace("-PERPETUAL", "USD").replace("/", "")
    plain = plain.replace("-", "")
    quote = next(quote for quote in QUOTES if plain.endswith(quote))
    base = plain.removesuffix(quote)
    settle = base if venue == "deribit" else quote
    unified = f"{base}/{quote}:{settle}" if contract else f"{base}/{quote}"
    return exchange.safe_market_structure(
        {
            "id": symbol,
            "symbol": unified,
            "base": base,
            "quote": quote,
            "baseId": base,
            "quoteId": quote,
            "type": "swap" if contract else "spot",
            "spot": not contract,
            "swap": contract,
            "contract": contract,
            "linear": contract and venue != "deribit",
            "inverse": venue == "deribit",
            "contractSize": 1,
            "active": True,
            "precision": {"amount": 1e-8, "price": 1e-8},
        }
    )


async def one_pass(head: dict[str, Any], frames: list[bytes]) -> float:
    name, url = CLASSES[head["venue"]]
    exchange = getattr(ccxt.pro, name)({"options": OPTIONS})
    markets = [market(exchange, head["venue"], symbol) for symbol in head["symbols"]]
    exchange.set_markets(markets)
    for found in markets:
        if found["id"] in head["books"]:
            snapshot = head["books"][found["id"]]
            parsed = exchange.parse_order_book(snapshot, found["symbol"])
            book = exchange.order_book(parsed, BOOK_LEVELS)
            book["nonce"] = snapshot["nonce"]
            exchange.orderbooks[found["symbol"]] = book
    client = Client(url)
    combined = name.startswith("binance")
    started = time.process_time()
    for frame in frames:
        message = json.loads(frame)
        exchange.handle_message(client, message.get("data", message) if combined else message)
    seconds = time.process_time() - started
    await exchange.close()
    return seconds


def main(file: Path) -> None:
    """The fastest of some passes counts, as it was disturbed least."""
    head, *frames = file.read_bytes().splitlines()
    header = json.loads(head)
    seconds = min(asyncio.run(one_pass(header, frames)) for _ in range(PASSES))
    print(json.dumps({"frames": len(frames), "seconds": seconds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
