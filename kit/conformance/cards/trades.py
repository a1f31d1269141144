"""Cards about trades: every one, once, as the venue made it, or a gap."""

from decimal import Decimal
from itertools import pairwise

from venuemesh.common.v1 import types_pb2

from kit.base.cursor import gap_reason_name
from kit.base.numbers import to_decimal
from kit.conformance.card import Failed, Rig, Skipped, card, expect

TRADES = types_pb2.CHANNEL_TRADES
ENOUGH = 30


def ids_show_holes(rig: Rig) -> str:
    """Why a lost trade cannot be seen."""
    texts = any(columns.trade_id_text for columns, _ in rig.connector.rows(TRADES, rig.first))
    return "the venue's trade ids have no order" if texts else ""


@card("TRD-1")
async def true(rig: Rig) -> None:
    """Trades are those of the venue's own history: price, size, side, time."""
    await more_trades(rig, len(rig.connector.batches), ENOUGH)
    history = await rig.connector.venue.history.trades(rig.first, 0, 0, 50)
    expect(history, "the venue's history is empty")
    told = {one.trade_id: one for one in history}
    compared, summed = 0, _sums_up(rig)
    for trade_id, price, size, side, time_ns in _trades(rig):
        if trade_id in told:
            one = told[trade_id]
            compared += 1
            expect(price == Decimal(one.price), f"{trade_id}: price {price}, it is {one.price}")
            theirs = Decimal(one.size)
            right = size == theirs or (summed and size > theirs)
            expect(right, f"{trade_id}: size {size}, it is {theirs}")
            expect(side == one.side, f"{trade_id}: side {side}, it is {one.side}")
            late_ns = abs(time_ns - one.venue_time_ns)
            expect(late_ns < 1_000_000, f"{trade_id}: time off by {late_ns} ns")
    expect(compared, "no trade of the feed is in the history")


@card("TRD-2")
async def whole(rig: Rig) -> None:
    """Without a fault no trade is missing and none comes twice."""
    since = len(rig.connector.batches)
    await more_trades(rig, since, ENOUGH)
    for symbol in rig.symbols:
        gaps = rig.connector.gaps(TRADES, symbol, since)
        expect(not gaps, f"gaps without a fault: {', '.join(map(short, gaps))}")
    _expect_once(rig)


@card("TRD-3", needs=ids_show_holes)
async def lost(rig: Rig) -> None:
    """A lost trade is fetched, or is a gap."""
    await more_trades(rig, 0, 1)
    since, newest = len(rig.connector.batches), _newest_id(rig)
    rig.exchange.order("drop", rig.first, "trades")
    await more_trades(rig, since, ENOUGH)
    _expect_once(rig)
    await _expect_all_or_told(rig, newest, since)
    for symbol in rig.symbols[1:]:
        expect(not rig.connector.gaps(TRADES, symbol, since), f"{symbol} was disturbed")


@card("TRD-4")
async def doubled(rig: Rig) -> None:
    """A doubled trade comes once."""
    since = len(rig.connector.batches)
    rig.exchange.order("duplicate", rig.first, "trades", count=3)
    await more_trades(rig, since, ENOUGH)
    _expect_once(rig)


@card("TRD-5")
async def again(rig: Rig) -> None:
    """After a new connection trades come once, and those missed are fetched or a gap."""
    await more_trades(rig, 0, 1)
    since = len(rig.connector.batches)
    rig.exchange.order("disconnect", rig.first, "trades")
    await more_trades(rig, since, ENOUGH)
    _expect_once(rig)
    if rig.connector.gaps(TRADES, rig.first, since) or _sums_up(rig):
        return
    history = await rig.connector.venue.history.trades(rig.first, 0, 0, 50)
    there = {one[0] for one in _trades(rig)}
    places = [place for place, one in enumerate(history) if one.trade_id in there]
    between = history[places[0] : places[-1]] if places else []
    missing = [one.trade_id for one in between if one.trade_id not in there]
    expect(not missing, f"missing in silence: {missing[:5]}")


@card("TRD-6", needs=ids_show_holes)
async def fetched(rig: Rig) -> None:
    """Trades lost with a connection are all fetched."""
    await more_trades(rig, 0, 1)
    reason = ids_show_holes(rig)
    if reason:
        raise Skipped(reason)
    since, newest = len(rig.connector.batches), _newest_id(rig)
    reconnects = rig.connector.meter.reconnects_total
    rig.exchange.order("disconnect", rig.first, "trades")
    rig.exchange.order("drop", rig.first, "trades", count=3)
    await rig.connector.until(
        lambda: rig.connector.meter.reconnects_total > reconnects, "a new connection"
    )
    await more_trades(rig, len(rig.connector.batches), ENOUGH)
    _expect_once(rig)
    gaps = rig.connector.gaps(TRADES, rig.first, since)
    expect(not gaps, f"not fetched: {', '.join(map(short, gaps))}")
    ids = [int(one[0]) for one in _trades(rig)]
    expect(ids == sorted(ids), "they are not in order")
    await _expect_all_or_told(rig, newest, since)


async def more_trades(rig: Rig, since: int, count: int) -> None:
    """Wait for so many trades of the first instrument."""
    await rig.connector.until(
        lambda: rig.connector.row_count(TRADES, rig.first, since) >= count,
        f"{count} trades of {rig.first}",
    )


def _trades(rig: Rig) -> list[tuple[str, Decimal, Decimal, int, int]]:
    found = []
    for scale, columns, row in rig.connector.scaled_rows(TRADES, rig.first):
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


def _sums_up(rig: Rig) -> bool:
    """Whether the venue sums up what trades at once, so that its ids do not count by one."""
    ids = [one[0] for one in _trades(rig)]
    if not all(map(str.isdigit, ids)):
        return False
    return any(int(later) > int(earlier) + 1 for earlier, later in pairwise(ids))


def _newest_id(rig: Rig) -> int:
    return max(int(one[0]) for one in _trades(rig))


async def _expect_all_or_told(rig: Rig, newest: int, since: int) -> None:
    """Nothing after the trade ``newest`` is missing in silence. Sizes are compared, as a venue may
    sum up what trades at once."""
    sizes = {int(one[0]): one[2] for one in _trades(rig) if int(one[0]) > newest}
    last = max(sizes)
    history = await rig.connector.venue.history.trades(rig.first, newest + 1, 0, last - newest)
    told = {
        number
        for gap in rig.connector.gaps(TRADES, rig.first, since)
        for number in range(gap.last_id_before + 1, gap.first_id_after)
    }
    true = {int(one.trade_id): Decimal(one.size) for one in history if int(one.trade_id) <= last}
    expect(true, "the venue's history has none of them")
    missing = sorted(true.keys() - sizes.keys() - told)
    if missing and _sums_up(rig):
        theirs = sum(size for number, size in true.items() if number not in told)
        missing = missing if sum(sizes.values()) != theirs else []
    expect(not missing, f"missing in silence: {missing[:5]}")


def _expect_once(rig: Rig) -> None:
    ids = [one[0] for one in _trades(rig)]
    if len(set(ids)) < len(ids):
        twice = next(trade_id for trade_id in ids if ids.count(trade_id) > 1)
        raise Failed(f"trade {twice} came {ids.count(twice)} times")


def short(gap: types_pb2.Gap) -> str:
    """A gap in a few words."""
    reason = gap_reason_name(gap.reason)
    return f"{reason} {gap.last_id_before} to {gap.first_id_after} {gap.detail}".rstrip()
