"""Cards about order books: right, or in doubt."""

import asyncio
from decimal import Decimal

from venuemesh.common.v1 import types_pb2

from kit.base.numbers import to_decimal
from kit.conformance.card import Failed, Rig, card, expect
from kit.conformance.connector import WAIT_SECONDS_MAX
from kit.connector.books.sequence_rules import UnnumberedRule
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.marketdata.book.checksum import Checksum

BOOK = types_pb2.CHANNEL_BOOK
LEVELS = 5
CALM_SECONDS = 2.0
LOOK_AGAIN_SECONDS = 0.02
UPDATES = 10
ROUNDS = 5
TRIES = 10


def losses_show(rig: Rig) -> str:
    """Why a lost update cannot be seen."""
    rules = rig.connector.venue.book
    unnumbered = isinstance(rules.sequence, UnnumberedRule) and rules.checksum is Checksum.NONE
    counted = rig.connector.venue.connection_sequence is not None
    return "the venue does not number its updates" if unnumbered and not counted else ""


def books_are_apart(rig: Rig) -> str:
    """Why the loss of one concerns the others."""
    if rig.connector.venue.connection_sequence is not None:
        return "the venue numbers all frames of a connection together"
    return losses_show(rig)


@card("BOK-1")
async def right(rig: Rig) -> None:
    """A proven book is the exchange's book."""
    since = len(rig.connector.batches)
    for symbol in rig.symbols:
        for _ in range(ROUNDS):
            await levels_gone(rig, symbol)
            await expect_right(rig, symbol)
    # A book that is wrong is found out now and then, and is right again for a moment.
    told = [gap for symbol in rig.symbols for gap in rig.connector.gaps(BOOK, symbol, since)]
    expect(not told, "a book was in doubt, and nothing was wrong with the feed")


@card("BOK-2")
async def readable(rig: Rig) -> None:
    """A reader who knows only what was published has the same book."""
    await more_updates(rig, rig.first)
    book = rig.connector.book(rig.first)

    def same() -> bool:
        # What was published last may not have been read yet, so they are equal at moments.
        bids, asks, good = rig.connector.followed(rig.first)
        return good and (bids, asks) == (book.book.bids(), book.book.asks())

    await rig.connector.until(same, "the reader's book to be ours")


@card("BOK-3", needs=losses_show)
async def lost(rig: Rig) -> None:
    """A lost update puts the book in doubt until it is right again."""
    await break_and_mend(rig, "drop")


@card("BOK-4", needs=books_are_apart)
async def apart(rig: Rig) -> None:
    """A lost update disturbs no other instrument."""
    since = len(rig.connector.batches)
    await break_and_mend(rig, "drop")
    for symbol in rig.symbols[1:]:
        expect(not rig.connector.gaps(BOOK, symbol, since), f"{symbol} was disturbed")


@card("BOK-5")
async def doubled(rig: Rig) -> None:
    """A doubled update changes nothing."""
    rig.exchange.order("duplicate", rig.first, "book", count=3)
    await more_updates(rig, rig.first)
    await expect_right(rig, rig.first)


@card("BOK-6", needs=losses_show)
async def reordered(rig: Rig) -> None:
    """Updates in the wrong order never make a wrong book."""
    rig.exchange.order("reorder", rig.first, "book", count=2)
    await more_updates(rig, rig.first)
    await expect_right(rig, rig.first)


@card("BOK-7")
async def closed(rig: Rig) -> None:
    """A closed connection is a gap, and then the book is right again."""
    await break_and_mend(rig, "disconnect")


@card("BOK-8")
async def reset(rig: Rig) -> None:
    """A connection that is reset is a gap, and then the book is right again."""
    await break_and_mend(rig, "reset")


@card("BOK-9")
async def another_tick(rig: Rig) -> None:
    """A new tick size in the middle leaves the book right."""
    coarser = Decimal(rig.exchange.tick_size(rig.first)) * 10
    try:
        rig.exchange.order("tick_size", rig.first, value=f"{coarser:f}")
    except ValueError as error:
        raise Failed(f"the exchange cannot do it: {error}") from None
    await more_updates(rig, rig.first)
    await expect_right(rig, rig.first)


async def break_and_mend(rig: Rig, fault: str) -> None:
    """Order a fault of the first book; see that it is told, and that the book comes back right."""
    since, epoch = len(rig.connector.batches), rig.connector.book(rig.first).epoch

    def told() -> list[types_pb2.Gap]:
        return rig.connector.gaps(BOOK, rig.first, since)

    # What is deep in a book may be lost without harm to what a checksum proves: then once more.
    for _ in range(TRIES):
        rig.exchange.order(fault, rig.first, "book")
        await _told_or_gone_on(rig, since)
        if told():
            break
    expect(told(), f"{TRIES} times {fault}, and no gap")
    await rig.connector.until(lambda: rig.connector.proven(rig.first), "a proven book")
    expect(rig.connector.book(rig.first).epoch > epoch, "the book has no new epoch")
    await expect_right(rig, rig.first)


async def _told_or_gone_on(rig: Rig, since: int) -> None:
    """Wait for a gap from a position on, or for so many updates that none will be told."""
    seen = len(rig.connector.batches)
    await rig.connector.until(
        lambda: (
            rig.connector.gaps(BOOK, rig.first, since)
            or rig.connector.row_count(BOOK, rig.first, seen) >= UPDATES
        ),
        "a gap or further updates",
    )


async def levels_gone(rig: Rig, symbol: str) -> None:
    """Wait until each side has lost one of its best levels."""

    async def best() -> list[set[str]]:
        book = await rig.exchange.book(symbol)
        return [{price for price, *_ in side[:LEVELS]} for side in (book.bids, book.asks)]

    async def still_there() -> bool:
        return any(old <= new for old, new in zip(before, await best(), strict=True))

    before = await best()
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while await still_there():
            await rig.connector.next_batch()


async def more_updates(rig: Rig, symbol: str) -> None:
    """Wait for some, and for a proven book."""
    since = len(rig.connector.batches)
    await rig.connector.until(
        lambda: rig.connector.row_count(BOOK, symbol, since) >= UPDATES, f"{UPDATES} updates"
    )
    await rig.connector.until(lambda: rig.connector.proven(symbol), "a proven book")


async def expect_right(rig: Rig, symbol: str) -> None:
    """The book comes to be the exchange's within a while. It is compared in calms, in which the
    exchange's own stays as it is; between them the market goes on, as a book may need it to come
    back."""
    book = rig.connector.book(symbol)
    theirs: object = None
    deadline = rig.connector.now_s() + WAIT_SECONDS_MAX
    while rig.connector.now_s() < deadline:
        with rig.exchange.calm():
            told = await rig.exchange.book(symbol)
            theirs = [
                [(Decimal(price), Decimal(size)) for price, size, *_ in side[:LEVELS]]
                for side in (told.bids, told.asks)
            ]
            calm_until = rig.connector.now_s() + CALM_SECONDS
            while book.state is BookState.SYNCHRONIZED and rig.connector.now_s() < calm_until:
                if _best(book) == theirs:
                    return
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
    raise Failed(f"{symbol}: {book.state.value}, we have {_best(book)}, it is {theirs}")


def _best(book: SynchronizedBook) -> list[list[tuple[Decimal, Decimal]]]:
    """The best bids and asks as we have them."""
    return [
        [
            (to_decimal(price, book.scale.price), to_decimal(size, book.scale.size))
            for price, size in side
        ]
        for side in (book.book.bids(LEVELS), book.book.asks(LEVELS))
    ]
