"""Follows a book, proves it and prints its best levels."""

import asyncio

from example import run
from venuemesh.marketdata.v1 import market_data_pb2
from venuemesh_client import Client, proven_book, text_of, word_of

LEVELS = 5
PATIENCE_S = 30.0


async def print_book(client: Client, venue: str, symbol: str) -> None:
    book = await asyncio.wait_for(proven_book(client, venue, symbol), PATIENCE_S)
    cursor = f"{book.cursor.epoch}-{book.cursor.sequence}"
    print(f"{venue} {symbol} {book.state}, cursor {cursor}, checksum {book.checksum()}")
    for price, size in reversed(book.asks[:LEVELS]):
        print(f"ask {text_of(price)} {text_of(size)}")
    for price, size in book.bids[:LEVELS]:
        print(f"bid {text_of(price)} {text_of(size)}")
    request = market_data_pb2.VerifyBookRequest(venue=venue, symbol=symbol)
    verified = await client.market_data.VerifyBook(request)
    verdict = word_of(market_data_pb2.BookVerdict.DESCRIPTOR, verified.verdict)
    levels = f"{verified.levels_compared} levels, {verified.levels_different} differ"
    print(f"compared with the venue: {verdict}, {levels}")


run(print_book)
