"""Cards about order books: a book equals the exchange's, or is in doubt."""

import asyncio
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import chain

from venuemesh.common.v1 import types_pb2

from kit.base.numbers import to_decimal
from kit.conformance.card import CardContext, CardFailure, card, expect
from kit.conformance.connector_under_test import WAIT_SECONDS_MAX
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.contract.venue import BookProof, SnapshotSource, UpdateOrdering, Venue

BOOK = types_pb2.CHANNEL_BOOK
BEST_LEVELS = 5
CALM_SECONDS = 2.0
CALM_LOOKS = 100
"""As many as in this time, and no fewer on a machine that has none for this process."""
LOOK_AGAIN_SECONDS = 0.02
REST_SECONDS = 0.6
"""A delay of REST calls around a reconnect: longer than the first updates take to come."""
UPDATES = 10
ROUNDS = 5
TRIES = 10

Side = list[tuple[Decimal, Decimal]]
"""Prices and sizes, best price first."""


def missing_updates_show(venue: Venue) -> str:
    """Skip where nothing shows a missing update."""
    return "" if venue.book_proofs else "nothing shows that an update of a book is missing"


def instruments_are_independent(venue: Venue) -> str:
    """Skip where a missing update of one instrument may be one of any."""
    if BookProof.CONNECTION_SEQUENCE in venue.book_proofs:
        return "the venue numbers the frames of a connection, for all instruments together"
    return missing_updates_show(venue)


@card("BOK-1")
async def equals_the_exchange(context: CardContext) -> None:
    """A synchronized book equals the exchange's book."""
    since = len(context.connector.batches)
    for symbol in context.symbols:
        for _ in range(ROUNDS):
            await best_levels_replaced(context, symbol)
            await expect_equal(context, symbol)
    # A wrong book may be found wrong, and be right for a moment after each snapshot.
    gaps = [
        gap for symbol in context.symbols for gap in context.connector.gaps(BOOK, symbol, since)
    ]
    expect(not gaps, "a book was in doubt without a fault in the feed")


@card("BOK-2")
async def readable(context: CardContext) -> None:
    """A reader of the published batches has the same book."""
    await more_updates(context, context.first)
    book = context.connector.book(context.first)
    followed = context.connector.followed(context.first)

    def same() -> bool:
        # The newest batch may not have been read yet, so they are equal at moments.
        bids, asks, is_synchronized = followed.read()
        return is_synchronized and (bids, asks) == (book.book.bids(), book.book.asks())

    await context.connector.until(same, "the reader's book to equal ours")


@card("BOK-3", skip_reason=missing_updates_show)
async def lost_update(context: CardContext) -> None:
    """A lost update puts the book in doubt until it equals the exchange's again."""
    await break_and_recover(context, "drop")


@card("BOK-4", skip_reason=instruments_are_independent)
async def others_undisturbed(context: CardContext) -> None:
    """A lost update of one instrument leaves the other books undisturbed."""
    since = len(context.connector.batches)
    await break_and_recover(context, "drop")
    for symbol in context.symbols[1:]:
        expect(not context.connector.gaps(BOOK, symbol, since), f"{symbol} was disturbed")


@card("BOK-5")
async def repeated_update(context: CardContext) -> None:
    """A repeated update changes nothing."""
    context.exchange.order("duplicate", context.first, "book", count=3)
    await more_updates(context, context.first)
    await expect_equal(context, context.first)


def updates_are_ordered(venue: Venue) -> str:
    """Skip where nothing shows that updates come in the wrong order."""
    has_order = venue.book.sequence.ordering is not UpdateOrdering.NONE
    return "" if has_order or venue.book_proofs else "nothing shows the order of a book's updates"


def books_come_over_rest(venue: Venue) -> str:
    """Skip where the feed sends whole books."""
    is_rest = venue.book.snapshots is SnapshotSource.REST
    return "" if is_rest else "whole books come over the feed"


@card("BOK-6", skip_reason=updates_are_ordered)
async def reordered_updates(context: CardContext) -> None:
    """Updates in the wrong order never make a wrong book."""
    context.exchange.order("reorder", context.first, "book", count=2)
    await more_updates(context, context.first)
    await expect_equal(context, context.first)


@card("BOK-7")
async def closed_connection(context: CardContext) -> None:
    """After a closed connection and with slow REST, all levels equal the exchange's."""
    await reconnect_with_slow_rest(context, "disconnect", "rest_delay", "answer_delay")


@card("BOK-8")
async def reset_connection(context: CardContext) -> None:
    """After a reset connection and with slow REST, all levels equal the exchange's."""
    await reconnect_with_slow_rest(context, "reset", "rest_delay", "answer_delay")


@card("BOK-9")
async def other_tick_size(context: CardContext) -> None:
    """After a change of the tick size the book equals the exchange's."""
    coarser = Decimal(context.exchange.tick_size(context.first)) * 10
    try:
        context.exchange.order("tick_size", context.first, value=f"{coarser:f}")
    except ValueError as error:
        raise CardFailure(f"the simulator cannot change the tick size: {error}") from None
    await more_updates(context, context.first)
    await expect_equal(context, context.first)


