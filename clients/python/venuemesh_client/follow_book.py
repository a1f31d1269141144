"""Books that are kept, and proven."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2
from venuemesh_client.book import Book
from venuemesh_client.client import Client, reason_of
from venuemesh_client.stream import (
    CURSOR_EXPIRED,
    WhenExpired,
    is_rejected,
    pause,
    subscribe,
    until_answered,
)

DEPTH_MAX = 5000
"""The most levels that GetOrderBook answers."""


async def follow_book(client: Client, venue: str, symbol: str) -> AsyncGenerator[Book, None]:
    """Yield the book of an instrument after every change: first as GetOrderBook answers it, then
    after each batch of the channel BOOK. Where batches are no longer held, it is in doubt, and
    begins again with GetOrderBook. The same Book is yielded each time."""
    ask = partial(order_book, client, venue, symbol, DEPTH_MAX)
    answer, failures = await ask(), 0
    book = Book(symbol)
    while True:
        book.begin(answer)
        yield book
        request = market_data_pb2.SubscribeRequest(
            venue=venue, channels=[types_pb2.CHANNEL_BOOK], symbols=[symbol]
        )
        request.resume_after.add(channel=types_pb2.CHANNEL_BOOK, cursor=answer.cursor)
        batches = subscribe(client, request, WhenExpired.RAISE)
        try:
            async with aclosing(batches):
                async for batch in batches:
                    failures = 0
                    book.apply(batch)
                    yield book
        except grpc.aio.AioRpcError as error:
            if reason_of(error) != CURSOR_EXPIRED:
                raise
        book.doubt()
        yield book
        await pause(failures)
        failures += 1
        answer = await until_answered(ask)


async def proven_book(client: Client, venue: str, symbol: str) -> Book:
    """The book once its checksum is the one that the mesh answers for the same cursor, after at
    least one batch. Raises ValueError if the checksum differs."""
    passed: list[tuple[tuple[int, int], int]] = []
    asked: asyncio.Task[market_data_pb2.GetOrderBookResponse] | None = None
    books = follow_book(client, venue, symbol)
    try:
        async with aclosing(books):
            async for book in books:
                if not book.is_whole:
                    passed = []
                    continue
                passed.append((place_of(book.cursor), book.checksum()))
                if asked is None:
                    asked = asyncio.ensure_future(order_book(client, venue, symbol, 1))
                if not asked.done():
                    continue
                answer = _answer_of(asked)
                if answer is not None and passed[-1][0] < place_of(answer.cursor):
                    continue
                asked = None
                if answer is not None and _is_proof(answer, passed):
                    return book
    finally:
        if asked is not None:
            asked.cancel()
    raise AssertionError("the book is followed without an end")


async def order_book(
    client: Client, venue: str, symbol: str, depth: int
) -> market_data_pb2.GetOrderBookResponse:
    """The book as the venue's process has it."""
    request = market_data_pb2.GetOrderBookRequest(venue=venue, symbol=symbol, depth=depth)
    return await client.market_data.GetOrderBook(request)


def place_of(cursor: types_pb2.Cursor) -> tuple[int, int]:
    """Epoch and sequence, which are ordered."""
    return (cursor.epoch, cursor.sequence)


def _answer_of(
    asked: asyncio.Task[market_data_pb2.GetOrderBookResponse],
) -> market_data_pb2.GetOrderBookResponse | None:
    try:
        return asked.result()
    except grpc.aio.AioRpcError as error:
        if is_rejected(error):
            raise
        return None


def _is_proof(
    answer: market_data_pb2.GetOrderBookResponse, passed: list[tuple[tuple[int, int], int]]
) -> bool:
    """Whether the book had the checksum of the answer. Batches that do not concern the book are not
    sent: it counts the last one up to the cursor. False if the book began later."""
    known = [checksum for place, checksum in passed if place <= place_of(answer.cursor)]
    if known and known[-1] != answer.checksum:
        text = f"the checksum of {answer.symbol} is {known[-1]}, not {answer.checksum}"
        raise ValueError(text)
    return bool(known)
