"""Cards about trades: each comes once, as the venue made it, or is in a gap."""

from decimal import Decimal

from venuemesh.common.v1 import types_pb2

from kit.base.cursor import gap_reason_name
from kit.base.numbers import to_decimal
from kit.conformance.card import CardContext, CardFailure, card, expect
from kit.connector.contract.venue import TradeNumbering, Venue

TRADES = types_pb2.CHANNEL_TRADES
ENOUGH = 30


def ids_show_missing_trades(venue: Venue) -> str:
    """Skip where the trade ids do not show a missing trade."""
    shows = venue.profile.trade_numbering is not TradeNumbering.NONE
    return "" if shows else "the venue's trade ids do not show missing trades"


@card("TRD-1")
async def equal_to_history(context: CardContext) -> None:
    """Trades equal those of the venue's own history in price, size, side and time."""
    await more_trades(context, len(context.connector.batches), ENOUGH)
    history = await context.venue.history.trades(context.first, 0, 0, 50)
    expect(history, "the venue's history is empty")
    known = {one.trade_id: one for one in history}
    compared, summed = 0, _sums_up(context)
    for trade_id, price, size, side, time_ns in _trades(context):
        if trade_id in known:
            one = known[trade_id]
            compared += 1
            expect(price == Decimal(one.price), f"{trade_id}: price {price}, it is {one.price}")
            theirs = Decimal(one.size)
            right = size == theirs or (summed and size > theirs)
            expect(right, f"{trade_id}: size {size}, it is {theirs}")
            expect(side == one.side, f"{trade_id}: side {side}, it is {one.side}")
            late_ns = abs(time_ns - one.venue_time_ns)
            step_ns = context.venue.profile.trade_time_step_ns
            expect(late_ns < step_ns, f"{trade_id}: time differs by {late_ns} ns, not < {step_ns}")
    expect(compared, "no trade of the feed is in the history")


@card("TRD-2")
async def complete(context: CardContext) -> None:
    """Without a fault no trade is missing, and none comes twice."""
    since = len(context.connector.batches)
    await more_trades(context, since, ENOUGH)
    for symbol in context.symbols:
        gaps = context.connector.gaps(TRADES, symbol, since)
        expect(not gaps, f"gaps without a fault: {', '.join(map(short, gaps))}")
    _expect_once(context)


@card("TRD-3", skip_reason=ids_show_missing_trades)
async def lost_trade(context: CardContext) -> None:
    """A lost trade is fetched, or is in a gap."""
    await more_trades(context, 0, 1)
    since, newest = len(context.connector.batches), _newest_id(context)
    context.exchange.order("drop", context.first, "trades")
    await more_trades(context, since, ENOUGH)
    _expect_once(context)
    await _expect_all_or_gap(context, newest, since)
    for symbol in context.symbols[1:]:
        expect(not context.connector.gaps(TRADES, symbol, since), f"{symbol} was disturbed")


@card("TRD-4")
async def repeated_trade(context: CardContext) -> None:
    """A repeated trade comes once."""
    since = len(context.connector.batches)
    context.exchange.order("duplicate", context.first, "trades", count=3)
    await more_trades(context, since, ENOUGH)
    _expect_once(context)


@card("TRD-5")
async def new_connection(context: CardContext) -> None:
    """After a reconnect each trade comes once, and missed ones are fetched or in a gap."""
    await more_trades(context, 0, 1)
    since = len(context.connector.batches)
    context.exchange.order("disconnect", context.first, "trades")
    await more_trades(context, since, ENOUGH)
    _expect_once(context)
    if context.connector.gaps(TRADES, context.first, since) or _sums_up(context):
        return
    history = await context.venue.history.trades(context.first, 0, 0, 50)
    there = {one[0] for one in _trades(context)}
    places = [place for place, one in enumerate(history) if one.trade_id in there]
    between = history[places[0] : places[-1]] if places else []
    missing = [one.trade_id for one in between if one.trade_id not in there]
    expect(not missing, f"missing without a gap: {missing[:5]}")


@card("TRD-6", skip_reason=ids_show_missing_trades)
async def refilled(context: CardContext) -> None:
    """All trades that were lost with a connection are fetched."""
    await more_trades(context, 0, 1)
    since, newest = len(context.connector.batches), _newest_id(context)
    reconnects = context.connector.meter.reconnects_total
    context.exchange.order("disconnect", context.first, "trades")
    context.exchange.order("drop", context.first, "trades", count=3)
    await context.connector.until(
        lambda: context.connector.meter.reconnects_total > reconnects, "a new connection"
    )
    await more_trades(context, len(context.connector.batches), ENOUGH)
    _expect_once(context)
    gaps = context.connector.gaps(TRADES, context.first, since)
    expect(not gaps, f"not fetched: {', '.join(map(short, gaps))}")
    ids = [int(one[0]) for one in _trades(context)]
    expect(ids == sorted(ids), "they are not in order")
    await _expect_all_or_gap(context, newest, since)


async def more_trades(context: CardContext, since: int, count: int) -> None:
    """Wait for so many trades of the first instrument, from a position in the batches on."""
    await context.connector.until(
        lambda: context.connector.row_count(TRADES, context.first, since) >= count,
        f"{count} trades of {context.first}",
    )


def _trades(context: CardContext) -> list[tuple[str, Decimal, Decimal, int, int]]:
    found = []
    for scale, columns, row in context.connector.scaled_rows(TRADES, context.first):
        texts = columns.trade_id_text
        found.append(
            (
                texts[row] if texts else str(columns.trade_id[row]),
                to_decimal(columns.price[row], scale.price),
                to_decimal(columns.size[row], scale.size),
                columns.side[row],
                columns.venue_time_ns[row],
            )
        )
    return found


def _sums_up(context: CardContext) -> bool:
    """Whether one published trade may be the sum of several at the venue."""
    return context.venue.profile.trade_numbering is TradeNumbering.SKIPPING


def _newest_id(context: CardContext) -> int:
    return max(int(one[0]) for one in _trades(context))


async def _expect_all_or_gap(context: CardContext, newest: int, since: int) -> None:
    """Expect that each trade after ``newest`` was published or is in a gap. Sizes are compared, as
    a venue may sum up simultaneous trades."""
    sizes = {int(one[0]): one[2] for one in _trades(context) if int(one[0]) > newest}
    last = max(sizes)
    history = await context.venue.history.trades(context.first, newest + 1, 0, last - newest)
    in_gaps = {
        number
        for gap in context.connector.gaps(TRADES, context.first, since)
        for number in range(gap.last_id_before + 1, gap.first_id_after)
    }
    true = {int(one.trade_id): Decimal(one.size) for one in history if int(one.trade_id) <= last}
    expect(true, "the venue's history has none of them")
    missing = sorted(true.keys() - sizes.keys() - in_gaps)
    if missing and _sums_up(context):
        theirs = sum(size for number, size in true.items() if number not in in_gaps)
        missing = missing if sum(sizes.values()) != theirs else []
    expect(not missing, f"missing without a gap: {missing[:5]}")


def _expect_once(context: CardContext) -> None:
    ids = [one[0] for one in _trades(context)]
    if len(set(ids)) < len(ids):
        twice = next(trade_id for trade_id in ids if ids.count(trade_id) > 1)
        raise CardFailure(f"trade {twice} came {ids.count(twice)} times")


def short(gap: types_pb2.Gap) -> str:
    """A gap in a few words."""
    reason = gap_reason_name(gap.reason)
    return f"{reason} {gap.last_id_before} to {gap.first_id_after} {gap.detail}".rstrip()