@card("BOK-10", skip_reason=books_come_over_rest)
async def late_snapshot(context: CardContext) -> None:
    """After a reconnect, a REST book that is older than its answer makes no wrong book."""
    await reconnect_with_slow_rest(context, "disconnect", "book_delay")


async def reconnect_with_slow_rest(context: CardContext, fault: str, *delays: str) -> None:
    """Break the connection while REST is slow, and compare the whole book after it: a level that
    changed meanwhile and not since would stay wrong."""
    for delay in delays:
        context.exchange.order(delay, seconds=REST_SECONDS, count=0)
    await break_and_recover(context, fault, levels=None)


async def break_and_recover(
    context: CardContext, fault: str, levels: int | None = BEST_LEVELS
) -> None:
    """Inject a fault into the first book. Expect a gap, and that the book recovers."""
    since, epoch = len(context.connector.batches), context.connector.book(context.first).epoch

    def gaps() -> list[types_pb2.Gap]:
        return context.connector.gaps(BOOK, context.first, since)

    # A lost update deep in a book may leave its checksum right: then inject the fault again.
    for _ in range(TRIES):
        context.exchange.order(fault, context.first, "book")
        await _gap_or_updates(context, since)
        if gaps():
            break
    expect(gaps(), f"{TRIES} times {fault}, and no gap")
    await context.connector.until(
        lambda: context.connector.synchronized(context.first), "a synchronized book"
    )
    expect(context.connector.book(context.first).epoch > epoch, "the book has no new epoch")
    await expect_equal(context, context.first, levels)


async def _gap_or_updates(context: CardContext, since: int) -> None:
    """Wait for a gap from a position on, or for so many updates that none will come."""
    seen = len(context.connector.batches)
    await context.connector.until(
        lambda: (
            context.connector.gaps(BOOK, context.first, since)
            or context.connector.row_count(BOOK, context.first, seen) >= UPDATES
        ),
        "a gap or further updates",
    )


async def best_levels_replaced(context: CardContext, symbol: str) -> None:
    """Wait until each side has lost one of its best levels."""

    def best() -> list[set[str]]:
        book = context.exchange.best_levels(symbol, BEST_LEVELS)
        return [{price for price, *_ in side} for side in (book.bids, book.asks)]

    def are_replaced() -> bool:
        return not any(old <= new for old, new in zip(before, best(), strict=True))

    before = best()
    await context.connector.until(are_replaced, f"other best levels of {symbol}")


async def more_updates(context: CardContext, symbol: str) -> None:
    """Wait for some updates, and for a synchronized book."""
    since = len(context.connector.batches)
    await context.connector.until(
        lambda: context.connector.row_count(BOOK, symbol, since) >= UPDATES, f"{UPDATES} updates"
    )
    await context.connector.until(
        lambda: context.connector.synchronized(symbol), "a synchronized book"
    )


async def expect_equal(context: CardContext, symbol: str, levels: int | None = BEST_LEVELS) -> None:
    """Expect the best levels of a book, or all that both sides have, to equal the exchange's within
    a while. They are compared in calms, in which the exchange's book stays as it is; between the
    calms the market goes on, as a book may need updates to recover."""
    book = context.connector.book(symbol)
    difference = f"the book is {book.state.value}"
    deadline = context.connector.now_s() + WAIT_SECONDS_MAX
    while context.connector.now_s() < deadline:
        with context.exchange.calm():
            at_exchange = await context.exchange.book(symbol)
            theirs = [_decimals(side[:levels]) for side in (at_exchange.bids, at_exchange.asks)]
            calm_until, looks = context.connector.now_s() + CALM_SECONDS, 0
            while book.state is BookState.SYNCHRONIZED and (
                looks < CALM_LOOKS or context.connector.now_s() < calm_until
            ):
                looks += 1
                difference = next(_differences(_levels(book, levels), theirs, levels), "")
                if not difference:
                    return
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
            if levels is None and book.state is BookState.SYNCHRONIZED:
                # All updates have come, and a wrong level deep in the book can stay wrong for long.
                break
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
    raise CardFailure(f"{symbol}, {book.state.value}: {difference}")


def _differences(ours: Sequence[Side], theirs: Sequence[Side], levels: int | None) -> Iterator[str]:
    """The levels that differ, in words, as deep as both books go."""
    for name, our_side, their_side in zip(("bid", "ask"), ours, theirs, strict=True):
        depth = min(len(our_side), len(their_side)) if levels is None else levels
        our_sizes, their_sizes = dict(our_side[:depth]), dict(their_side[:depth])
        for price in dict.fromkeys(chain(their_sizes, our_sizes)):
            our_size, their_size = our_sizes.get(price, 0), their_sizes.get(price, 0)
            if our_size != their_size:
                yield f"{name} {price}: our size is {our_size}, the exchange's {their_size}"


def _decimals(side: Sequence[Sequence[str]]) -> Side:
    return [(Decimal(price), Decimal(size)) for price, size, *_ in side]


def _levels(book: SynchronizedBook, depth: int | None) -> list[Side]:
    """The first levels of each side; None: all."""
    return [
        [
            (to_decimal(price, book.scale.price), to_decimal(size, book.scale.size))
            for price, size in side[:depth]
        ]
        for side in (book.book.bids(), book.book.asks())
    ]
